// A scripted server for the client module's own tests: it does what a healthy gateway seldom does (closes with any code at any
// moment, stays silent, repeats events). What the gateway itself does is tested against the gateway.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { WebSocketServer } from 'ws';

export const KEY = 'sk-double';

let serial = 0;

/** The events of one plain answer. */
export function answerEvents(pieces, { id = `resp_${++serial}`, status = 'completed', error = null } = {}) {
    const text = pieces.join('');
    const output = [
        { id: `msg_${id}`, type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text, annotations: [] }] },
    ];
    const usage = { input_tokens: 5, output_tokens: pieces.length, total_tokens: 5 + pieces.length };
    const response = { id, object: 'response', model: 'm', status: 'in_progress', output: [], usage: null, error: null };
    const events = [
        { type: 'response.created', response },
        ...pieces.map((delta) => ({ type: 'response.output_text.delta', output_index: 0, content_index: 0, delta })),
        { type: `response.${status === 'cancelled' ? 'incomplete' : status}`, response: { ...response, status, output, usage, error } },
    ];
    return events.map((event, i) => ({ ...event, sequence_number: i }));
}

export class Double {
    connections = []; // { socket, protocols, received: [message] }
    #waiters = [];

    static async start(script, port = 0) {
        const double = new Double();
        double.script = script;
        double.http = createServer((req, res) => double.#onHttp(req, res));
        double.wss = new WebSocketServer({ noServer: true, handleProtocols: (set) => [...set][0] });
        double.http.on('upgrade', (req, socket, head) => double.#onUpgrade(req, socket, head));
        double.http.listen(port, '127.0.0.1');
        await once(double.http, 'listening');
        double.port = double.http.address().port;
        double.url = `ws://127.0.0.1:${double.port}/v1/responses`;
        return double;
    }

    #onHttp(req, res) {
        const good = req.headers.authorization === `Bearer ${KEY}`;
        res.writeHead(good ? 200 : 401, { 'content-type': 'application/json' });
        const error = { type: 'authentication_error', code: 'invalid_api_key', message: 'Incorrect API key.', param: null };
        res.end(JSON.stringify(good ? { object: 'list', data: [{ id: 'm' }, { id: 'n' }] } : { error }));
    }

    #onUpgrade(req, socket, head) {
        const protocols = (req.headers['sec-websocket-protocol'] ?? '').split(/,\s*/);
        if (this.script?.refuse?.(req)) {
            socket.destroy();
            return;
        }
        if (!protocols.includes(`openai-insecure-api-key.${KEY}`)) {
            socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
            return;
        }
        this.wss.handleUpgrade(req, socket, head, (ws) => {
            const connection = { socket: ws, protocols, received: [], number: this.connections.length };
            connection.send = (event, lane) => ws.send(JSON.stringify(lane ? { ...event, stream_id: lane } : event));
            connection.answer = (message, pieces, options) => {
                const events = answerEvents(pieces, options);
                for (const event of events) connection.send(event, message.stream_id);
                return events[0].response.id;
            };
            ws.on('message', (data) => {
                const message = JSON.parse(data.toString());
                connection.received.push(message);
                this.script?.onMessage?.(connection, message);
                this.#wake();
            });
            ws.on('close', (code) => {
                connection.closed = code;
                this.#wake();
            });
            this.connections.push(connection);
            this.script?.onOpen?.(connection);
            this.#wake();
        });
    }

    #wake() {
        for (const waiter of [...this.#waiters]) waiter();
    }

    /** Resolves with the first truthy answer of `test`, asked whenever something happens here. */
    until(test) {
        return new Promise((resolve) => {
            const look = () => {
                const got = test();
                if (!got) return;
                this.#waiters = this.#waiters.filter((w) => w !== look);
                resolve(got);
            };
            this.#waiters.push(look);
            look();
        });
    }

    /** Messages of that type, over all connections. */
    received(type) {
        return this.connections.flatMap((c) => c.received).filter((m) => m.type === type);
    }

    stop() {
        for (const { socket } of this.connections) socket.terminate();
        this.wss.close();
        return new Promise((resolve) => this.http.close(resolve));
    }
}
