// Calls to the server that this page came from, and the token that they are made with.
//
// The token is in the tab's own storage and in no other place: it ends with the tab, no other tab sees it, and no address
// ever holds it.

const RPC = new URL('../rpc', import.meta.url);
const KEPT = 'bureau.session';
/** Messages that one batch may hold. */
const BATCH = 50;

/** A call that was refused: `message` says why and what to do next. */
export class Refusal extends Error {
    constructor(error, status) {
        super(error.data?.message ?? error.message);
        this.code = error.data?.code ?? error.code;
        this.fields = error.data?.fields ?? [];
        this.data = error.data ?? {};
        this.isEnd = status === 401 || error.code === 401;
        this.isUnknown = error.code === -32601;
    }
}

/** Who is signed in: `{token, isOwn, user}`; null when nobody is. */
export function signedIn() {
    try {
        return JSON.parse(sessionStorage.getItem(KEPT));
    } catch {
        return null;
    }
}

export function keep(session) {
    if (session) sessionStorage.setItem(KEPT, JSON.stringify(session));
    else sessionStorage.removeItem(KEPT);
    known.clear();
}

async function send(body, token) {
    const headers = { 'Content-Type': 'application/json' };
    if (token) headers.Authorization = `Bearer ${token}`;
    let response;
    try {
        response = await fetch(RPC, { method: 'POST', headers, body: JSON.stringify(body), cache: 'no-store', credentials: 'omit', referrerPolicy: 'no-referrer' });
    } catch {
        throw new Refusal({ code: 'unreachable', message: 'The server does not answer. Check that it runs and that you are connected, then try again.' });
    }
    let answer;
    try {
        answer = await response.json();
    } catch {
        throw new Refusal({ code: 'unreadable', message: `The server answered ${response.status} with something that is no JSON. Is there a proxy in between?` });
    }
    return { answer, status: response.status };
}

function result(answer, status, token) {
    if (!answer.error) return answer.result;
    const refusal = new Refusal(answer.error, status);
    // Only the token of this tab can end the tab's work; one that is tried in the form has its own answer there.
    if (refusal.isEnd && token === signedIn()?.token) document.dispatchEvent(new CustomEvent('bureau:ended', { detail: refusal.message }));
    throw refusal;
}

/** What a method answers. */
export async function call(method, params = {}, token = signedIn()?.token) {
    const { answer, status } = await send({ jsonrpc: '2.0', id: 1, method, params }, token);
    return result(answer, status, token);
}

/** What many calls answer, each `{value}` or `{refusal}`, in their order. */
export async function calls(messages) {
    const token = signedIn()?.token;
    const outcomes = [];
    for (let start = 0; start < messages.length; start += BATCH) {
        const part = messages.slice(start, start + BATCH);
        const body = part.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params }));
        const { answer, status } = await send(body, token);
        if (!Array.isArray(answer)) result(answer, status, token);
        const byId = new Map(answer.map((one) => [one.id, one]));
        for (const id of part.keys()) {
            try {
                outcomes.push({ value: result(byId.get(id) ?? { error: { message: 'no answer' } }, 200, token) });
            } catch (refusal) {
                outcomes.push({ refusal });
            }
        }
    }
    return outcomes;
}

/** What was asked once and stays as it is while somebody is signed in. */
const known = new Map();

function once(key, ask) {
    if (!known.has(key)) {
        const asked = ask();
        known.set(key, asked);
        asked.catch(() => known.delete(key));
    }
    return known.get(key);
}

const resource = async (uri) => JSON.parse((await call('resources/read', { uri })).contents[0].text);

/** Every tool that the signed-in person may use here: name, title, toolset, effect, about. */
export const tools = () => once('tools', async () => (await resource('bureau://tools')).tools);

/** Everything about one tool. */
export const tool = (name) => once(`tool ${name}`, () => resource(`bureau://tools/${encodeURIComponent(name)}`));

/** The arguments that a tool takes; none when there is no such tool for this person. */
export async function argumentsOf(name) {
    const has = (await tools()).some((one) => one.name === name);
    return has ? Object.keys((await tool(name)).inputSchema.properties ?? {}) : [];
}

export const mayUse = async (name) => (await tools()).some((one) => one.name === name);

/** A key under which a write that is sent again is done once. */
export function freshKey() {
    return `console-${Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
