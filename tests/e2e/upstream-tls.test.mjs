// Providers behind TLS: HTTP/2 where it is offered, connections shared, certificates checked.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { startGateway, testCertificate, TEST_KEY } from './lib/gateway.mjs';
import { startProvider } from './lib/provider.mjs';

const SECRET = 'sk-provider-secret-0123456789';
let h2;
let h1;
let gw;
let openai;

async function tlsFiles() {
    const { certificate, key } = await testCertificate();
    return { certificate, tls: { cert: await readFile(certificate), key: await readFile(key) } };
}

const configFor = (providers, ceilings) => ({
    workers: 1,
    limits: { max_unauthenticated_per_address: 1000 }, // the tests ask from one address, all at once
    providers: providers.map(([name, p]) => ({ name, dialect: 'chat_completions', base_url: p.url, api_key: SECRET, ...ceilings })),
    keys: [{ name: 'test', plaintext: TEST_KEY, models: providers.map(([name]) => `${name}/*`) }],
    models: [{ name: 'unused', targets: [{ provider: providers[0][0], model: 'x' }] }],
});

function clientOf(gateway) {
    const { port } = gateway.listening.find((l) => !l.tls);
    return new OpenAI({ baseURL: `http://127.0.0.1:${port}/v1`, apiKey: gateway.key, maxRetries: 0 });
}

const ask = (client, model, options) =>
    client.chat.completions.create({ model, stream: true, messages: [{ role: 'user', content: 'Hi' }] }, options);

async function textOf(stream) {
    let text = '';
    for await (const c of stream) text += c.choices[0]?.delta.content ?? '';
    return text;
}

describe('providers over TLS', () => {
    before(async () => {
        const { certificate, tls } = await tlsFiles();
        h2 = await startProvider({ tls, http2: true });
        h1 = await startProvider({ tls });
        gw = await startGateway({ config: configFor([['h2', h2], ['h1', h1]]), env: { SSL_CERT_FILE: certificate } });
        openai = clientOf(gw);
    });
    after(async () => {
        await gw.stop();
        await h2.close();
        await h1.close();
    });

    it('streams side by side on one HTTP/2 connection', async () => {
        const texts = await Promise.all(Array.from({ length: 8 }, async () => textOf(await ask(openai, 'h2/tokens-20.gap-2'))));
        assert.deepEqual(new Set(texts), new Set([Array.from({ length: 20 }, (_, i) => `t${i}`).join(' ')]));
        assert.deepEqual(new Set(h2.requests.map((x) => x.httpVersion)), new Set(['2.0']));
        assert.equal(h2.connections, 1);
        assert.equal(h2.requests[0].headers.authorization, `Bearer ${SECRET}`);
        assert.match(h2.requests[0].headers['user-agent'], /^sluice\//);
    });

    it('resets the stream of a client that leaves, and keeps the connection', async () => {
        h2.taken = h2.requests.length;
        const leave = new AbortController();
        const stream = await ask(openai, 'h2/tokens-9.hold-1', { signal: leave.signal });
        const first = await h2.next();
        const other = ask(openai, 'h2/tokens-9.hold-1').then(textOf);
        const second = await h2.next();
        await stream[Symbol.asyncIterator]().next();
        leave.abort();
        assert.equal(await first.closed, true);
        second.release();
        assert.equal(await other, 't0 t1 t2 t3 t4 t5 t6 t7 t8');
        assert.equal(h2.connections, 1);
    });

    it('resets a stream at once though nothing else moves', async () => {
        for (let i = 0; i < 5; i++) {
            h2.taken = h2.requests.length;
            const leaves = [new AbortController(), new AbortController()];
            const left = leaves.map((l) => ask(openai, 'h2/silent', { signal: l.signal }).catch((e) => e));
            const arrived = [await h2.next(), await h2.next()];
            for (const l of leaves) {
                l.abort();
                await Promise.race(arrived.filter((x) => !x.gone).map((x) => x.closed));
            }
            for (const x of arrived) assert.equal(await x.closed, true);
            await Promise.all(left);
        }
    });

    it('opens more connections past the streams that one may hold', async () => {
        h2.taken = h2.requests.length;
        const asked = Array.from({ length: 130 }, () => ask(openai, 'h2/tokens-3.hold-1').then(textOf));
        const arrived = [];
        for (let i = 0; i < asked.length; i++) arrived.push(await h2.next());
        assert.ok(h2.sockets.size >= 2 && h2.sockets.size <= 32, `${h2.sockets.size} connections`);
        for (const x of arrived) x.release();
        for (const text of await Promise.all(asked)) assert.equal(text, 't0 t1 t2');
    });

    it('falls back to HTTP/1.1, and uses its connections again', async () => {
        for (let i = 0; i < 12; i++) assert.equal(await textOf(await ask(openai, 'h1/tokens-2')), 't0 t1');
        assert.deepEqual(new Set(h1.requests.map((x) => x.httpVersion)), new Set(['1.1']));
        // The next request may come before the end of the body has freed the connection of the last.
        assert.ok(h1.connections <= 4, `${h1.connections} connections`);
        const many = await Promise.all(Array.from({ length: 50 }, async () => textOf(await ask(openai, 'h1/tokens-3.gap-5'))));
        assert.deepEqual(new Set(many), new Set(['t0 t1 t2']));
    });

    it('says nothing of the key in its log', () => {
        assert.doesNotMatch(gw.logs, /provider-secret/);
    });
});

it('connections to a provider have ceilings', async () => {
    const { certificate, tls } = await tlsFiles();
    const [two, one] = [await startProvider({ tls, http2: true }), await startProvider({ tls })];
    const ceilings = { max_connections: 2, max_http2_connections: 1, max_idle_connections: 1 };
    const gateway = await startGateway({ config: configFor([['two', two], ['one', one]], ceilings), env: { SSL_CERT_FILE: certificate } });
    try {
        for (const [name, provider, room, connections] of [['two', two, 100, 1], ['one', one, 2, 2]]) {
            // Only an answer tells which HTTP the provider speaks.
            assert.equal(await textOf(await ask(clientOf(gateway), `${name}/tokens-1`)), 't0');
            await provider.next();
            const asked = Array.from({ length: room + 5 }, () => ask(clientOf(gateway), `${name}/tokens-2.hold-1`).then(textOf));
            const arrived = [];
            while (arrived.length < room) arrived.push(await provider.next());
            for (let left = asked.length; left > 0; left--) {
                assert.ok(provider.sockets.size <= connections, `${name}: ${provider.sockets.size} connections`);
                arrived.shift().release();
                if (left > room) arrived.push(await provider.next());
            }
            for (const text of await Promise.all(asked)) assert.equal(text, 't0 t1');
        }
        assert.equal(two.connections, 1);
    } finally {
        await gateway.stop();
        await two.close();
        await one.close();
    }
});

it('a certificate that nobody vouches for is refused', async () => {
    const { tls } = await tlsFiles();
    const stranger = await startProvider({ tls, http2: true });
    const gateway = await startGateway({ config: configFor([['stranger', stranger]]), env: { SSL_CERT_FILE: '' } });
    try {
        await assert.rejects(ask(clientOf(gateway), 'stranger/tokens-1'), (e) => {
            assert.equal(e.status, 502);
            assert.equal(e.code, 'upstream_tls_failed');
            assert.match(e.message, /'stranger'/);
            return true;
        });
        assert.equal(stranger.requests.length, 0);
    } finally {
        await gateway.stop();
        await stranger.close();
    }
});
