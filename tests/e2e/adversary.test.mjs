// Clients that leave, stall, flood, and signals at the worst moment: nothing is lost, nothing grows, nobody else notices.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { after, afterEach, before, describe, it } from 'node:test';
import { rawTCP, rawWS, textOf } from './lib/clients.mjs';
import { startStack } from './lib/stack.mjs';

const TERMINAL = /^(response\.(completed|incomplete|failed)|error)$/;
const create = (model, more) => ({ type: 'response.create', model, input: 'count to 40', ...more });

/** mulberry32: the same moments in every run. */
function seeded(seed) {
    return (n) => {
        seed = (seed + 0x6d2b79f5) | 0;
        let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) % n;
    };
}

const rssOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;

function assertGrows(events) {
    for (let i = 1; i < events.length; i++) assert.ok(events[i].sequence_number > events[i - 1].sequence_number);
}

const post = (gw, model, stream) => {
    const body = JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'x' }] });
    return `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${gw.key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
};

describe('clients', () => {
    let stack, gw, provider;
    before(async () => {
        stack = await startStack({
            config: { workers: 1, limits: { max_sessions_per_address: 1000 } },
            scripts: { held: { tokens: 5, hold: 2 } },
        });
        ({ gw, provider } = stack);
    });
    after(() => stack.stop());

    it('200 of them ask and vanish at any moment', async () => {
        const random = seeded(12);
        const models = ['demo', 'demo', 'tokens-30.gap-5', 'resp/tokens-30.gap-5', 'silent', 'status-500', 'tokens-10.cut-200'];
        const vanish = async (tls) => {
            const c = await rawWS(gw, { tls });
            const lanes = 1 + random(4);
            for (let i = 0; i < lanes; i++) c.send(create(models[random(models.length)], { stream_id: `l${i % 3}` }));
            c.send({ type: 'session.ping' });
            const [until, how] = [random(30), random(3)];
            // A pong is sure to come, and the demo's tokens; silence is left at once.
            for (let n = 0, e; n < until && e?.type !== 'session.pong'; n++) e = await c.next();
            if (how === 0) c.send({ type: 'response.cancel', stream_id: 'l0' });
            if (how === 1) c.ws.close();
            else c.ws.terminate();
            await c.closed;
        };
        for (let round = 0; round < 8; round++) await Promise.all(Array.from({ length: 25 }, (_, i) => vanish(i % 5 === 0)));
        const c = await rawWS(gw);
        c.send(create('tokens-3'));
        assert.equal(textOf(await c.until('response.completed')), 't0 t1 t2');
        await c.end();
    });

    it('leave in the middle of many demo answers, which tick on', async () => {
        const first = async (c) => {
            await c.until('response.output_text.delta');
            return c;
        };
        for (let round = 0; round < 4; round++) {
            const all = await Promise.all(Array.from({ length: 25 }, () => rawWS(gw)));
            for (const c of all) for (let lane = 0; lane < 8; lane++) c.send(create('demo', { stream_id: `l${lane}` }));
            await Promise.all(all.map(first));
            for (const c of all) c.ws.terminate();
            await Promise.all(all.map((c) => c.closed));
        }
        const c = await rawWS(gw);
        c.send({ type: 'session.ping' });
        await c.until('session.pong');
        await c.end();
    });

    it('one that stops reading in mid-stream gets every token, in order', async () => {
        const c = await rawWS(gw);
        c.send(create('tokens-5000.size-400'));
        const x = await provider.next((r) => r.model === 'tokens-5000.size-400');
        const head = await c.until('response.output_text.delta');
        c.ws.pause();
        assert.equal(await x.closed, false); // the provider is never held up by a reader
        c.ws.resume();
        const events = [...head, ...(await c.until('response.completed'))];
        assertGrows(events);
        const tokens = textOf(events).match(/t\d+x+/g);
        assert.equal(tokens.length, 5000);
        tokens.forEach((t, i) => assert.ok(t.startsWith(`t${i}x`)));
        await c.end();
    });

    it('creates, cancels and pings in a jumble: each create has exactly one end, each ping its pong', async () => {
        const random = seeded(7);
        const c = await rawWS(gw);
        const count = { created: 0, pinged: 0, ended: 0, ponged: 0 };
        const take = async (enough) => {
            while (!enough()) {
                const e = await c.next();
                if (e.type === 'session.pong') count.ponged++;
                else if (TERMINAL.test(e.type) && e.error?.code !== 'response_not_found') count.ended++;
            }
        };
        for (let round = 0; round < 30; round++) {
            for (let i = 0; i < 40; i++) {
                const stream_id = `l${random(20)}`;
                const what = random(3);
                if (what === 0) c.send(create(['tokens-3', 'demo', 'resp/tokens-2.gap-2', 'no/such/model'][random(4)], { stream_id, max_output_tokens: 3 }));
                else if (what === 1) c.send({ type: 'response.cancel', stream_id });
                else c.send({ type: 'session.ping' });
                count.created += what === 0;
                count.pinged += what === 2;
            }
            await take(() => count.ponged === count.pinged);
        }
        await take(() => count.ended === count.created);
        c.send({ type: 'session.ping', last: true });
        const rest = await c.until((e) => e.last === true);
        assert.equal(rest.filter((e) => TERMINAL.test(e.type) && e.error?.code !== 'response_not_found').length, 0);
        await c.end();
    });

    it('a lane past the limit of answers is served in its turn', async () => {
        const c = await rawWS(gw);
        // Sixteen lanes that always have more to ask, and one that came later.
        for (let turn = 0; turn < 3; turn++)
            for (let lane = 0; lane < 16; lane++) c.send(create('tokens-2', { stream_id: `l${lane}` }));
        c.send(create('tokens-2', { stream_id: 'late' }));
        const begun = [];
        for (let ended = 0; ended < 49; ) {
            const e = await c.next();
            if (e.type === 'response.created') begun.push(e.stream_id);
            if (TERMINAL.test(e.type)) ended++;
        }
        // Behind the sixteen that ran already, and one more turn of each of them at most.
        assert.ok(begun.indexOf('late') <= 32, `${begun}`);
        await c.end();
    });

    it('one that left before its provider had answered: nobody minds', async () => {
        let answer;
        provider.script('late', () => new Promise((resolve) => (answer = resolve)));
        const c = await rawWS(gw);
        c.send(create('late'));
        const x = await provider.next((r) => r.model === 'late');
        c.ws.terminate();
        assert.equal(await x.closed, true);
        answer({ tokens: 5 });
        const again = await rawWS(gw);
        again.send(create('tokens-2'));
        await again.until('response.completed');
        await again.end();
    });

    it('two requests in one packet: both answered in order; or the client leaves, and the second is never asked', async () => {
        const c = await rawTCP(gw);
        c.write(post(gw, 'tokens-3', true) + post(gw, 'tokens-2', false));
        const first = await c.response();
        assert.match(first.body, /t2[^]*\[DONE\]/);
        assert.equal((await c.response()).json().choices[0].message.content, 't0 t1');
        c.end();
        const asked = provider.requests.length;
        const d = await rawTCP(gw);
        d.write(post(gw, 'held', true) + post(gw, 'tokens-2', false));
        const x = await provider.next((r) => r.model === 'held');
        await d.bytes(100);
        d.end();
        assert.equal(await x.closed, true);
        const e = await rawTCP(gw);
        e.write(post(gw, 'tokens-1', false));
        assert.equal((await e.response()).status, 200);
        e.end();
        assert.deepEqual(provider.requests.slice(asked).map((r) => r.model), ['held', 'tokens-1']);
    });

    it('one that floods and never reads costs little, and is let go', async () => {
        const { gw, stop } = await startStack({ config: { workers: 1, timeouts: { write: '1s' } } });
        const pid = gw.workerPids()[0];
        const c = await rawWS(gw);
        const before = rssOf(pid);
        c.ws.pause();
        const socket = c.ws._socket;
        const gone = new Promise((resolve) => socket.once('close', resolve));
        const batch = JSON.stringify({ type: 'session.ping', pad: 'x'.repeat(900) });
        let most = 0;
        let open = true;
        void gone.then(() => (open = false));
        while (open) {
            for (let i = 0; i < 500 && open; i++) c.ws.send(batch, () => {});
            await Promise.race([gone, new Promise((resolve) => c.ws.send(batch, resolve))]);
            most = Math.max(most, rssOf(pid));
            if (c.ws.bufferedAmount > 16 << 20) break; // the gateway takes no more
        }
        assert.ok(most - before < 100 << 20, `${(most - before) >> 20} MiB`);
        c.ws.terminate();
        const other = await rawWS(gw);
        other.send({ type: 'session.ping' });
        await other.until('session.pong');
        await other.end();
        await stop();
    });
});

describe('signals', () => {
    let stacks = [];
    const start = async (options) => {
        const stack = await startStack(options);
        stacks.push(stack);
        return stack;
    };
    // Also when a test has failed: nothing may be left running.
    afterEach(async () => {
        const left = stacks.filter(({ gw }) => !gw.exited);
        stacks = [];
        for (const { stop } of left) await stop();
    });
    it('SIGTERM: what is in flight finishes, what waits behind it is refused in order', async () => {
        const { gw, provider, stop } = await start({ config: { workers: 1 }, scripts: { held: { tokens: 5, hold: 2 } } });
        const c = await rawWS(gw);
        for (const model of ['held', 'tokens-1', 'tokens-2']) c.send(create(model, { stream_id: 'a' }));
        const x = await provider.next();
        await c.until('response.output_text.delta');
        process.kill(gw.pid, 'SIGTERM');
        await c.until('session.going_away');
        x.release();
        const ends = [];
        while (ends.length < 3) {
            const e = await c.next();
            if (TERMINAL.test(e.type)) ends.push([e.type, e.stream_id, e.error?.code]);
        }
        assert.deepEqual(ends, [
            ['response.completed', 'a', undefined],
            ['error', 'a', 'server_draining'],
            ['error', 'a', 'server_draining'],
        ]);
        assert.equal((await c.closed).code, 1012);
        assert.equal(provider.requests.length, 1);
        await stop();
    });

    it('SIGTERM: a connection that had no time yet to ask gets an answer; an idle one is closed', async () => {
        const { gw, stop } = await start({ config: { workers: 1 } });
        const [fresh, idle, asks, upgrades] = [await rawTCP(gw), await rawTCP(gw), await rawTCP(gw), await rawTCP(gw)];
        const models = `GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${gw.key}\r\n\r\n`;
        idle.write(models);
        assert.equal((await idle.response()).status, 200);
        const since = gw.mark();
        process.kill(gw.pid, 'SIGTERM');
        await gw.waitLog(/worker draining/, { since });
        await idle.closed();
        fresh.write(models);
        const answer = await fresh.response();
        assert.deepEqual([answer.status, answer.headers.connection], [200, 'close']);
        asks.write(post(gw, 'demo', false));
        upgrades.write(
            `GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${gw.key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
                'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
        );
        for (const c of [asks, upgrades]) {
            const refused = await c.response();
            assert.deepEqual([refused.status, refused.json().error.code], [503, 'server_draining']);
            assert.ok(Number(refused.headers['retry-after']) > 0);
        }
        await stop();
    });

    it('a worker killed in its drain takes nobody with it', async () => {
        const { gw, provider, stop } = await start({ config: { workers: 2 }, scripts: { held: { tokens: 5, hold: 2 } } });
        const clients = await Promise.all(Array.from({ length: 12 }, () => rawWS(gw)));
        const done = clients.map((c) => {
            c.send(create('held'));
            return c.until('response.completed').then(textOf, () => null);
        });
        const xs = [];
        while (xs.length < clients.length) xs.push(await provider.next());
        const [victim] = gw.workerPids();
        process.kill(gw.pid, 'SIGTERM');
        await gw.waitFor(() => gw.logs.match(/worker draining/g)?.length === 2, 'both drains');
        process.kill(victim, 'SIGKILL');
        for (const x of xs) x.release();
        const texts = await Promise.all(done);
        const kept = texts.filter((t) => t !== null);
        assert.ok(kept.length > 0 && kept.length < texts.length, `${kept.length} of ${texts.length}`);
        for (const t of kept) assert.equal(t, 't0 t1 t2 t3 t4');
        const end = await gw.ended();
        assert.ok(end.code !== null, JSON.stringify(end));
        await stop().catch((e) => assert.match(e.message, /ended with/));
    });

    it('SIGHUP under load: sessions finish what they asked, and no request over HTTP is left without an answer', async () => {
        const { gw, provider, stop } = await start({ config: { workers: 2 }, scripts: { held: { tokens: 5, hold: 2 } } });
        const sessions = await Promise.all(Array.from({ length: 30 }, () => rawWS(gw)));
        const done = sessions.map((c) => {
            c.send(create('held'));
            return c.until('response.completed').then(textOf);
        });
        const xs = [];
        while (xs.length < sessions.length) xs.push(await provider.next());
        const body = JSON.stringify({ model: 'tokens-2', messages: [{ role: 'user', content: 'x' }] });
        const ask = () =>
            new Promise((resolve, reject) => {
                const headers = { authorization: `Bearer ${gw.key}`, 'content-type': 'application/json' };
                const req = http.request({ port: gw.ports.http, host: '127.0.0.1', path: '/v1/chat/completions', method: 'POST', agent: false, headers });
                req.on('error', reject).on('response', (res) => res.resume().on('end', () => resolve(res.statusCode)));
                req.end(body);
            });
        let loading = true;
        const statuses = [];
        const load = Array.from({ length: 8 }, async () => {
            while (loading) statuses.push(await ask());
        });
        await gw.reload();
        await gw.reload();
        for (const x of xs) x.release();
        assert.deepEqual(new Set(await Promise.all(done)), new Set(['t0 t1 t2 t3 t4']));
        loading = false;
        await Promise.all(load);
        assert.ok(statuses.length > 20 && statuses.every((s) => s === 200 || s === 503), `${statuses}`);
        for (const c of sessions) assert.equal((await c.closed).code, 1012);
        await stop();
    });
});
