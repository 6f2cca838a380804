// The admin listener: health, readiness, and metrics as Prometheus reads them.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { startGateway } from './lib/gateway.mjs';

const admin = { address: '127.0.0.1:0' };
const running = [];
async function start(config) {
    const gw = await startGateway({ config: { admin, ...config }, listeners: 3 });
    running.push(gw);
    return gw;
}
after(() => Promise.all(running.map((gw) => gw.stop())));

const ask = (gw, rest) => fetch(`http://127.0.0.1:${gw.ports.admin}${rest}`);

async function scrape(gw) {
    const res = await ask(gw, '/metrics');
    assert.equal(res.status, 200);
    assert.match(res.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
    return res.text();
}

/** The value of a series, as it is written; undefined: it is not there. */
function value(text, series) {
    const line = text.split('\n').find((l) => l.startsWith(`${series} `));
    return line && Number(line.slice(series.length + 1));
}

test('health and readiness; nothing else is there', async () => {
    const gw = await start();
    assert.deepEqual(await (await ask(gw, '/healthz')).json(), { status: 'ok' });
    const ready = await ask(gw, '/readyz');
    assert.equal(ready.status, 200);
    assert.deepEqual(await ready.json(), { status: 'ready' });
    for (const rest of ['/', '/v1/models', '/v1/responses', '/sluice.js']) {
        const res = await ask(gw, rest);
        assert.equal(res.status, 404, rest);
        await res.arrayBuffer();
    }
    const elsewhere = await fetch(gw.url('/metrics', { tls: false }));
    assert.equal(elsewhere.status, 404);
    await elsewhere.arrayBuffer();
});

test('it is there when strangers have filled the gateway', async () => {
    const gw = await start({ limits: { max_sessions: 1 } });
    const held = await fetch(gw.url('/v1/models', { tls: false }), { headers: { authorization: `Bearer ${gw.key}` } });
    assert.equal(held.status, 200); // kept alive by fetch
    await held.arrayBuffer();
    for (let i = 0; i < 3; i++) assert.equal((await ask(gw, '/healthz')).status, 200);
});

test('the form is what promtool wants', async () => {
    const gw = await start();
    const text = await scrape(gw);
    const said = await new Promise((resolve, reject) => {
        const child = execFile('promtool', ['check', 'metrics'], (error, stdout, stderr) =>
            error ? reject(new Error(`${error.message}\n${stdout}${stderr}`)) : resolve(stdout + stderr),
        );
        child.stdin.end(text);
    });
    assert.equal(said, '');
});

test('any worker answers for all, and a Prometheus reads it', async () => {
    const gw = await start({ workers: 3 });
    // A first generation is announced with its first worker.
    while (value(await scrape(gw), 'sluice_workers_serving') !== 3);
    const dir = await mkdtemp(path.join(tmpdir(), 'sluice-prometheus-'));
    await writeFile(
        path.join(dir, 'prometheus.yml'),
        JSON.stringify({
            global: { scrape_interval: '1s' },
            scrape_configs: [{ job_name: 'sluice', static_configs: [{ targets: [`127.0.0.1:${gw.ports.admin}`] }] }],
        }),
    );
    const prometheus = spawn(
        'prometheus',
        [`--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/data`, '--web.listen-address=127.0.0.1:0'],
        { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    try {
        const address = await new Promise((resolve, reject) => {
            let log = '';
            prometheus.stderr.on('data', (d) => {
                log += d;
                const m = /Listening on" address=(127\.0\.0\.1:\d+)/.exec(log);
                if (m) resolve(m[1]);
            });
            prometheus.once('error', reject);
            prometheus.once('exit', () => reject(new Error(log)));
        });
        for (;;) {
            const res = await fetch(`http://${address}/api/v1/query?query=sluice_workers_serving`);
            const [series] = res.ok ? (await res.json()).data.result : []; // not ok: it is still starting
            if (series) {
                assert.equal(series.value[1], '3');
                break;
            }
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        const targets = await fetch(`http://${address}/api/v1/targets`).then((r) => r.json());
        assert.equal(targets.data.activeTargets[0].lastError, '');
    } finally {
        const gone = new Promise((resolve) => prometheus.once('exit', resolve));
        prometheus.kill();
        await gone;
        await rm(dir, { recursive: true, force: true });
    }
});

test('a worker that died is missing until the next one serves; counters stay', async () => {
    const gw = await start({ workers: 2 });
    const [first] = gw.workerPids();
    const since = gw.mark();
    process.kill(first, 'SIGKILL');
    await gw.waitLog(/worker started/, { since });
    for (;;) {
        const res = await ask(gw, '/readyz').catch(() => undefined);
        const body = await res?.json();
        if (res?.status === 200) break;
        if (body) assert.match(body.error.message, /workers \(1 of 2 serve\)/);
    }
    assert.equal(value(await scrape(gw), 'sluice_workers_serving'), 2);
});
