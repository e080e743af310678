// Signing in: with e-mail and password, or with a token.

import { call, Refusal } from './calls.js';
import { el, labelled } from './elements.js';

/** How long the console's own sessions last when they are made with an API key: a working day. */
const MINUTES = 8 * 60;

export function create(begin) {
    const said = el('div', { role: 'alert', class: 'notice bad', hidden: true });
    const tell = (text, kind = 'bad') => {
        said.className = `notice ${kind}`;
        said.textContent = text;
        said.hidden = !text;
    };
    const email = el('input', { type: 'email', name: 'email', autocomplete: 'username', required: true, inputmode: 'email' });
    const password = el('input', { type: 'password', name: 'password', autocomplete: 'current-password', required: true });
    const tenant = el('select', { name: 'tenant' });
    const tenantField = labelled('Company', tenant, 'Your address is known in more than one.');
    tenantField.hidden = true;
    const token = el('input', { type: 'password', name: 'token', autocomplete: 'off', required: true, spellcheck: 'false', placeholder: 'bus_… or buk_…' });

    const attempt = (work) => async (event) => {
        event.preventDefault();
        const submit = event.target.querySelector('[type=submit]');
        submit.disabled = true;
        tell('');
        try {
            begin(await work());
        } catch (refusal) {
            if (!(refusal instanceof Refusal)) throw refusal;
            tell(refusal.message);
        } finally {
            submit.disabled = false;
        }
    };

    const byPassword = el(
        'form', { onsubmit: attempt(async () => {
            const input = { email: email.value.trim(), password: password.value };
            if (!tenantField.hidden) input.tenant_id = tenant.value;
            try {
                const { token: own, user } = await call('session_login', input, null);
                return { token: own, isOwn: true, user: shortened(user) };
            } catch (refusal) {
                if (refusal.isUnknown) throw new Refusal({ message: 'This server does not sign in by password. Use a token.' });
                const tenants = refusal.data?.details?.tenants ?? refusal.data?.tenants;
                if (!tenants) throw refusal;
                const chosen = tenant.value;
                tenant.replaceChildren(...tenants.map(({ id, name }) => el('option', { value: id, selected: id === chosen }, name)));
                tenantField.hidden = false;
                tenant.focus();
                throw new Refusal({ message: 'Choose the company to sign in to.' });
            }
        }) },
        labelled('E-mail', email),
        labelled('Password', password),
        tenantField,
        el('button', { type: 'submit', class: 'primary wide' }, 'Sign in'),
    );

    const byToken = el(
        'details', { class: 'other-way' },
        el('summary', {}, 'Use a token instead'),
        el(
            'form', { onsubmit: attempt(() => withToken(token.value.trim())) },
            labelled('Token', token, [
                'The one that ', el('code', {}, 'bureau serve'), ' printed, or that ', el('code', {}, 'bureau token create'),
                ' made. An API key is exchanged for a session of eight hours; the key itself is not kept.',
            ]),
            el('button', { type: 'submit', class: 'wide' }, 'Sign in with the token'),
        ),
    );

    const node = el(
        'section', { class: 'sign-in', 'aria-labelledby': 'sign-in-title' },
        el('img', { src: new URL('icon.svg', import.meta.url).pathname, alt: '', width: '44', height: '44' }),
        el('h1', { id: 'sign-in-title' }, 'Bureau console'),
        said,
        byPassword,
        byToken,
    );
    return { title: 'Sign in', node, tell };
}

/** Who a token is of. A lasting key is exchanged for a session, so that the browser never keeps it. */
async function withToken(token) {
    // Also checks the token: nothing is kept that the server does not know.
    await call('resources/read', { uri: 'bureau://permissions' }, token);
    const user = await call('me', {}, token).then(({ data }) => shortened(data?.[0]), () => null);
    if (!token.startsWith('buk_')) return { token, isOwn: false, user };
    try {
        const made = await call('session_create', { label: 'Console', ttl_minutes: MINUTES }, token);
        return { token: made.session_token, isOwn: true, user };
    } catch (refusal) {
        throw new Refusal({ message: `This key cannot open a session: ${refusal.message}` });
    }
}

const shortened = (user) => user && { name: user.name, email: user.email };
