// The frame: who is signed in, which view is shown, and the keys that work everywhere.

import { call, keep, signedIn } from './calls.js';
import { confirmed, openDialog, tell } from './dialog.js';
import { button, el } from './elements.js';
import { forget } from './people.js';
import * as link from './link.js';
import * as log from './log.js';
import * as sessions from './sessions.js';
import * as signIn from './sign_in.js';
import * as tools from './tools.js';

const VIEWS = { sessions, log, tools };
const main = document.getElementById('main');
const head = document.getElementById('head');

/** The view on the page, with the name it has in the address. */
let shown = null;

/** `#/tools/task_create?x=1` as view, what is below it, and its query. */
function place() {
    const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
    const [view, ...rest] = path.split('/').map(decodeURIComponent);
    return { view: Object.hasOwn(VIEWS, view) ? view : 'sessions', rest: rest.join('/'), query: new URLSearchParams(query) };
}

/** What a mail led here for is done: the token leaves the address, and one signs in. */
function linkDone(text) {
    history.replaceState(null, '', location.pathname);
    end(text, 'good');
}

function show() {
    const linked = link.linked();
    if (linked) {
        head.hidden = true;
        shown = { name: 'link', ...link.create(linked, linkDone) };
        main.replaceChildren(shown.node);
        document.title = `${shown.title} · Bureau console`;
        main.setAttribute('aria-label', shown.title);
        shown.node.querySelector('input, button')?.focus();
        return undefined;
    }
    const session = signedIn();
    const { view, rest, query } = session ? place() : { view: 'sign-in' };
    head.hidden = !session;
    for (const link of head.querySelectorAll('nav a')) {
        if (link.dataset.view === view) link.setAttribute('aria-current', 'page');
        else link.removeAttribute('aria-current');
    }
    if (shown?.name === view) return shown.update?.(rest, query);
    shown = { name: view, ...(session ? VIEWS[view].create() : signIn.create(begin)) };
    main.replaceChildren(shown.node);
    document.title = `${shown.title} · Bureau console`;
    main.setAttribute('aria-label', shown.title);
    document.getElementById('user').textContent = session && (session.user?.name ?? 'Signed in by token');
    window.scrollTo(0, 0);
    shown.update?.(rest, query);
    if (session) main.focus({ preventScroll: true });
    else shown.node.querySelector('input')?.focus();
}

function closeDialogs() {
    for (const dialog of document.querySelectorAll('dialog')) dialog.close();
}

/** Somebody has signed in. */
function begin(session) {
    keep(session);
    forget();
    shown = null;
    show();
}

/** Nobody is signed in any more; `why` is told where one signs in again. */
function end(why, kind) {
    keep(null);
    forget();
    closeDialogs();
    shown = null;
    show();
    if (why) shown.tell(why, kind);
}

async function signOut() {
    const session = signedIn();
    // A token that was pasted may be at work elsewhere too: its owner says whether it ends.
    const ends = session.isOwn || (await askWhetherToRevoke());
    if (ends === null) return;
    if (ends) {
        try {
            await call('session_revoke');
        } catch (refusal) {
            if (refusal.isEnd) return;
            const anyway = await confirmed('Not ended at the server', `${refusal.message} Forget it here all the same?`, 'Forget it');
            if (!anyway) return;
        }
    }
    end();
    tell(ends ? 'You are signed out, and the session has ended.' : 'You are signed out. The token itself still works elsewhere.');
}

function askWhetherToRevoke() {
    return new Promise((resolve) => {
        const { dialog, actions, close } = openDialog(
            'Sign out', el('p', {}, 'You signed in with a token of your own. Forget it in this tab only, or end it everywhere?'),
        );
        dialog.addEventListener('close', () => resolve(null));
        const choose = (choice) => () => {
            resolve(choice);
            close();
        };
        actions.append(
            button('Cancel', close),
            button('End it everywhere', choose(true), { class: 'bad' }),
            button('Forget it here', choose(false), { class: 'primary' }),
        );
    });
}

const KEYS = [
    ['/', 'go to the search or the first filter'], ['s', 'sessions'], ['l', 'action log'], ['t', 'tools'],
    ['↑ ↓', 'move in a list'], ['Home End', 'first and last of a list'], ['Enter', 'open, or fold out'], ['Esc', 'close a dialog, leave a search'],
    ['?', 'this list'],
];

/** Whether single letters act: who dictates, or types by accident, can switch them off for the tab. */
const LETTERS = 'bureau.letters';
const lettersAct = () => sessionStorage.getItem(LETTERS) !== 'off';

function showKeys() {
    const letters = el('input', { type: 'checkbox' });
    letters.checked = lettersAct();
    letters.addEventListener('change', () => sessionStorage.setItem(LETTERS, letters.checked ? 'on' : 'off'));
    const { actions, close } = openDialog(
        'Keys',
        el('dl', { class: 'keys' }, KEYS.map(([key, does]) => [el('dt', {}, el('kbd', {}, key)), el('dd', {}, does)])),
        el('label', { class: 'check' }, letters, 'Single letters act, also / and ?'),
    );
    actions.append(button('Close', close, { class: 'primary' }));
}

const isTyping = (target) => target.closest('input, textarea, select, [contenteditable], dialog');

document.addEventListener('keydown', (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !signedIn()) return;
    if (event.key === 'Escape' && event.target.matches('input[type=search]') && !event.target.value) return main.focus();
    if (isTyping(event.target) || !lettersAct()) return;
    const goes = { s: '#/sessions', l: '#/log', t: '#/tools' }[event.key];
    if (event.key === '/') {
        const search = [...main.querySelectorAll('[data-search]')].find((input) => input.checkVisibility());
        if (!search) return;
        event.preventDefault();
        search.focus();
        search.select?.();
    } else if (event.key === '?') showKeys();
    else if (goes) location.hash = goes;
});

document.getElementById('skip').addEventListener('click', (event) => {
    // The address belongs to the views.
    event.preventDefault();
    main.focus();
});
document.getElementById('keys').addEventListener('click', showKeys);
document.getElementById('sign-out').addEventListener('click', signOut);
document.addEventListener('bureau:ended', ({ detail }) => signedIn() && end(detail));
addEventListener('hashchange', () => {
    closeDialogs();
    show();
});
show();
