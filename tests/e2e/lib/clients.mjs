// Small clients for tests: the official one, a raw WebSocket, a raw TCP connection. All of them wait for events.
import net from 'node:net';
import tls from 'node:tls';
import { once } from 'node:events';
import OpenAI from 'openai';
import { ResponsesWS } from 'openai/resources/responses/ws';
import WebSocket from 'ws';
import { testCertificate } from './gateway.mjs';

/** The official HTTP client against the plain listener. */
export function openai(gw, options = {}) {
    return new OpenAI({ apiKey: gw.key, baseURL: gw.url('/v1', { tls: false }), maxRetries: 0, ...options });
}

/** The official WebSocket client; `tls: true` goes to the TLS listener. Resolves when it is open. */
export async function responsesWS(gw, { tls: secure = false, apiKey = gw.key, ...options } = {}) {
    const client = new OpenAI({ apiKey, baseURL: gw.url('/v1', { tls: secure }), maxRetries: 0 });
    const ca = secure ? (await testCertificate()).pem : undefined;
    const ws = new ResponsesWS(client, { ca, ...options });
    return collect(ws);
}

/** Wraps an official connection: `ws.answer(create)` sends and resolves with all events up to the terminal. */
function collect(ws) {
    const TERMINAL = new Set(['response.completed', 'response.incomplete', 'response.failed', 'error']);
    ws.on('error', () => {}); // error events come through on('event') too
    ws.until = (lane, test) =>
        new Promise((resolve, reject) => {
            const events = [];
            const onEvent = (e) => {
                if ((e.stream_id ?? '') !== lane) return;
                events.push(e);
                if (test(e)) finish(resolve, events);
            };
            const onClose = (code) => finish(reject, new Error(`closed with ${code}`));
            const onLost = () => finish(reject, new Error('connection lost'));
            const finish = (settle, value) => {
                ws.off('event', onEvent);
                ws.off('close', onClose);
                ws.off('reconnecting', onLost);
                settle(value);
            };
            ws.on('event', onEvent);
            ws.on('close', onClose);
            ws.on('reconnecting', onLost);
        });
    ws.answer = (create) => {
        const done = ws.until(create.stream_id ?? '', (e) => TERMINAL.has(e.type));
        ws.send({ type: 'response.create', ...create });
        return done;
    };
    return ws;
}

export const textOf = (events) =>
    events.filter((e) => e.type === 'response.output_text.delta').map((e) => e.delta).join('');

/** A plain `ws` connection: { ws, next(), closed }. `next()` gives the next message, parsed. */
export async function rawWS(gw, { path = '/v1/responses', headers, protocols = [], tls: secure = false, key = gw.key, ...options } = {}) {
    const ca = secure ? (await testCertificate()).pem : undefined;
    const auth = key ? { authorization: `Bearer ${key}` } : {};
    const ws = new WebSocket(gw.wsUrl(path, { tls: secure }), protocols, { headers: { ...auth, ...headers }, ca, perMessageDeflate: false, ...options });
    const queue = [];
    const waiters = [];
    let end;
    const closed = new Promise((resolve) => {
        ws.on('close', (code, reason) => {
            end = { code, reason: reason.toString() };
            resolve(end);
            for (const w of waiters.splice(0)) w.reject(new Error(`closed with ${code} ${reason}`));
        });
    });
    ws.on('message', (data, isBinary) => {
        const value = isBinary ? data : data.toString();
        const w = waiters.shift();
        if (w) w.resolve(value);
        else queue.push(value);
    });
    const nextRaw = () => {
        if (queue.length > 0) return Promise.resolve(queue.shift());
        if (end) return Promise.reject(new Error(`closed with ${end.code}`));
        return new Promise((resolve, reject) => waiters.push({ resolve, reject }));
    };
    const c = {
        ws,
        closed,
        nextRaw,
        next: async () => JSON.parse(await nextRaw()),
        send: (value) => ws.send(typeof value === 'string' ? value : JSON.stringify(value)),
        async until(test) {
            const all = [];
            for (;;) {
                const e = await c.next();
                all.push(e);
                if (typeof test === 'string' ? e.type === test : test(e)) return all;
            }
        },
        async end() {
            if (ws.readyState === WebSocket.OPEN) ws.close(1000);
            return closed;
        },
    };
    await new Promise((resolve, reject) => {
        ws.once('open', resolve);
        ws.once('error', reject);
        ws.once('unexpected-response', (req, res) => {
            let body = '';
            res.on('data', (d) => (body += d));
            res.on('end', () => {
                const error = new Error(`refused with ${res.statusCode}`);
                error.status = res.statusCode;
                error.headers = res.headers;
                error.body = body;
                reject(error);
            });
        });
    });
    ws.on('error', () => {});
    return c;
}

/** A TCP or TLS connection whose bytes the test writes itself. */
export async function rawTCP(gw, { tls: secure = false } = {}) {
    const sock = secure
        ? tls.connect({ host: '127.0.0.1', port: gw.ports.https, ca: (await testCertificate()).pem, servername: 'localhost', ALPNProtocols: ['http/1.1'] })
        : net.connect({ host: '127.0.0.1', port: gw.ports.http });
    await once(sock, secure ? 'secureConnect' : 'connect');
    let data = Buffer.alloc(0);
    let ended = false;
    const waiters = new Set();
    const wake = () => [...waiters].forEach((w) => w());
    sock.on('data', (d) => {
        data = Buffer.concat([data, d]);
        wake();
    });
    sock.on('error', () => {});
    sock.on('close', () => {
        ended = true;
        wake();
    });
    const waitFor = (test) =>
        new Promise((resolve, reject) => {
            const look = () => {
                const got = test();
                if (got !== undefined && got !== false && got !== null) {
                    waiters.delete(look);
                    resolve(got);
                } else if (ended) {
                    waiters.delete(look);
                    reject(new Error(`closed; so far: ${data.toString('latin1').slice(0, 2000)}`));
                }
            };
            waiters.add(look);
            look();
        });
    const c = {
        sock,
        write: (s) => sock.write(s),
        get data() {
            return data;
        },
        get text() {
            return data.toString('latin1');
        },
        take(n) {
            const part = data.subarray(0, n);
            data = data.subarray(n);
            return part;
        },
        closed: () => (ended ? Promise.resolve() : new Promise((resolve) => sock.once('close', resolve))),
        bytes: async (n) => {
            await waitFor(() => data.length >= n);
            return c.take(n);
        },
        /** One HTTP answer: { status, headers, body }. */
        async response() {
            const head = await waitFor(() => {
                const at = data.indexOf('\r\n\r\n');
                return at >= 0 ? at + 4 : false;
            });
            const lines = c.take(head).toString('latin1').split('\r\n');
            const headers = {};
            for (const l of lines.slice(1)) {
                const at = l.indexOf(':');
                if (at > 0) headers[l.slice(0, at).toLowerCase()] = l.slice(at + 1).trim();
            }
            const status = Number(lines[0].split(' ')[1]);
            let body = '';
            if (headers['transfer-encoding'] === 'chunked') {
                for (;;) {
                    const at = await waitFor(() => {
                        const i = data.indexOf('\r\n');
                        return i >= 0 ? i : false;
                    });
                    const size = parseInt(c.take(at + 2).toString('latin1'), 16);
                    body += (await c.bytes(size + 2)).subarray(0, size).toString();
                    if (size === 0) break;
                }
            } else if (headers['content-length'] && status !== 101) {
                body = (await c.bytes(Number(headers['content-length']))).toString();
            }
            return { status, headers, body, json: () => JSON.parse(body) };
        },
        end: () => sock.destroy(),
    };
    return c;
}

/** A raw connection upgraded to WebSocket on `path`, whose frames the test writes. */
export async function rawFrames(gw, path = '/echo', options = {}) {
    const c = await rawTCP(gw, options);
    c.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${gw.ports.http}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
            `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n` +
            `Authorization: Bearer ${gw.key}\r\n\r\n`,
    );
    const head = await c.response();
    if (head.status !== 101) throw new Error(`no upgrade: ${head.status} ${head.body}`);
    return Object.assign(c, {
        handshake: head,
        /** { fin, opcode, payload } of the next frame from the server, which must not be masked. */
        async frame() {
            const [b0, b1] = await c.bytes(2);
            if (b1 & 0x80) throw new Error('the server masked a frame');
            let n = b1 & 0x7f;
            if (n === 126) n = (await c.bytes(2)).readUInt16BE();
            else if (n === 127) n = Number((await c.bytes(8)).readBigUInt64BE());
            return { fin: (b0 & 0x80) !== 0, rsv: (b0 >> 4) & 7, opcode: b0 & 15, payload: Buffer.from(await c.bytes(n)) };
        },
        /** The close code that the server sends next (pongs and data before it are passed over). */
        async closeCode() {
            for (;;) {
                const f = await this.frame();
                if (f.opcode === 8) return f.payload.length >= 2 ? f.payload.readUInt16BE() : 1005;
            }
        },
    });
}

/** A client frame as bytes. */
export function frame(opcode, payload = '', { fin = true, rsv = 0, mask = true, length, lengthBytes } = {}) {
    const body = Buffer.from(payload);
    const n = length ?? body.length;
    const size = lengthBytes ?? (n < 126 ? 0 : n < 65536 ? 2 : 8);
    const head = Buffer.alloc(2 + size);
    head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
    head[1] = (mask ? 0x80 : 0) | (size === 0 ? n : size === 2 ? 126 : 127);
    if (size === 2) head.writeUInt16BE(n, 2);
    if (size === 8) head.writeBigUInt64BE(BigInt(n), 2);
    if (!mask) return Buffer.concat([head, body]);
    const key = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
    return Buffer.concat([head, key, body.map((b, i) => b ^ key[i & 3])]);
}
