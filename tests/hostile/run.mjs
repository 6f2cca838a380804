// tests/hostile.sh: SECONDS HOSTILE HONEST.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rawWS, textOf } from '../e2e/lib/clients.mjs';
import { startStack } from '../e2e/lib/stack.mjs';

const [seconds, hostile, honest] = process.argv.slice(2).map(Number);
const here = path.dirname(fileURLToPath(import.meta.url));
const TOKENS = 20;
const text = Array.from({ length: TOKENS }, (_, i) => `t${i}`).join(' ');

const { gw, stop } = await startStack({
    config: {
        workers: 2,
        timeouts: { handshake: '10s', unauthenticated: '20s' },
        models: [
            { name: 'demo', targets: [{ provider: 'demo', model: 'demo' }] },
            { name: 'tokens-*', targets: [{ provider: 'chat', model: 'tokens-*' }] },
        ],
        keys: [
            { name: 'honest', plaintext: 'sk-test-only', models: ['*'] },
            { name: 'neighbour', plaintext: 'sk-neighbour', models: ['demo'] },
        ],
    },
});

const memory = () =>
    Math.max(...gw.workerPids().map((pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0)));
const p99 = (values) => [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(values.length * 0.99) - 1)];

/** Honest clients, each with one WebSocket for all of the time, and every eighth answer over a new one. */
async function serve(ms) {
    const until = Date.now() + ms;
    const first = [];
    let answers = 0;
    await Promise.all(
        Array.from({ length: honest }, async (_, n) => {
            let c = await rawWS(gw, { tls: n % 2 === 0 });
            for (let i = 0; Date.now() < until; i++) {
                if (i % 8 === 7) {
                    await c.end();
                    c = await rawWS(gw, { tls: n % 2 === 0 });
                }
                const began = performance.now();
                c.send({ type: 'response.create', model: `tokens-${TOKENS}.gap-10`, input: 'x' });
                const events = await c.until((e) => e.type === 'response.output_text.delta');
                first.push(performance.now() - began);
                events.push(...(await c.until((e) => /^response\.(completed|failed|incomplete)$|^error$/.test(e.type))));
                assert.equal(events.at(-1).type, 'response.completed', JSON.stringify(events.at(-1)));
                assert.equal(textOf(events), text);
                answers++;
            }
            await c.end();
        }),
    );
    return { answers, p99: p99(first), memory: memory() };
}

const before = await serve(Math.min(seconds, 60) * 250);
const attackers = Array.from({ length: 2 }, () =>
    fork(path.join(here, 'attack.mjs'), [gw.ports.http, gw.ports.https, Math.ceil(hostile / 2), 'sk-neighbour'].map(String)));
const workers = gw.workerPids();
let failed = 0;
const verdict = (what, ok) => {
    console.log(`${ok ? 'ok' : 'FAILED'}: ${what}`);
    if (!ok) failed++;
};
try {
    const during = await serve(seconds * 1000);
    const done = {};
    for (const a of attackers) {
        const counts = await new Promise((resolve) => {
            a.once('message', resolve);
            a.send('counts');
        });
        for (const [name, n] of Object.entries(counts)) done[name] = (done[name] ?? 0) + n;
    }
    for (const [name, n] of Object.entries(done)) console.log(`  ${n} x ${name}`);
    console.log(`  first token p99: ${before.p99.toFixed(1)} ms before, ${during.p99.toFixed(1)} ms during; memory of a worker: ${before.memory} kB, ${during.memory} kB`);
    verdict(`${during.answers} answers, none lost, none wrong`, during.answers > honest);
    verdict('no process died', !/worker died|generation killed/.test(gw.logs) && workers.every((pid) => gw.workerPids().includes(pid)));
    verdict('memory grew by less than 64 MB', during.memory - before.memory < 64 * 1024);
    if (seconds >= 60) verdict('the p99 of first tokens at most doubled', during.p99 <= 2 * before.p99);
} catch (e) {
    verdict(`honest clients were served: ${e.message}`, false);
} finally {
    for (const a of attackers) a.kill('SIGKILL');
}
await stop();
process.exit(failed === 0 ? 0 : 1);
