// Sessions: who is let in, how far, and what each has done.

import { argumentsOf, call, calls, mayUse } from './calls.js';
import { tell } from './dialog.js';
import { arrows, badge, button, el, empty, moment, pager, region, relative } from './elements.js';
import { meet, person } from './people.js';
import { previewed } from './undo.js';

const PAGE = 25;

export function create() {
    const list = region('Sessions');
    const ended = el('input', { type: 'checkbox', id: 'include-ended', 'data-search': true });
    let page = 1;
    const load = (to = page) => {
        page = to;
        return list.load(() => rows(page, ended.checked, load));
    };
    ended.addEventListener('change', () => load(1));
    arrows(list.node, '.row-actions > :last-child');
    const node = el(
        'div', {},
        el(
            'div', { class: 'title' },
            el('h1', {}, 'Sessions'),
            el('label', { class: 'check' }, ended, 'Ended too'),
            button('Refresh', () => load(), { class: 'small' }),
        ),
        el('p', { class: 'lead' }, 'Who is let in, with what limits, and until when. Ending a session ends everything that was made from it.'),
        list.node,
    );
    load();
    return { title: 'Sessions', node };
}

async function rows(page, withEnded, reload) {
    const found = await call('session_list', { page, page_size: PAGE, ...(withEnded && { include_ended: true }) });
    if (!found.items.length) return empty(withEnded ? 'There are no sessions.' : 'No session is open.', 'Agents and people get one with session_create or by signing in.');
    const [filters, canUndo] = await Promise.all([argumentsOf('action_log_list'), mayUse('session_undo')]);
    const counted = filters.includes('session_id')
        ? await calls(found.items.map(({ id }) => ['action_log_list', { session_id: id, page_size: 1 }]))
        : [];
    await meet(found.items.map((session) => session.user_id));
    const isUsed = found.items.some((session) => lastUse(session));
    const numbers = new Map(found.items.map((session) => [session.id, session.num]));
    return [
        el(
            // The roles are said: a table that is laid out as cards would be none to a screen reader.
            'table', { class: 'cards', role: 'table' },
            el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ['Session', 'Who', 'Limits', isUsed && 'Last used', 'Ends', 'Actions'].filter(Boolean).map((head) => el('th', { scope: 'col', role: 'columnheader' }, head)))),
            el('tbody', { role: 'rowgroup' }, found.items.map((session, at) => row(session, { done: counted[at]?.value, canUndo, isUsed, numbers, reload }))),
        ),
        pager(found, reload),
    ].filter(Boolean);
}

const lastUse = (session) => session.last_used_at ?? session.last_seen_at ?? session.used_at;
const named = (session) => session.label || `Session ${session.num}`;

function row(session, { done, canUndo, isUsed, numbers, reload }) {
    const isOver = Boolean(session.revoked_at) || new Date(session.expires_at) <= new Date();
    const cell = (label, ...content) => el('td', { 'data-label': label, role: 'cell' }, el('div', {}, content));
    const actions = [
        done && el('a', { class: 'button small', href: `#/log?session_id=${session.id}` }, amount(done)),
        canUndo && done?.total !== 0 && button('Take back its work…', () => takeBack(session, reload), { class: 'small' }),
        !isOver && button('Revoke…', () => revoke(session, reload), { class: 'small bad', 'aria-label': `Revoke ${named(session)}…` }),
    ].filter(Boolean);
    return el(
        'tr', { class: isOver && 'over', role: 'row' },
        el(
            'th', { scope: 'row', role: 'rowheader' },
            el('span', { class: 'name' }, named(session)), ' ',
            session.is_current && badge('this console', 'accent'),
            el('div', { class: 'dim' }, el('code', {}, `${session.prefix}…`), ' ', `no. ${session.num}`, from(session, numbers)),
        ),
        cell('Who', person(session.user_id)),
        cell('Limits', limits(session)),
        isUsed && cell('Last used', lastUse(session) ? relative(lastUse(session)) : el('span', { class: 'dim' }, 'never')),
        cell('Ends', ends(session, isOver)),
        cell('Actions', el('div', { class: 'row-actions' }, actions.length ? actions : el('span', { class: 'dim' }, '—'))),
    );
}

function from({ minted_from: parent, api_key_id: key }, numbers) {
    if (!parent) return null;
    if (parent === key) return ', from a key';
    return numbers.has(parent) ? `, from no. ${numbers.get(parent)}` : ', from another session';
}

const amount = ({ total, total_is_exact: exact }) => `${exact ? '' : 'more than '}${total.toLocaleString('en')} action${total === 1 ? '' : 's'}`;

function limits(session) {
    const list = (what, names) => names && [badge(`${what}: ${names.length ? names.slice(0, 3).join(', ') : 'none'}${names.length > 3 ? ` +${names.length - 3}` : ''}`)];
    const all = [
        session.read_only && badge('read-only'),
        session.write_budget !== null && badge(`${session.writes_left} of ${session.write_budget} writes left`),
        list('toolsets', session.toolsets),
        list('features', session.features),
        session.organization_id && badge('one organization'),
    ].flat().filter(Boolean);
    return all.length ? el('span', { class: 'badges' }, all) : el('span', { class: 'dim' }, 'none');
}

function ends(session, isOver) {
    if (session.revoked_at) return [badge('revoked', 'bad'), ' ', moment(session.revoked_at)];
    if (isOver) return [badge('ended'), ' ', moment(session.expires_at)];
    return relative(session.expires_at);
}

async function revoke(session, reload) {
    const answer = await previewed({
        title: `Revoke ${named(session)}?`,
        about: session.is_current
            ? 'This is the session of this console: you are signed out at once.'
            : 'It ends at once, with everything that was made from it. An ended session cannot be brought back.',
        name: 'session_revoke', input: { id: session.id }, yes: 'Revoke', bad: true, done: `${named(session)} has ended.`,
    });
    if (answer) reload();
}

async function takeBack(session, reload) {
    const answer = await previewed({
        title: `Take back the work of ${named(session)}?`,
        about: 'All that it and the sessions made from it changed is undone, newest first, up to the first record that someone else changed since.',
        name: 'session_undo', input: { session_id: session.id }, yes: 'Take back all of it', bad: true,
    });
    if (!answer) return;
    const { undone = [], remaining = 0 } = answer;
    tell(`${undone.length.toLocaleString('en')} actions of ${named(session)} were taken back${remaining ? `, ${remaining.toLocaleString('en')} are left` : ''}.`);
    reload();
}
