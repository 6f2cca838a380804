// gateway/web/sluice.js, as others would import it, against the real gateway.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';
import { SluiceClient } from '../../gateway/web/sluice.js';
import { testCertificate } from '../e2e/lib/gateway.mjs';
import { startStack } from '../e2e/lib/stack.mjs';

let stack;
let gw;
let Trusting;
const clients = [];

before(async () => {
    const { pem } = await testCertificate();
    Trusting = class extends WebSocket {
        constructor(url, protocols) {
            super(url, protocols, { ca: pem });
        }
    };
    stack = await startStack({ scripts: { held: { tokens: ['a ', 'b ', 'c'], hold: 1 } } });
    gw = stack.gw;
});

after(async () => {
    for (const client of clients) client.close();
    await stack?.stop();
});

function connect(options = {}) {
    const secure = options.tls !== false;
    const { tls, ...rest } = options;
    const client = new SluiceClient({
        url: gw.wsUrl('/v1/responses', { tls: secure }),
        token: gw.key,
        WebSocket: secure ? Trusting : WebSocket,
        backoffBase: 20,
        ...rest,
    });
    clients.push(client);
    return client;
}

const idle = (client) =>
    new Promise((resolve) => client.addEventListener('state', (e) => e.detail.state === 'idle' && resolve()));
const rejection = (promise) => promise.then(() => assert.fail('it should have been rejected'), (error) => error);

for (const tls of [true, false]) {
    test(`an answer over ${tls ? 'wss' : 'ws'}`, async () => {
        const deltas = [];
        const answer = connect({ tls }).respond({ model: 'demo', input: 'count to 12' }, { onDelta: (text) => deltas.push(text) });
        const numbers = [];
        for await (const event of answer) numbers.push(event.sequence_number);
        const response = await answer.done;
        assert.equal(answer.text, '1 2 3 4 5 6 7 8 9 10 11 12');
        assert.equal(deltas.join(''), answer.text);
        assert.equal(response.output[0].content[0].text, answer.text);
        assert.equal(response.usage.output_tokens, 12);
        assert.deepEqual(numbers, [...numbers].sort((a, b) => a - b));
    });
}

test('two lanes at once, and a third request behind one of them', async () => {
    const client = connect();
    const ended = [];
    const ask = (stream_id, n) => {
        const answer = client.respond({ model: 'demo', input: `count to ${n}`, stream_id });
        answer.done.then(() => ended.push(`${stream_id}${n}`));
        return answer;
    };
    const answers = [ask('a', 60), ask('b', 3), ask('b', 2)];
    await Promise.all(answers.map((answer) => answer.done));
    assert.deepEqual(ended, ['b3', 'b2', 'a60']);
    assert.equal(answers[1].text, '1 2 3');
});

test('cancel closes the provider\'s stream, and the lane goes on', async () => {
    const client = connect();
    const stop = new AbortController();
    const lane = client.lane('chat');
    const answer = lane.respond({ model: 'held', input: 'x' }, { signal: stop.signal, onDelta: () => stop.abort() });
    const exchange = await stack.provider.next((x) => x.body.model === 'held');
    assert.equal((await rejection(answer.done)).name, 'AbortError');
    assert.equal(await exchange.closed, true);
    const next = lane.respond({ model: 'demo', input: 'count to 2' });
    await next.done;
    assert.equal(next.text, '1 2');
});

test('cancel before the provider has said anything', async () => {
    const client = connect();
    const answer = client.lane('chat').respond({ model: 'silent', input: 'x' });
    const exchange = await stack.provider.next((x) => x.body.model === 'silent');
    answer.cancel();
    assert.equal((await rejection(answer.done)).code, 'cancelled');
    assert.equal(await exchange.closed, true);
});

test('a conversation goes on after every worker was killed', async () => {
    const client = connect();
    const lane = client.lane('chat');
    await lane.respond({ model: 'echo', input: 'I am Ada.' }).done;
    const killed = gw.workerPids();
    const lost = idle(client);
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    await gw.waitFor(() => gw.workerPids().length === killed.length && !gw.workerPids().some((pid) => killed.includes(pid)));
    await lost;
    await lane.respond({ model: 'echo', input: 'Who am I?' }).done;
    const { body } = await stack.provider.next((x) => x.body.messages?.at(-1).content === 'Who am I?');
    assert.deepEqual(body.messages.map((m) => m.content), ['I am Ada.', 'You said: I am Ada.', 'Who am I?']);
});

test('a reload: what runs ends where it runs, what comes goes to the new workers', async () => {
    const client = connect();
    const old = client.respond({ model: 'held', input: 'x', stream_id: 'a' });
    const exchange = await stack.provider.next((x) => x.body.model === 'held');
    const left = idle(client);
    await gw.reload();
    await left;
    const fresh = client.respond({ model: 'demo', input: 'count to 3', stream_id: 'b' });
    await fresh.done;
    assert.equal(fresh.text, '1 2 3');
    assert.equal(old.state, 'running');
    exchange.release();
    await old.done;
    assert.equal(old.text, 'a b c');
});

test('refusals are typed', async () => {
    const client = connect({ tls: false });
    const missing = await rejection(client.respond({ model: 'demo', input: 'x', temperature: 'hot' }).done);
    assert.equal(missing.param, 'temperature');
    assert.equal(missing.status, 400);
    const refused = await rejection(client.respond({ model: 'status-429.retry-7', input: 'x' }).done);
    assert.equal(refused.code, 'rate_limit_exceeded');
    assert.equal(refused.retryAfter, 7);
    assert.deepEqual((await client.models()).includes('demo'), true);
    const bad = await rejection(connect({ tls: false, token: 'sk-wrong' }).respond({ model: 'demo', input: 'x' }).done);
    assert.equal(bad.code, 'invalid_api_key');
    assert.equal(bad.status, 401);
});

test('function calls, and their outputs in the next turn', async () => {
    const lane = connect().lane('tools');
    const tools = [{ type: 'function', name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } }];
    const first = lane.respond({ model: 'demo', input: 'call weather {"city":"Bern"}', tools });
    const response = await first.done;
    const call = response.output.find((item) => item.type === 'function_call');
    assert.deepEqual(JSON.parse(call.arguments), { city: 'Bern' });
    await lane.respond({ model: 'echo', tools, input: [{ type: 'function_call_output', call_id: call.call_id, output: 'rain' }] }).done;
    const { body } = await stack.provider.next((x) => x.body.messages?.some((m) => m.role === 'tool'));
    assert.deepEqual(body.messages.map((m) => m.role), ['user', 'assistant', 'tool']);
});
