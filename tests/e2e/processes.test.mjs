// Master and workers: a killed worker, drain, reload, connection caps, Unix sockets and IPv6, and the commands.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import http from 'node:http';
import net from 'node:net';
import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { responsesWS, rawWS, textOf } from './lib/clients.mjs';
import { runSluice, startGateway, TEST_KEY } from './lib/gateway.mjs';
import { startStack } from './lib/stack.mjs';

describe('a killed worker', () => {
    it('is replaced, the other one\u2019s clients lose nothing, its own reconnect', async () => {
        const { gw, provider, stop } = await startStack({ config: { workers: 2 }, scripts: { held: { tokens: 5, hold: 2 } } });
        const before = gw.workerPids();
        assert.equal(before.length, 2);
        // Connections until both workers have one: the kernel chooses.
        const victim = before[0];
        const clients = [];
        for (let i = 0; i < 12; i++) clients.push(await responsesWS(gw, { reconnect: { onReconnecting() {}, maxRetries: 20, initialDelay: 20, maxDelay: 200 } }));
        const running = clients.map((ws) => {
            const done = ws.answer({ model: 'held', input: 'x' });
            return done.then((events) => ({ ws, events }), (error) => ({ ws, error }));
        });
        const xs = [];
        while (xs.length < 12) xs.push(await provider.next((r) => r.model === 'held'));
        const since = gw.mark();
        process.kill(victim, 'SIGKILL');
        await gw.waitLog(/worker started/, { since });
        for (const x of xs) x.release();
        const results = await Promise.all(running);
        const lost = results.filter((r) => r.error);
        const kept = results.filter((r) => r.events);
        assert.ok(kept.length > 0 && lost.length > 0, `${kept.length} kept, ${lost.length} lost`);
        for (const r of kept) assert.equal(textOf(r.events), 't0 t1 t2 t3 t4');
        // The official client has reconnected by itself.
        for (const { ws } of lost) {
            const events = await ws.answer({ model: 'tokens-3', input: 'again' });
            assert.equal(textOf(events), 't0 t1 t2');
        }
        const now = gw.workerPids();
        assert.equal(now.length, 2);
        assert.ok(!now.includes(victim));
        for (const ws of clients) ws.close();
        await stop();
    });
    it('is replaced at once, and after longer and longer waits when it keeps dying', async () => {
        const gw = await startGateway({ config: { workers: 1 } });
        for (const wait of [0, 100, 200]) {
            const [pid] = gw.workerPids();
            const since = gw.mark();
            process.kill(pid, 'SIGKILL');
            await gw.waitLog(new RegExp(`worker died" .*pid=${pid} signal=9 respawn_ms=${wait}\\n`), { since });
            await gw.waitLog(/worker started/, { since });
        }
        await (await rawWS(gw)).end();
        await gw.stop();
    });
});

describe('a worker that cannot stay', () => {
    it('leaves its share of new connections to another until it is back', async () => {
        const gw = await startGateway({ config: { workers: 2 } });
        const [victim] = gw.workerPids();
        let pid = victim;
        let since;
        // Until the wait for its next start is long.
        for (const wait of [0, 100, 200, 400, 800, 1600, 3200]) {
            since = gw.mark();
            process.kill(pid, 'SIGKILL');
            await gw.waitLog(new RegExp(`worker died" .*pid=${pid} signal=9 respawn_ms=${wait}\\n`), { since });
            if (wait === 3200) break;
            pid = Number((await gw.waitLog(/worker started" .*pid=(\d+)/, { since }))[1]);
        }
        // The kernel sends about half of these to the socket of the one that is not there.
        const headers = { authorization: `Bearer ${gw.key}`, connection: 'close' };
        for (let i = 0; i < 24; i++) {
            assert.equal((await fetch(gw.url('/v1/models', { tls: false }), { headers })).status, 200);
            await (await rawWS(gw, { tls: true })).end();
        }
        assert.match(gw.logs, /worker covers another" slot=\d generation=1 other=\d/);
        assert.doesNotMatch(gw.logs.slice(since), /worker started/);
        await gw.waitLog(/worker started/, { since });
        for (let i = 0; i < 8; i++) await (await rawWS(gw)).end();
        await gw.stop();
    });
});

describe('a killed master', () => {
    it('leaves workers that tell their clients, finish and go', async () => {
        const { gw, provider } = await startStack({ config: { workers: 2 }, scripts: { held: { tokens: 5, hold: 2 } } });
        const c = await rawWS(gw);
        c.send({ type: 'response.create', model: 'held', input: 'x' });
        const x = await provider.next();
        process.kill(gw.pid, 'SIGKILL');
        await c.until('session.going_away');
        x.release();
        const events = await c.until('response.completed');
        assert.equal(events.at(-1).response.output[0].content[0].text, 't0 t1 t2 t3 t4');
        assert.equal((await c.closed).code, 1012);
        await gw.ended(); // when nobody has its stderr any more
        assert.equal(gw.logs.match(/the master is gone/g).length, 2);
        await rm(gw.dir, { recursive: true });
        await provider.close();
    });
});

describe('drain', () => {
    it('tells clients, finishes what is in flight, closes 1012, exits 0', async () => {
        const { gw, provider, stop } = await startStack({ config: { workers: 1 }, scripts: { held: { tokens: 5, hold: 2 } } });
        const busy = await rawWS(gw), idle = await rawWS(gw);
        busy.send({ type: 'response.create', model: 'held', input: 'x' });
        const x = await provider.next();
        await busy.until('response.output_text.delta');
        process.kill(gw.pid, 'SIGTERM');
        const away = await busy.until('session.going_away');
        assert.ok(away.at(-1).deadline_ms > 0);
        assert.equal((await idle.closed).code, 1012);
        busy.send({ type: 'response.create', model: 'tokens-1', input: 'x', stream_id: 'late' });
        const [e] = (await busy.until('error')).slice(-1);
        assert.equal(e.error.code, 'server_draining');
        await assert.rejects(rawWS(gw));
        x.release();
        const rest = await busy.until('response.completed');
        assert.equal(rest.at(-1).response.output[0].content[0].text, 't0 t1 t2 t3 t4');
        assert.equal((await busy.closed).code, 1012);
        await stop();
    });
    it('ends at the deadline', async () => {
        const { gw, provider, stop } = await startStack({ config: { workers: 1, timeouts: { drain: '300ms' } } });
        const c = await rawWS(gw);
        c.send({ type: 'response.create', model: 'silent', input: 'x' });
        const x = await provider.next();
        process.kill(gw.pid, 'SIGTERM');
        assert.equal((await c.closed).code, 1012);
        assert.equal(await x.closed, true);
        await stop();
    });
    it('ends at once when it is asked a second time', async () => {
        const { gw, provider, stop } = await startStack({ config: { workers: 1 } });
        const c = await rawWS(gw);
        c.send({ type: 'response.create', model: 'silent', input: 'x' });
        const x = await provider.next();
        process.kill(gw.pid, 'SIGTERM');
        await c.until('session.going_away');
        process.kill(gw.pid, 'SIGTERM');
        assert.equal((await c.closed).code, 1006);
        assert.equal(await x.closed, true);
        await stop();
        assert.match(gw.logs, /stopping at once/);
    });
});

describe('reload', () => {
    it('a new generation serves the new configuration; the old finishes', async () => {
        const { gw, provider, stop } = await startStack({ config: { workers: 1 }, scripts: { held: { tokens: 5, hold: 2 } } });
        const old = await rawWS(gw);
        old.send({ type: 'response.create', model: 'held', input: 'x' });
        const x = await provider.next();
        await gw.writeConfig({ keys: [{ name: 'new', plaintext: 'sk-new', models: ['*'] }] });
        const since = gw.mark();
        await gw.reload();
        await gw.waitLog(/worker draining/, { since }); // until then the old generation takes connections too
        const fresh = await rawWS(gw, { key: 'sk-new' });
        await assert.rejects(rawWS(gw, { key: TEST_KEY }), (e) => e.status === 401);
        x.release();
        const events = await old.until('response.completed');
        assert.equal(events.at(-1).response.output[0].content[0].text, 't0 t1 t2 t3 t4');
        assert.equal((await old.closed).code, 1012);
        fresh.send({ type: 'session.ping' });
        await fresh.until('session.pong');
        await fresh.end();
        await stop();
    });
    it('to fewer workers, and to more: everyone who connects is served', async () => {
        const gw = await startGateway({ config: { workers: 3 } });
        for (const workers of [1, 2]) {
            await gw.writeConfig({ workers });
            await gw.reload();
            for (let i = 0; i < 16; i++) await (await rawWS(gw)).end();
            await gw.waitFor(() => gw.workerPids().length === workers, `${workers} workers`);
        }
        await gw.stop();
    });
    it('keeps the old configuration on any error, and says what is wrong', async () => {
        const gw = await startGateway({ config: { workers: 1 } });
        const c = await rawWS(gw);
        const pids = gw.workerPids();
        const good = await readFile(gw.file, 'utf8');
        for (const [text, complaint] of [
            ['workers: [', /sluice\.yaml:\d+/],
            [good.replace('"workers"', '"wrokers"'), /wrokers/],
            [good.replace(/"certificate": "[^"]*"/, '"certificate": "/nonexistent"'), /certificate/],
            [JSON.stringify({ ...JSON.parse(good), limits: { max_sessions: 100001 } }), /limits\.max_sessions .* room=100000/],
        ]) {
            await writeFile(gw.file, text);
            const since = gw.mark();
            process.kill(gw.pid, 'SIGHUP');
            await gw.waitLog(complaint, { since });
            await gw.waitLog(/reload failed/, { since });
        }
        assert.deepEqual(gw.workerPids(), pids);
        c.send({ type: 'session.ping' });
        await c.until('session.pong');
        await (await rawWS(gw)).end();
        await c.end();
        await gw.stop();
    });
    it('a certificate that is no certificate is an error of the reload', async () => {
        const gw = await startGateway({ config: { workers: 1 } });
        const pids = gw.workerPids();
        const bad = path.join(gw.dir, 'bad.crt');
        await writeFile(bad, 'not a certificate');
        const { listen } = gw.config;
        await gw.writeConfig({ listen: [{ ...listen[0], tls: { ...listen[0].tls, certificate: bad } }, listen[1]] });
        const since = gw.mark();
        process.kill(gw.pid, 'SIGHUP');
        await gw.waitLog(/bad\.crt/, { since });
        await gw.waitLog(/reload failed/, { since });
        assert.deepEqual(gw.workerPids(), pids);
        await gw.stop();
    });
});

describe('connection caps', () => {
    it('per address, over all workers; room again when one leaves', async () => {
        const gw = await startGateway({ config: { workers: 2, limits: { max_sessions_per_address: 5 } } });
        const open = [];
        for (let i = 0; i < 5; i++) open.push(await rawWS(gw));
        await assert.rejects(rawWS(gw), (e) => e.status === 429 && Number(e.headers['retry-after']) > 0);
        await open.pop().end();
        let again;
        while (!again) again = await rawWS(gw).catch(() => null); // the slot is free once the server has seen the end
        for (const c of [...open, again]) await c.end();
        await gw.stop();
    });
    it('in all', async () => {
        const gw = await startGateway({ config: { workers: 2, limits: { max_sessions: 3 } } });
        const open = [await rawWS(gw), await rawWS(gw), await rawWS(gw)];
        await assert.rejects(rawWS(gw), (e) => e.status === 503);
        for (const c of open) await c.end();
        await gw.stop();
    });
    it('what a killed worker held is given back', async () => {
        const gw = await startGateway({ config: { workers: 1, limits: { max_sessions: 2 } } });
        const open = [await rawWS(gw), await rawWS(gw)];
        const since = gw.mark();
        process.kill(gw.workerPids()[0], 'SIGKILL');
        await Promise.all(open.map((c) => c.closed));
        await gw.waitLog(/worker started/, { since });
        await (await rawWS(gw)).end();
        await gw.stop();
    });
});

/** Resident pages that are copies of files, in KB. */
const filePages = async (pid) => Number(/RssFile:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))[1]);

describe('memory at rest', () => {
    it('is given back when a worker has nothing to do, and is there again when it has', async (t) => {
        const gw = await startGateway({ config: { workers: 1, log: { level: 'debug' } } });
        t.after(() => gw.stop());
        const [worker] = gw.workerPids();
        const ask = async () => {
            const answer = await fetch(gw.url('/v1/responses', { tls: false }), {
                method: 'POST',
                headers: { authorization: `Bearer ${TEST_KEY}`, 'content-type': 'application/json' },
                body: JSON.stringify({ model: 'demo', input: 'count to 3' }),
            });
            assert.equal(answer.status, 200);
            await answer.arrayBuffer();
        };
        await ask();
        const busy = await filePages(worker);
        await gw.waitLog(/worker at rest/);
        assert.ok((await filePages(worker)) < busy * 0.8);
        await ask();
    });
});

describe('descriptors', () => {
    it('none left: who connects waits until there are again', async () => {
        const gw = await startGateway({ config: { workers: 1 } });
        const [pid] = gw.workerPids();
        const limit = (soft) => promisify(execFile)('prlimit', ['--pid', `${pid}`, `--nofile=${soft}:`]);
        const open = Math.max(...(await readdir(`/proc/${pid}/fd`)).map(Number)) + 1;
        await limit(open);
        const waiting = Array.from({ length: 16 }, () => rawWS(gw));
        await gw.waitLog(/msg="accept" error="Too many open files"/);
        await limit(open + 100);
        for (const c of await Promise.all(waiting)) await c.end();
        await gw.stop();
    });
});

describe('descriptors of providers', () => {
    it('are not taken by strangers; a limit that max_sessions cannot be met with is said', async () => {
        const { gw, provider, stop } = await startStack({
            config: { workers: 1, limits: { max_sessions_per_address: 1000, max_unauthenticated_per_address: 1000 } },
            scripts: { held: { tokens: 5, hold: 2 } },
        });
        await promisify(execFile)('prlimit', ['--pid', `${gw.pid}`, '--nofile=150:']);
        const since = gw.mark();
        await gw.reload();
        await gw.waitLog(/limits\.max_sessions is more than there are descriptors for.* room=\d+ workers=1 max_sessions=100000/, { since });
        const client = await rawWS(gw);
        const strangers = [];
        const connect = () => {
            const s = net.connect(gw.ports.http, '127.0.0.1');
            s.on('error', () => {});
            strangers.push(s);
        };
        for (let i = 0; i < 200; i++) connect();
        await gw.waitLog(/msg="accept" error="Too many open files"/, { since });
        // Sixteen answers at once, each over a connection of its own.
        for (let i = 0; i < 16; i++) client.send({ type: 'response.create', stream_id: `lane-${i}`, model: 'held', input: 'x' });
        for (let i = 0; i < 16; i++) (await provider.next()).release();
        for (let done = 0; done < 16; ) {
            const e = await client.next();
            assert.notEqual(e.type, 'response.failed', JSON.stringify(e));
            assert.notEqual(e.type, 'error', JSON.stringify(e));
            done += e.type === 'response.completed';
        }
        for (const s of strangers) s.destroy();
        await client.end();
        await (await rawWS(gw)).end();
        await stop();
    });
});

describe('listeners', () => {
    const sock = `/tmp/sluice-e2e-${process.pid}.sock`;
    const get = (options) =>
        new Promise((resolve, reject) => {
            http.get({ path: '/v1/models', headers: { authorization: `Bearer ${TEST_KEY}` }, ...options }, (res) => {
                res.resume();
                res.on('end', () => resolve(res.statusCode));
            }).on('error', reject);
        });
    /** Another gateway with the configuration of `gw`, but this one address: it must not start. */
    const refused = async (gw, address) => {
        const file = path.join(gw.dir, 'another.yaml');
        await writeFile(file, JSON.stringify({ ...gw.config, listen: [{ address }] }));
        const { code, stderr } = await runSluice(['serve', '--config', file]);
        assert.equal(code, 1);
        return /cannot listen" address=(.*)/.exec(stderr)[1];
    };
    it('a Unix socket has the rights that are asked for; signals that mean nothing do no harm', async () => {
        const gw = await startGateway({ config: { listen: [{ address: '127.0.0.1:0' }, { address: `unix:${sock}.mode`, mode: '0620' }] } });
        assert.equal((await stat(`${sock}.mode`)).mode & 0o7777, 0o620);
        process.kill(gw.pid, 'SIGUSR1');
        process.kill(gw.pid, 'SIGUSR2');
        for (const pid of gw.workerPids()) process.kill(pid, 'SIGUSR1');
        assert.match((await gw.reload())[0], /serving/);
        await gw.stop();
        const refused = await startGateway({ config: { listen: [{ address: '127.0.0.1:0', mode: '0600' }] } }).catch((e) => e);
        assert.match(refused.message, /listen\[0\]\.mode: is for Unix sockets/);
    });
    it('IPv6 and a Unix socket', async () => {
        const gw = await startGateway({ config: { listen: [{ address: '[::1]:0' }, { address: `unix:${sock}` }], workers: 2 } });
        assert.equal(await get({ host: '::1', port: gw.listening[0].port }), 200);
        for (let i = 0; i < 8; i++) assert.equal(await get({ socketPath: sock }), 200);
        await gw.stop();
        await assert.rejects(get({ socketPath: sock }));
    });
    it('an address that another gateway has is refused, at the start and at a reload', async () => {
        const gw = await startGateway({ config: { workers: 1 } });
        const { address } = gw.listening[1];
        const complaint = `${address} reason="the address is in use by another process"`;
        assert.equal(await refused(gw, address), complaint);
        const other = await startGateway({ config: { workers: 1 } });
        const pids = other.workerPids();
        await other.writeConfig({ listen: [...other.config.listen, { address }] });
        assert.match((await other.reload())[0], /reload failed/);
        assert.ok(other.logs.includes(complaint));
        assert.deepEqual(other.workerPids(), pids);
        for (const each of [gw, other]) {
            await (await rawWS(each)).end();
            await each.stop();
        }
    });
    it('the Unix socket of a gateway that was killed is replaced; a live one and other files are not', async () => {
        const listen = [{ address: `unix:${sock}` }];
        const killed = await startGateway({ config: { listen, workers: 1 } });
        for (const pid of [killed.pid, ...killed.workerPids()]) process.kill(pid, 'SIGKILL');
        await killed.ended();
        await rm(killed.dir, { recursive: true });
        await assert.rejects(get({ socketPath: sock }), (e) => e.code === 'ECONNREFUSED');

        const gw = await startGateway({ config: { listen, workers: 1 } });
        assert.match(await refused(gw, `unix:${sock}`), /in use by another process/);
        assert.equal(await get({ socketPath: sock }), 200);
        const file = path.join(gw.dir, 'precious');
        await writeFile(file, 'precious');
        assert.match(await refused(gw, `unix:${file}`), /File exists/);
        assert.equal(await readFile(file, 'utf8'), 'precious');
        await gw.stop();
    });
    it('TLS 1.1 is refused, 1.3 preferred, only http/1.1 offered', async () => {
        const tls = await import('node:tls');
        const gw = await startGateway({ config: { workers: 1 } });
        const connect = (options) =>
            new Promise((resolve, reject) => {
                const s = tls.connect({ host: '127.0.0.1', port: gw.ports.https, rejectUnauthorized: false, ...options }, () => {
                    resolve([s.getProtocol(), s.alpnProtocol]);
                    s.destroy();
                });
                s.on('error', reject);
            });
        assert.deepEqual(await connect({ ALPNProtocols: ['h2', 'http/1.1'] }), ['TLSv1.3', 'http/1.1']);
        assert.equal((await connect({ maxVersion: 'TLSv1.2' }))[0], 'TLSv1.2');
        await assert.rejects(connect({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
        await gw.stop();
    });
});

describe('commands', () => {
    it('--version, --help on each, unknown ones', async () => {
        assert.match((await runSluice(['--version'])).stdout, /^sluice \d+\.\d+\.\d+/);
        for (const args of [['--help'], ['serve', '--help'], ['check', '--help'], ['key', '--help']]) {
            const r = await runSluice(args);
            assert.equal(r.code, 0);
            assert.match(r.stdout, /[Uu]sage/);
        }
        for (const args of [[], ['dance'], ['serve'], ['serve', '--nope'], ['check'], ['key', 'new'], ['key', 'new', 'two words']]) {
            const r = await runSluice(args);
            assert.equal(r.code, 2, args.join(' '));
            assert.match(r.stderr, /help|[Uu]sage/);
        }
    });
    it('check tells file, line, key and what is allowed', async () => {
        const gw = await startGateway({ config: { workers: 1 } });
        assert.equal((await runSluice(['check', '--config', gw.file])).code, 0);
        const bad = path.join(gw.dir, 'bad.yaml');
        const good = await readFile(gw.file, 'utf8');
        for (const [text, pattern] of [
            [good.replace('"workers": 1', '"workers": 100000'), /bad\.yaml:\d+: workers: .*256/],
            [good.replace('"workers": 1', '"workers": "many"'), /bad\.yaml:\d+: workers: /],
            [good.replace('"workers": 1', '"store": {"kind": "local"}'), /bad\.yaml:\d+: store: /],
            [good.replace('"workers": 1', '"origins": ["${SLUICE_NO_SUCH}"]'), /bad\.yaml:\d+: origins.*SLUICE_NO_SUCH/],
        ]) {
            await writeFile(bad, text);
            const r = await runSluice(['check', '--config', bad]);
            assert.equal(r.code, 1);
            assert.match(r.stderr + r.stdout, pattern);
        }
        assert.equal((await runSluice(['check', '--config', '/nonexistent.yaml'])).code, 1);
        await gw.stop();
    });
    it('key new prints a key that works with its hash', async () => {
        const r = await runSluice(['key', 'new', 'web']);
        assert.equal(r.code, 0);
        const [key] = /sk-[0-9a-f]{12}-[0-9a-f]{40}/.exec(r.stdout);
        const [hash] = /hmac-sha256:[0-9a-f:]+/.exec(r.stdout);
        const gw = await startGateway({ config: { workers: 1, keys: [{ name: 'web', hash, models: ['*'] }] } });
        await (await rawWS(gw, { key, tls: true })).end();
        await assert.rejects(rawWS(gw, { key: key.replace(/.$/, (ch) => (ch === '0' ? '1' : '0')), tls: true }), (e) => e.status === 401);
        assert.ok(!gw.logs.includes(key));
        await gw.stop();
    });
});
