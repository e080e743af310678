#!/usr/bin/env node
// The page for people at /console, in Debian's Chromium, as a person uses it: by mouse, by keyboard, on a phone.
//
//     tests/external/install.sh
//     tests/external/with_server.sh node tests/external/console.mjs [DIRECTORY FOR PICTURES]
//
// A request to another server, a violation of the page's own policy, an error on its console: each ends the program, as does
// the first thing that is not exactly as expected.

import { strict } from 'node:assert';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';

// The checks, counted.
let checks = 0;
const assert = new Proxy(strict, {
    get: (all, name) => (...given) => {
        checks += 1;
        return all[name](...given);
    },
});

const pictures = process.argv[2];
if (process.argv.length > 3 || pictures?.startsWith('-')) {
    console.error('usage: tests/external/with_server.sh node tests/external/console.mjs [DIRECTORY FOR PICTURES]');
    process.exit(2);
}
if (pictures) await mkdir(pictures, { recursive: true });

const { BUREAU_TOKEN: OWNER, BUREAU_URL: URL_BASE } = process.env;
const { chromium } = createRequire(`${tmpdir()}/bureau-external/node/node_modules/`)('playwright-core');
const CONSOLE = `${URL_BASE}/console`;
/** What would run if anything of it became markup; it would set a mark that every page is searched for. */
const ATTACK = '<img src=x onerror="window.attacked=1"><script>window.attacked=1</script>';
/** Longest wait for anything on the page; nothing here takes a tenth of it. */
const PATIENCE = 10_000;

// --- What a program does beside the person -------------------------------------------------------------------------

/** Without a token where that is null. */
async function rpc(method, params = {}, token = OWNER, url = URL_BASE) {
    const response = await fetch(`${url}/rpc`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    return response.json();
}

async function ok(method, params, token, url) {
    const { result, error } = await rpc(method, params, token, url);
    strict.equal(error, undefined, `${method}: ${JSON.stringify(error)}`);
    return result;
}

/** With which code a token is refused; none when it is good. */
const refusal = async (token) => (await rpc('resources/read', { uri: 'bureau://permissions' }, token)).error?.code;
const taskTitle = async (id) => (await ok('task_show', { id })).title;

/** A mail server that takes every mail and answers for the links in them. */
async function postOffice() {
    const mails = [];
    const server = createServer((socket) => {
        let rest = '';
        let mail = null;
        socket.write('220 test.example.com ESMTP\r\n');
        socket.on('data', (data) => {
            const lines = (rest + data).split('\r\n');
            rest = lines.pop();
            for (const line of lines) {
                if (mail === null) {
                    const word = line.split(/[ :]/)[0].toUpperCase();
                    if (word === 'DATA') mail = [];
                    socket.write({ DATA: '354 Go on\r\n', QUIT: '221 Bye\r\n' }[word] ?? '250 OK\r\n');
                } else if (line === '.') {
                    mails.push(mail.join('\r\n'));
                    mail = null;
                    socket.write('250 Queued\r\n');
                } else mail.push(line);
            }
        });
    });
    await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
    /** Waits for the next mail to somebody, and takes it out. */
    const link = async (to) => {
        for (let tries = 0; tries < PATIENCE / 50; tries += 1) {
            const index = mails.findIndex((mail) => mail.includes(`To: ${to}\r\n`));
            if (index >= 0) {
                const [mail] = mails.splice(index, 1);
                return /http[^\s"<>]*\/console#[\w=-]+/.exec(mail.replaceAll('=\r\n', '').replaceAll('=3D', '='))[0];
            }
            await new Promise((done) => { setTimeout(done, 50); });
        }
        return strict.fail(`no mail to ${to} came`);
    };
    return { port: server.address().port, link, close: () => server.close() };
}

/** A server beside the one that all stories share. */
async function ownServer(words) {
    const directory = await mkdtemp(`${tmpdir()}/bureau-console-`);
    const { BUREAU_TOKEN, ...environment } = process.env;
    const child = spawn(
        process.env.BUREAU_BIN,
        ['serve', '--listen', '127.0.0.1:0', '--database', `sqlite:${directory}/bureau.db`, ...words],
        { env: environment, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    // A story that fails ends this program.
    process.on('exit', () => child.kill());
    let said = '';
    const ready = new Promise((done, failed) => {
        child.stdout.on('data', (data) => {
            said += data;
            const [, url] = /^Bureau serves (\S+)\/mcp/m.exec(said) ?? [];
            const [token] = /bu[sk]_[0-9A-Za-z]{30,}/.exec(said) ?? [];
            if (url && token) done({ url, token });
        });
        child.on('exit', (status) => failed(new Error(`the server ended with status ${status}: ${said}`)));
    });
    const { url, token } = await ready;
    const end = async () => {
        child.kill('SIGTERM');
        await new Promise((done) => { child.on('exit', done); });
        await rm(directory, { recursive: true });
    };
    return { url, token, end };
}

// --- The browser ---------------------------------------------------------------------------------------------------

const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync',
    ],
});

/** Everything that no page may ever do. */
const faults = [];
const DESKTOP = { viewport: { width: 1280, height: 860 } };
const PHONE = { viewport: { width: 375, height: 740 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** A person with a browser of their own. Statuses in `allowed` may come as answers: the browser logs them as errors. */
async function person(look = DESKTOP, allowed = [], address = CONSOLE) {
    const context = await browser.newContext({ ...look, locale: 'en-GB', timezoneId: 'Europe/Warsaw' });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    page.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(`${new URL(address).origin}/`) && !url.startsWith('data:')) faults.push(`a request to ${url}`);
        if (url.includes('bus_') || url.includes('buk_')) faults.push('a token in an address');
    });
    page.on('pageerror', (error) => faults.push(`an error of the page: ${error.stack}`));
    page.on('console', (message) => {
        const isAllowed = allowed.some((status) => message.text().includes(`status of ${status} `));
        if (['error', 'warning'].includes(message.type()) && !isAllowed) faults.push(`on the browser's console: ${message.text()}`);
    });
    await page.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
            console.error(`policy violated: ${violatedDirective} by ${blockedURI}`);
        });
    });
    await page.goto(address);
    return page;
}

/** Ends a person's visit: nothing forbidden happened in it. */
async function gone(page) {
    assert.equal(await page.evaluate(() => window.attacked), undefined, 'no text became markup');
    assert.equal(await page.evaluate(() => localStorage.length), 0, 'nothing is kept beyond the tab');
    assert.equal(await page.evaluate(() => document.cookie), '');
    await page.context().close();
    assert.deepEqual(faults, []);
}

async function signInByToken(page, token = OWNER) {
    await page.getByText('Use a token instead').click();
    await page.getByLabel('Token').fill(token);
    await page.getByRole('button', { name: 'Sign in with the token' }).click();
}

async function signedIn(look, token, allowed) {
    const page = await person(look, allowed);
    await signInByToken(page, token);
    await page.getByRole('heading', { name: 'Sessions', exact: true }).waitFor();
    await page.getByRole('row', { name: /this console/ }).waitFor();
    return page;
}

async function go(page, place) {
    await page.goto(`${CONSOLE}#/${place}`);
}

async function picture(page, name) {
    if (pictures) await page.screenshot({ path: `${pictures}/${name}.png`, animations: 'disabled' });
}

const dialog = (page) => page.getByRole('dialog');
/** Nothing stands out to the side. */
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth);

// --- Stories -------------------------------------------------------------------------------------------------------

const stories = {
    async 'a wrong token is told, the right one opens, signing out ends it'() {
        const page = await person(DESKTOP, [401]);
        await picture(page, 'sign-in');
        await signInByToken(page, 'bus_nothing');
        await page.getByRole('alert').filter({ hasText: 'The token is unknown, revoked or expired' }).waitFor();
        await page.getByLabel('Token').fill(OWNER);
        await page.getByLabel('Token').press('Enter');
        await page.getByRole('heading', { name: 'Sessions', exact: true }).waitFor();
        const kept = JSON.parse(await page.evaluate(() => sessionStorage.getItem('bureau.session')));
        assert.ok(kept.token.startsWith('bus_') && kept.token !== OWNER, 'a key is exchanged for a session and not kept');
        assert.ok(!page.url().includes(kept.token));
        // Another tab knows nothing of it.
        const other = await page.context().newPage();
        await other.goto(CONSOLE);
        await other.getByRole('heading', { name: 'Bureau console' }).waitFor();
        await other.close();
        // The same tab does, also when it is loaded again.
        await page.reload();
        await page.getByRole('heading', { name: 'Sessions', exact: true }).waitFor();
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByText('You are signed out, and the session has ended.').waitFor();
        assert.equal(await page.evaluate(() => sessionStorage.length), 0);
        assert.equal(await refusal(kept.token), 401);
        assert.equal(await refusal(OWNER), undefined, 'the key itself still works');
        await gone(page);
    },

    async 'a pasted session is forgotten or ended, as its owner says'() {
        for (const [choice, ends] of [['Forget it here', false], ['End it everywhere', true]]) {
            const { session_token: token } = await ok('session_create', { label: 'Pasted' });
            const page = await signedIn(DESKTOP, token);
            await page.getByRole('button', { name: 'Sign out' }).click();
            await dialog(page).getByRole('button', { name: choice }).click();
            await page.getByRole('heading', { name: 'Bureau console' }).waitFor();
            assert.equal(await refusal(token), ends ? 401 : undefined);
            await gone(page);
        }
    },

    async 'e-mail and password open a session'() {
        await ok('user_create', { email: 'ewa@example.com', name: 'Ewa Nowak', role: 'admin', password: 'Dobre-Haslo1' });
        const page = await person(DESKTOP, [401]);
        await page.getByLabel('E-mail').fill('ewa@example.com');
        await page.getByLabel('Password').fill('wrong');
        await page.getByRole('button', { name: 'Sign in', exact: true }).click();
        await page.locator('.sign-in [role=alert]:not([hidden])').waitFor();
        await page.getByLabel('Password').fill('Dobre-Haslo1');
        await page.getByLabel('Password').press('Enter');
        await page.getByRole('heading', { name: 'Sessions', exact: true }).waitFor();
        assert.equal(await page.locator('#user').textContent(), 'Ewa Nowak');
        await page.getByRole('row', { name: /this console/ }).waitFor();
        const { token } = JSON.parse(await page.evaluate(() => sessionStorage.getItem('bureau.session')));
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByText('You are signed out, and the session has ended.').waitFor();
        assert.equal(await refusal(token), 401);
        await gone(page);
    },

    async 'who is known in several companies chooses one'() {
        const page = await person();
        const asked = [];
        await page.route('**/rpc', async (route) => {
            const { method, params } = route.request().postDataJSON();
            if (method !== 'session_login') return route.continue();
            asked.push(params);
            if (params.tenant_id) return route.continue({ postData: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) });
            // As the server answers it; two companies with one person would need a second founding.
            const tenants = [{ id: 't1', name: 'Kuchnie', slug: 'kuchnie' }, { id: 't2', name: ATTACK, slug: 'x' }];
            const message = '/tenant_id: is required: this address has users in several tenants, see details';
            const error = { code: -32602, message, data: { code: 'validation', message, details: { tenants } } };
            return route.fulfill({ json: { jsonrpc: '2.0', id: 1, error } });
        });
        assert.ok(await page.getByLabel('Company').isHidden());
        await page.getByLabel('E-mail').fill('ewa@example.com');
        await page.getByLabel('Password').fill('Dobre-Haslo1');
        await page.getByRole('button', { name: 'Sign in', exact: true }).click();
        await page.getByRole('alert').filter({ hasText: 'Choose the company to sign in to.' }).waitFor();
        assert.deepEqual(await page.getByLabel('Company').locator('option').allTextContents(), ['Kuchnie', ATTACK]);
        await picture(page, 'sign-in-company');
        await page.getByLabel('Company').selectOption('t2');
        page.removeAllListeners('console');
        await page.getByRole('button', { name: 'Sign in', exact: true }).click();
        await page.getByRole('alert').filter({ hasNotText: 'Choose the company' }).waitFor();
        assert.deepEqual(asked.map(({ tenant_id: tenant }) => tenant), [undefined, 't2']);
        await gone(page);
    },

    async 'sessions show their limits, and are revoked after a look'() {
        const made = await ok('session_create', { label: `Nightly ${ATTACK}`, read_only: true, toolsets: ['contracts', 'tasks'], write_budget: 7 });
        const page = await signedIn();
        const row = page.getByRole('row').filter({ hasText: 'Nightly <img' });
        await row.waitFor();
        const text = (await row.textContent()).replace(/\s+/g, ' ');
        for (const shown of [ATTACK, 'read-only', '7 of 7 writes left', 'toolsets: contracts, tasks', 'Owner', 'in 2 hours']) assert.ok(text.includes(shown), `${shown} in ${text}`);
        await picture(page, 'sessions');
        // Let be: nothing happens.
        await row.getByRole('button', { name: /^Revoke/ }).click();
        await dialog(page).getByText('revoked_at').waitFor();
        await picture(page, 'revoke');
        await dialog(page).getByRole('button', { name: 'Cancel' }).click();
        assert.equal(await refusal(made.session_token), undefined);
        await row.getByRole('button', { name: /^Revoke/ }).click();
        await dialog(page).getByRole('button', { name: 'Revoke', exact: true }).click();
        await page.getByRole('status').getByText('has ended.').waitFor();
        await row.waitFor({ state: 'detached' });
        assert.equal(await refusal(made.session_token), 401);
        await page.getByLabel('Ended too').check();
        await row.getByText('revoked').waitFor();
        await gone(page);
    },

    async 'a session that ends under its user leads back to signing in'() {
        const page = await signedIn(DESKTOP, OWNER, [401]);
        const { token } = JSON.parse(await page.evaluate(() => sessionStorage.getItem('bureau.session')));
        await ok('session_revoke', {}, token);
        await page.getByRole('button', { name: 'Refresh' }).click();
        await page.getByRole('alert').filter({ hasText: 'The token is unknown, revoked or expired' }).waitFor();
        assert.equal(await page.evaluate(() => sessionStorage.length), 0);
        await gone(page);
    },

    async 'the work of a session is counted and taken back'() {
        const { session_token: agent, session } = await ok('session_create', { label: 'Busy agent' });
        const { id } = await ok('task_create', { title: 'Of the agent' }, agent);
        await ok('task_update', { id, title: 'Changed by the agent' }, agent);
        const page = await signedIn();
        const row = page.getByRole('row').filter({ hasText: 'Busy agent' });
        await row.waitFor();
        await row.getByRole('link', { name: '2 actions' }).click();
        await page.getByText('Only what was done in session').waitFor();
        assert.ok(page.url().endsWith(`#/log?session_id=${session.id}`));
        await page.locator('.actions-list li').first().waitFor();
        assert.equal(await page.locator('.actions-list li').count(), 2);
        await picture(page, 'session-log');
        await page.goBack();
        await row.getByRole('button', { name: 'Take back its work' }).click();
        await dialog(page).getByText('deleted').waitFor();
        await picture(page, 'session-undo');
        assert.equal(await taskTitle(id), 'Changed by the agent');
        await dialog(page).getByRole('button', { name: 'Take back all of it' }).click();
        await page.getByRole('status').getByText('2 actions of Busy agent were taken back.').waitFor();
        assert.equal((await rpc('task_show', { id })).error.code, 404);
        // What somebody else changed since stands in the way, and is named; what was sent out stays, and is named too.
        const { session_token: other } = await ok('session_create', { label: 'Overtaken agent' });
        const { id: taken } = await ok('task_create', { title: 'Of the other agent' }, other);
        await ok('session_create', { label: 'Made by it' }, other);
        await ok('task_update', { id: taken, title: 'Changed by the owner' });
        await page.getByRole('button', { name: 'Refresh' }).click();
        await page.getByRole('row').filter({ hasText: 'Overtaken agent' }).getByRole('button', { name: 'Take back its work' }).click();
        await dialog(page).getByText('It stops at “Create a task”').waitFor();
        await dialog(page).getByRole('link', { name: taken }).waitFor();
        await dialog(page).getByText('1 of its actions cannot be undone and stay:').waitFor();
        await picture(page, 'session-undo-stopped');
        assert.ok(await dialog(page).getByRole('button', { name: 'Take back all of it' }).isDisabled());
        // The way to what is in the way.
        await dialog(page).getByRole('link', { name: taken }).click();
        await page.waitForURL(`**/console#/log?resource_id=${taken}`);
        await dialog(page).waitFor({ state: 'detached' });
        await gone(page);
    },

    async 'the action log filters, shows differences, undoes and redoes'() {
        const { id } = await ok('task_create', { title: ATTACK });
        await ok('task_update', { id, title: 'Second title', content: 'Two\nlines', priority: 7 });
        const page = await signedIn();
        await go(page, 'log');
        await page.getByLabel('Record', { exact: true }).fill(id);
        await page.getByRole('button', { name: 'Apply' }).click();
        const entries = page.locator('.actions-list li');
        await page.waitForURL(`**/console#/log?resource_id=${id}`);
        await page.getByText('Filters (1)').waitFor();
        await entries.nth(1).waitFor();
        await page.waitForFunction(() => document.querySelectorAll('.actions-list li').length === 2);
        const change = entries.first();
        await change.locator('summary').click();
        await change.locator('.fields').waitFor();
        const cells = await change.locator('.fields tbody tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
        assert.deepEqual(cells.slice(0, 3), [['title', ATTACK, 'Second title'], ['content', 'empty', 'Two\nlines'], ['priority', '0', '7']]);
        await picture(page, 'log');
        // A look, and nothing done.
        await change.getByRole('button', { name: /^Undo/ }).click();
        await dialog(page).getByText('Second title').waitFor();
        await picture(page, 'undo');
        await page.keyboard.press('Escape');
        await dialog(page).waitFor({ state: 'detached' });
        assert.equal(await taskTitle(id), 'Second title');
        await change.getByRole('button', { name: /^Undo/ }).click();
        await dialog(page).getByRole('button', { name: 'Take back' }).click();
        await page.getByText('taken back', { exact: true }).waitFor();
        assert.equal(await taskTitle(id), ATTACK);
        // Again by the button that the entry has now.
        await entries.filter({ hasText: 'taken back' }).getByRole('button', { name: /^Redo/ }).click();
        await dialog(page).getByRole('button', { name: 'Do again' }).click();
        await page.getByText('done again', { exact: true }).waitFor();
        assert.equal(await taskTitle(id), 'Second title');
        // What somebody else changed since is not overwritten, and the server's reason is shown.
        await ok('task_update', { id, title: 'Third title' });
        await page.getByRole('button', { name: 'Refresh' }).click();
        await page.waitForFunction(() => document.querySelectorAll('.actions-list li').length >= 3);
        await entries.filter({ hasText: 'Create a task' }).getByRole('button', { name: /^Undo/ }).click();
        await dialog(page).getByRole('alert').getByRole('link', { name: id }).waitFor();
        assert.ok(await dialog(page).getByRole('button', { name: 'Take back' }).isDisabled());
        await picture(page, 'undo-refused');
        await dialog(page).getByRole('button', { name: 'Cancel' }).click();
        // Filters that nothing fits, and none at all.
        await page.getByLabel('Kind of record').fill('contract');
        await page.getByLabel('Kind of record').press('Enter');
        await page.getByText('No action fits these filters.').waitFor();
        await page.goBack();
        await entries.first().waitFor();
        await page.getByRole('button', { name: 'Clear' }).click();
        await page.waitForURL('**/console#/log');
        await page.waitForFunction(() => document.querySelectorAll('.actions-list li').length === 25);
        await page.getByRole('button', { name: 'Next' }).waitFor({ state: 'visible' });
        await gone(page);
    },

    async 'the log is filtered by who, when, and what can be undone'() {
        const { id: colleague } = await ok('user_create', { email: 'log@example.com', name: `Log ${ATTACK}`, role: 'admin' });
        const { secret } = await ok('api_key_create', { name: 'log', user_id: colleague });
        const { id } = await ok('task_create', { title: 'Of the colleague' }, secret);
        const page = await signedIn();
        await go(page, 'log');
        await page.getByLabel('Who').fill('Log <img');
        await page.locator('#people option[value*="log@example.com"]').waitFor({ state: 'attached' });
        await page.getByLabel('Only what can be taken back').check();
        await page.waitForFunction(() => document.querySelectorAll('.actions-list li').length === 1);
        assert.ok(page.url().includes(`actor_user_id=${colleague}`) && page.url().includes('undoable_only=true'), page.url());
        assert.ok((await page.locator('.actions-list li').textContent()).includes('Of the colleague'));
        // The address is enough to come back to the same list.
        await page.reload();
        await page.waitForFunction(() => document.querySelectorAll('.actions-list li').length === 1);
        assert.equal(await page.getByLabel('Who').inputValue(), `Log ${ATTACK}`);
        await page.getByLabel('From').fill('2999-01-01T00:00');
        await page.getByRole('button', { name: 'Apply' }).click();
        await page.getByText('No action fits these filters.').waitFor();
        await ok('task_delete', { id });
        await gone(page);
    },

    async 'the explorer finds, tries dry, does, and takes back'() {
        const page = await signedIn();
        await go(page, 'tools');
        await page.getByText('Choose a tool.').waitFor();
        await picture(page, 'tools');
        // Found by other words, in another language.
        await page.getByLabel('Find a tool').fill('rozlicz umowę');
        await page.getByRole('link', { name: /contract_settle/ }).waitFor();
        await page.getByLabel('Find a tool').fill('task_create');
        await page.getByRole('link', { name: 'Create a task task_create' }).click();
        await page.getByRole('heading', { name: 'Create a task' }).waitFor();
        const tool = page.locator('.tool');
        for (const shown of ['adds', 'tasks', 'organize.tasks.manage']) await tool.getByText(shown, { exact: true }).first().waitFor();
        // What is needed is said where it is missing.
        await tool.getByRole('button', { name: 'Try dry' }).click();
        const title = tool.getByLabel('title');
        assert.equal(await title.getAttribute('aria-invalid'), 'true');
        await tool.getByText('This is needed.').waitFor();
        // What the server refuses is said there too.
        await title.fill('From the console');
        await tool.getByText(/^Optional/).click();
        await tool.getByLabel('priority').fill('11');
        await tool.getByRole('button', { name: 'Try dry' }).click();
        await tool.getByRole('alert').waitFor();
        assert.equal(await tool.getByLabel('priority').getAttribute('aria-invalid'), 'true');
        await picture(page, 'tool-refused');
        await tool.getByLabel('priority').fill('9');
        await tool.getByLabel('deadline', { exact: true }).fill('2030-01-02T13:14');
        await tool.getByLabel('todos').fill('One\nTwo');
        const before = (await ok('task_list', { page_size: 1, status: 'all' })).total;
        await tool.getByRole('button', { name: 'Try dry' }).click();
        await tool.getByRole('heading', { name: 'This would change' }).waitFor();
        await picture(page, 'tool-tried');
        assert.equal((await ok('task_list', { page_size: 1, status: 'all' })).total, before);
        // The same as JSON, and back again.
        await tool.getByRole('button', { name: 'Edit as JSON' }).click();
        const written = JSON.parse(await tool.getByLabel('Arguments as JSON').inputValue());
        assert.deepEqual(written, { title: 'From the console', priority: 9, deadline: '2030-01-02T12:14:00.000Z', todos: ['One', 'Two'] });
        await tool.getByLabel('Arguments as JSON').fill(JSON.stringify({ ...written, title: ATTACK }));
        await tool.getByRole('button', { name: 'Edit as fields' }).click();
        assert.equal(await title.inputValue(), ATTACK);
        await tool.getByRole('button', { name: 'Do it' }).click();
        await dialog(page).getByText(ATTACK).first().waitFor();
        await dialog(page).getByRole('button', { name: 'Do it' }).click();
        await tool.getByText('Done.', { exact: true }).waitFor();
        const { items: [made], total } = await ok('task_list', { page_size: 1, status: 'all' });
        assert.equal(total, before + 1);
        assert.deepEqual([made.title, made.priority, made.deadline], [ATTACK, 9, '2030-01-02T12:14:00Z']);
        await picture(page, 'tool-done');
        await tool.getByRole('button', { name: 'Undo' }).click();
        await dialog(page).getByRole('button', { name: 'Take back' }).click();
        await tool.getByText('Taken back.', { exact: true }).waitFor();
        assert.equal((await ok('task_list', { page_size: 1, status: 'all' })).total, before);
        // A read is called as it is.
        await go(page, 'tools/task_list');
        await tool.getByRole('heading', { name: 'List tasks' }).waitFor();
        assert.equal(await tool.getByRole('button', { name: 'Do it' }).count(), 0);
        await tool.getByLabel('page_size').fill('1');
        await tool.getByLabel('status', { exact: true }).selectOption('closed');
        await tool.getByRole('button', { name: 'Call' }).click();
        await tool.locator('.answer .json').waitFor();
        assert.equal(JSON.parse(await tool.locator('.answer .json').textContent()).items.length, 1);
        await gone(page);
    },

    async 'who may less is told so, and sees less'() {
        const { id } = await ok('user_create', { email: 'guest@example.com', name: 'Guest', role: 'guest' });
        const { secret } = await ok('api_key_create', { name: 'guest', user_id: id });
        const page = await signedIn(DESKTOP, secret, [403]);
        await go(page, 'log');
        const refused = page.getByRole('alert').or(page.getByText('You see what you did yourself.')).or(page.getByText('Nothing was done yet.'));
        await refused.first().waitFor();
        await go(page, 'tools');
        await page.locator('.tool-list a').first().waitFor();
        assert.equal(await page.getByRole('link', { name: /user_delete/ }).count(), 0);
        await go(page, 'tools/user_delete');
        await page.getByRole('alert').waitFor();
        await gone(page);
    },

    async 'names of people are text wherever they stand'() {
        const { id } = await ok('user_create', { email: 'attack@example.com', name: ATTACK, role: 'admin' });
        const { secret } = await ok('api_key_create', { name: 'attack', user_id: id });
        await ok('session_create', { label: ATTACK }, secret);
        await ok('task_create', { title: ATTACK, content: ATTACK }, secret);
        const page = await signedIn(DESKTOP, secret);
        assert.equal(await page.locator('#user').textContent(), ATTACK);
        await go(page, 'log');
        await page.locator('summary .by').first().waitFor();
        for (const entry of (await page.locator('.actions-list summary').all()).slice(0, 3)) await entry.click();
        assert.ok((await page.locator('.actions-list').first().textContent()).includes(ATTACK));
        await go(page, 'tools/task_list');
        await page.getByRole('button', { name: 'Call' }).click();
        await page.locator('.answer .json').waitFor();
        // The address is a place for text too.
        await go(page, `tools/${encodeURIComponent(ATTACK)}`);
        await page.getByRole('alert').waitFor();
        await go(page, `log?resource_kind=${encodeURIComponent(ATTACK)}`);
        await page.getByText('No action fits these filters.').waitFor();
        assert.equal(await page.locator('main img, main script').count(), 0);
        await gone(page);
    },

    async 'everything works by keyboard alone'() {
        const { id } = await ok('task_create', { title: 'By keyboard' });
        const page = await person();
        const key = (...keys) => keys.reduce((before, one) => before.then(() => page.keyboard.press(one)), Promise.resolve());
        const focused = () => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.getAttribute('aria-label') || document.activeElement.name);
        /** Goes on by Tab until the focus is where it should be. */
        const tabTo = async (wanted) => {
            for (let steps = 0; steps < 60; steps += 1) {
                if (wanted.test(await focused())) return;
                await key('Tab');
            }
            assert.fail(`Tab never comes to ${wanted}; it is at ${await focused()}`);
        };
        assert.equal(await focused(), 'email', 'signing in begins at the first field');
        await tabTo(/^Use a token instead/);
        await key('Enter', 'Tab');
        await page.keyboard.type(OWNER);
        await key('Enter');
        await page.getByRole('heading', { name: 'Sessions', exact: true }).waitFor();
        // The first Tab of a page skips the head.
        await page.reload();
        await page.getByRole('heading', { name: 'Sessions', exact: true }).waitFor();
        await page.locator('#skip').focus();
        const outline = await page.locator('#skip').evaluate((link) => link.getBoundingClientRect().top >= 0);
        assert.ok(outline, 'the skip link shows when it has the focus');
        await key('Enter');
        assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
        // Letters go from view to view.
        await key('?');
        await dialog(page).getByText('go to the search or the first filter').waitFor();
        // Letters that act can be switched off, and on again.
        await dialog(page).getByRole('checkbox').focus();
        await key('Space', 'Escape', 't');
        assert.ok(page.url().endsWith('/console'), page.url());
        await page.locator('#keys').focus();
        await key('Enter');
        await dialog(page).getByRole('checkbox').focus();
        await key('Space', 'Escape');
        await page.locator('main').focus();
        await key('t');
        await page.locator('.tool-list a').first().waitFor();
        await key('/');
        assert.equal(await focused(), 'Find a tool');
        await page.keyboard.type('task_update');
        await page.locator('.tool-list').getByText('task_update').waitFor();
        await page.waitForFunction(() => document.querySelector('.tool-list a')?.dataset.tool === 'task_update');
        await key('ArrowDown');
        assert.ok((await focused()).includes('task_update'));
        await key('End', 'Home', 'Enter');
        await page.getByRole('heading', { name: 'Change a task' }).waitFor();
        await page.waitForFunction(() => document.activeElement.tagName === 'H2');
        await tabTo(/^id$/);
        await page.keyboard.type(id);
        await tabTo(/^Optional/);
        await key('Enter', 'Tab');
        await page.keyboard.type('Changed by keyboard');
        await key('Enter');
        await page.getByRole('heading', { name: 'This would change' }).waitFor();
        assert.equal(await taskTitle(id), 'By keyboard');
        // A letter that is typed is a letter.
        await tabTo(/^Do it/);
        const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
        assert.equal(ring, 'solid', 'the focus is seen');
        await key('Enter');
        await dialog(page).getByText('Changed by keyboard').first().waitFor();
        await tabTo(/^Do it$/);
        await key('Enter');
        await page.getByText('Done.', { exact: true }).waitFor();
        assert.equal(await taskTitle(id), 'Changed by keyboard');
        // The log: open the newest, take it back.
        await page.locator('main').focus();
        await key('l');
        await page.locator('.actions-list summary').first().waitFor();
        await key('/');
        await tabTo(/Change a task/);
        await key('Enter');
        await page.locator('.entry-body').first().waitFor();
        await key('ArrowDown', 'ArrowUp');
        await tabTo(/^Undo/);
        await key('Enter');
        await dialog(page).getByText('By keyboard').first().waitFor();
        await tabTo(/^Take back$/);
        await key('Enter');
        await page.getByRole('status').getByText('Taken back.').waitFor();
        assert.equal(await taskTitle(id), 'By keyboard');
        await gone(page);
    },

    async 'a phone has room for all of it'() {
        const page = await signedIn(PHONE);
        const views = [['sessions', 'tbody tr'], ['log', '.actions-list li'], ['tools', '.tool-list a'], ['tools/contract_create', '.tool h2'], ['tools/user_update', '.tool h2']];
        for (const [place, wanted] of views) {
            await go(page, place);
            await page.locator(wanted).first().waitFor();
            assert.ok(await fits(page), `${place} stands out to the side`);
            const small = await page.evaluate(() => [...document.querySelectorAll('main input:not([type=checkbox]), main select, main textarea')]
                .filter((input) => input.checkVisibility() && parseFloat(getComputedStyle(input).fontSize) < 16).length);
            assert.equal(small, 0, `${place}: a phone would zoom into small fields`);
            await picture(page, `phone-${place.replace('/', '-')}`);
        }
        await page.getByRole('link', { name: '← All tools' }).click();
        await page.locator('.tool-list a').first().waitFor();
        assert.ok(await page.locator('.tool').isHidden());
        await go(page, 'log');
        await page.locator('.actions-list summary').filter({ hasText: 'Change a task' }).first().click();
        await page.locator('.entry-body').first().waitFor();
        assert.ok(await fits(page));
        await picture(page, 'phone-log-open');
        await page.locator('.actions-list li', { hasText: 'Change a task' }).getByRole('button').first().click();
        await dialog(page).locator('.changes').waitFor();
        assert.ok(await fits(page));
        await picture(page, 'phone-dialog');
        await gone(page);
    },

    async 'dark is dark, light is light'() {
        for (const [colorScheme, isDark] of [['dark', true], ['light', false]]) {
            const page = await signedIn({ ...DESKTOP, colorScheme });
            const [red] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
            assert.equal(red < 64, isDark);
            // Every text can be told from what it stands on (WCAG 1.4.3), on each view.
            for (const [place, wanted] of [['sessions', 'tbody tr'], ['log', '.actions-list li'], ['tools/task_create', '.tool h2']]) {
                await go(page, place);
                await page.locator(wanted).first().waitFor();
                await page.waitForFunction(() => !document.querySelector('[aria-busy=true]') && document.getAnimations().length === 0);
                assert.deepEqual(await page.evaluate(faint), [], `${colorScheme} ${place}`);
                await picture(page, `${colorScheme}-${place.replace('/', '-')}`);
            }
            await gone(page);
        }
    },

    async 'markup that came in all the same could do nothing, and would be noticed'() {
        const page = await person();
        const stopped = [];
        page.on('requestfailed', (request) => stopped.push([request.url(), request.failure().errorText]));
        await page.evaluate(() => {
            document.head.append(Object.assign(document.createElement('style'), { textContent: 'body { color: red }' }));
            document.body.append(Object.assign(document.createElement('img'), { src: 'https://elsewhere.invalid/x' }));
            try {
                document.body.insertAdjacentHTML('beforeend', '<p>markup</p>');
            } catch (error) {
                console.error(error.message);
            }
            return fetch('https://elsewhere.invalid/').catch(() => {});
        });
        await page.waitForFunction(() => document.querySelector('img[src*=elsewhere]').complete);
        const seen = (what) => faults.some((fault) => fault.includes(what));
        for (const what of ['style-src', 'img-src', 'connect-src', 'TrustedHTML']) assert.ok(seen(what), `${what} in ${faults.join('\n')}`);
        assert.ok(seen('a request to https://elsewhere.invalid/'), 'an attempt counts');
        // Stopped by the policy, not by the want of such a host.
        assert.ok(stopped.length > 0);
        for (const [url, why] of stopped) assert.match(why, /csp/i, `${url}: ${why}`);
        faults.length = 0;
        await page.context().close();
    },

    async 'the links in mails lead to what they are for, once'() {
        const post = await postOffice();
        const server = await ownServer(['--smtp-url', `smtp://127.0.0.1:${post.port}`, '--mail-from', 'bureau@example.com', '--onboarding']);
        const at = (method, params, token = server.token) => ok(method, params, token, server.url);
        /** Opens the link that a mail to somebody holds. */
        const opened = async (to, look) => {
            const link = await post.link(to);
            assert.ok(link.startsWith(`${server.url}/console#`), link);
            const page = await person(look, [], link);
            await page.getByRole('button', { name: /^(Set the password|Accept|Open the account)$/ }).waitFor();
            return { link, page };
        };
        const signIn = async (page, email, password) => {
            await page.getByLabel('E-mail').fill(email);
            await page.getByRole('textbox', { name: 'Password' }).fill(password);
            await page.getByRole('button', { name: 'Sign in', exact: true }).click();
            await page.getByRole('row', { name: /this console/ }).waitFor();
        };

        const { id } = await at('person_create', { name: 'Ewa Król', primary_email: 'ewa@example.org' });
        await at('person_invite', { id });
        const invited = await opened('ewa@example.org', PHONE);
        assert.ok(await fits(invited.page));
        await picture(invited.page, 'phone-invitation');
        await invited.page.getByLabel('First name').fill('Ewa');
        await invited.page.getByLabel('Last name').fill('Król');
        // What is refused is told, and what was typed stays.
        await invited.page.getByRole('textbox', { name: 'Password' }).fill('weak');
        await invited.page.getByRole('button', { name: 'Accept' }).click();
        await invited.page.getByRole('alert').filter({ hasText: 'needs at least 6 characters' }).waitFor();
        assert.equal(await invited.page.getByLabel('First name').inputValue(), 'Ewa');
        await invited.page.getByRole('textbox', { name: 'Password' }).fill('Kuchnia1!');
        await invited.page.getByRole('button', { name: 'Accept' }).click();
        await invited.page.getByText('Welcome. Sign in with your e-mail and the password you chose.').waitFor();
        assert.equal(invited.page.url(), `${server.url}/console`, 'the token leaves the address');
        await signIn(invited.page, 'ewa@example.org', 'Kuchnia1!');
        await gone(invited.page);

        await at('password_reset_request', { email: 'ewa@example.org' }, null);
        const reset = await opened('ewa@example.org');
        await picture(reset.page, 'password-reset');
        await reset.page.getByRole('textbox', { name: 'Password' }).fill('Kuchnia2!');
        await reset.page.getByRole('textbox', { name: 'Password' }).press('Enter');
        await reset.page.getByText('Your password is set. Sign in with it.').waitFor();
        await signIn(reset.page, 'ewa@example.org', 'Kuchnia2!');
        // The link is spent.
        const again = await person(DESKTOP, [], reset.link);
        await again.getByRole('textbox', { name: 'Password' }).fill('Kuchnia3!');
        await again.getByRole('button', { name: 'Set the password' }).click();
        await again.getByRole('alert').filter({ hasText: 'used already' }).waitFor();
        await gone(again);
        await gone(reset.page);

        await at('onboarding_start', {
            email: 'nowa@example.org', firstName: 'Nowa', lastName: 'Osoba', organizationName: 'Nowa Firma', password: 'Kuchnia1!',
            confirmPassword: 'Kuchnia1!', termsAccepted: true,
        }, null);
        const begun = await opened('nowa@example.org');
        await begun.page.getByRole('button', { name: 'Open the account' }).click();
        await begun.page.getByText('Your account is open. Sign in with your e-mail and password.').waitFor();
        await signIn(begun.page, 'nowa@example.org', 'Kuchnia1!');
        await gone(begun.page);
        await server.end();
        post.close();
    },

    async 'a server that is gone is told, and tried again'() {
        const page = await signedIn(DESKTOP, OWNER, []);
        await page.route('**/rpc', (route) => route.abort());
        page.removeAllListeners('console');
        await page.getByRole('button', { name: 'Refresh' }).click();
        await page.getByRole('alert').filter({ hasText: 'The server does not answer.' }).waitFor();
        await page.unroute('**/rpc');
        await page.getByRole('button', { name: 'Try again' }).click();
        await page.getByRole('row', { name: /this console/ }).waitFor();
        await gone(page);
    },
};

/** Texts that stand out too little from their ground: their ratio, and what they say. Runs in the page. */
function faint() {
    const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
    const shown = (colour) => {
        const canvas = new OffscreenCanvas(1, 1).getContext('2d');
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (rgb) => {
        const [r, g, b] = rgb.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            const alpha = numbers(colour)[3] ?? 1;
            if (alpha > 0.99) return shown(colour);
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
        if (!own || !element.checkVisibility() || element.matches(':disabled, .skip')) continue;
        const style = getComputedStyle(element);
        const [a, b] = [light(shown(style.color).slice(0, 3)), light(ground(element).slice(0, 3))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) found.push(`${ratio.toFixed(2)} ${element.tagName} ${element.className} ${element.textContent.slice(0, 30)}`);
    }
    return [...new Set(found)];
}

try {
    for (const [name, story] of Object.entries(stories)) {
        const started = Date.now();
        await story();
        console.log(`ok  ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    }
    console.log(`${Object.keys(stories).length} stories, ${checks} checks`);
} catch (error) {
    for (const fault of faults) console.error(fault);
    for (const [number, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
        const path = `${tmpdir()}/console-failed-${number}.png`;
        await page.screenshot({ path }).then(() => console.error(`the page as it was: ${path}`), () => {});
    }
    throw error;
} finally {
    await browser.close();
}
