// The log: its two forms, its levels, and that it never stops the gateway.
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, test } from 'node:test';
import { rawWS } from './lib/clients.mjs';
import { logFields, startGateway } from './lib/gateway.mjs';

const running = [];
async function start(opts) {
    const gw = await startGateway(opts);
    running.push(gw);
    return gw;
}
after(() => Promise.all(running.map((gw) => gw.stop())));

/** One request that asks for nothing but costs some debug lines; on a connection of its own, as one from before a reload meets the
 * former configuration. */
function ask(gw) {
    return new Promise((resolve, reject) => {
        const headers = { authorization: `Bearer ${gw.key}` };
        const req = http.get(gw.url('/v1/models', { tls: false }), { headers, agent: false }, (res) => {
            res.resume();
            res.once('end', () => resolve(assert.equal(res.statusCode, 200)));
        });
        req.once('error', reject);
    });
}

for (const [what, fifo] of [
    ['a pipe', true],
    ['a socket', false],
]) {
    test(`${what} that nobody reads stops nobody, and what was dropped is said`, async () => {
        const gw = await start({ fifo, config: { log: { level: 'debug', max_unwritten_bytes: '64KiB' } } });
        gw.readLog(false);
        // More than the kernel, the reader and both workers can hold.
        for (let i = 0; i < 2000; i++) await ask(gw);
        const since = gw.mark();
        gw.readLog(true);
        const [, dropped] = await gw.waitLog(/log lines dropped, because nothing took them" dropped=(\d+)\n/, { since });
        assert.ok(Number(dropped) > 0);
        const after = gw.mark();
        await ask(gw);
        await gw.waitLog(/msg="http request"/, { since: after });
        for (const line of gw.logs.slice(0, gw.logs.lastIndexOf('\n')).split('\n'))
            assert.match(line, /^time=\S+Z level=\w+ role=\S+ msg="[^"]*"( [\w.]+=("([^"\\]|\\.)*"|[^\s"=]*))*$/);
    });
}

test('JSON, one object a line; debug lines say whose they are', async () => {
    const gw = await start({ config: { log: { format: 'json', level: 'debug' }, workers: 1 } });
    await ask(gw);
    await gw.waitLog(/"http answer"/);
    for (const line of gw.logs.slice(0, gw.logs.lastIndexOf('\n')).split('\n'))
        assert.equal(typeof JSON.parse(line).level, 'string');
    const serving = gw.lines('serving')[0];
    assert.equal(serving.generation, 1);
    assert.equal(serving.role, 'master');
    const request = gw.lines('http request')[0];
    assert.equal(request.path, '/v1/models');
    assert.equal(request.conn, 1);
    assert.match(request.request, /^req_/);
    const moves = gw.lines('move').filter((l) => l.fsm === 'conn');
    assert.ok(moves.length >= 2);
    assert.ok(moves.every((l) => l.conn === 1));
    assert.ok(moves.some((l) => l.to === 'answer' && l.request === request.request));
});

test('debug lines of a request say connection, session, request and response', async () => {
    const gw = await start({ config: { log: { format: 'json', level: 'debug' }, workers: 1 } });
    const c = await rawWS(gw);
    c.send({ type: 'response.create', model: 'demo', input: 'x' });
    const events = await c.until((e) => e.type === 'response.completed');
    const over = (l) => l.msg === 'move' && l.fsm === 'turn' && l.to === 'over';
    await gw.waitFor(() => gw.lines().some(over), 'the turn to be over');
    const turn = gw.lines('move').filter((l) => l.fsm === 'turn');
    assert.ok(turn.every((l) => l.conn > 0 && l.session > 0 && /^req_/.test(l.request)));
    const response = gw.lines('move').filter((l) => l.fsm === 'response' && l.to === 'ended');
    assert.equal(response[0].response, events.at(-1).response.id);
    assert.equal(response[0].request, turn[0].request);
    await c.end();
});

test('form and level follow a reload', async () => {
    const gw = await start();
    await ask(gw);
    assert.equal(gw.lines('http request').length, 0);
    await gw.writeConfig({ log: { format: 'json', level: 'debug' } });
    const since = gw.mark();
    await gw.reload();
    await ask(gw);
    await gw.waitLog(/"msg":"http request"/, { since });
    await gw.waitLog(/^\{.*"role":"master","msg":"serving","generation":2/m, { since });
});

test('a value is no way into the line', async () => {
    const gw = await start({ config: { log: { level: 'debug' } } });
    await fetch(gw.url('/x?level=error%20msg=forged', { tls: false }));
    const [line] = await gw.waitLog(/^.*http request.*$/m);
    assert.equal(logFields(line).path, '/x');
    assert.equal(logFields(line).level, 'debug');
});
