#!/usr/bin/env node
// The official TypeScript SDKs as clients of bureau, over stdio and HTTP: v2 (@modelcontextprotocol/client) in each way
// it can connect, and v1 (@modelcontextprotocol/sdk), which most published clients still use.
//
//     tests/external/install.sh
//     tests/external/with_server.sh node tests/external/typescript_client.mjs
//
// Every run plays the same stories. The first answer that is not exactly as expected ends the program.

import { strict } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect as dial, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

// The checks, counted.
let checks = 0;
const assert = new Proxy(strict, {
    get: (all, name) => (...given) => {
        checks += 1;
        return all[name](...given);
    },
});

if (process.argv.length > 2) {
    console.error('usage: tests/external/with_server.sh node tests/external/typescript_client.mjs');
    process.exit(2);
}

const { BUREAU_BIN, BUREAU_DATABASE, BUREAU_TOKEN, BUREAU_URL } = process.env;
// The tools of one page of tools/list.
const PAGE = 250;
const installed = `${tmpdir()}/bureau-external/node/node_modules`;
const require = createRequire(`${installed}/`);
const named = (name) => {
    const { version } = JSON.parse(readFileSync(`${installed}/@modelcontextprotocol/${name}/package.json`));
    return `${name} ${version}`;
};
const v2 = { ...require('@modelcontextprotocol/client'), ...require('@modelcontextprotocol/client/stdio') };
const v1 = {
    ...require('@modelcontextprotocol/sdk/types.js'),
    ...require('@modelcontextprotocol/sdk/client/index.js'),
    ...require('@modelcontextprotocol/sdk/client/streamableHttp.js'),
    ...require('@modelcontextprotocol/sdk/client/stdio.js'),
};

const negotiate = (mode) => ({ versionNegotiation: { mode } });
const runs = [
    { name: `${named('client')}, legacy`, sdk: v2, options: negotiate('legacy'), version: '2025-11-25' },
    { name: `${named('client')}, auto`, sdk: v2, options: negotiate('auto'), version: '2026-07-28' },
    { name: `${named('client')}, pinned`, sdk: v2, options: negotiate({ pin: '2026-07-28' }), version: '2026-07-28' },
    // This one keeps the version to itself, and accepts none later than 2025-11-25.
    { name: named('sdk'), sdk: v1, options: {} },
];

// What comes within ten seconds; nothing here takes longer but by a fault.
async function soon(what, promise) {
    const alarm = new AbortController();
    const late = sleep(10_000, undefined, alarm).then(() => assert.fail(`did not come: ${what}`), () => {});
    try {
        return await Promise.race([promise, late]);
    } finally {
        alarm.abort();
    }
}

async function until(what, look, wanted) {
    for (let tries = 0; tries < 100 && (await look()) !== wanted; tries += 1) await sleep(100);
    assert.equal(await look(), wanted, what);
}

// A call of another client, over plain JSON-RPC.
async function elsewhere(method, params) {
    const headers = { Authorization: `Bearer ${BUREAU_TOKEN}`, 'Content-Type': 'application/json' };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
    const answer = await (await fetch(`${BUREAU_URL}/rpc`, { method: 'POST', headers, body })).json();
    assert.ok(answer.result, `${method}: ${JSON.stringify(answer)}`);
    return answer.result;
}

async function metric(name) {
    const page = await (await fetch(`${BUREAU_URL}/metrics`)).text();
    return Number(page.match(new RegExp(`^${name} ([0-9]+)$`, 'm'))[1]);
}

// A transport to the server at BUREAU_URL, or to a new `bureau stdio`, which acts as the owner when it gets no token.
function transport(sdk, kind, token, query = '', base = BUREAU_URL) {
    if (kind === 'http') {
        const headers = { Authorization: `Bearer ${token ?? BUREAU_TOKEN}` };
        return new sdk.StreamableHTTPClientTransport(new URL(`${base}/mcp${query}`), { requestInit: { headers } });
    }
    return new sdk.StdioClientTransport({
        command: BUREAU_BIN,
        args: ['stdio', '--database', BUREAU_DATABASE],
        env: token ? { BUREAU_TOKEN: token } : {},
    });
}

async function listTools(client) {
    const tools = [];
    let cursor;
    do {
        const page = await client.listTools({ cursor });
        tools.push(...page.tools);
        cursor = page.nextCursor;
    } while (cursor !== undefined);
    return tools;
}

// The data of an answer, which must be the same in both of its forms.
async function call(client, name, args = {}) {
    const result = await client.callTool({ name, arguments: args });
    assert.equal(result.isError ?? false, false, `${name} failed: ${result.content[0].text}`);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent);
    return result.structuredContent;
}

const isModern = (client) => client.getNegotiatedProtocolVersion?.() === '2026-07-28';

// A refusal carries the code. Clients of the handshake era get no second form of it.
async function refused(client, code, name, args) {
    const result = await client.callTool({ name, arguments: args });
    assert.equal(result.isError, true, `${name} was not refused: ${result.content[0].text}`);
    const error = JSON.parse(result.content[0].text);
    assert.equal(error.code, code);
    assert.deepEqual(result.structuredContent, isModern(client) ? error : undefined);
    return error.message;
}

// `whole` tells that the list must hold every tool with its output schema, which the SDKs then hold answers against.
async function story(client, whole = false) {
    const tools = await listTools(client);
    const names = tools.map((tool) => tool.name);
    assert.ok(names.length > 40 === whole && names.includes('tool_search'), `unexpected list: ${names}`);
    assert.equal(new Set(names).size, names.length);
    for (const tool of tools) assert.equal(tool.outputSchema?.type, whole ? 'object' : undefined, tool.name);

    const me = await call(client, 'me');
    assert.equal(me.status, 'ok');
    const found = await call(client, 'tool_search', { query: 'settle a contract' });
    assert.equal(found.items[0].name, 'contract_settle');

    const title = `Call the stone supplier ${randomUUID()}`;
    const openTasks = async () => (await call(client, 'task_list', { status: 'open', page_size: 5 })).total;
    const before = await openTasks();
    const preview = await call(client, 'task_create', { title, dry_run: true });
    assert.equal(preview.dry_run, true);
    assert.equal(await openTasks(), before);

    const idempotency_key = randomUUID();
    const task = await call(client, 'task_create', { title, idempotency_key });
    const again = await call(client, 'task_create', { title, idempotency_key });
    assert.equal(again.id, task.id);
    assert.equal(await openTasks(), before + 1);
    const shown = await call(client, 'task_show', { id: task.num });
    assert.deepEqual([shown.id, shown.title, shown.version], [task.id, title, 1]);
    await call(client, 'action_undo', { undo_token: task.undo_token });
    await refused(client, 'not_found', 'task_show', { id: task.id });
    assert.equal(await openTasks(), before);

    await refused(client, 'validation', 'task_create', {});
    await assert.rejects(client.callTool({ name: 'task_creat', arguments: {} }), { code: -32602 });
    return { names, email: me.data[0].email };
}

// Resources, prompts and completion.
async function offers(client) {
    const { resources, nextCursor } = await client.listResources();
    const uris = resources.map(({ uri }) => uri);
    assert.deepEqual([uris, nextCursor], [['bureau://me', 'bureau://permissions', 'bureau://tools'], undefined]);
    const { resourceTemplates } = await client.listResourceTemplates();
    const templates = resourceTemplates.map(({ uriTemplate }) => uriTemplate);
    assert.equal(new Set(templates).size, templates.length);
    const some = ['tools/{name}', 'task/{id}', 'contract/{id}', 'person/{id}'].map((path) => `bureau://${path}`);
    assert.deepEqual(some.filter((template) => !templates.includes(template)), []);

    const title = `Pomiar łazienki ${randomUUID()}`;
    const task = await call(client, 'task_create', { title });
    const shown = await call(client, 'task_show', { id: task.num });
    const uri = `bureau://task/${task.num}`;
    const [content, ...more] = (await client.readResource({ uri })).contents;
    assert.deepEqual([content.uri, content.mimeType, more], [uri, 'application/json', []]);
    assert.deepEqual(JSON.parse(content.text), shown);
    const missing = { uri: `bureau://task/${randomUUID()}` };
    const unseen = 'There is no such resource, or none that you may see. resources/templates/list shows how addresses '
        + 'are made; the _list tools answer the ids.';
    // v2 knows the newest era's code only and puts it in the place of the older ones'.
    const code = client instanceof v1.Client ? -32002 : -32602;
    await refusedBy(client, client.readResource(missing), code, unseen);

    const { prompts } = await client.listPrompts();
    const names = prompts.map(({ name }) => name).join(' ');
    assert.equal(names, 'merge_duplicates settle_contract plan_week explain_changes onboard_user review_token');
    const args = { language: 'pl', day: '2026-11-23' };
    const { description, messages } = await client.getPrompt({ name: 'plan_week', arguments: args });
    assert.deepEqual([description, messages.length, messages[0].role], ['Zaplanuj tydzień', 1, 'user']);
    const start = 'Zaplanuj mój tydzień od poniedziałku do niedzieli, w którym jest dzień 2026-11-23.\n';
    assert.ok(messages[0].content.text.startsWith(start), messages[0].content.text);
    const unknown = 'There is no prompt `plan_day`. prompts/list shows those there are.';
    await refusedBy(client, client.getPrompt({ name: 'plan_day' }), -32602, unknown);

    const kind = { name: 'kind', value: 'P' };
    const kinds = await client.complete({ ref: { type: 'ref/prompt', name: 'merge_duplicates' }, argument: kind });
    assert.deepEqual(kinds.completion, { values: ['person'], hasMore: false, total: 1 });
    const ref = { type: 'ref/resource', uri: 'bureau://task/{id}' };
    const ids = await client.complete({ ref, argument: { name: 'id', value: title.replace('ł', 'L') } });
    assert.deepEqual(ids.completion, { values: [String(task.num)], hasMore: false, total: 1 });
    await call(client, 'action_undo', { undo_token: task.undo_token });
}

// A request is refused with exactly this; v1 puts its own words before the message.
async function refusedBy(client, request, code, message) {
    const error = await request.then(() => assert.fail('nothing was refused'), (cause) => cause);
    const told = client instanceof v1.Client ? `MCP error ${code}: ${message}` : message;
    assert.deepEqual([error.code, error.message], [code, told]);
}

// A destructive tool asks the person first, whichever way the era has for that.
async function questions(client, person) {
    const task = await call(client, 'task_create', { title: 'Ask before it goes' });
    person.asked = [];
    person.answer = async () => ({ action: 'decline' });
    const declined = 'The person at the client did not agree to this call, so nothing was changed. Do not repeat it '
        + 'unless they ask for it.';
    assert.equal(await refused(client, 'forbidden', 'task_delete', { id: task.id }), declined);
    assert.equal((await call(client, 'task_show', { id: task.id })).version, 1);
    person.answer = async () => ({ action: 'accept', content: {} });
    const gone = await call(client, 'task_delete', { id: task.id });
    assert.deepEqual([gone.ok, gone.id], [true, task.id]);
    await refused(client, 'not_found', 'task_show', { id: task.id });
    const asked = person.asked.map(({ mode, message, requestedSchema }) => ({ mode, message, requestedSchema }));
    const requestedSchema = { type: 'object', properties: {}, required: [] };
    const form = { mode: 'form', message: 'Delete a task: delete task Ask before it goes. Go on?', requestedSchema };
    assert.deepEqual(asked, [form, form]);
    await call(client, 'action_undo', { undo_token: gone.undo_token });
    const { version } = await call(client, 'task_show', { id: task.id });

    // A call that is given up while the person thinks changes nothing.
    const stop = new AbortController();
    let agree;
    const thinking = new Promise((begun) => {
        person.answer = () => new Promise((answered) => {
            agree = () => answered({ action: 'accept', content: {} });
            begun();
        });
    });
    const waiting = client.callTool({ name: 'task_delete', arguments: { id: task.id } }, ...signalled(client, stop));
    const given = assert.rejects(waiting);
    await soon('the question', thinking);
    stop.abort();
    // Between two rounds v2 looks at the signal only when it has the answer.
    if (isModern(client)) agree();
    await soon('the end of the call', given);
    assert.equal((await call(client, 'task_show', { id: task.id })).version, version);
    person.answer = async () => ({ action: 'accept', content: {} });
    await call(client, 'task_delete', { id: task.id });
}

// What follows the parameters of a call; v1 has the schema of the result before the options.
const optional = (client, options) => (client instanceof v1.Client ? [undefined, options] : [options]);
const signalled = (client, { signal }) => optional(client, { signal });

// A long call tells how far it is. The SDKs drop a step that comes in one chunk with the answer, so what they hand on is
// held against what the transport brought.
async function progress(client) {
    const [steps, handed] = [[], []];
    const { onmessage } = client.transport;
    client.transport.onmessage = (message, ...more) => {
        if (message.method === 'notifications/progress') steps.push(message.params);
        onmessage(message, ...more);
    };
    const options = optional(client, { onprogress: (step) => handed.push(step) });
    const done = await client.callTool({ name: 'fulltext_reindex', arguments: {} }, ...options);
    client.transport.onmessage = onmessage;
    const { checked } = JSON.parse(done.content[0].text);
    assert.ok(steps.length > 5, JSON.stringify(steps));
    const grows = steps.every((step, place) => place === 0 || step.progress > steps[place - 1].progress);
    assert.ok(grows, JSON.stringify(steps));
    const { progressToken, ...last } = steps.at(-1);
    assert.deepEqual(last, { progress: checked, total: checked, message: 'checking tasks' });
    assert.deepEqual(handed.map((step) => ({ progressToken, ...step })), steps.slice(0, handed.length));
}

// A running call is given up; repeated with the same key, it is done once.
async function cancel(client) {
    const { DatabaseSync } = require('node:sqlite');
    const title = `Given up ${randomUUID()}`;
    const params = { name: 'task_create', arguments: { title, idempotency_key: title } };
    const database = new DatabaseSync(BUREAU_DATABASE.replace('sqlite:', ''));
    // As long as this is the one who writes, no call can.
    database.exec('BEGIN IMMEDIATE');
    const stop = new AbortController();
    const given = assert.rejects(client.callTool(params, ...signalled(client, stop)));
    assert.equal((await call(client, 'me')).status, 'ok');
    stop.abort();
    await soon('the end of the call', given);
    assert.equal((await call(client, 'task_list', { q: title })).total, 0);
    database.exec('ROLLBACK');
    database.close();
    const task = await call(client, 'task_create', params.arguments);
    const listed = await call(client, 'task_list', { q: title });
    assert.deepEqual(listed.items.map(({ id }) => id), [task.id]);
}

// Has a client's notifications of one kind collected: answers a function that waits for the next.
function heard(client, sdk, method) {
    const [told, waiting] = [[], []];
    const take = ({ params }) => (waiting.length ? waiting.shift()(params) : told.push(params));
    const schemas = {
        'notifications/resources/updated': sdk.ResourceUpdatedNotificationSchema,
        'notifications/tools/list_changed': sdk.ToolListChangedNotificationSchema,
    };
    client.setNotificationHandler(sdk === v1 ? schemas[method] : method, take);
    return () => soon(method, told.length ? Promise.resolve(told.shift()) : new Promise((done) => waiting.push(done)));
}

// What another client changes is told, and nothing else.
async function news(client, sdk) {
    const watched = await elsewhere('task_create', { title: 'Watched' });
    const other = await elsewhere('task_create', { title: 'Not watched' });
    const uri = `bureau://task/${watched.num}`;
    const update = heard(client, sdk, 'notifications/resources/updated');
    let subscription;
    const streams = await metric('bureau_streams_open');
    if (isModern(client)) {
        subscription = await client.listen({ resourceSubscriptions: [uri, `bureau://task/${randomUUID()}`] });
        assert.deepEqual(subscription.honoredFilter, { resourceSubscriptions: [uri] });
    } else {
        await client.subscribeResource({ uri });
    }
    await elsewhere('task_update', { id: other.id, title: 'Not told' });
    await elsewhere('task_update', { id: watched.id, title: 'Told' });
    assert.equal((await update()).uri, uri);
    if (subscription) {
        await subscription.close();
        assert.equal(await subscription.closed, 'local');
        await until('the stream has ended', () => metric('bureau_streams_open'), streams);
    } else {
        await client.unsubscribeResource({ uri });
    }
    const [content] = (await client.readResource({ uri })).contents;
    assert.equal(JSON.parse(content.text).title, 'Told');
    for (const { id } of [watched, other]) await elsewhere('task_delete', { id });
}

// A user who may do less than before is told that the lists are others now.
async function rights(run, kind, key) {
    const client = await connect(run, {}, kind, key.secret);
    const names = async () => (await listTools(client)).map(({ name }) => name);
    assert.ok((await names()).includes('task_create'));
    const changed = heard(client, run.sdk, 'notifications/tools/list_changed');
    if (isModern(client)) {
        const { honoredFilter } = await client.listen({ toolsListChanged: true, promptsListChanged: true });
        assert.deepEqual(honoredFilter, { toolsListChanged: true, promptsListChanged: true });
    } else {
        // Sent on the stream that the client opens after it has said hello.
        await until('the stream of news', () => metric('bureau_streams_open'), kind === 'http' ? 1 : 0);
    }
    await elsewhere('user_update', { id: key.user_id, role: 'reader' });
    await changed();
    assert.ok(!(await names()).includes('task_create'));
    await refused(client, 'forbidden', 'task_create', { title: 'Not to be stored' });
    await client.close();
    await elsewhere('user_update', { id: key.user_id, role: 'user' });
    await until('the streams have ended', () => metric('bureau_streams_open'), 0);
}

// The connection breaks while a call waits for its person; the client comes back for the answer by itself.
async function resume(run) {
    const open = new Set();
    const server = new URL(BUREAU_URL);
    const cable = createServer((near) => {
        const far = dial(server.port, server.hostname);
        for (const [one, other] of [[near, far], [far, near]]) {
            open.add(one);
            one.on('error', () => {}).on('close', () => open.delete(one) && other.destroy()).pipe(other);
        }
    });
    await new Promise((ready) => cable.listen(0, '127.0.0.1', ready));
    const person = { asked: [] };
    let cuts = 0;
    person.answer = async () => {
        cuts += open.size;
        const back = once(cable, 'connection');
        for (const end of open) end.resetAndDestroy();
        await soon('the client again', back);
        return { action: 'accept', content: {} };
    };
    const base = `http://127.0.0.1:${cable.address().port}`;
    const client = await connect(run, person, 'http', undefined, '', base);
    const task = await call(client, 'task_create', { title: 'Broken off' });
    const gone = await soon('the rest of the answer', call(client, 'task_delete', { id: task.id }));
    assert.deepEqual([gone.ok, gone.id, person.asked.length, cuts > 0], [true, task.id, 1, true]);
    await client.transport.terminateSession();
    await client.close();
    for (const end of open) end.destroy();
    cable.close();
}

// `person` answers what the client is asked; one without an answer cannot be asked.
async function connect({ sdk, options, version }, person, ...to) {
    const capabilities = person.answer ? { elicitation: {} } : {};
    const client = new sdk.Client({ name: 'bureau-tests', version: '1' }, { capabilities, ...options });
    if (person.answer) {
        const elicit = sdk === v1 ? v1.ElicitRequestSchema : 'elicitation/create';
        client.setRequestHandler(elicit, ({ params }) => {
            person.asked.push(params);
            return person.answer(params);
        });
    }
    await client.connect(transport(sdk, ...to));
    assert.equal(client.getNegotiatedProtocolVersion?.(), version);
    return client;
}

const member = await elsewhere('user_create', {
    email: 'reader@example.org', first_name: 'Ewa', last_name: 'Sowa', role: 'user',
});
const key = { ...(await elsewhere('api_key_create', { name: 'reader', user_id: member.id })), user_id: member.id };
let first;
for (const kind of ['stdio', 'http']) {
    for (const run of runs) {
        checks = 0;
        const person = { asked: [], answer: async () => ({ action: 'accept', content: {} }) };
        const sessions = await metric('bureau_sessions_open');
        const client = await connect(run, person, kind);
        assert.equal(client.getServerVersion()?.name, 'bureau');
        const inSession = kind === 'http' && !isModern(client);
        assert.equal(await metric('bureau_sessions_open'), sessions + (inSession ? 1 : 0));
        const capabilities = {
            tools: { listChanged: true }, resources: { subscribe: true, listChanged: true },
            prompts: { listChanged: true }, completions: {}, logging: {},
        };
        // The extension is offered in the stateless era only.
        if (isModern(client)) capabilities.extensions = { 'io.modelcontextprotocol/tasks': {} };
        assert.deepEqual(client.getServerCapabilities(), capabilities);
        const seen = await story(client);
        first ??= seen;
        assert.deepEqual(seen, first);
        await offers(client);
        await questions(client, person);
        await progress(client);
        await cancel(client);
        if (!isModern(client)) {
            await client.setLoggingLevel('warning');
            await client.ping();
        }
        await news(client, run.sdk);
        const session = await call(client, 'session_create', { read_only: true, ttl_minutes: 10 });
        if (inSession) await client.transport.terminateSession();
        await client.close();
        assert.equal(await metric('bureau_sessions_open'), sessions);
        await until('the streams have ended', () => metric('bureau_streams_open'), 0);

        const reader = await connect(run, {}, kind, session.session_token);
        assert.equal((await call(reader, 'me')).data[0].email, seen.email);
        await refused(reader, 'forbidden', 'task_create', { title: 'Not to be stored' });
        if (inSession) await reader.transport.terminateSession();
        await reader.close();
        await until('the streams have ended', () => metric('bureau_streams_open'), 0);
        await rights(run, kind, key);
        if (inSession) await resume(run);
        console.log(`ok: TypeScript ${run.name}, ${kind}: ${checks} checks, ${seen.names.length} tools`);
    }
}
for (const run of runs) {
    checks = 0;
    const client = await connect(run, {}, 'http', undefined, '?toolsets=all&output_schemas=1');
    const seen = await story(client, true);
    assert.ok(seen.names.length > PAGE, 'everything comes in pages, and all of them are read');
    assert.deepEqual(first.names.filter((name) => !seen.names.includes(name)), []);
    await client.close();
    console.log(`ok: TypeScript ${run.name}, http, everything: ${checks} checks, ${seen.names.length} tools`);
}
