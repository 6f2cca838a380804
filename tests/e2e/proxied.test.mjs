// The gateway behind proxies: one that ends TLS on the same machine and tells of its client in headers, and one that passes
// connections on behind the PROXY protocol's head. And what a probe is told during a drain.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';
import { rawTCP, rawWS } from './lib/clients.mjs';
import { startGateway, testCertificate } from './lib/gateway.mjs';

const REMOTE = '203.0.113.9';

/** Ends TLS and passes requests and upgrades on, as nginx does with the headers that people give it. `client`: whom it tells of. */
async function startProxy(port, client) {
    const { certificate, key } = await testCertificate();
    const headersOf = (req) => ({
        ...req.headers,
        'x-forwarded-for': [req.headers['x-forwarded-for'], client].filter(Boolean).join(', '),
        'x-forwarded-proto': 'https',
    });
    const server = https.createServer({ cert: await readFile(certificate), key: await readFile(key) }, (req, res) => {
        const up = http.request({ port, host: '127.0.0.1', method: req.method, path: req.url, headers: headersOf(req) }, (answer) => {
            res.writeHead(answer.statusCode, answer.headers);
            answer.pipe(res);
        });
        req.pipe(up);
    });
    server.on('upgrade', (req, socket) => {
        const up = net.connect(port, '127.0.0.1');
        up.write(`GET ${req.url} HTTP/1.1\r\n${Object.entries(headersOf(req)).map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`);
        for (const [a, b] of [[up, socket], [socket, up]]) {
            a.pipe(b);
            a.on('error', () => b.destroy());
            a.on('close', () => b.destroy());
        }
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
}

/** What rawWS needs to know of a gateway, at the proxy's address. */
const at = (proxy, key) => ({ key, wsUrl: (path) => `wss://localhost:${proxy.address().port}${path}` });

describe('behind a proxy that ends TLS on this machine', () => {
    let gw, near, far;
    before(async () => {
        gw = await startGateway({ config: { workers: 1, trusted_proxies: ['127.0.0.1'], limits: { max_sessions_per_address: 3 } } });
        near = await startProxy(gw.ports.http, '127.0.0.1');
        far = await startProxy(gw.ports.http, REMOTE);
    });
    after(async () => {
        near.closeAllConnections();
        far.closeAllConnections();
        near.close();
        far.close();
        await gw.stop();
    });
    const ask = async (proxy, path, headers = {}) => {
        const { pem } = await testCertificate();
        const req = https.get({ host: 'localhost', port: proxy.address().port, path, ca: pem, agent: false, headers });
        const [res] = await once(req, 'response');
        let body = '';
        for await (const part of res) body += part;
        return { status: res.statusCode, headers: res.headers, body };
    };

    it("serves its page, and the page's WebSocket is of its own origin", async () => {
        const origin = `https://localhost:${near.address().port}`;
        assert.equal((await ask(near, '/')).status, 200);
        const c = await rawWS(at(near, gw.key), { tls: true, headers: { origin } });
        c.send({ type: 'response.create', model: 'demo', input: 'Count to 3.' });
        await c.until('response.completed');
        await c.end();
        const refused = await rawWS(at(near, gw.key), { tls: true, headers: { origin: 'https://evil.example.com' } }).catch((e) => e);
        assert.equal(refused.status, 403);
        assert.match(refused.body, /https:\/\/evil\.example\.com.*'origins'/);
    });
    it('does not take the rest of the world for this machine', async () => {
        const authorization = `Bearer ${gw.key}`;
        assert.equal((await ask(near, '/v1/models', { authorization })).status, 200);
        const r = await ask(far, '/v1/models', { authorization });
        assert.equal(r.status, 401);
        assert.match(r.body, /loopback/);
        assert.equal((await ask(far, '/v1/models', { authorization, 'x-forwarded-for': '127.0.0.1' })).status, 401);
    });
    it('has ceilings for each client, not for the proxy', async () => {
        const held = await Promise.all(Array.from({ length: 3 }, () => rawWS(at(near, gw.key), { tls: true })));
        const refused = await rawWS(at(near, gw.key), { tls: true }).catch((e) => e);
        assert.equal(refused.status, 429);
        assert.match(refused.body, /connection_limit_reached/);
        assert.equal((await ask(far, '/healthz')).status, 200);
        await Promise.all(held.map((c) => c.end()));
    });
});

describe('behind the PROXY protocol', () => {
    let gw;
    before(async () => {
        gw = await startGateway({ config: { workers: 1, trusted_proxies: ['127.0.0.1'], listen: [{ address: '127.0.0.1:0', proxy_protocol: true }] } });
    });
    after(() => gw.stop());
    const headOf = (...client) => Buffer.concat([
        Buffer.from('\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c', 'latin1'),
        Buffer.from([...client, 127, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb]),
    ]);
    const ask = async (head) => {
        const c = await rawTCP(gw);
        c.write(Buffer.concat([head, Buffer.from(`GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${gw.key}\r\n\r\n`)]));
        const r = await c.response();
        c.end();
        return r;
    };

    it('takes the client that the head names', async () => {
        assert.equal((await ask(headOf(127, 0, 0, 1))).status, 200);
        const r = await ask(headOf(203, 0, 113, 9));
        assert.equal(r.status, 401);
        assert.match(r.body, /loopback/);
    });
    it('closes what has none', async () => {
        await assert.rejects(ask(Buffer.alloc(0)), /closed/);
    });
});

describe('probes', () => {
    it('are told of a drain', async () => {
        const gw = await startGateway({ config: { workers: 1 } });
        const probe = (c, path) => (c.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`), c.response());
        const [before, ready, live] = await Promise.all([rawTCP(gw), rawTCP(gw), rawTCP(gw)]);
        assert.equal((await probe(before, '/readyz')).status, 200); // so the worker has accepted the others, too
        process.kill(gw.pid, 'SIGTERM');
        await before.closed();
        const [r, l] = await Promise.all([probe(ready, '/readyz'), probe(live, '/healthz')]);
        assert.equal(r.status, 503);
        assert.equal(r.json().error.code, 'server_draining');
        assert.equal(l.status, 200);
        await gw.stop();
    });
});
