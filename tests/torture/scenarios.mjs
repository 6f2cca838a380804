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
        await use(c);
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
                res.on('aborted', () => reject(new Error('cut')));
            },
        );
        req.on('error', reject);
        req.end(text);
    });
}

/** What is not an error object must be an answer: nothing in between. */
function judge({ status, body }) {
    if (status === 200) return;
    const error = JSON.parse(body).error;
    if (!error?.type || !error.message) throw new Error(`${status} without a typed error: ${body}`);
}

const chat = (model, more = {}) => ({ model, messages: [{ role: 'user', content: 'hello' }], ...more });

async function ask(c, create) {
    c.send({ type: 'response.create', input: 'hello', ...create });
    return c.until((e) => terminal(e) && (e.stream_id ?? '') === (create.stream_id ?? ''));
}

export const scenarios = {
    'a WebSocket answer': (gw) => withWS(gw, {}, (c) => ask(c, { model: 'resp/tokens-4' })),
    'a WebSocket answer over TLS': (gw) => withWS(gw, { tls: true }, (c) => ask(c, { model: 'resp/tokens-4' })),
    'a WebSocket answer from a provider over TLS': (gw) => withWS(gw, {}, (c) => ask(c, { model: 'secure/tokens-4' })),
    'an HTTP stream': async (gw) => judge(await post(gw, '/v1/chat/completions', chat('chat/tokens-4', { stream: true }))),
    'an HTTP answer in one piece': async (gw) => judge(await post(gw, '/v1/responses', { model: 'chat/tokens-4', input: 'hello' })),
    'chat over a Responses provider': async (gw) => judge(await post(gw, '/v1/chat/completions', chat('resp/tokens-4'))),
    'an HTTP answer from a provider over TLS': async (gw) => judge(await post(gw, '/v1/chat/completions', chat('secure/tokens-4'))),
    'a cancelled answer': (gw) =>
        withWS(gw, {}, async (c) => {
            c.send({ type: 'response.create', input: 'hello', model: 'chat/tokens-100000.gap-5' });
            const first = await c.until((e) => terminal(e) || e.type === 'response.output_text.delta');
            if (terminal(first.at(-1))) return;
            c.send({ type: 'response.cancel', response_id: first[0].response.id });
            await c.until(terminal);
        }),
    'three lanes': (gw) =>
        withWS(gw, {}, async (c) => {
            const open = new Set(['a', 'b', 'c']);
            for (const stream_id of open) c.send({ type: 'response.create', input: 'hello', model: 'chat/tokens-3', stream_id });
            while (open.size > 0) {
                const e = await c.next();
                if (!terminal(e)) continue;
                if (e.stream_id === undefined) return; /* an error that no lane could be found for */
                open.delete(e.stream_id);
            }
        }),
    'a conversation that goes on': (gw) =>
        withWS(gw, {}, async (c) => {
            const events = await ask(c, { model: 'resp/tokens-3' });
            const last = events.at(-1);
            if (last.type !== 'response.completed') return;
            await ask(c, { model: 'resp/tokens-3', previous_response_id: last.response.id });
        }),
    'an error from the provider': async (gw) => judge(await post(gw, '/v1/responses', { model: 'chat/status-429.retry-7', input: 'hello' })),
    'an answer that is cut': (gw) => withWS(gw, {}, (c) => ask(c, { model: 'chat/tokens-50.cut-300' })),
    'a function call': async (gw) =>
        judge(await post(gw, '/v1/responses', {
            model: 'chat/x', input: 'call look {"q":"x"}', tools: [{ type: 'function', name: 'look', parameters: { type: 'object' } }],
        })),
    'a big message': (gw) => withWS(gw, {}, (c) => ask(c, { model: 'chat/tokens-2', input: 'x'.repeat(300_000) })),
    'a page and the list of models': (gw) =>
        Promise.all(['/', '/v1/models', '/nothing'].map((path) => fetch(gw.url(path, { tls: false }), {
            headers: { authorization: `Bearer ${gw.key}`, connection: 'close' },
        }).then((r) => r.text()))),
    'many connections at once': (gw) =>
        Promise.allSettled(Array.from({ length: 12 }, async (_, i) =>
            i % 2 ? judge(await post(gw, '/v1/chat/completions', chat('chat/tokens-2'))) : withWS(gw, {}, (c) => ask(c, { model: 'chat/tokens-2' })),
        )),
};

/** Those of which the worker comes to its end, with what must be there for them to have ended. */
export const lastScenarios = {
    drain: async (gw) => {
        const going = withWS(gw, {}, async (c) => {
            c.send({ type: 'response.create', input: 'hello', model: 'chat/tokens-10.gap-10' });
            const first = await c.next();
            process.kill(gw.pid, 'SIGTERM');
            if (!terminal(first)) await c.until(terminal);
            await c.closed;
        });
        await Promise.allSettled([going]);
        if (!gw.exited) process.kill(gw.pid, 'SIGTERM'); /* where there was no connection to begin with */
        await gw.ended();
    },
    reload: async (gw) => {
        const since = gw.mark();
        process.kill(gw.pid, 'SIGHUP');
        await gw.waitLog(/\bserving"? generation=\d+|\breload failed/, { since });
    },
};
