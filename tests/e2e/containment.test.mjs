// A worker gone wrong: what it can do to the master, to its siblings and to the machine.
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { describe, it } from 'node:test';
import { rawWS } from './lib/clients.mjs';
import { binary, startGateway } from './lib/gateway.mjs';
import { startStack } from './lib/stack.mjs';

/** The process's writable mappings that others share: [from, length]. */
function sharedMappings(pid) {
    const out = [];
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
        const m = /^([0-9a-f]+)-([0-9a-f]+) rw-s .*(\/dev\/zero|\/memfd:)/.exec(line);
        if (m) out.push([Number.parseInt(m[1], 16), Number.parseInt(m[2], 16) - Number.parseInt(m[1], 16)]);
    }
    return out;
}

/** Writes over all of them, as the worker could: `fill` makes so many bytes. */
function scribble(pid, fill) {
    const mappings = sharedMappings(pid);
    const mem = openSync(`/proc/${pid}/mem`, 'r+');
    for (const [from, length] of mappings)
        for (let at = 0; at < length; at += 1 << 20) {
            const piece = fill(Math.min(1 << 20, length - at));
            assert.equal(writeSync(mem, piece, 0, piece.length, from + at), piece.length);
        }
    closeSync(mem);
    return mappings.length;
}

describe('a worker that writes over all that is shared', () => {
    for (const [name, fill] of [
        ['zeros', (n) => Buffer.alloc(n)],
        ['ones', (n) => Buffer.alloc(n, 0xff)],
        ['random bytes', (n) => randomBytes(n)],
    ]) {
        it(`${name}: the master and the others go on`, async (t) => {
            // Little room, so that there is little to write.
            const gw = await startGateway({ config: { workers: 2, limits: { max_sessions: 1000 } } });
            const ask = async () => {
                const headers = { authorization: `Bearer ${gw.key}`, connection: 'close' };
                assert.equal((await fetch(gw.url('/v1/models', { tls: false }), { headers })).status, 200);
            };
            const kept = [];
            for (let i = 0; i < 8; i++) kept.push(await rawWS(gw));
            const [victim] = gw.workerPids();
            try {
                closeSync(openSync(`/proc/${victim}/mem`, 'r+'));
            } catch {
                await gw.stop();
                t.skip('may not write into another process\u2019s memory');
                return;
            }
            for (let round = 0; round < 3; round++) {
                assert.ok(scribble(victim, fill) > 0);
                for (let i = 0; i < 8; i++) await ask();
            }
            // Its column is given back, a new generation starts, and connections come and go.
            const since = gw.mark();
            scribble(victim, fill);
            process.kill(victim, 'SIGKILL');
            await gw.waitLog(/worker started/, { since });
            for (const c of kept) c.ws.terminate();
            await gw.reload();
            for (let i = 0; i < 8; i++) await ask();
            assert.equal(gw.workerPids().length >= 2, true);
            assert.equal((gw.logs.match(/worker died/g) ?? []).length, 1);
            await gw.stop();
        });
    }
});

/** How often each text stands in the process's writable memory: what a core file would have. */
function countInMemory(pid, texts) {
    const counts = texts.map(() => 0);
    const mem = openSync(`/proc/${pid}/mem`, 'r');
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
        const m = /^([0-9a-f]+)-([0-9a-f]+) rw-p /.exec(line);
        if (!m) continue;
        const [from, to] = [Number.parseInt(m[1], 16), Number.parseInt(m[2], 16)];
        const piece = Buffer.alloc(to - from);
        try {
            readSync(mem, piece, 0, piece.length, from);
        } catch {
            continue; // [vvar] and the like
        }
        texts.forEach((text, i) => {
            for (let at = piece.indexOf(text); at >= 0; at = piece.indexOf(text, at + 1)) counts[i]++;
        });
    }
    closeSync(mem);
    return counts;
}

describe('secrets', () => {
    it('stand once where they are needed, and nowhere else in memory or in the environment', async (t) => {
        if (process.getuid() !== 0 || /asan|suspended/.test(binary())) {
            t.skip('needs root, and an allocator that writes over what is freed');
            return;
        }
        const dir = await mkdtemp(path.join(tmpdir(), 'sluice-secrets-'));
        const written = `sk-canary-written-${'w'.repeat(24)}-${randomBytes(4).toString('hex')}`;
        const fromEnv = `sk-canary-env-${'e'.repeat(24)}-${randomBytes(4).toString('hex')}`;
        const fromFile = `sk-canary-file-${'f'.repeat(24)}-${randomBytes(4).toString('hex')}`;
        writeFileSync(path.join(dir, 'key'), `${fromFile}\n`, { mode: 0o600 });
        const provider = (name, key) => ({ name, dialect: 'chat_completions', base_url: 'https://127.0.0.1:1/v1', ...key });
        const gw = await startGateway({
            config: {
                workers: 1,
                providers: [
                    { name: 'demo', dialect: 'demo' },
                    provider('one', { api_key: written }),
                    provider('two', { api_key: '${CANARY_KEY}' }),
                    provider('three', { api_key_file: path.join(dir, 'key') }),
                ],
            },
            env: { CANARY_KEY: fromEnv },
        });
        const canaries = [written, fromEnv, fromFile];
        for (let round = 0; round < 2; round++) {
            // The master's own, and what it reads a variable from again at a reload.
            assert.deepEqual(countInMemory(gw.pid, canaries), [1, 2, 1], 'master');
            assert.deepEqual(countInMemory(gw.workerPids()[0], canaries), [1, 1, 1], 'worker');
            for (const pid of [gw.pid, ...gw.workerPids()])
                assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), /sk-canary/);
            const since = gw.mark();
            assert.match((await gw.reload())[0], /serving/);
            await gw.waitLog(/generation ended/, { since }); // the former configuration goes with it
        }
        await gw.stop();
        await rm(dir, { recursive: true });
    });
});

describe('a worker that was taken over', () => {
    const root = process.getuid() === 0;
    const env = {
        LD_PRELOAD: path.join(path.dirname(binary()), 'intruder.so'),
        // The sanitizer would rather be loaded first.
        ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:verify_asan_link_order=0',
    };
    /** What each attempt came to, and who the worker was. */
    async function attempts(gw) {
        const since = gw.mark();
        process.kill(gw.workerPids()[0], 'SIGURG');
        const [, uid, gid] = await gw.waitLog(/intruder done uid=(\d+) gid=(\d+)/, { since });
        const tried = Object.fromEntries([...gw.logs.slice(since).matchAll(/intruder (\S+) (refused|SUCCEEDED)/g)].map((m) => [m[1], m[2]]));
        return { tried, uid: Number(uid), gid: Number(gid) };
    }

    it('opens no file, executes, traces, binds and forks nothing; and goes on to serve', async () => {
        const { gw, stop } = await startStack({ config: { workers: 1, ...(root ? { user: 'nobody', group: 'nogroup' } : {}) }, env });
        const { tried, uid, gid } = await attempts(gw);
        assert.ok(Object.keys(tried).length >= 14, JSON.stringify(tried));
        assert.deepEqual(Object.entries(tried).filter(([, end]) => end !== 'refused'), []);
        if (root) assert.deepEqual([uid, gid], [65534, 65534]);
        // Providers by address and by name, TLS, and the built-in one.
        for (const model of ['demo', 'tokens-3']) {
            const c = await rawWS(gw, { tls: true });
            c.send({ type: 'response.create', model, input: 'x' });
            await c.until('response.completed');
            await c.end();
        }
        await stop();
    });

    it('as root too, and with either part alone', async () => {
        for (const sandbox of [{ seccomp: false }, { landlock: false }]) {
            const gw = await startGateway({ config: { workers: 1, sandbox }, env });
            if (root) assert.match(gw.logs, /workers run as root/);
            const { tried } = await attempts(gw);
            assert.equal(tried.core, 'refused');
            assert.equal(tried.bind, 'refused'); // by Landlock, or by seccomp
            assert.equal(tried['read:/etc/shadow'], sandbox.seccomp === false || !root ? 'refused' : 'SUCCEEDED');
            await gw.stop();
        }
    });
});
