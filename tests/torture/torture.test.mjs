// One call fails, the next time another one, until the scenario passes without a failure: nothing crashes, leaks, or keeps a client
// waiting, and the worker goes on serving. README.md says what is left out. TORTURE=full tries every call; else a sample.
//   node --test tests/torture/torture.test.mjs       TORTURE_ONLY='KIND: SCENARIO' tries that one alone
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { startProvider } from '../e2e/lib/provider.mjs';
import { startGateway, TEST_KEY, testCertificate } from '../e2e/lib/gateway.mjs';
import { Plan } from './plan.mjs';
import { lastScenarios, post, scenarios } from './scenarios.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const binary = path.join(root, 'build', process.env.SLUICE_BUILD ?? 'asan', 'sluice-torture');
const full = process.env.TORTURE === 'full';
const only = process.env.TORTURE_ONLY;
const SAMPLE = Number(process.env.TORTURE_SAMPLE ?? 6);
const STUCK_MS = 20_000;
const ALL = 0xffffffff;
process.env.SLUICE_BIN = binary;

/** Short ones, so that who must be cut is cut before the test calls it stuck. */
const timeouts = {
    connect: '1s', first_token: '2s', between_tokens: '2s', total: '10s', handshake: '2s', unauthenticated: '5s', keep_alive: '2s',
    write: '2s', upstream_idle: '20ms', resume_ttl: '100ms', drain: '3s',
};

async function startTortured(plan, { http, secure }) {
    const base = { base_url: http.url, allow_plaintext: true, api_key: 'sk-upstream-secret' };
    const { certificate } = await testCertificate();
    return startGateway({
        config: {
            workers: 1, timeouts, log: { level: 'info' },
            limits: { max_context_bytes: '1MiB' },
            providers: [
                { name: 'chat', dialect: 'chat_completions', ...base },
                { name: 'resp', dialect: 'responses', ...base },
                { name: 'secure', dialect: 'chat_completions', base_url: secure.url, api_key: 'sk-upstream-secret' },
            ],
            keys: [{ name: 'test', plaintext: TEST_KEY, models: ['*', 'chat/*', 'resp/*', 'secure/*'] }],
            models: [{ name: 'plain', targets: [{ provider: 'chat', model: 'tokens-1' }] }],
        },
        env: { SLUICE_TORTURE: plan.path, SSL_CERT_FILE: certificate },
    });
}

function deadline(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`stuck: ${what}`)), STUCK_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Clients may hear of anything; only `stuck` and what `judge` found are the gateway's fault. */
/** Without a failure it must be what is expected. */
async function enjoy({ run, expected }, gw) {
    const got = await deadline(run(gw), 'a client waits for ever, and nothing has failed');
    assert.deepEqual(got, expected);
}

async function suffer({ run }, gw) {
    try {
        await deadline(run(gw), 'a client waits for ever');
    } catch (e) {
        if (/^stuck|without a typed error|JSON/.test(e.message)) throw e;
    }
}

/**
 * n = 1, 2, ... of `calls`, or so many of them, spread out. How many there are differs from time to time: `full` goes on until one
 * more than there were.
 */
function* turns(calls) {
    const step = full ? 1 : Math.max(1, calls / SAMPLE);
    let failed = true;
    for (let n = 1; n <= calls || (full && failed); n += step) failed = yield Math.floor(n);
}

/** `once(n)` lets the n-th call fail, and answers whether it came to that. */
async function inTurn(plan, kind, countAll, once) {
    const calls = await countAll();
    let tried = 0;
    const sequence = turns(calls);
    let failed;
    for (let next = sequence.next(); !next.done; next = sequence.next(failed)) {
        const n = next.value;
        try {
            failed = await once(n);
        } catch (e) {
            throw new Error(`when call ${n} failed (${plan.where(binary)}): ${e.message}`);
        }
        if (failed) tried++; /* else there were fewer calls this time */
    }
    return { calls, tried };
}

/** README.md says why. */
const ALWAYS = ['memory', 'tls', 'calls'];
const OF_LAST = { drain: ['memory', 'curl', 'tls', 'calls'], reload: ['memory', 'start'] };

function forKinds(name, kinds, body) {
    for (const kind of kinds) {
        const title = `${kind}: ${name}`;
        if (!only || only === title) test(title, (t) => body(t, kind));
    }
}

const plan = new Plan();
const providers = {};
test.before(async () => {
    const { pem, key } = await testCertificate();
    providers.http = await startProvider({});
    providers.secure = await startProvider({ tls: { cert: pem, key: await readFile(key) } });
});
test.after(async () => {
    await providers.http.close();
    await providers.secure.close();
    plan.close();
});

for (const [name, scenario] of Object.entries(scenarios))
    forKinds(name, ALWAYS, async (t, kind) => {
        const gw = await startTortured(plan, providers);
        const pids = gw.workerPids().join();
        const once = async (n) => {
            plan.arm(kind, n);
            await suffer(scenario, gw);
            const { failed } = plan.disarm();
            assert.equal(gw.workerPids().join(), pids, `the worker has died:\n${gw.logs.slice(-4000)}`);
            const after = await deadline(post(gw, '/v1/chat/completions', { model: 'plain', messages: [{ role: 'user', content: 'x' }] }), 'the next request');
            assert.equal(after.status, 200, `the next request: ${after.body}`);
            return failed;
        };
        const countAll = async () => {
            await enjoy(scenario, gw); /* the first of its kind: what is kept for the next is made here */
            plan.arm(kind, ALL);
            await enjoy(scenario, gw);
            return plan.disarm().calls;
        };
        let error;
        let figures;
        try {
            figures = await inTurn(plan, kind, countAll, once);
        } catch (e) {
            error = e;
        }
        await gw.stop().catch((e) => (error ??= e));
        if (error) throw error;
        t.diagnostic(`${figures.calls} calls, ${figures.tried} failed in turn`);
    });

for (const [name, run] of Object.entries(lastScenarios))
    forKinds(name, OF_LAST[name], async (t, kind) => {
        const once = async (n) => {
            const gw = await startTortured(plan, providers);
            plan.arm(kind, n);
            let error;
            await deadline(run(gw), name).catch((e) => (error = e));
            const { failed, calls } = plan.disarm();
            if (!gw.exited && !error) {
                const after = await deadline(post(gw, '/v1/chat/completions', { model: 'plain', messages: [{ role: 'user', content: 'x' }] }), 'the next request').catch((e) => (error = e));
                if (!error && after.status !== 200) error = new Error(`the next request: ${after.body}`);
            }
            await gw.stop().catch((e) => (error ??= e));
            if (error) throw error;
            return n === ALL ? calls : failed;
        };
        const figures = await inTurn(plan, kind, () => once(ALL), once);
        t.diagnostic(`${figures.calls} calls, ${figures.tried} failed in turn`);
    });
