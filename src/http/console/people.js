// Names in place of ids.

import { call, calls } from './calls.js';
import { el } from './elements.js';

const names = new Map();

/** Looks up the people that are not known yet. Who cannot be looked up stays an id. */
export async function meet(ids) {
    const unknown = [...new Set(ids)].filter((id) => id && !names.has(id));
    if (!unknown.length) return;
    const outcomes = await calls(unknown.map((id) => ['user_show', { id }]));
    for (const [at, { value }] of outcomes.entries()) names.set(unknown[at], value ? value.name : null);
}

export function forget() {
    names.clear();
}

/** A person by name, else by the first letters of the id. */
export function person(id) {
    if (!id) return el('span', { class: 'dim' }, 'nobody');
    const name = names.get(id);
    return name ? el('span', { title: id }, name) : el('code', { title: id }, id.slice(0, 8));
}

/** A field to choose a person in: suggestions while typing; an id or a number is taken as it is. */
export function personField() {
    const list = el('datalist', { id: 'people' });
    const input = el('input', { type: 'text', list: list.id, autocomplete: 'off', placeholder: 'Anyone' });
    const shown = new Map();
    let waiting;
    const suggest = async () => {
        const q = input.value.trim();
        if (shown.has(q)) return;
        try {
            const { items } = await call('user_list', { ...(q && { q }), page_size: 20, sort: 'name' });
            for (const user of items) {
                shown.set(`${user.name} <${user.email}>`, user.id);
                names.set(user.id, user.name);
            }
            list.replaceChildren(...[...shown.keys()].map((value) => el('option', { value })));
        } catch {
            // Who may not list users can still type a number.
        }
    };
    input.addEventListener('focus', suggest, { once: true });
    input.addEventListener('input', () => {
        clearTimeout(waiting);
        waiting = setTimeout(suggest, 200);
    });
    return {
        node: el('div', { class: 'picker' }, input, list),
        input,
        /** The id that is chosen; `undefined` for anyone. A name that only one person has is enough. */
        async read() {
            const text = input.value.trim();
            if (!text) return undefined;
            if (!shown.has(text)) await suggest();
            if (shown.has(text)) return shown.get(text);
            const meant = [...shown].filter(([label]) => label.toLowerCase().includes(text.toLowerCase()));
            return meant.length === 1 ? meant[0][1] : text;
        },
        async fill(id) {
            if (!id) {
                input.value = '';
                return;
            }
            input.value = id;
            await meet([id]);
            const known = [...shown].find(([, one]) => one === id);
            if (known) input.value = known[0];
            else if (names.get(id)) {
                shown.set(names.get(id), id);
                input.value = names.get(id);
            }
        },
    };
}
