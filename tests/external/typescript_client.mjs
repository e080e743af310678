#!/usr/bin/env node
// The official TypeScript SDKs as clients of bureau, over stdio and HTTP: v2 (@modelcontextprotocol/client) in each way
// it can connect, and v1 (@modelcontextprotocol/sdk), which most published clients still use.
//
//     tests/external/install.sh
//     tests/external/with_server.sh node tests/external/typescript_client.mjs
//
// Every run plays the same story. The first answer that is not exactly as expected ends the program.

import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';

if (process.argv.length > 2) {
    console.error('usage: tests/external/with_server.sh node tests/external/typescript_client.mjs');
    process.exit(2);
}

const { BUREAU_BIN, BUREAU_DATABASE, BUREAU_TOKEN, BUREAU_URL } = process.env;
const installed = `${tmpdir()}/bureau-external/node/node_modules`;
const require = createRequire(`${installed}/`);
const named = (name) => {
    const { version } = JSON.parse(readFileSync(`${installed}/@modelcontextprotocol/${name}/package.json`));
    return `${name} ${version}`;
};
const v2 = { ...require('@modelcontextprotocol/client'), ...require('@modelcontextprotocol/client/stdio') };
const v1 = {
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

// A transport to the server at BUREAU_URL, or to a new `bureau stdio`, which acts as the owner when it gets no token.
function transport(sdk, kind, token, query = '') {
    if (kind === 'http') {
        const headers = { Authorization: `Bearer ${token ?? BUREAU_TOKEN}` };
        return new sdk.StreamableHTTPClientTransport(new URL(`${BUREAU_URL}/mcp${query}`), { requestInit: { headers } });
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

// A refusal carries the code. Clients of the handshake era get no second form of it.
async function refused(client, code, name, args) {
    const result = await client.callTool({ name, arguments: args });
    assert.equal(result.isError, true, `${name} was not refused: ${result.content[0].text}`);
    const error = JSON.parse(result.content[0].text);
    assert.equal(error.code, code);
    const modern = client.getNegotiatedProtocolVersion?.() === '2026-07-28';
    assert.deepEqual(result.structuredContent, modern ? error : undefined);
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

async function connect({ sdk, options, version }, ...to) {
    const client = new sdk.Client({ name: 'bureau-tests', version: '1' }, { capabilities: {}, ...options });
    await client.connect(transport(sdk, ...to));
    assert.equal(client.getNegotiatedProtocolVersion?.(), version);
    return client;
}

let first;
for (const kind of ['stdio', 'http']) {
    for (const run of runs) {
        const client = await connect(run, kind);
        assert.equal(client.getServerVersion()?.name, 'bureau');
        assert.deepEqual(client.getServerCapabilities(), { tools: { listChanged: false } });
        const seen = await story(client);
        first ??= seen;
        assert.deepEqual(seen, first);
        const session = await call(client, 'session_create', { read_only: true, ttl_minutes: 10 });
        await client.close();

        const reader = await connect(run, kind, session.session_token);
        assert.equal((await call(reader, 'me')).data[0].email, seen.email);
        await refused(reader, 'forbidden', 'task_create', { title: 'Not to be stored' });
        await reader.close();
        console.log(`ok: TypeScript ${run.name}, ${kind}: ${seen.names.length} tools`);
    }
}
for (const run of runs) {
    const client = await connect(run, 'http', undefined, '?toolsets=all&output_schemas=1');
    assert.equal((await client.listTools({ cursor: undefined })).nextCursor, undefined);
    const seen = await story(client, true);
    assert.deepEqual(first.names.filter((name) => !seen.names.includes(name)), []);
    await client.close();
    console.log(`ok: TypeScript ${run.name}, http, everything: ${seen.names.length} tools`);
}
