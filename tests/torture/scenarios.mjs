// What clients do while a call fails. Each ends with an answer, a typed error or a closed connection, whatever fails: the promise must
// settle. What it must not do is wait for ever; the test gives it STUCK_MS.
import http from 'node:http';
import { rawWS } from '../e2e/lib/clients.mjs';

const TERMINALS = new Set(['response.completed', 'response.incomplete', 'response.failed', 'error']);
const terminal = (e) => TERMINALS.has(e.type);

/** A WebSocket that is closed in the end, also when `use` throws. */
async function withWS(gw, options, use) {
    const c = await rawWS(gw, { handshakeTimeout: 60_000, ...options });
    try {
        return await use(c);
    } finally {
        c.ws.terminate();
        await c.closed;
    }
}

/** One request on a connection of its own: { status, body }, or the connection's error. */
export function post(gw, path, body) {
    return new Promise((resolve, reject) => {
        const text = JSON.stringify(body);
        const req = http.request(
            {
                host: '127.0.0.1', port: gw.ports.http, path, method: 'POST', agent: false,
                headers: { authorization: `Bearer ${gw.key}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
            },
            (res) => {
                let got = '';
                res.setEncoding('utf8');
                res.on('data', (d) => (got += d));
                res.on('end', () => resolve({ status: res.statusCode, body: got }));
                res.on('error', reject);
            },
        );
        req.on('error', reject);
        req.end(text);
    });
}

/** The status. What is not an error object must be an answer: nothing in between. */
async function statusOf(answer) {
    const { status, body } = await answer;
    if (status === 200) return status;
    const error = JSON.parse(body).error;
    if (!error?.type || !error.message) throw new Error(`${status} without a typed error: ${body}`);
    return status;
}

const chat = (gw, model, more = {}) =>
    statusOf(post(gw, '/v1/chat/completions', { model, messages: [{ role: 'user', content: 'hello' }], ...more }));
const respond = (gw, model, more = {}) => statusOf(post(gw, '/v1/responses', { model, input: 'hello', ...more }));

/** The type of the event that ends the answer. */
async function ask(c, create) {
    c.send({ type: 'response.create', input: 'hello', ...create });
    return (await c.until(terminal)).at(-1);
}
const askOnce = (gw, create, options = {}) => withWS(gw, options, async (c) => (await ask(c, create)).type);

async function cancel(c) {
    c.send({ type: 'response.create', input: 'hello', model: 'chat/tokens-100000.gap-5' });
    const first = await c.until((e) => terminal(e) || e.type === 'response.output_text.delta');
    if (terminal(first.at(-1))) return first.at(-1).type;
    c.send({ type: 'response.cancel', response_id: first[0].response.id });
    return (await c.until(terminal)).at(-1).type;
}

async function threeLanes(c) {
    const ends = {};
    for (const stream_id of ['a', 'b', 'c']) c.send({ type: 'response.create', input: 'hello', model: 'chat/tokens-3', stream_id });
    while (Object.keys(ends).length < 3) {
        const e = await c.next();
        if (!terminal(e)) continue;
        if (e.stream_id === undefined) return ends; /* an error for which no lane could be found */
        ends[e.stream_id] = e.type;
    }
    return ends;
}

async function goOn(c) {
    const first = await ask(c, { model: 'resp/tokens-3' });
    if (first.type !== 'response.completed') return first.type;
    return (await ask(c, { model: 'resp/tokens-3', previous_response_id: first.response.id })).type;
}

const look = { input: 'call look {"q":"x"}', tools: [{ type: 'function', name: 'look', parameters: { type: 'object' } }] };

async function get(gw, path) {
    const r = await fetch(gw.url(path, { tls: false }), { headers: { authorization: `Bearer ${gw.key}`, connection: 'close' } });
    await r.text();
    return r.status;
}

async function crowd(gw) {
    const all = Array.from({ length: 12 }, (_, i) => (i % 2 ? chat(gw, 'chat/tokens-2') : askOnce(gw, { model: 'chat/tokens-2' })));
    const ends = await Promise.allSettled(all);
    const wrong = ends.find((e) => e.status === 'rejected' && /without a typed error|JSON/.test(e.reason.message));
    if (wrong) throw wrong.reason;
    return ends.filter((e) => e.status === 'fulfilled').length;
}

/** `expected`: what comes of it when nothing fails. */
export const scenarios = {
    'a WebSocket answer': { run: (gw) => askOnce(gw, { model: 'resp/tokens-4' }), expected: 'response.completed' },
    'a WebSocket answer over TLS': { run: (gw) => askOnce(gw, { model: 'resp/tokens-4' }, { tls: true }), expected: 'response.completed' },
    'a WebSocket answer from a provider over TLS': { run: (gw) => askOnce(gw, { model: 'secure/tokens-4' }), expected: 'response.completed' },
    'an HTTP stream': { run: (gw) => chat(gw, 'chat/tokens-4', { stream: true }), expected: 200 },
    'an HTTP answer in one piece': { run: (gw) => respond(gw, 'chat/tokens-4'), expected: 200 },
    'an HTTP answer from a provider over TLS': { run: (gw) => chat(gw, 'secure/tokens-4'), expected: 200 },
    'chat over a Responses provider': { run: (gw) => chat(gw, 'resp/tokens-4'), expected: 200 },
    'a cancelled answer': { run: (gw) => withWS(gw, {}, cancel), expected: 'response.incomplete' },
    'three lanes': {
        run: (gw) => withWS(gw, {}, threeLanes),
        expected: { a: 'response.completed', b: 'response.completed', c: 'response.completed' },
    },
    'a conversation that goes on': { run: (gw) => withWS(gw, {}, goOn), expected: 'response.completed' },
    'an error from the provider': { run: (gw) => respond(gw, 'chat/status-429.retry-7'), expected: 429 },
    'an answer that is cut': { run: (gw) => askOnce(gw, { model: 'chat/tokens-50.cut-300' }), expected: 'response.failed' },
    'a function call': { run: (gw) => respond(gw, 'chat/x', look), expected: 200 },
    'a big message': { run: (gw) => askOnce(gw, { model: 'chat/tokens-2', input: 'x'.repeat(300_000) }), expected: 'response.completed' },
    'a page and the list of models': {
        run: (gw) => Promise.all(['/', '/v1/models', '/nothing'].map((path) => get(gw, path))),
        expected: [200, 200, 404],
    },
    'many connections at once': { run: crowd, expected: 12 },
};

/** Those of which the worker comes to its end. */
export const lastScenarios = {
    drain: async (gw) => {
        const going = withWS(gw, {}, async (c) => {
            c.send({ type: 'response.create', input: 'hello', model: 'chat/tokens-10.gap-10' });
            const first = await c.next();
            process.kill(gw.pid, 'SIGTERM');
            if (!terminal(first)) await c.until(terminal);
            await c.closed;
        });
        await going.catch(() => {});
        if (!gw.exited) process.kill(gw.pid, 'SIGTERM'); /* where there was no connection to begin with */
        await gw.ended();
    },
    reload: async (gw) => {
        const since = gw.mark();
        process.kill(gw.pid, 'SIGHUP');
        await gw.waitLog(/\bserving"? generation=\d+|\breload failed/, { since });
    },
};
