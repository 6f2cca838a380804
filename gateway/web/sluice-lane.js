// Part of sluice.js: a conversation.
import { SluiceError } from './sluice-answer.js';

export const byteLength = (text) => new TextEncoder().encode(text).length;

/** A conversation: each request continues the one before it, whatever became of the connection in between. */
export class Lane {
    #history = [];
    #historyBytes = 0;
    #tooLong = false;
    #last = null; // { id, link }: what previous_response_id may name, and where
    #epoch = 0; // answers of before a reset() are not kept

    constructor(client, id) {
        this.client = client;
        this.id = id;
    }

    /** The items so far, inputs and outputs. */
    get history() {
        return structuredClone(this.#history);
    }

    /** Starts a new conversation in this lane, with nothing before it or with these items. */
    reset(history = []) {
        this.#history = [];
        this.#historyBytes = 0;
        this.#tooLong = false;
        this.#last = null;
        this.#epoch++;
        this.#append(structuredClone(history));
    }

    /** The next turn: as SluiceClient.respond, but `input` holds only what is new. */
    respond(body, options = {}) {
        const fresh = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : [...(body.input ?? [])];
        const epoch = this.#epoch;
        const compose = (link, answer) => {
            const last = answer.whole || body.previous_response_id ? null : this.#last;
            answer.continued = last !== null && last.link === link;
            if (answer.continued) return { ...body, input: fresh, previous_response_id: last.id };
            if (body.previous_response_id) return { ...body, input: fresh };
            if (this.#tooLong)
                throw new SluiceError(
                    'history_too_long',
                    'The connection was lost, and this conversation is too long to be sent again. Start a new one.',
                );
            return { ...body, input: [...this.#history, ...fresh] };
        };
        const finished = (answer, link) => {
            if (epoch === this.#epoch) this.#keep(answer, link, fresh);
        };
        return this.client.submit(this.id, compose, options, finished);
    }

    #keep(answer, link, fresh) {
        const { response } = answer;
        if (!response || response.status === 'failed' || response.status === 'in_progress') {
            this.#last = null; // the server has let it go as well
            return;
        }
        this.#append([...fresh, ...(response.output ?? []).map(inputOf).filter(Boolean)]);
        this.#last = response.id ? { id: response.id, link } : null;
    }

    #append(items) {
        if (this.#tooLong) return;
        this.#historyBytes += byteLength(JSON.stringify(items));
        this.#tooLong = this.#historyBytes > this.client.options.maxMessageBytes;
        if (this.#tooLong) this.#history = [];
        else this.#history.push(...items);
    }
}

/** An output item as the input item that repeats it. */
function inputOf(item) {
    if (item.type === 'function_call')
        return { type: 'function_call', call_id: item.call_id, name: item.name, arguments: item.arguments };
    if (item.type === 'message') {
        const text = (item.content ?? []).map((part) => part.text ?? part.refusal ?? '').join('');
        return text ? { role: 'assistant', content: text } : null;
    }
    return item.encrypted_content ? item : null;
}
