// Part of sluice.js: one answer, and the error type.

/** What the server, or this client, refuses. `code` is for programs, `message` for people. */
export class SluiceError extends Error {
    constructor(code, message, { param, status, type, retryAfter, closeCode, responseId } = {}) {
        super(message);
        this.name = 'SluiceError';
        this.code = code;
        this.param = param ?? null;
        this.status = status ?? null;
        this.type = type ?? null;
        /** Seconds, when the server named them. */
        this.retryAfter = retryAfter ?? null;
        this.closeCode = closeCode ?? null;
        this.responseId = responseId ?? null;
    }

    /** From an OpenAI error object. */
    static from(error, extra = {}) {
        const { code, message, param, type, retry_after: retryAfter } = error ?? {};
        const text = message ?? 'The server gave no reason.';
        return new SluiceError(code ?? type ?? 'server_error', text, { param, type, retryAfter, ...extra });
    }
}

/** One answer on its way: an async iterable of server events, with the text so far and a promise of the end. */
export class Answer {
    /** The text so far. Kept when the answer fails or is cancelled. */
    text = '';
    refusal = '';
    id = null;
    /** The finished response object, once there is one; also of a failed or cancelled answer. */
    response = null;
    /** performance.now() at each step, or null. */
    timings = { asked: performance.now(), sent: null, created: null, firstText: null, ended: null };
    /** "queued", "running", "stopping" or "ended". */
    state = 'queued';

    #events = [];
    #lost = false;
    #takers = [];
    #settle;
    #error = null;

    constructor({ client, key, compose, onDelta, onEvent, signal, finished }) {
        Object.assign(this, { client, key, compose, onDelta, onEvent, signal, finished });
        this.link = null;
        this.lastSequence = -1;
        this.bytes = 0;
        this.retries = 0;
        /** The response object (status "completed" or "incomplete"); rejects with a SluiceError, or the signal's reason. */
        this.done = new Promise((resolve, reject) => {
            this.#settle = { resolve, reject };
        });
        this.done.catch(() => {});
        this.onAbort = () => client.cancelAnswer(this, signal.reason);
        signal?.addEventListener('abort', this.onAbort, { once: true });
    }

    get usage() {
        return this.response?.usage ?? null;
    }

    /** Asks the server to stop. `done` rejects with `reason` at once; `text` keeps what had come. */
    cancel(reason = new SluiceError('cancelled', 'The answer was cancelled.')) {
        this.client.cancelAnswer(this, reason);
    }

    /** @internal Takes one server event, unless it is a repeat. */
    take(event) {
        const n = event.sequence_number;
        if (typeof n === 'number') {
            if (n <= this.lastSequence) return;
            this.lastSequence = n;
        }
        if (event.type === 'response.created') {
            this.id = event.response?.id ?? null;
            this.timings.created = performance.now();
        }
        if (event.response) this.response = event.response;
        if (this.#error) return;
        if (event.type === 'response.output_text.delta') {
            this.timings.firstText ??= performance.now();
            this.text += event.delta;
            this.onDelta?.(event.delta, this);
        } else if (event.type === 'response.refusal.delta') {
            this.refusal += event.delta;
        }
        this.onEvent?.(event, this);
        this.#push(event);
    }

    #push(event) {
        const taker = this.#takers.shift();
        if (taker) taker.resolve({ value: event, done: false });
        else if (this.#events.length < this.client.options.maxBufferedEvents) this.#events.push(event);
        else this.#lost = true;
    }

    /** @internal Settles `done` and the iterators; only the first call counts. */
    end(error) {
        if (this.#settle === null) return;
        this.timings.ended = performance.now();
        this.signal?.removeEventListener('abort', this.onAbort);
        this.#error = error;
        if (error) this.#settle.reject(error);
        else this.#settle.resolve(this.response);
        this.#settle = null;
        for (const taker of this.#takers.splice(0)) {
            if (error) taker.reject(error);
            else taker.resolve({ value: undefined, done: true });
        }
    }

    get settled() {
        return this.#settle === null;
    }

    [Symbol.asyncIterator]() {
        return {
            next: () => {
                if (this.#events.length > 0) return Promise.resolve({ value: this.#events.shift(), done: false });
                if (this.#lost)
                    return Promise.reject(new SluiceError('events_lost', 'More than maxBufferedEvents came before they were taken.'));
                if (this.#error) return Promise.reject(this.#error);
                if (this.settled) return Promise.resolve({ value: undefined, done: true });
                return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
            },
            return: () => Promise.resolve({ value: undefined, done: true }),
        };
    }
}
