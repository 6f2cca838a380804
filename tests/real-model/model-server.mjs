// A real language model as an OpenAI-compatible provider on loopback: GET /v1/models, POST /v1/chat/completions (streaming or not).
// It stops generating when its client leaves. Run by itself: node model-server.mjs MODEL.gguf [PORT]
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { LlamaCompletion, getLlama } from 'node-llama-cpp';

const MAX_BODY = 1024 * 1024;
const MAX_TOKENS = 512; // when the client names no limit
const SEQUENCES = 2; // answers at once; others wait their turn
// A small model that was never taught to chat goes on with what it is given: so it is given the beginning of a conversation.
const OPENING = `A conversation with a helpful assistant, who answers in plain and correct English.

User: What is the capital of France?
Assistant: The capital of France is Paris, a city of about two million people on the river Seine.

User: Why is the sky blue?
Assistant: Sunlight is scattered by the air, and blue light is scattered more than red light.

`;

export async function startModelServer(modelPath, { port = 0, name = 'gemma-3-270m' } = {}) {
    const llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error' });
    const model = await llama.loadModel({ modelPath });
    // One thread: more of them wait for each other in busy loops, which on a machine that does other work too costs far more than it brings.
    const context = await model.createContext({ contextSize: 2048, sequences: SEQUENCES, threads: 1 });
    const server = new ModelServer(model, context, name);
    const listener = http.createServer((req, res) => server.handle(req, res).catch((error) => fail(res, 500, error.message)));
    listener.listen(port, '127.0.0.1');
    await once(listener, 'listening');
    return {
        name,
        url: `http://127.0.0.1:${listener.address().port}/v1`,
        stats: server.stats,
        /** Resolves when an answer was broken off because its client had left. */
        nextAbort: () => new Promise((resolve) => server.abortWaiters.push(resolve)),
        async close() {
            listener.close();
            listener.closeAllConnections();
            await server.idle();
            await context.dispose();
            await model.dispose();
            await llama.dispose();
        },
    };
}

function fail(res, status, message) {
    if (res.headersSent) {
        res.destroy();
        return;
    }
    res.writeHead(status, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ error: { message, type: status < 500 ? 'invalid_request_error' : 'server_error' } }));
}

async function bodyOf(req) {
    const parts = [];
    let size = 0;
    for await (const part of req) {
        size += part.length;
        if (size > MAX_BODY) throw new Error('the request is too large');
        parts.push(part);
    }
    return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

const textOf = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(''));

/** The conversation as text, up to where the assistant is to speak. */
function promptOf(messages) {
    if (!Array.isArray(messages) || messages.length === 0) throw new Error('messages: a list with at least one message');
    const names = { user: 'User', assistant: 'Assistant' };
    const turns = messages.map(({ role, content }) => `${names[role] ?? 'Note'}: ${textOf(content).trim()}\n\n`);
    return `${OPENING}${turns.join('')}Assistant:`;
}

class ModelServer {
    stats = { answers: 0, aborted: 0 };
    abortWaiters = [];
    #free;
    #waiting = [];
    #running = new Set();

    constructor(model, context, name) {
        Object.assign(this, { model, context, name });
        this.#free = SEQUENCES;
    }

    async idle() {
        await Promise.allSettled([...this.#running]);
    }

    async handle(req, res) {
        if (req.method === 'GET' && req.url === '/v1/models') {
            res.writeHead(200, { 'content-type': 'application/json' });
            res.end(JSON.stringify({ object: 'list', data: [{ id: this.name, object: 'model', created: 0, owned_by: 'local' }] }));
        } else if (req.method === 'POST' && req.url === '/v1/chat/completions') {
            const body = await bodyOf(req);
            const leaving = new AbortController();
            res.on('close', () => leaving.abort());
            const work = this.#inTurn(() => this.#answer(body, res, leaving.signal));
            this.#running.add(work);
            await work.finally(() => this.#running.delete(work));
        } else {
            fail(res, 404, `there is no ${req.method} ${req.url}`);
        }
    }

    async #inTurn(work) {
        if (this.#free === 0) await new Promise((resolve) => this.#waiting.push(resolve));
        else this.#free--;
        try {
            return await work();
        } finally {
            const next = this.#waiting.shift();
            if (next) next();
            else this.#free++;
        }
    }

    async #answer(body, res, signal) {
        if (signal.aborted) return;
        const prompt = promptOf(body.messages);
        const sequence = this.context.getSequence();
        const completion = new LlamaCompletion({ contextSequence: sequence, autoDisposeSequence: true });
        const reply = body.stream ? new StreamReply(res, this.name, body) : new WholeReply(res, this.name);
        const before = sequence.tokenMeter.getState();
        let begun = false;
        const say = (text) => {
            const piece = begun ? text : text.trimStart();
            begun ||= piece !== '';
            if (piece) reply.text(piece);
        };
        try {
            const { metadata } = await completion.generateCompletionWithMeta(prompt, {
                maxTokens: body.max_completion_tokens ?? body.max_tokens ?? MAX_TOKENS,
                temperature: body.temperature ?? 0,
                repeatPenalty: { penalty: 1.1, lastTokens: 64 },
                customStopTriggers: ['\n\nUser:', '\nUser:'],
                signal,
                onTextChunk: say,
            });
            this.stats.answers++;
            reply.end(metadata.stopReason === 'maxTokens' ? 'length' : 'stop', sequence.tokenMeter.diff(before));
        } catch (error) {
            if (!signal.aborted) throw error;
            this.#aborted();
        } finally {
            completion.dispose();
        }
    }

    #aborted() {
        this.stats.aborted++;
        for (const waiter of this.abortWaiters.splice(0)) waiter();
    }
}

const usageOf = ({ usedInputTokens, usedOutputTokens }) => ({
    prompt_tokens: usedInputTokens,
    completion_tokens: usedOutputTokens,
    total_tokens: usedInputTokens + usedOutputTokens,
});

class StreamReply {
    constructor(res, model, body) {
        this.res = res;
        this.head = { id: `chatcmpl-${randomUUID()}`, object: 'chat.completion.chunk', created: Math.floor(Date.now() / 1000), model };
        this.withUsage = body.stream_options?.include_usage === true;
        res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
        this.#choice({ role: 'assistant', content: '' });
    }

    #send(value) {
        this.res.write(`data: ${JSON.stringify({ ...this.head, ...value })}\n\n`);
    }

    #choice(delta, finish_reason = null) {
        this.#send({ choices: [{ index: 0, delta, finish_reason }] });
    }

    text(content) {
        this.#choice({ content });
    }

    end(finish, used) {
        this.#choice({}, finish);
        if (this.withUsage) this.#send({ choices: [], usage: usageOf(used) });
        this.res.end('data: [DONE]\n\n');
    }
}

class WholeReply {
    content = '';

    constructor(res, model) {
        Object.assign(this, { res, model });
    }

    text(piece) {
        this.content += piece;
    }

    end(finish_reason, used) {
        const message = { role: 'assistant', content: this.content };
        this.res.writeHead(200, { 'content-type': 'application/json' });
        this.res.end(JSON.stringify({
            id: `chatcmpl-${randomUUID()}`, object: 'chat.completion', created: Math.floor(Date.now() / 1000), model: this.model,
            choices: [{ index: 0, message, finish_reason }], usage: usageOf(used),
        }));
    }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const server = await startModelServer(process.argv[2], { port: Number(process.argv[3] ?? 0) });
    console.log(`${server.name} at ${server.url}`);
}
