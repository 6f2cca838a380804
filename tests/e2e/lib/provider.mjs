// A scripted provider on loopback, for tests: it speaks POST /v1/chat/completions, /v1/responses and /v1/messages, as SSE or as
// one JSON body, over HTTP/1.1, TLS or HTTP/2, and misbehaves exactly as told.
//
//   const p = await startProvider({ scripts: { 'my-model': { text: 'Hello there', gap: 5 } } });
//   ... base_url is p.url; ask the gateway for my-model ...
//   const x = await p.next();          // the exchanges, in the order in which they arrived
//   x.body, x.headers, x.path          // what the client (the gateway) sent
//   await x.closed                     // true: the client left before the answer was over; false: it was answered
//   await p.close();
//
// What is answered is chosen by the request's `model`: a script registered under that name (an object, or a function of the
// exchange that returns one, or a promise of one), else the name itself read as words joined by dots, each WORD or WORD-NUMBER:
//   tokens-64.gap-20   status-429.retry-7   silent   cut-300   json   drip-1   count-1000.noterminal   heartbeat-50.delay-400
// else { text: 'You said: LAST USER TEXT' }, or, when the request has tools and that text is `call NAME {json}`, that call.
//
// A script (all members optional):
//   text            the answer, streamed word by word           tokens      the same as a list of strings, or a number: "t0 t1 ..."
//   gap             ms between tokens                           delay       ms before the head of the answer
//   reasoning       reasoning text before the answer            refusal     refusal text instead of the answer
//   toolCalls       [{ name, arguments (string or value), id?, pieces? }]   arguments come in `pieces` (3) parts
//   usage           { input, output, cached, reasoning } token counts, or false for none
//   finish          'stop' | 'length' | 'tool_calls' | 'content_filter'     (default: what fits)
//   hold            stop after that many tokens until exchange.release()
//   json            answer a streaming request with one JSON body
//   status, headers, body, retry           answer that status with that body (string: text/html; value: JSON), Retry-After
//   raw             this string instead of the events (SSE garbage, malformed JSON ...); contentType beside it
//   silent          send nothing at all, until the client closes
//   hang            send everything but the end: neither terminal nor end of body
//   noterminal      end the body after the last token
//   nodone          end the body without the last marker ([DONE]), after finish and usage
//   failure         { code, message }: the provider's own error inside the stream, after the tokens
//   cut             destroy the connection after that many bytes of body (0: after the head; -1: before it)
//   reset           with cut: by RST instead of FIN
//   drip            write that many bytes at a time
//   heartbeat       ms between SSE comments, also before the first token
//   size            tokens of that many bytes each (huge answers)
import http from 'node:http';
import https from 'node:https';
import http2 from 'node:http2';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const WORDS = new Set(['tokens', 'gap', 'delay', 'hold', 'json', 'status', 'retry', 'silent', 'hang', 'noterminal', 'nodone',
    'cut', 'reset', 'drip', 'heartbeat', 'size']);

/** Reads a model name such as "tokens-64.gap-20" as a script; null when it is none. */
export function scriptOfName(name) {
    const script = {};
    for (const word of String(name).split('.')) {
        const [, key, value] = /^([a-z]+)(?:-(\d+))?$/.exec(word) ?? [];
        if (!WORDS.has(key)) return null;
        script[key] = value === undefined ? true : Number(value);
    }
    return script;
}

const hex = (n) => randomBytes(n).toString('hex');

/** The text of the last user message, in any dialect. */
export function lastUserText(body) {
    const items = body.messages ?? (typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : body.input) ?? [];
    const last = items.findLast((m) => m.role === 'user');
    if (!last) return '';
    if (typeof last.content === 'string') return last.content;
    return (last.content ?? []).map((c) => c.text ?? '').join('');
}

function defaultScript(x) {
    const said = lastUserText(x.body);
    const [, name, args] = /^call\s+([\w-]+)\s*(\{.*\})?$/s.exec(said) ?? [];
    if (name && x.body.tools?.length) return { toolCalls: [{ name, arguments: args ?? '{}' }] };
    return { text: `You said: ${said}` };
}

// n numbered tokens, made as they are sent: huge answers must not take long to begin.
class Numbered {
    constructor(n, size) {
        this.length = n;
        this.size = size;
    }
    *[Symbol.iterator]() {
        for (let i = 0; i < this.length; i++) yield (i ? ` t${i}` : 't0').padEnd(this.size ?? 0, 'x');
    }
    join(separator) {
        return [...this].join(separator);
    }
}

// A script with its defaults filled in.
function complete(script, x) {
    const s = { ...script };
    if (typeof s.tokens === 'number') s.tokens = new Numbered(s.tokens, s.size);
    s.tokens ??= s.text === undefined ? [] : s.text.match(/\s*\S+\s*$|\s*\S+/g) ?? [s.text];
    if (s.size && Array.isArray(s.tokens)) s.tokens = s.tokens.map((t) => t.padEnd(s.size, 'x'));
    s.toolCalls = (s.toolCalls ?? []).map((c, i) => ({
        id: c.id ?? `call_${hex(8)}`, name: c.name, pieces: c.pieces ?? 3, index: i,
        arguments: typeof c.arguments === 'string' ? c.arguments : JSON.stringify(c.arguments ?? {}),
    }));
    s.finish ??= s.toolCalls.length ? 'tool_calls' : 'stop';
    if (s.usage !== false) {
        s.usage = { input: x.raw.length >> 2, output: s.tokens.length, cached: 0, reasoning: 0, ...s.usage };
    }
    return s;
}

function pieces(text, n) {
    const size = Math.max(1, Math.ceil(text.length / n));
    return text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
}

const event = (data, name) => `${name ? `event: ${name}\n` : ''}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

// ---- chat completions ------------------------------------------------------------------------------------------------

const chatUsage = (u) => ({
    prompt_tokens: u.input, completion_tokens: u.output, total_tokens: u.input + u.output,
    prompt_tokens_details: { cached_tokens: u.cached }, completion_tokens_details: { reasoning_tokens: u.reasoning },
});

// Yields [bytes of the stream, whether it is a token].
function* chatEvents(s, x) {
    const head = { id: `chatcmpl-${hex(8)}`, object: 'chat.completion.chunk', created: 1700000000, model: x.model };
    const chunk = (delta, finish_reason = null) => event({ ...head, choices: [{ index: 0, delta, finish_reason }] });
    yield [chunk({ role: 'assistant', content: '' }), false];
    if (s.reasoning) for (const t of pieces(s.reasoning, 3)) yield [chunk({ reasoning_content: t }), true];
    if (s.refusal) for (const t of pieces(s.refusal, 3)) yield [chunk({ refusal: t }), true];
    for (const t of s.tokens) yield [chunk({ content: t }), true];
    for (const c of s.toolCalls) {
        yield [chunk({ tool_calls: [{ index: c.index, id: c.id, type: 'function', function: { name: c.name, arguments: '' } }] }), true];
        for (const t of pieces(c.arguments, c.pieces)) {
            yield [chunk({ tool_calls: [{ index: c.index, function: { arguments: t } }] }), true];
        }
    }
    if (s.failure) yield [event({ error: { type: 'server_error', param: null, ...s.failure } }), false];
    if (s.noterminal || s.hang || s.failure) return;
    yield [chunk({}, s.finish), false];
    if (s.usage && x.body.stream_options?.include_usage) yield [event({ ...head, choices: [], usage: chatUsage(s.usage) }), false];
    if (!s.nodone) yield [event('[DONE]'), false];
}

function chatObject(s, x) {
    const message = { role: 'assistant', content: s.tokens.length ? s.tokens.join('') : null, refusal: s.refusal ?? null };
    if (s.reasoning) message.reasoning_content = s.reasoning;
    if (s.toolCalls.length) {
        message.tool_calls = s.toolCalls.map((c) => ({ id: c.id, type: 'function', function: { name: c.name, arguments: c.arguments } }));
    }
    return {
        id: `chatcmpl-${hex(8)}`, object: 'chat.completion', created: 1700000000, model: x.model,
        choices: [{ index: 0, message, logprobs: null, finish_reason: s.finish }], ...(s.usage && { usage: chatUsage(s.usage) }),
    };
}

// ---- responses -------------------------------------------------------------------------------------------------------

const responsesUsage = (u) => ({
    input_tokens: u.input, input_tokens_details: { cached_tokens: u.cached }, output_tokens: u.output,
    output_tokens_details: { reasoning_tokens: u.reasoning }, total_tokens: u.input + u.output,
});

function outputItems(s) {
    const items = [];
    const id = (p) => `${p}_${hex(8)}`;
    if (s.reasoning) items.push({ id: id('rs'), type: 'reasoning', summary: [{ type: 'summary_text', text: s.reasoning }] });
    if (s.refusal) {
        items.push({ id: id('msg'), type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: s.refusal }] });
    } else if (s.tokens.length || !s.toolCalls.length) {
        items.push({
            id: id('msg'), type: 'message', role: 'assistant',
            content: [{ type: 'output_text', annotations: [], logprobs: [], get text() { return s.tokens.join(''); } }],
        });
    }
    for (const c of s.toolCalls) {
        items.push({ id: id('fc'), type: 'function_call', call_id: c.id, name: c.name, arguments: c.arguments, pieces: c.pieces });
    }
    return items;
}

function responseObject(s, x, id, status, output) {
    return {
        id, object: 'response', created_at: 1700000000, status, model: x.model, output, error: null,
        incomplete_details: status === 'incomplete' ? { reason: s.finish === 'length' ? 'max_output_tokens' : 'content_filter' } : null,
        parallel_tool_calls: true, tool_choice: 'auto', tools: [], usage: status === 'in_progress' || !s.usage ? null : responsesUsage(s.usage),
    };
}

const closedItem = ({ pieces: _, ...item }) => ({ ...item, status: 'completed' });

// What opens, fills and closes one output item: [type of event, its members, whether it is a token].
function* itemEvents(item, s, output_index) {
    const item_id = item.id;
    if (item.type === 'function_call') {
        yield ['response.output_item.added', { output_index, item: { ...closedItem(item), arguments: '', status: 'in_progress' } }];
        for (const delta of pieces(item.arguments, item.pieces)) {
            yield ['response.function_call_arguments.delta', { item_id, output_index, delta }, true];
        }
        yield ['response.function_call_arguments.done', { item_id, output_index, name: item.name, arguments: item.arguments }];
    } else if (item.type === 'reasoning') {
        const at = { item_id, output_index, summary_index: 0 };
        const { text } = item.summary[0];
        yield ['response.output_item.added', { output_index, item: { ...item, summary: [] } }];
        yield ['response.reasoning_summary_part.added', { ...at, part: { type: 'summary_text', text: '' } }];
        for (const delta of pieces(text, 3)) yield ['response.reasoning_summary_text.delta', { ...at, delta }, true];
        yield ['response.reasoning_summary_text.done', { ...at, text }];
        yield ['response.reasoning_summary_part.done', { ...at, part: item.summary[0] }];
    } else {
        const at = { item_id, output_index, content_index: 0 };
        const [part] = item.content;
        const [name, key] = part.type === 'refusal' ? ['refusal', 'refusal'] : ['output_text', 'text'];
        yield ['response.output_item.added', { output_index, item: { ...closedItem(item), status: 'in_progress', content: [] } }];
        const empty = key === 'text' ? { type: part.type, annotations: [], logprobs: [], text: '' } : { type: part.type, refusal: '' };
        yield ['response.content_part.added', { ...at, part: empty }];
        for (const delta of key === 'text' ? s.tokens : pieces(part.refusal, 3)) yield [`response.${name}.delta`, { ...at, delta }, true];
        if (s.noterminal || s.hang || s.failure) return;
        yield [`response.${name}.done`, { ...at, [key]: part[key] }];
        yield ['response.content_part.done', { ...at, part }];
    }
    yield ['response.output_item.done', { output_index, item: item.type === 'reasoning' ? item : closedItem(item) }];
}

function* responsesEvents(s, x) {
    const id = `resp_${hex(8)}`;
    let sequence_number = 0;
    const out = ([type, members, token = false]) => [event({ type, sequence_number: sequence_number++, ...members }, type), token];
    const status = ['length', 'content_filter'].includes(s.finish) ? 'incomplete' : 'completed';
    const items = outputItems(s);
    yield out(['response.created', { response: responseObject(s, x, id, 'in_progress', []) }]);
    yield out(['response.in_progress', { response: responseObject(s, x, id, 'in_progress', []) }]);
    for (const [i, item] of items.entries()) for (const e of itemEvents(item, s, i)) yield out(e);
    if (s.failure) {
        const response = { ...responseObject(s, x, id, 'failed', []), error: s.failure };
        yield out(['response.failed', { response }]);
    }
    if (s.noterminal || s.nodone || s.hang || s.failure) return;
    yield out([`response.${status}`, { response: responseObject(s, x, id, status, items.map(closedItem)) }]);
}

function responsesObject(s, x) {
    const status = ['length', 'content_filter'].includes(s.finish) ? 'incomplete' : 'completed';
    return responseObject(s, x, `resp_${hex(8)}`, status, outputItems(s).map(closedItem));
}

// ---- messages --------------------------------------------------------------------------------------------------------

const STOP_REASONS = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use', content_filter: 'refusal' };

// Input tokens are those beside the cache.
const messagesUsage = (u) => ({
    input_tokens: u.input - u.cached, cache_creation_input_tokens: 0, cache_read_input_tokens: u.cached, output_tokens: u.output,
    output_tokens_details: { thinking_tokens: u.reasoning },
});

// [the block as it begins, the block when it is whole, its deltas]
function* messagesBlocks(s) {
    if (s.reasoning) {
        const begun = { type: 'thinking', thinking: '', signature: '' };
        const deltas = pieces(s.reasoning, 3).map((thinking) => ({ type: 'thinking_delta', thinking }));
        yield [begun, { ...begun, thinking: s.reasoning, signature: 'c2ln' }, [...deltas, { type: 'signature_delta', signature: 'c2ln' }]];
    }
    const tokens = s.refusal ? pieces(s.refusal, 3) : s.tokens;
    if (tokens.length) {
        const deltas = (function* () { for (const text of tokens) yield { type: 'text_delta', text }; })();
        yield [{ type: 'text', text: '' }, { type: 'text', get text() { return tokens.join(''); } }, deltas];
    }
    for (const c of s.toolCalls) {
        const begun = { type: 'tool_use', id: c.id, name: c.name, input: {} };
        const deltas = pieces(c.arguments, c.pieces).map((partial_json) => ({ type: 'input_json_delta', partial_json }));
        yield [begun, { ...begun, get input() { return JSON.parse(c.arguments); } }, deltas];
    }
}

function messagesMessage(s, x, content, ended) {
    return {
        id: `msg_${hex(8)}`, type: 'message', role: 'assistant', model: x.model, content, stop_sequence: null,
        stop_reason: ended ? (s.refusal ? 'refusal' : STOP_REASONS[s.finish]) : null,
        ...(s.usage && { usage: messagesUsage(ended ? s.usage : { ...s.usage, output: 1 }) }),
    };
}

function* messagesEvents(s, x) {
    const out = (type, members) => event({ type, ...members }, type);
    yield [out('message_start', { message: messagesMessage(s, x, [], false) }), false];
    let index = 0;
    for (const [content_block, , deltas] of messagesBlocks(s)) {
        yield [out('content_block_start', { index, content_block }), false];
        for (const delta of deltas) yield [out('content_block_delta', { index, delta }), delta.type !== 'signature_delta'];
        if ((s.noterminal || s.hang || s.failure) && content_block.type === 'text') break;
        yield [out('content_block_stop', { index: index++ }), false];
    }
    if (s.failure) yield [out('error', { error: { type: 'api_error', ...s.failure } }), false];
    if (s.noterminal || s.hang || s.failure) return;
    const { stop_reason, stop_sequence } = messagesMessage(s, x, [], true);
    const usage = s.usage && { usage: { output_tokens: s.usage.output, output_tokens_details: { thinking_tokens: s.usage.reasoning } } };
    yield [out('message_delta', { delta: { stop_reason, stop_sequence }, ...usage }), false];
    if (!s.nodone) yield [out('message_stop', {}), false];
}

const messagesObject = (s, x) => messagesMessage(s, x, [...messagesBlocks(s)].map(([, whole]) => whole), true);

const DIALECTS = {
    '/messages': { events: messagesEvents, object: messagesObject },
    '/chat/completions': { events: chatEvents, object: chatObject },
    '/responses': { events: responsesEvents, object: responsesObject },
};

// ---- serving ---------------------------------------------------------------------------------------------------------

/** One request and its answer. */
class Exchange {
    constructor(req, res, raw, connection) {
        this.method = req.method;
        this.path = req.url;
        this.headers = req.headers;
        this.httpVersion = req.httpVersion;
        this.raw = raw;
        this.connection = connection; // number of the TCP connection, from 1
        this.res = res;
        this.bytes = 0; // of the body, sent so far
        this.gone = false;
        this.writing = new Set();
        this.aborter = new AbortController();
        this.closed = new Promise((resolve) => {
            res.on('close', () => {
                this.gone = true;
                this.aborter.abort();
                this.closedAt = performance.now();
                for (const wake of this.writing) wake();
                resolve(!this.over);
            });
        });
        this.held = new Promise((resolve) => { this.release = resolve; });
        try { this.body = JSON.parse(raw); } catch { this.body = {}; }
        this.model = this.body.model ?? '';
    }

    async wait(ms) {
        await sleep(ms, undefined, { signal: this.aborter.signal }).catch(() => {});
    }

    // Resolves when the bytes have left for the kernel.
    push(data) {
        if (this.gone) return Promise.resolve();
        this.bytes += data.length;
        return new Promise((resolve) => {
            this.writing.add(resolve);
            this.res.write(data, () => {
                this.writing.delete(resolve);
                resolve();
            });
        });
    }

    destroy(reset) {
        this.over = true;
        const socket = this.res.stream?.session?.socket ? null : this.res.socket;
        if (!socket) this.res.stream?.session ? this.res.stream.session.destroy() : this.res.destroy();
        else if (reset) socket.resetAndDestroy();
        else socket.destroy();
    }

    // Writes text as the script says: dripping, or cut. False when nothing more may be written.
    async write(text, s) {
        const data = Buffer.from(text);
        const step = s.drip || data.length;
        for (let at = 0; at < data.length && !this.gone; at += step) {
            let part = data.subarray(at, at + step);
            if (s.cut !== undefined) part = part.subarray(0, Math.max(0, s.cut - this.bytes));
            if (part.length) await this.push(part);
            if (s.cut !== undefined && this.bytes >= s.cut) {
                this.destroy(s.reset);
                return false;
            }
            if (s.drip) await new Promise(setImmediate);
        }
        return !this.gone;
    }

    finish() {
        this.over = true;
        this.res.end();
    }
}

async function streamEvents(x, s, dialect) {
    let tokens = 0;
    x.res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache', ...s.headers });
    x.res.flushHeaders?.();
    let beat;
    if (s.heartbeat) beat = setInterval(() => void x.push(Buffer.from(': still here\n\n')), s.heartbeat);
    try {
        if (s.cut === 0) return void (await x.push(Buffer.alloc(0)), x.destroy(s.reset));
        if (s.delay) await x.wait(s.delay);
        for (const [text, token] of dialect.events(s, x)) {
            if (x.gone) return;
            if (token && s.hold !== undefined && tokens === s.hold) await Promise.race([x.held, x.closed]);
            if (token && s.gap && tokens) await x.wait(s.gap);
            if (token && ++tokens % 32 === 0) await new Promise(setImmediate); // let the others run
            if (!(await x.write(text, s))) return;
        }
    } finally {
        if (!s.hang) clearInterval(beat);
        else x.closed.then(() => clearInterval(beat));
    }
    if (!s.hang && !x.gone) x.finish();
}

async function sendBody(x, s, status, type, body) {
    if (s.delay) await x.wait(s.delay);
    if (x.gone) return;
    const headers = { 'content-type': type, ...s.headers };
    if (s.retry) headers['retry-after'] = String(s.retry);
    if (s.cut === undefined) headers['content-length'] = Buffer.byteLength(body);
    x.res.writeHead(status, headers);
    x.res.flushHeaders?.();
    if (await x.write(body, s)) x.finish();
}

async function answer(provider, x) {
    const dialect = DIALECTS[x.path.replace(/^\/v1/, '').replace(/\?.*$/, '')];
    if (x.method !== 'POST' || !dialect) {
        return sendBody(x, {}, 404, 'application/json', JSON.stringify({ error: { message: `no ${x.method} ${x.path}`, type: 'invalid_request_error', param: null, code: null } }));
    }
    let chosen = provider.scripts.get(x.model) ?? scriptOfName(x.model) ?? defaultScript(x);
    if (typeof chosen === 'function') chosen = await chosen(x);
    const s = complete(chosen, x);
    x.script = s;
    if (s.silent) return undefined;
    if (s.cut === -1) return x.destroy(s.reset);
    if (s.status && s.status !== 200) {
        const body = s.body ?? { error: { message: `scripted ${s.status}`, type: 'scripted_error', param: null, code: `scripted_${s.status}` } };
        return typeof body === 'string' ? sendBody(x, s, s.status, s.contentType ?? 'text/html', body)
            : sendBody(x, s, s.status, s.contentType ?? 'application/json', JSON.stringify(body));
    }
    if (s.raw !== undefined) return sendBody(x, s, 200, s.contentType ?? 'text/event-stream', s.raw);
    if (s.json || x.body.stream !== true) return sendBody(x, s, 200, 'application/json', JSON.stringify(dialect.object(s, x)));
    return streamEvents(x, s, dialect);
}

class Provider {
    constructor(scripts) {
        this.scripts = new Map(Object.entries(scripts));
        this.requests = []; // every exchange so far
        this.connections = 0; // accepted so far
        this.sockets = new Set();
        this.numbers = new Map();
        this.taken = 0;
        this.waiting = [];
        this.arrived = () => { for (const w of this.waiting.splice(0)) w(); };
    }

    /** Registers (or replaces) what `model` answers. */
    script(model, script) {
        this.scripts.set(model, script);
    }

    /** The next exchange not yet taken by next(); with `test`, the next that it likes (those before it are passed over). */
    async next(test = () => true) {
        for (;;) {
            while (this.taken >= this.requests.length) await new Promise((resolve) => this.waiting.push(resolve));
            const x = this.requests[this.taken++];
            if (test(x)) return x;
        }
    }

    accept(socket) {
        this.sockets.add(socket);
        const { remotePort } = socket; // by which a TLS socket or an HTTP/2 session over it is known again
        this.numbers.set(remotePort, ++this.connections);
        socket.on('close', () => this.sockets.delete(socket));
        socket.on('error', () => {});
    }

    async handle(req, res) {
        const chunks = [];
        res.on('error', () => {});
        req.on('error', () => {});
        const number = this.numbers.get(req.socket?.remotePort);
        try { for await (const c of req) chunks.push(c); } catch { return; }
        const x = new Exchange(req, res, Buffer.concat(chunks).toString(), number);
        this.requests.push(x);
        this.arrived();
        await answer(this, x);
    }

    async close() {
        const closed = new Promise((resolve) => this.server.close(resolve));
        for (const s of this.sockets) s.destroy();
        await closed;
    }
}

/**
 * Starts one. `tls`: { key, cert } (PEM); `http2`: offer h2 by ALPN besides http/1.1 (needs tls); `http2Settings`: such as
 * { maxConcurrentStreams: 10 }.
 */
export async function startProvider({ scripts = {}, tls, http2: h2 = false, http2Settings, host = '127.0.0.1', port = 0 } = {}) {
    const provider = new Provider(scripts);
    const handler = (req, res) => void provider.handle(req, res);
    if (h2) {
        provider.server = http2.createSecureServer({ ...tls, allowHTTP1: true, settings: http2Settings }, handler);
        provider.server.on('session', (session) => session.on('error', () => {}));
    } else {
        provider.server = tls ? https.createServer(tls, handler) : http.createServer({ noDelay: true }, handler);
    }
    provider.server.on('connection', (s) => provider.accept(s));
    provider.server.on('tlsClientError', () => {});
    await new Promise((resolve, reject) => {
        provider.server.once('error', reject);
        provider.server.listen(port, host, resolve);
    });
    provider.port = provider.server.address().port;
    provider.origin = `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${provider.port}`;
    provider.url = `${provider.origin}/v1`;
    return provider;
}
