// HTTP/1.1 as an attacker speaks it: smuggling, upgrade tricks, floods, drips. The server answers or closes; it never hangs, spins or
// takes one request for two.
import assert from 'node:assert/strict';
import net from 'node:net';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { rawFrames, rawTCP, rawWS } from './lib/clients.mjs';
import { startGateway } from './lib/gateway.mjs';

let gw;
before(async () => {
    gw = await startGateway({ config: { workers: 1, timeouts: { handshake: '2s' }, limits: { max_message_bytes: 65536 } } });
});
after(() => gw.stop());

const CHAT = JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'count to 2' }] });
const auth = () => `Host: localhost\r\nAuthorization: Bearer ${gw.key}\r\nContent-Type: application/json\r\n`;
const post = (extra, body = CHAT) => `POST /v1/chat/completions HTTP/1.1\r\n${auth()}${extra}\r\n${body}`;
const plain = (body = CHAT) => post(`Content-Length: ${Buffer.byteLength(body)}\r\n`, body);
const get = (path, extra = '') => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${extra}\r\n`;

describe('request smuggling is refused, and the connection closed', () => {
    for (const [what, request] of [
        ['Content-Length with Transfer-Encoding', () => post(`Content-Length: ${CHAT.length}\r\nTransfer-Encoding: chunked\r\n`, '0\r\n\r\n')],
        ['two different Content-Lengths', () => post(`Content-Length: ${CHAT.length}\r\nContent-Length: 5\r\n`)],
        ['a list as Content-Length', () => post(`Content-Length: ${CHAT.length}, 5\r\n`)],
        ['a signed Content-Length', () => post(`Content-Length: +${CHAT.length}\r\n`)],
        ['a hexadecimal Content-Length', () => post('Content-Length: 0x10\r\n')],
        ['a Content-Length past 2^64', () => post('Content-Length: 99999999999999999999999\r\n')],
        ['an unknown transfer coding', () => post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n')],
        ['chunked twice', () => post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
        ['a folded header', () => post('X-A: 1\r\n  2\r\nContent-Length: 0\r\n', '')],
        ['a space before the colon', () => post(`Content-Length : ${CHAT.length}\r\n`)],
        ['a bare CR in a header', () => post(`X-A: a\rb\r\nContent-Length: ${CHAT.length}\r\n`)],
        ['a NUL in a header', () => post(`X-A: a\0b\r\nContent-Length: ${CHAT.length}\r\n`)],
        ['no Host', () => 'GET / HTTP/1.1\r\n\r\n'],
        ['two Hosts', () => 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
        ['a bad chunk size', () => post('Transfer-Encoding: chunked\r\n', 'zz\r\n')],
        ['a chunk that is longer than it says', () => post('Transfer-Encoding: chunked\r\n', '1\r\nab\r\n0\r\n\r\n')],
        ['HTTP/0.9', () => 'GET /\r\n\r\n'],
        ['HTTP/2 with prior knowledge', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
        ['a bad method token', () => 'G(T / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ]) {
        it(what, async () => {
            const c = await rawTCP(gw);
            c.write(request());
            const r = await c.response();
            assert.ok([400, 413, 501, 505].includes(r.status), `status ${r.status}`);
            await c.closed();
            c.end();
        });
    }
});

describe('what is legal works', () => {
    it('a chunked body, in pieces, with an extension and a trailer', async () => {
        const c = await rawTCP(gw);
        const half = CHAT.length >> 1;
        c.write(post('Transfer-Encoding: chunked\r\n', ''));
        c.write(`${half.toString(16)};x=y\r\n${CHAT.slice(0, half)}\r\n`);
        c.write(`${(CHAT.length - half).toString(16).toUpperCase()}\r\n${CHAT.slice(half)}\r\n0\r\nX-T: 1\r\n\r\n`);
        const r = await c.response();
        assert.equal(r.status, 200);
        assert.equal(r.json().object, 'chat.completion');
        c.write(get('/v1/models', `Authorization: Bearer ${gw.key}\r\n`));
        assert.equal((await c.response()).status, 200);
        c.end();
    });
    it('pipelined requests, each answered once and in order', async () => {
        const c = await rawTCP(gw);
        c.write(plain() + get('/nowhere') + plain() + get('/v1/models', `Authorization: Bearer ${gw.key}\r\n`));
        const all = [await c.response(), await c.response(), await c.response(), await c.response()];
        assert.deepEqual(all.map((r) => r.status), [200, 404, 200, 200]);
        assert.equal(all[3].json().object, 'list');
        c.end();
    });
    it('a head that comes byte by byte', async () => {
        const c = await rawTCP(gw);
        for (const b of get('/v1/models', `Authorization: Bearer ${gw.key}\r\n`)) c.write(b);
        assert.equal((await c.response()).status, 200);
        c.end();
    });
    it('Expect: 100-continue', async () => {
        const c = await rawTCP(gw);
        c.write(post(`Content-Length: ${CHAT.length}\r\nExpect: 100-continue\r\n`, ''));
        assert.equal((await c.response()).status, 100);
        c.write(CHAT);
        assert.equal((await c.response()).status, 200);
        c.end();
    });
    it('HTTP/1.0 closes after the answer', async () => {
        const c = await rawTCP(gw);
        c.write(`GET /v1/models HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer ${gw.key}\r\n\r\n`);
        assert.equal((await c.response()).status, 200);
        await c.closed();
    });
    it('Connection: close is kept', async () => {
        const c = await rawTCP(gw);
        c.write(get('/v1/models', `Authorization: Bearer ${gw.key}\r\nConnection: close\r\n`));
        const r = await c.response();
        assert.equal(r.headers.connection, 'close');
        await c.closed();
    });
});

describe('limits', () => {
    it('a head that is too large is 431', async () => {
        const c = await rawTCP(gw);
        c.write(get('/', `X-Big: ${'x'.repeat(200000)}\r\n`));
        assert.equal((await c.response()).status, 431);
        await c.closed();
    });
    it('a body that is too large is 413, announced or not', async () => {
        for (const request of [post('Content-Length: 70000\r\n', ''), post('Transfer-Encoding: chunked\r\n', `11171\r\n${'x'.repeat(70001)}`)]) {
            const c = await rawTCP(gw);
            c.write(request);
            const r = await c.response();
            assert.equal(r.status, 413);
            assert.match(r.json().error.message, /larger than/);
            await c.closed();
        }
    });
    it('a head that never ends, and a body that drips, are ended by the deadline', async () => {
        for (const start of ['GET / HT', post('Content-Length: 5000\r\n', '{')]) {
            const c = await rawTCP(gw);
            c.write(start);
            const drip = setInterval(() => c.sock.writable && c.write(' '), 100);
            await c.closed();
            clearInterval(drip);
        }
    });
    it('a TLS hello that never comes is ended by the deadline', async () => {
        const sock = net.connect({ host: '127.0.0.1', port: gw.ports.https });
        sock.on('error', () => {});
        sock.resume();
        await once(sock, 'close');
    });
});

describe('upgrade tricks', () => {
    it('an upgrade after a GET on the same connection', async () => {
        const c = await rawTCP(gw);
        c.write(get('/'));
        assert.equal((await c.response()).status, 200);
        c.write(get('/v1/responses', 'Upgrade: foo\r\nConnection: Upgrade\r\n'));
        assert.ok((await c.response()).status >= 400);
        c.end();
    });
    it('bytes after the upgrade request are the first frames', async () => {
        const c = await rawTCP(gw);
        c.write(
            Buffer.concat([
                Buffer.from(get('/v1/responses', `Authorization: Bearer ${gw.key}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n`)),
                Buffer.from([0x89, 0x80, 1, 2, 3, 4]),
            ]),
        );
        assert.equal((await c.response()).status, 101);
        assert.deepEqual([...(await c.bytes(2))], [0x8a, 0]);
        c.end();
    });
    it('/echo is not there unless it is asked for', async () => {
        await assert.rejects(rawFrames(gw, '/echo'), /404/);
    });
    it('a POST that wants to upgrade is a POST', async () => {
        const c = await rawTCP(gw);
        c.write(post(`Content-Length: ${CHAT.length}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`));
        assert.equal((await c.response()).status, 200);
        c.end();
    });
});

describe('who is there', () => {
    const models = async (headers) => {
        const c = await rawTCP(gw);
        c.write(get('/v1/models', headers));
        const r = await c.response();
        c.end();
        return r;
    };
    it('401 says what is missing or wrong', async () => {
        const none = await models('');
        assert.equal(none.status, 401);
        assert.equal(none.json().error.code, 'missing_api_key');
        assert.ok(none.headers['www-authenticate']);
        const bad = await models('Authorization: Bearer nonsense\r\n');
        assert.equal(bad.status, 401);
        assert.equal(bad.json().error.code, 'invalid_api_key');
        assert.equal((await models(`Authorization: Basic ${gw.key}\r\n`)).status, 401);
    });
    it('x-request-id is given, or kept when it is sane', async () => {
        const a = await models(`Authorization: Bearer ${gw.key}\r\n`);
        assert.match(a.headers['x-request-id'], /^req_/);
        const b = await models(`Authorization: Bearer ${gw.key}\r\nX-Request-Id: mine-1\r\n`);
        assert.equal(b.headers['x-request-id'], 'mine-1');
    });
    it('404 and 405 are JSON', async () => {
        const c = await rawTCP(gw);
        c.write(get('/v1/nothing'));
        const r = await c.response();
        assert.equal(r.status, 404);
        assert.equal(r.json().error.type, 'invalid_request_error');
        c.write(`DELETE /v1/models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`);
        const m = await c.response();
        assert.equal(m.status, 405);
        assert.match(m.headers.allow, /GET/);
        c.end();
    });
    it('a token in the URL is refused', async () => {
        for (const name of ['api_key', '%61pi_key', 'x=1&ke%79']) {
            await assert.rejects(rawWS(gw, { path: `/v1/responses?${name}=${gw.key}` }), (e) => e.status === 401);
        }
    });
});
