// Differences, record by record, and answers as they came.

import { badge, button, el } from './elements.js';
import { tell } from './dialog.js';

const EVENTS = { create: ['created', 'good'], update: ['changed', 'accent'], delete: ['deleted', 'bad'] };

/** A value as people read it. */
function value(of) {
    if (of === null || of === undefined) return el('i', { class: 'dim' }, 'empty');
    if (of === '') return el('i', { class: 'dim' }, 'empty text');
    if (typeof of === 'boolean') return of ? 'yes' : 'no';
    return typeof of === 'object' ? JSON.stringify(of) : String(of);
}

const title = ({ fields }) => {
    const named = fields.title ?? fields.name ?? fields.label ?? fields.email;
    const text = named && (named.after ?? named.before);
    return typeof text === 'string' ? text : '';
};

function fieldsOf({ event, fields }) {
    const rows = Object.entries(fields).filter(([, { before, after }]) => before !== after);
    if (!rows.length) return el('p', { class: 'dim' }, 'No field that may be shown.');
    const is = (side) => event === 'update' || event === side;
    const cell = (side, label, of) => is(side) && el('td', { class: side === 'create' ? 'after' : 'before', 'data-label': event === 'update' && label }, el('span', {}, value(of)));
    return el(
        'table', { class: 'fields' },
        el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Field'), is('delete') && el('th', { scope: 'col' }, 'Before'), is('create') && el('th', { scope: 'col' }, 'After'))),
        el('tbody', {}, rows.map(([name, { before, after }]) => el('tr', {}, el('th', { scope: 'row' }, name), cell('delete', 'before', before), cell('create', 'after', after)))),
    );
}

/** What changed: a block for each record. `total` is more than what is shown of very large actions. */
export function changesOf(changes, total = changes.length) {
    if (!changes.length) return el('p', { class: 'dim' }, 'Nothing changes.');
    return el(
        'div', { class: 'changes' },
        changes.map((change) => {
            const [word, kind] = EVENTS[change.event] ?? [change.event, ''];
            const name = title(change);
            return el(
                'article', {},
                el('h4', {}, badge(word, kind), ' ', el('span', {}, change.record.replaceAll('_', ' ')), name && [' ', el('b', {}, name)], ' ', el('code', { class: 'dim' }, change.id)),
                fieldsOf(change),
            );
        }),
        total > changes.length && el('p', { class: 'dim' }, `${(total - changes.length).toLocaleString('en')} more records changed.`),
    );
}

/** What a dry run says would leave the house, and cannot be taken back. */
export function effectsOf(effects) {
    if (!effects?.length) return null;
    return el(
        'div', { class: 'notice warn' },
        el('p', {}, 'This also sends something out, which no undo calls back:'),
        el('ul', {}, effects.map((effect) => el('li', {}, typeof effect === 'string' ? effect : JSON.stringify(effect)))),
    );
}

/** Beyond this, colours cost more than they help. */
const COLOURED = 100_000;

/** JSON laid out and coloured. */
export function json(of) {
    const text = JSON.stringify(of, null, 2);
    const pre = el('pre', { class: 'json', tabindex: '0' });
    if (text.length > COLOURED) {
        pre.textContent = text;
        return pre;
    }
    const part = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d[\d.eE+-]*)|(true|false|null)/g;
    let at = 0;
    for (const found of text.matchAll(part)) {
        pre.append(text.slice(at, found.index));
        const [all, string, colon, number] = found;
        const kind = string ? (colon ? 'key' : 'string') : number ? 'number' : 'word';
        pre.append(el('span', { class: kind }, string ?? all), colon ?? '');
        at = found.index + all.length;
    }
    pre.append(text.slice(at));
    return pre;
}

/** A button that puts JSON on the clipboard, where the browser has one. */
export function copying(of) {
    return navigator.clipboard && button('Copy', async () => {
        try {
            await navigator.clipboard.writeText(JSON.stringify(of, null, 2));
            tell('Copied.');
        } catch {
            tell('The browser does not let this page use the clipboard.');
        }
    }, { class: 'small' });
}
