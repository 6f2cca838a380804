/**
 * Sluice: a client for the gateway's WebSocket (the OpenAI Responses WebSocket mode). No dependencies; runs in browsers and,
 * with a WebSocket class passed in, in Node.
 *
 *   import { SluiceClient } from './sluice.js';
 *   const client = new SluiceClient({ url: 'wss://host/v1/responses', token: 'ek_...' });
 *
 *   // One request:
 *   const answer = client.respond({ model: 'fast', input: 'Hello' }, { onDelta: (text) => show(text) });
 *   for await (const event of answer) { ... }     // every server event, if you want them
 *   const response = await answer.done;           // the finished response object
 *
 *   // A conversation, which continues by previous_response_id and survives lost connections:
 *   const lane = client.lane('chat');
 *   await lane.respond({ model: 'fast', input: 'My name is Ada.' }).done;
 *   await lane.respond({ model: 'fast', input: 'What is my name?' }, { signal }).done;
 *
 * Lanes run side by side; requests of one lane run in order. A request that was sent when its connection was lost fails with
 * code "connection_lost" and is not repeated by itself: it may have been paid for. Requests not yet sent wait for the next
 * connection. README.md in this folder tells the rest.
 */

import { Answer, SluiceError } from './sluice-answer.js';
import { Lane, byteLength } from './sluice-lane.js';
import { Link } from './sluice-link.js';

export { Answer, Lane, SluiceError };

/** The close codes after which connecting again may help; the official client has the same. */
const RECONNECT_CODES = new Set([1001, 1005, 1006, 1011, 1012, 1013, 1015]);
const TERMINALS = new Set(['response.completed', 'response.incomplete', 'response.failed', 'response.cancelled']);

const DEFAULTS = {
    pingInterval: 25_000, // ms of silence before a session.ping
    pongTimeout: 10_000, // ms without a byte after it: the connection is dead
    connectTimeout: 15_000,
    backoffBase: 500, // ms; doubles with each attempt
    backoffMax: 30_000,
    maxAttempts: 8, // in a row, without one message from the server
    maxInFlight: 16, // answers at once; more are queued here
    maxQueued: 64,
    maxLanes: 32,
    maxMessageBytes: 1024 * 1024, // of one request, and of a lane's history
    maxAnswerBytes: 16 * 1024 * 1024, // of one answer's events
    maxBufferedEvents: 10_000, // events that nobody has iterated over yet
    keepOpen: false, // connect again also when nothing waits
};

/**
 * The client. Fires "state" events, whose `detail` is { state, attempt, delay, error }: "idle" (connects when there is something
 * to send), "connecting", "open", "waiting" (for `delay` ms, to try again), "closed".
 */
export class SluiceClient extends EventTarget {
    #url;
    #token;
    #WebSocket;
    #fetch;
    #link = null;
    #leaving = new Set();
    #connecting = false;
    #turn = 0; // counts closes: what was begun before the last one is dropped
    #retryTimer = null;
    #attempt = 0;
    #lanes = new Map();
    #queue = []; // answers not yet sent, oldest first
    #busy = new Map(); // lane key -> Answer that was sent and has not ended at the server
    #state = 'idle';
    #random;

    /**
     * url        ws(s):// or http(s)://, or relative to the page; default: /v1/responses where the page came from
     * token      a key or client secret, or a function (async too) that gives one for each connection
     * WebSocket  the class to use; default: the global one
     * fetch      for models() and to learn why a connection was refused; default: the global one; null: none
     * and any of the limits and times in DEFAULTS.
     */
    constructor({ url = '/v1/responses', token, WebSocket, fetch = globalThis.fetch, random = Math.random, ...options } = {}) {
        super();
        this.#WebSocket = WebSocket ?? globalThis.WebSocket;
        if (!this.#WebSocket) throw new TypeError('SluiceClient: pass a WebSocket class, there is no global one');
        for (const name of Object.keys(options))
            if (!(name in DEFAULTS)) throw new TypeError(`SluiceClient: unknown option "${name}"`);
        this.#url = new URL(url, globalThis.location?.href);
        this.#url.protocol = this.#url.protocol.replace(/^http/, 'ws');
        this.#token = token;
        this.#fetch = fetch && ((...args) => fetch(...args));
        this.#random = random;
        this.options = { ...DEFAULTS, ...options };
    }

    get state() {
        return this.#state;
    }

    /** The conversation of that name; without a name, that of the default lane. At most `maxLanes` names. */
    lane(id = null) {
        if (id !== null && !/^[A-Za-z0-9_.-]{1,256}$/.test(id))
            throw new SluiceError('invalid_stream_id', 'A lane is named by 1 to 256 of A-Z a-z 0-9 _ . -', { param: 'stream_id' });
        let lane = this.#lanes.get(id);
        if (!lane) {
            if (this.#lanes.size >= this.options.maxLanes)
                throw new SluiceError('too_many_lanes', `At most ${this.options.maxLanes} lanes; drop one with dropLane().`);
            lane = new Lane(this, id);
            this.#lanes.set(id, lane);
        }
        return lane;
    }

    /** Forgets a lane's history. */
    dropLane(id = null) {
        this.#lanes.delete(id);
    }

    /**
     * One request, as it stands; `stream_id` in it names a lane.
     * Options: { onDelta(text, answer), onEvent(event, answer), signal }.
     */
    respond(body, options = {}) {
        const { stream_id: key = null, ...rest } = body;
        return this.submit(key, () => rest, options);
    }

    /** The names of the models that the key may use. */
    async models() {
        if (!this.#fetch) throw new SluiceError('no_fetch', 'This client was made without fetch.');
        const url = new URL('models', this.#url);
        url.protocol = url.protocol.replace(/^ws/, 'http');
        const headers = authorization(await this.#giveToken());
        const signal = AbortSignal.timeout(this.options.connectTimeout);
        const reply = await this.#fetch(url, { headers, signal });
        const body = await reply.json().catch(() => null);
        if (!reply.ok) {
            const retryAfter = Number(reply.headers.get('retry-after')) || null;
            const error = body?.error ?? { code: 'http_error', message: `The server answered ${reply.status}.` };
            throw SluiceError.from(error, { status: reply.status, retryAfter });
        }
        return (body?.data ?? []).map((model) => model.id);
    }

    /** Connects now, instead of with the first request. */
    connect() {
        if (!this.#link && !this.#connecting && this.#retryTimer === null) this.#connect();
    }

    /** Ends everything. Answers under way fail with code "closed"; a later request connects again. */
    close() {
        clearTimeout(this.#retryTimer);
        this.#retryTimer = null;
        const error = new SluiceError('closed', 'The connection was closed by this side.');
        const links = [...this.#leaving, ...(this.#link ? [this.#link] : [])];
        this.#link = null;
        this.#leaving.clear();
        this.#failQueued(error);
        for (const link of links) {
            this.#failRunning(link, error);
            link.close();
        }
        this.#attempt = 0;
        this.#connecting = false;
        this.#turn++;
        this.#setState('closed');
    }

    // ---- requests ----

    /** @internal */
    submit(key, compose, { onDelta, onEvent, signal } = {}, finished = null) {
        const answer = new Answer({ client: this, key, compose, onDelta, onEvent, signal, finished });
        if (signal?.aborted) {
            this.#finish(answer, signal.reason);
        } else if (this.#queue.length >= this.options.maxQueued) {
            this.#finish(answer, new SluiceError('queue_full', `${this.#queue.length} requests wait already.`));
        } else {
            this.#queue.push(answer);
            this.#pump();
        }
        return answer;
    }

    /** Sends what may be sent now: the oldest of each lane that has nothing running. */
    #pump() {
        if (this.#queue.length === 0) return;
        if (!this.#link?.open) {
            this.connect();
            return;
        }
        const blocked = new Set(this.#busy.keys());
        for (const answer of [...this.#queue]) {
            if (this.#busy.size >= this.options.maxInFlight || !this.#link) return;
            if (blocked.has(answer.key) || this.#send(answer)) blocked.add(answer.key);
        }
    }

    /** False when it failed on this side. */
    #send(answer) {
        const link = this.#link;
        this.#queue.splice(this.#queue.indexOf(answer), 1);
        let text;
        try {
            text = this.#encode(answer, link);
        } catch (error) {
            this.#finish(answer, error);
            return false;
        }
        answer.state = 'running';
        answer.link = link;
        answer.timings.sent = performance.now();
        this.#busy.set(answer.key, answer);
        link.running.set(answer.key, answer);
        link.send(text);
        return true;
    }

    #encode(answer, link) {
        const message = { ...answer.compose(link, answer), type: 'response.create' };
        if (answer.key !== null) message.stream_id = answer.key;
        const text = JSON.stringify(message);
        const [size, max] = [byteLength(text), this.options.maxMessageBytes];
        if (size > max)
            throw new SluiceError(
                'message_too_large',
                `The request has ${size} bytes, more than ${max}. Send less, or start a new conversation.`,
            );
        return text;
    }

    /** @internal */
    cancelAnswer(answer, reason) {
        if (answer.settled) return;
        if (answer.state === 'queued') {
            const at = this.#queue.indexOf(answer);
            if (at >= 0) this.#queue.splice(at, 1);
            this.#finish(answer, reason);
            return;
        }
        answer.state = 'stopping'; // the lane stays busy until the server has said its last word
        answer.end(reason);
        this.#sendCancel(answer);
    }

    #sendCancel(answer) {
        const lane = answer.key === null ? {} : { stream_id: answer.key };
        answer.link.send({ type: 'response.cancel', ...(answer.id ? { response_id: answer.id } : lane) });
    }

    #finish(answer, error) {
        answer.state = 'ended';
        answer.end(error);
    }

    /** The server is done with it. */
    #release(answer) {
        answer.link?.running.delete(answer.key);
        if (this.#busy.get(answer.key) === answer) this.#busy.delete(answer.key);
    }

    #failRunning(link, error) {
        for (const answer of [...link.running.values()]) {
            this.#release(answer);
            this.#finish(answer, error);
        }
    }

    #failQueued(error) {
        for (const answer of this.#queue.splice(0)) this.#finish(answer, error);
    }

    // ---- what comes in ----

    /** @internal */
    linkEvent(link, event, size) {
        this.#attempt = 0;
        if (event.type === 'session.pong') return;
        if (event.type === 'session.going_away') {
            this.#leave(link);
            return;
        }
        const answer = link.running.get(event.stream_id ?? null);
        if (event.type === 'error') {
            this.#onError(link, answer ?? this.#unanswered(link, event), event);
            return;
        }
        if (!answer) return;
        answer.bytes += size;
        const unnamed = answer.id === null;
        answer.take(event);
        if (TERMINALS.has(event.type)) this.#onTerminal(link, answer, event);
        else if (answer.bytes > this.options.maxAnswerBytes)
            this.cancelAnswer(answer, new SluiceError('answer_too_large', 'The answer is larger than maxAnswerBytes.'));
        else if (answer.state === 'stopping' && unnamed && answer.id) this.#sendCancel(answer);
    }

    /** A message that the server could not read has no lane in its error: it was the oldest that nothing has come for. */
    #unanswered(link, event) {
        return event.stream_id ? undefined : [...link.running.values()].find((answer) => answer.id === null);
    }

    #onTerminal(link, answer, event) {
        this.#release(answer);
        answer.finished?.(answer, link);
        const { response } = event;
        if (response?.status === 'cancelled')
            this.#finish(answer, new SluiceError('cancelled', 'The answer was cancelled.', { responseId: answer.id }));
        else if (event.type === 'response.failed')
            this.#finish(answer, SluiceError.from(response?.error, { responseId: answer.id }));
        else this.#finish(answer, null);
        this.#settle(link);
    }

    #onError(link, answer, event) {
        const error = SluiceError.from(event.error ?? event, { status: event.status, retryAfter: event.retry_after });
        if (error.code === 'response_not_found' || !answer) return; // a cancel that came too late
        this.#release(answer);
        if (!answer.settled && this.#mayRepeat(link, answer, error)) {
            answer.retries++;
            answer.state = 'queued';
            answer.link = null;
            this.#queue.unshift(answer);
        } else {
            answer.finished?.(answer, link);
            this.#finish(answer, error);
        }
        this.#settle(link);
    }

    /** Refused before it began, for a reason that another way of asking does not meet. */
    #mayRepeat(link, answer, error) {
        if (answer.id !== null || answer.retries >= 3) return false;
        if (error.code === 'previous_response_not_found' && answer.continued) {
            answer.whole = true;
            return true;
        }
        if (error.code === 'server_draining') {
            this.#leave(link);
            return true;
        }
        return false;
    }

    #settle(link) {
        if (link.leaving && link.running.size === 0) link.close();
        this.#pump();
    }

    // ---- connections ----

    async #giveToken() {
        return typeof this.#token === 'function' ? this.#token() : (this.#token ?? '');
    }

    async #connect() {
        const turn = this.#turn;
        this.#connecting = true;
        this.#setState('connecting');
        try {
            const protocols = ['responses', `openai-insecure-api-key.${await this.#giveToken()}`];
            if (turn !== this.#turn) return;
            this.#connecting = false;
            this.#link = new Link(this, new this.#WebSocket(this.#url.href, protocols));
        } catch (cause) {
            if (turn !== this.#turn) return;
            this.#connecting = false;
            this.#giveUp(cause?.name === 'SyntaxError' ? badToken() : cause);
        }
    }

    /** @internal */
    linkOpened(link) {
        if (link !== this.#link) return;
        this.#setState('open');
        this.#pump();
    }

    /** Sends no more on it; what runs there may finish, the rest goes over a new connection. */
    #leave(link) {
        if (link.leaving) return;
        link.leaving = true;
        this.#leaving.add(link);
        if (this.#link === link) {
            this.#link = null;
            this.#setState('idle');
        }
        if (link.running.size === 0) link.close();
        if (this.options.keepOpen) this.connect();
        else this.#pump();
    }

    /** @internal */
    linkEnded(link, code, reason) {
        this.#leaving.delete(link);
        const current = this.#link === link;
        if (current) this.#link = null;
        const why = reason ? `${code}, ${reason}` : `${code}`;
        const lost = `The connection was lost before the answer ended (${why}).`;
        this.#failRunning(link, new SluiceError('connection_lost', lost, { closeCode: code }));
        if (!current) this.#pump();
        else if (code === 1000) {
            this.#setState('idle');
            this.#pump();
        } else if (!RECONNECT_CODES.has(code)) {
            const text = `The server closed the connection (${why}).`;
            this.#giveUp(new SluiceError('connection_closed', text, { closeCode: code }));
        } else if (link.open) this.#retry(code);
        else this.#refused(code);
    }

    async #refused(code) {
        const turn = this.#turn;
        this.#connecting = true;
        const refusal = await this.#whyRefused();
        if (turn !== this.#turn) return;
        this.#connecting = false;
        if (refusal) this.#giveUp(refusal);
        else this.#retry(code);
    }

    /** A browser does not tell why a WebSocket was refused; the same key over HTTP does. Null: it may work later. */
    async #whyRefused() {
        if (!this.#fetch) return null;
        try {
            await this.models();
            return null;
        } catch (error) {
            const lasting = error instanceof SluiceError && error.status >= 400 && error.status < 500;
            return lasting && error.status !== 408 && error.status !== 429 ? error : null;
        }
    }

    #retry(code) {
        if (this.#queue.length === 0 && !this.options.keepOpen) {
            this.#setState('idle');
            return;
        }
        const { backoffBase, backoffMax, maxAttempts } = this.options;
        if (this.#attempt >= maxAttempts) {
            const text = `No connection to the server after ${this.#attempt + 1} attempts.`;
            this.#giveUp(new SluiceError('connection_failed', text, { closeCode: code }));
            return;
        }
        const grown = backoffBase * 2 ** this.#attempt * (code === 1013 ? 4 : 1);
        const delay = Math.round(Math.min(backoffMax, grown) * (0.5 + this.#random() / 2));
        this.#attempt++;
        this.#retryTimer = setTimeout(() => {
            this.#retryTimer = null;
            this.#connect();
        }, delay);
        this.#setState('waiting', { delay });
    }

    #giveUp(error) {
        this.#attempt = 0;
        this.#failQueued(error);
        this.#setState('closed', { error });
    }

    #setState(state, extra = {}) {
        this.#state = state;
        const detail = { state, attempt: this.#attempt, delay: null, error: null, ...extra };
        this.dispatchEvent(new CustomEvent('state', { detail }));
    }
}

function authorization(token) {
    try {
        return new Headers({ authorization: `Bearer ${token}` });
    } catch {
        throw badToken();
    }
}

function badToken() {
    const text = 'This key holds characters that no key has. Look for blanks, line breaks or special characters in it.';
    return new SluiceError('invalid_api_key', text, { status: 401 });
}
