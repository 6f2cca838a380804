// Part of sluice.js: one connection.

/** One socket and the answers that run on it. */
export class Link {
    open = false;
    leaving = false;
    running = new Map(); // lane key -> Answer
    #timer = null;
    #lastHeard = 0;

    constructor(client, socket) {
        this.client = client;
        this.socket = socket;
        const { connectTimeout } = client.options;
        this.#timer = setTimeout(() => this.#drop(1006, 'no connection in time'), connectTimeout);
        socket.addEventListener('open', () => this.#onOpen());
        socket.addEventListener('message', (e) => this.#onMessage(e.data));
        socket.addEventListener('close', (e) => this.#end(e.code, e.reason));
        socket.addEventListener('error', () => {}); // always followed by close
    }

    #onOpen() {
        if (this.ended) return;
        this.open = true;
        this.#lastHeard = performance.now();
        this.#schedulePing();
        this.client.linkOpened(this);
    }

    #schedulePing() {
        clearTimeout(this.#timer);
        const { pingInterval } = this.client.options;
        const quiet = performance.now() - this.#lastHeard;
        this.#timer = setTimeout(() => this.#ping(), Math.max(0, pingInterval - quiet));
    }

    #ping() {
        const { pingInterval, pongTimeout } = this.client.options;
        if (performance.now() - this.#lastHeard < pingInterval) {
            this.#schedulePing();
            return;
        }
        const asked = performance.now();
        this.#timer = setTimeout(() => {
            if (this.#lastHeard < asked) this.#drop(1006, 'no answer to a ping');
            else this.#schedulePing();
        }, pongTimeout);
        this.send({ type: 'session.ping' });
    }

    #onMessage(data) {
        if (this.ended) return;
        this.#lastHeard = performance.now();
        let event = null;
        try {
            event = typeof data === 'string' ? JSON.parse(data) : null;
        } catch {
            // handled as null
        }
        if (event === null || typeof event !== 'object') this.#drop(4002, 'the server sent something that is not JSON');
        else this.client.linkEvent(this, event, data.length);
    }

    send(message) {
        try {
            this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
        } catch {
            this.#drop(1006, 'could not send');
        }
    }

    /** Ends it for us now, whatever the network does about it. */
    #drop(code, reason) {
        try {
            this.socket.close(code === 1006 ? 4000 : code, reason);
        } catch {
            // not open yet, or no longer
        }
        this.#end(code, reason);
    }

    close() {
        this.#drop(1000, '');
    }

    #end(code, reason) {
        if (this.ended) return;
        this.ended = true;
        clearTimeout(this.#timer);
        this.client.linkEnded(this, code, reason);
    }
}
