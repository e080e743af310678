// A form for the arguments of any tool, made from its JSON Schema. What is left empty is not sent.

import { el, freshId, toInstant, toLocal } from './elements.js';

/** Beyond this many, optional fields are folded away. */
const FEW = 6;
const LONG_TEXT = 300;

/** How a schema is asked for, and how what was typed becomes a value. */
function kindOf(schema) {
    const types = [schema.type ?? []].flat().filter((type) => type !== 'null');
    if (schema.enum) return 'choice';
    if (types.length !== 1) return types.length ? 'any' : 'json';
    if (types[0] === 'string' && schema.format === 'date') return 'date';
    if (types[0] === 'string' && schema.format === 'date-time') return 'instant';
    return { string: 'text', integer: 'number', number: 'number', boolean: 'flag', array: 'json', object: 'json' }[types[0]] ?? 'any';
}

const isNullable = (schema) => [schema.type ?? []].flat().includes('null');
const isLines = (schema) => schema.items?.type === 'string' && !schema.items.enum;

class Problem extends Error {}

function field(name, schema, isRequired) {
    const kind = kindOf(schema);
    const id = freshId('argument');
    const common = { id, name, autocomplete: 'off', 'aria-describedby': `${id}-about ${id}-wrong`, required: isRequired };
    const choices = (values) => el('select', common, el('option', { value: '' }, isRequired ? 'Choose…' : '—'), values.map((of) => el('option', { value: of }, of)));
    const input = {
        choice: () => choices(schema.enum.filter((of) => of !== null).map(String)),
        flag: () => choices(['true', 'false']),
        number: () => el('input', { ...common, type: 'number', min: schema.minimum, max: schema.maximum, step: [schema.type].flat().includes('integer') ? 1 : 'any' }),
        date: () => el('input', { ...common, type: 'date' }),
        instant: () => el('input', { ...common, type: 'datetime-local', step: 1 }),
        text: () => (schema.maxLength > LONG_TEXT
            ? el('textarea', { ...common, rows: 2, maxlength: schema.maxLength })
            : el('input', { ...common, type: /password/.test(name) ? 'password' : 'text', maxlength: schema.maxLength, autocomplete: 'new-password' })),
        any: () => el('input', { ...common, type: 'text', spellcheck: 'false' }),
        json: () => el('textarea', { ...common, rows: 2, spellcheck: 'false', class: 'code', placeholder: isLines(schema) ? 'one in a line, or a JSON list' : [schema.type].flat()[0] === 'array' ? '[…] as JSON' : '{…} as JSON' }),
    }[kind]();
    const nothing = isNullable(schema) && el('input', { type: 'checkbox', 'aria-label': `${name} null` });
    if (nothing) nothing.addEventListener('change', () => (input.disabled = nothing.checked));
    const wrong = el('small', { class: 'wrong', id: `${id}-wrong` });
    const node = el(
        'div', { class: 'field' },
        el('div', { class: 'label-row' }, el('label', { for: id }, el('code', {}, name), isRequired && el('span', { class: 'needed' }, ' needed')), nothing && el('label', { class: 'check tiny' }, nothing, 'null')),
        input,
        el('small', { id: `${id}-about` }, schema.description ?? ''),
        wrong,
    );

    const read = () => {
        if (nothing?.checked) return null;
        const text = input.value;
        if (text === '') return undefined;
        switch (kind) {
            case 'flag': return text === 'true';
            case 'number': return Number(text);
            case 'instant': return toInstant(text);
            case 'json': {
                if (isLines(schema) && !text.trim().startsWith('[')) return text.split('\n').map((line) => line.trim()).filter(Boolean);
                try {
                    return JSON.parse(text);
                } catch (error) {
                    throw new Problem(`This is no JSON: ${error.message}`);
                }
            }
            case 'choice': return schema.enum.find((of) => String(of) === text);
            case 'any':
                try {
                    return JSON.parse(text);
                } catch {
                    return text;
                }
            default: return text;
        }
    };
    return {
        node,
        input,
        read,
        write(value) {
            if (nothing) {
                nothing.checked = value === null;
                input.disabled = nothing.checked;
            }
            if (value === undefined || value === null) input.value = '';
            else if (kind === 'instant') input.value = toLocal(value);
            else input.value = typeof value === 'object' ? JSON.stringify(value) : String(value);
        },
        complain(text) {
            wrong.textContent = text;
            if (text) input.setAttribute('aria-invalid', 'true');
            else input.removeAttribute('aria-invalid');
            const folded = text && node.closest('details');
            if (folded) folded.open = true;
        },
    };
}

/** Arguments that belong to every write, and are asked for apart. `dry_run` has buttons. */
const SAFETY = ['idempotency_key', 'expected_version'];

export function schemaForm(schema) {
    const properties = Object.entries(schema.properties ?? {}).filter(([name]) => name !== 'dry_run');
    const needed = new Set(schema.required ?? []);
    const fields = new Map(properties.map(([name, of]) => [name, field(name, of, needed.has(name))]));
    const nodes = (wanted) => properties.filter(([name]) => wanted(name)).map(([name]) => fields.get(name).node);
    const first = nodes((name) => needed.has(name));
    const more = nodes((name) => !needed.has(name) && !SAFETY.includes(name));
    const safety = nodes((name) => SAFETY.includes(name) && !needed.has(name));
    const folded = (title, all, open) => all.length > 0 && el('details', { class: 'fold', open }, el('summary', {}, title), el('div', { class: 'fields-grid' }, all));
    const asFields = el(
        'div', {},
        !properties.length && el('p', { class: 'dim' }, 'It takes no arguments.'),
        el('div', { class: 'fields-grid' }, first),
        folded(`Optional (${more.length})`, more, more.length <= FEW || !first.length),
        folded('Safe writing', safety, false),
    );
    const text = el('textarea', { class: 'code', rows: 12, spellcheck: 'false', 'aria-label': 'Arguments as JSON' });
    const wrong = el('small', { class: 'wrong', role: 'alert' });
    const asText = el('div', { hidden: true }, text, wrong);
    const node = el('div', { class: 'arguments' }, asFields, asText);

    /** The arguments; null when something is not right, which is then said where it is. */
    const read = () => {
        for (const one of fields.values()) one.complain('');
        wrong.textContent = '';
        if (!asText.hidden) {
            try {
                const input = JSON.parse(text.value || '{}');
                if (input === null || typeof input !== 'object' || Array.isArray(input)) throw new Problem('Arguments are an object, such as {"id": 1}.');
                return input;
            } catch (error) {
                wrong.textContent = error instanceof Problem ? error.message : `This is no JSON: ${error.message}`;
                text.focus();
                return null;
            }
        }
        const input = {};
        const complaints = [];
        for (const [name, one] of fields) {
            try {
                if (one.input.validity.badInput) throw new Problem('This is not complete.');
                const value = one.read();
                if (value !== undefined) input[name] = value;
                else if (needed.has(name)) throw new Problem('This is needed.');
            } catch (problem) {
                if (!(problem instanceof Problem)) throw problem;
                complaints.push([name, problem.message]);
            }
        }
        return complain(complaints) ? null : input;
    };

    /** Says what is wrong beside the fields, and goes to the first; whether there was any. */
    function complain(complaints) {
        const known = complaints.filter(([name]) => fields.has(name));
        for (const [name, message] of known) fields.get(name).complain(message);
        if (known.length) fields.get(known[0][0]).input.focus();
        return known.length > 0;
    }

    return {
        node,
        read,
        /** Shows the server's own complaints: `[{path: '/title', message}]`. */
        refuse: (problems) => asText.hidden && complain(problems.map(({ path, message }) => [path.split('/')[1], message])),
        /** Between fields and JSON; what was typed comes along. Answers whether it is JSON now. */
        turn() {
            const input = read();
            if (!input) return !asText.hidden;
            if (asText.hidden) text.value = JSON.stringify(input, null, 2);
            else for (const [name, one] of fields) one.write(input[name]);
            asText.hidden = !asText.hidden;
            asFields.hidden = !asText.hidden;
            (asText.hidden ? node.querySelector('input, select, textarea') : text)?.focus();
            return !asText.hidden;
        },
    };
}
