// The action log: who did what, what changed, and taking it back.

import { argumentsOf, call, tools } from './calls.js';
import { changesOf } from './changes.js';
import { tell } from './dialog.js';
import { arrows, badge, button, clock, day, el, empty, labelled, pager, region, toInstant, toLocal } from './elements.js';
import { personField } from './people.js';
import { redo, undo } from './undo.js';

const PAGE = 25;
const STATES = { undone: ['taken back', 'warn'], redone: ['done again', 'accent'] };

export function create() {
    const list = region('Actions');
    arrows(list.node, 'summary');
    const filters = filterForm();
    let page = 1;
    let wanted = {};
    let asked = '';
    const load = (to = page) => {
        page = to;
        return list.load(() => rows(wanted, page, load));
    };
    const apply = async (event) => {
        event?.preventDefault();
        const query = await filters.read();
        const text = new URLSearchParams(query).toString();
        // A field that is left by a press of Apply says twice that it changed.
        if (text === asked) return;
        asked = text;
        const address = text ? `#/log?${text}` : '#/log';
        // Coming back by the browser's arrows leads through `update`.
        if (location.hash !== address) history.pushState(null, '', address);
        wanted = asInput(query);
        filters.count(Object.keys(query).length);
        load(1);
    };
    filters.form.addEventListener('submit', apply);
    filters.form.addEventListener('change', () => apply());
    filters.form.addEventListener('reset', () => setTimeout(apply));
    const node = el(
        'div', {},
        el('div', { class: 'title' }, el('h1', {}, 'Action log'), button('Refresh', () => load(), { class: 'small' })),
        el('p', { class: 'lead' }, 'Every write, newest first: who made it, what it changed, and whether it can be taken back.'),
        filters.node,
        list.node,
    );
    return {
        title: 'Action log',
        node,
        async update(rest, query) {
            const given = Object.fromEntries(query);
            asked = query.toString();
            await filters.fill(given);
            wanted = asInput(given);
            load(1);
        },
    };
}

/** The query of the address as arguments of action_log_list. */
function asInput(query) {
    const input = { ...query };
    if ('undoable_only' in input) input.undoable_only = input.undoable_only === 'true';
    return input;
}

/** The filters that this server's action_log_list takes. */
function filterForm() {
    const who = personField();
    const text = (attributes = {}) => el('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes });
    const toolNames = el('datalist', { id: 'tool-names' });
    const instant = () => el('input', { type: 'datetime-local' });
    const inputs = {
        actor_user_id: who.input, tool: text({ list: toolNames.id, placeholder: 'Any' }), resource_kind: text({ placeholder: 'Any, such as task' }),
        resource_id: text({ placeholder: 'UUID' }), after: instant(), before: instant(), undoable_only: el('input', { type: 'checkbox' }),
    };
    who.input.dataset.search = '';
    const fields = {
        actor_user_id: labelled('Who', who.input), tool: labelled('Tool', inputs.tool), resource_kind: labelled('Kind of record', inputs.resource_kind),
        resource_id: labelled('Record', inputs.resource_id), after: labelled('From', inputs.after), before: labelled('To', inputs.before),
        undoable_only: el('label', { class: 'check' }, inputs.undoable_only, 'Only what can be taken back'),
    };
    who.input.after(who.node.querySelector('datalist'));
    let session = null;
    const sessionChip = el('p', { class: 'chips', hidden: true });
    const summary = el('summary', {}, 'Filters');
    const form = el(
        'form', { class: 'filters', 'aria-label': 'Filters' }, Object.values(fields), toolNames,
        el('div', { class: 'filter-actions' }, el('button', { type: 'reset' }, 'Clear'), el('button', { type: 'submit', class: 'primary' }, 'Apply')),
    );
    const node = el('div', {}, el('details', { class: 'filter-box', open: matchMedia('(min-width: 45rem)').matches }, summary, form), sessionChip);
    const showSession = (id) => {
        session = id ?? null;
        sessionChip.hidden = !session;
        sessionChip.replaceChildren(
            'Only what was done in session ', el('code', {}, session ?? ''), ' ',
            button('Show all', () => {
                showSession(null);
                form.requestSubmit();
            }, { class: 'small' }),
        );
    };
    form.addEventListener('reset', () => showSession(null));
    argumentsOf('action_log_list').then((names) => {
        for (const [name, field] of Object.entries(fields)) field.hidden = !names.includes(name);
    }, () => {});
    tools().then((all) => toolNames.append(...all.filter(({ effect }) => effect !== 'read').map(({ name, title }) => el('option', { value: name }, title))), () => {});
    return {
        node,
        form,
        count(many) {
            summary.textContent = many ? `Filters (${many})` : 'Filters';
        },
        async read() {
            const query = {};
            if (session) query.session_id = session;
            for (const [name, input] of Object.entries(inputs)) {
                const given = name === 'actor_user_id' ? await who.read() : input.value.trim();
                if (input.type === 'checkbox') {
                    if (input.checked) query[name] = 'true';
                } else if (given) query[name] = input.type === 'datetime-local' ? toInstant(given) : given;
            }
            return query;
        },
        async fill(query) {
            showSession(query.session_id);
            for (const [name, input] of Object.entries(inputs)) {
                const given = query[name] ?? '';
                if (name === 'actor_user_id') await who.fill(given);
                else if (input.type === 'checkbox') input.checked = given === 'true';
                else input.value = input.type === 'datetime-local' && given ? toLocal(given) : given;
            }
            this.count(Object.keys(query).length);
        },
    };
}

async function rows(wanted, page, reload) {
    const found = await call('action_log_list', { ...wanted, page, page_size: PAGE });
    if (!found.items.length) {
        return Object.keys(wanted).length
            ? empty('No action fits these filters.', 'Take one away, or clear them all.')
            : empty('Nothing was done yet.', 'Every write of a person, an agent or a program appears here.');
    }
    const days = Map.groupBy(found.items, (action) => day(action.created_at));
    return [
        !found.can_view_tenant && el('p', { class: 'dim' }, 'You see what you did yourself.'),
        ...[...days].map(([title, actions]) => el('section', { class: 'day' }, el('h2', {}, title), el('ul', { class: 'actions-list' }, actions.map((action) => entry(action, reload))))),
        pager(found, reload),
    ].filter(Boolean);
}

function entry(action, reload) {
    const [state, kind] = STATES[action.state] ?? [];
    const many = action.change_count;
    const first = action.changes[0];
    const name = first && (first.fields.title ?? first.fields.name ?? first.fields.label);
    const about = name && (name.after ?? name.before);
    const details = el(
        'details', {},
        el(
            'summary', {},
            clock(action.created_at), ' ',
            el('span', { class: 'what' }, action.label, typeof about === 'string' && [' ', el('b', {}, about)]), ' ',
            el('span', { class: 'by' }, action.actor), ' ',
            el('span', { class: 'badges' }, action.resource_kind && badge(action.resource_kind.replaceAll('_', ' ')), many !== 1 && badge(`${many.toLocaleString('en')} records`), state && badge(state, kind)),
        ),
    );
    // Many actions with many changes: each is laid out when it is looked at.
    details.addEventListener('toggle', () => {
        if (details.open && details.children.length === 1) details.append(el('div', { class: 'entry-body' }, changesOf(action.changes, many), facts(action)));
    });
    return el('li', { class: action.state === 'undone' && 'over' }, details, act(action, reload));
}

function act(action, reload) {
    if (action.undo_token) {
        return button('Undo…', async () => {
            const answer = await undo(action.undo_token, action.label);
            if (!answer) return;
            tell('Taken back.', button('Redo…', async () => (await redo(action.id, action.label)) && reload(), { class: 'small' }));
            reload();
        }, { class: 'small', 'aria-label': `Undo ${action.label}…` });
    }
    if (action.state === 'undone') {
        return button('Redo…', async () => {
            if (!(await redo(action.id, action.label))) return;
            tell('Done again.');
            reload();
        }, { class: 'small', 'aria-label': `Redo ${action.label}…` });
    }
    return null;
}

function facts(action) {
    const all = {
        Tool: el('a', { href: `#/tools/${action.tool}` }, el('code', {}, action.tool)),
        Through: el('span', { title: action.client }, action.transport, action.client && ` · ${action.client}`),
        Session: action.session_id && el('a', { href: `#/log?session_id=${action.session_id}` }, el('code', {}, action.session_id)),
        Record: action.resource_id && el('a', { href: `#/log?resource_id=${action.resource_id}` }, el('code', {}, action.resource_id)),
        Action: el('code', {}, action.id),
        'Last changed': action.updated_at !== action.created_at && clock(action.updated_at),
    };
    return el('dl', { class: 'facts' }, Object.entries(all).filter(([, of]) => of).map(([name, of]) => el('div', {}, el('dt', {}, name), el('dd', {}, of))));
}
