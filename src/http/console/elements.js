// Making and moving about in the page. Whatever comes from the server becomes text, never markup.

/** An element with attributes, listeners (`onclick`) and children; what is null, undefined or false is left out. */
export function el(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false) continue;
        if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
        else element.setAttribute(key, value === true ? '' : value);
    }
    element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return element;
}

export const button = (label, onclick, attributes = {}) => el('button', { type: 'button', onclick, ...attributes }, label);

export const badge = (text, kind = '') => el('span', { class: `badge ${kind}` }, text);

let ids = 0;
/** An id for a label to point to. */
export const freshId = (what) => `${what}-${(ids += 1)}`;

/** A field under its label. */
export function labelled(label, input, hint) {
    input.id ||= freshId('field');
    const about = hint && el('small', { id: `${input.id}-about` }, hint);
    if (about) input.setAttribute('aria-describedby', about.id);
    return el('div', { class: 'field' }, el('label', { for: input.id }, label), input, about);
}

/** What stands where a list would, when there is nothing to list. */
export const empty = (title, ...more) => el('div', { class: 'empty' }, el('p', { class: 'empty-title' }, title), more.length ? el('p', {}, more) : null);

/** Something was refused: what, and what the server says to do next. */
export function refusalNotice(refusal, again) {
    return el(
        'div', { class: 'notice bad', role: 'alert' },
        el('p', {}, refusal.message),
        inTheWay(refusal.data?.details?.conflicts),
        again && button('Try again', again),
    );
}

/** The records that stand in the way of an undo, each with the way to what changed it. */
export const inTheWay = (conflicts) => Array.isArray(conflicts) && el(
    'ul', {},
    conflicts.slice(0, 20).map((conflict) => el(
        'li', {}, String(conflict.record ?? conflict.kind ?? conflict.table ?? 'record').replaceAll('_', ' '), ' ',
        conflict.id && el('a', { href: `#/log?resource_id=${encodeURIComponent(conflict.id)}` }, el('code', {}, conflict.id)),
        conflict.reason && `: ${conflict.reason}`,
    )),
);

/** A region that shows that it waits, then what came or why it did not. The last request wins. */
export function region(label) {
    const node = el('section', { 'aria-label': label, 'aria-busy': 'false' });
    let turn = 0;
    return {
        node,
        async load(work) {
            const mine = (turn += 1);
            node.setAttribute('aria-busy', 'true');
            let content;
            try {
                content = await work();
            } catch (refusal) {
                if (refusal.isEnd) return;
                content = refusalNotice(refusal, () => this.load(work));
            }
            if (mine !== turn) return;
            node.setAttribute('aria-busy', 'false');
            node.replaceChildren(...[content].flat());
        },
    };
}

/** Buttons to the pages before and after. */
export function pager({ page, page_size: size, total, total_is_exact: exact }, go) {
    const pages = Math.max(1, Math.ceil(total / size));
    if (total <= size && page === 1) return null;
    const first = (page - 1) * size + 1;
    const many = `${first.toLocaleString('en')}–${Math.min(total, first + size - 1).toLocaleString('en')} of ${exact === false ? 'more than ' : ''}${total.toLocaleString('en')}`;
    return el(
        'nav', { class: 'pager', 'aria-label': 'Pages' },
        button('← Previous', () => go(page - 1), { disabled: page <= 1 }),
        el('span', {}, many),
        button('Next →', () => go(page + 1), { disabled: exact !== false && page >= pages }),
    );
}

/** Arrow keys, Home and End move among what the selector finds. */
export function arrows(container, selector) {
    container.addEventListener('keydown', (event) => {
        if (event.altKey || event.ctrlKey || event.metaKey || !event.target.matches(selector)) return;
        const all = [...container.querySelectorAll(selector)].filter((item) => item.checkVisibility());
        const at = all.indexOf(event.target);
        const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
        if (next === undefined) return;
        event.preventDefault();
        all[Math.max(0, Math.min(all.length - 1, next))]?.focus();
    });
}

const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const MINUTE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const YEAR = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' });
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

const timed = (instant, text) => el('time', { datetime: instant, title: instant }, text);

export const clock = (instant) => timed(instant, CLOCK.format(new Date(instant)));

export function moment(instant) {
    const date = new Date(instant);
    return timed(instant, (date.getFullYear() === new Date().getFullYear() ? MINUTE : YEAR).format(date));
}

/** `in 2 hours`, `5 minutes ago`. */
export function relative(instant) {
    const seconds = (new Date(instant) - Date.now()) / 1000;
    const steps = [['day', 86400], ['hour', 3600], ['minute', 60]];
    const [unit, size] = steps.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1];
    return timed(instant, unit === 'second' && Math.abs(seconds) < 30 ? 'just now' : RELATIVE.format(Math.round(seconds / size), unit));
}

export function day(instant) {
    const date = new Date(instant);
    const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(instant).setHours(0, 0, 0, 0)) / 86400000);
    return [`Today, ${DAY.format(date)}`, `Yesterday, ${DAY.format(date)}`][days] ?? DAY.format(date);
}

/** What `<input type="datetime-local">` holds, as an instant, and the other way round. */
export const toInstant = (local) => new Date(local).toISOString();
export function toLocal(instant) {
    const date = new Date(instant);
    if (Number.isNaN(date.valueOf())) return '';
    return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}
