// What the links in mails lead to: `#reset=…`, `#invitation=…` and `#onboarding=…`, each with its token.

import { call, Refusal } from './calls.js';
import { el, labelled } from './elements.js';

const RULE = 'At least 6 characters, with a digit, a capital letter and a special character.';

const KINDS = {
    reset: {
        title: 'Choose a new password',
        tool: 'password_reset_confirm',
        asks: ['password'],
        submit: 'Set the password',
        done: 'Your password is set. Sign in with it.',
    },
    invitation: {
        title: 'Accept the invitation',
        tool: 'invitation_accept',
        asks: ['first_name', 'last_name', 'password'],
        submit: 'Accept',
        done: 'Welcome. Sign in with your e-mail and the password you chose.',
    },
    onboarding: {
        title: 'Confirm your address',
        tool: 'onboarding_verify',
        asks: [],
        submit: 'Open the account',
        done: 'Your account is open. Sign in with your e-mail and password.',
    },
};

/** What the address names, if it came from a mail. */
export function linked() {
    const found = /^#(reset|invitation|onboarding)=([\w-]+)$/.exec(location.hash);
    return found && { kind: found[1], token: found[2] };
}

export function create({ kind, token }, done) {
    const { title, tool, asks, submit, done: text } = KINDS[kind];
    const said = el('div', { role: 'alert', class: 'notice bad', hidden: true });
    const fields = {
        first_name: el('input', { name: 'first_name', autocomplete: 'given-name' }),
        last_name: el('input', { name: 'last_name', autocomplete: 'family-name' }),
        password: el('input', { type: 'password', name: 'password', autocomplete: 'new-password', required: true }),
    };
    const labels = {
        first_name: labelled('First name', fields.first_name),
        last_name: labelled('Last name', fields.last_name),
        password: labelled('Password', fields.password, RULE),
    };
    const send = async (event) => {
        event.preventDefault();
        const button = event.target.querySelector('[type=submit]');
        button.disabled = true;
        said.hidden = true;
        try {
            const given = asks.map((name) => [name, fields[name].value]).filter(([, value]) => value);
            await call(tool, { token, ...Object.fromEntries(given) }, null);
            done(text);
        } catch (refusal) {
            if (!(refusal instanceof Refusal)) throw refusal;
            said.textContent = refusal.message;
            said.hidden = false;
        } finally {
            button.disabled = false;
        }
    };
    const node = el(
        'section', { class: 'sign-in', 'aria-labelledby': 'link-title' },
        el('img', { src: new URL('icon.svg', import.meta.url).pathname, alt: '', width: '44', height: '44' }),
        el('h1', { id: 'link-title' }, title),
        said,
        el('form', { onsubmit: send }, ...asks.map((name) => labels[name]), el('button', { type: 'submit', class: 'primary wide' }, submit)),
    );
    return { title, node };
}
