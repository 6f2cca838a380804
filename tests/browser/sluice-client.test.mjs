// gateway/web/sluice.js against a scripted server: what it does when connections and answers go wrong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import WebSocket from 'ws';
import { SluiceClient, SluiceError } from '../../gateway/web/sluice.js';
import { Double, KEY } from './lib/double.mjs';

/** Runs `body(double, makeClient)` and takes everything down. */
async function withDouble(script, body) {
    const double = await Double.start(script);
    const clients = [];
    const make = (options = {}) => {
        const client = new SluiceClient({ url: double.url, token: KEY, WebSocket, backoffBase: 1, backoffMax: 64, ...options });
        clients.push(client);
        return client;
    };
    try {
        await body(double, make);
    } finally {
        for (const client of clients) client.close();
        await double.stop();
    }
}

const echo = {
    onMessage(connection, message) {
        if (message.type === 'response.create') connection.answer(message, ['one ', 'two ', 'three']);
    },
};

function states(client) {
    const seen = [];
    client.addEventListener('state', (e) => seen.push(e.detail));
    return seen;
}

const delays = (seen) => seen.filter((s) => s.state === 'waiting').map((s) => s.delay);

const rejection = (promise) => promise.then(() => assert.fail('it should have been rejected'), (error) => error);

test('streams text, gives every event in order, resolves with the response', () =>
    withDouble(echo, async (double, make) => {
        const deltas = [];
        const answer = make().respond({ model: 'm', input: 'hi' }, { onDelta: (text) => deltas.push(text) });
        const types = [];
        for await (const event of answer) types.push(event.type);
        const response = await answer.done;
        assert.deepEqual(deltas, ['one ', 'two ', 'three']);
        assert.equal(answer.text, 'one two three');
        assert.equal(answer.state, 'ended');
        assert.equal(response.status, 'completed');
        assert.equal(answer.usage.output_tokens, 3);
        assert.deepEqual(types, ['response.created', ...Array(3).fill('response.output_text.delta'), 'response.completed']);
        assert.deepEqual(double.connections[0].protocols, ['responses', `openai-insecure-api-key.${KEY}`]);
        assert.deepEqual(double.connections[0].received, [{ type: 'response.create', model: 'm', input: 'hi' }]);
    }));

test('drops events that come twice', () =>
    withDouble(
        {
            onMessage(connection, message) {
                const events = [];
                const { send } = connection;
                connection.send = (event, lane) => events.push([event, lane]);
                connection.answer(message, ['a', 'b']);
                for (const i of [0, 1, 1, 0, 2, 2, 3]) send(...events[i]);
            },
        },
        async (double, make) => {
            const answer = make().respond({ model: 'm', input: 'hi' });
            await answer.done;
            assert.equal(answer.text, 'ab');
        },
    ));

test('lanes run side by side, requests of one lane in order', () =>
    withDouble({}, async (double, make) => {
        const client = make();
        const ask = (stream_id, input) => client.respond({ model: 'm', input, stream_id });
        const [a1, a2, b1] = [ask('a', '1'), ask('a', '2'), ask('b', '1')];
        const first = await double.until(() => double.connections[0]?.received.length === 2 && double.connections[0]);
        assert.deepEqual(first.received.map((m) => [m.stream_id, m.input]), [['a', '1'], ['b', '1']]);
        first.answer({ stream_id: 'b' }, ['b1']);
        await b1.done;
        assert.equal(a1.text, '');
        first.answer({ stream_id: 'a' }, ['a1']);
        await a1.done;
        await double.until(() => first.received.length === 3);
        first.answer({ stream_id: 'a' }, ['a2']);
        await a2.done;
        assert.deepEqual([a1.text, a2.text, b1.text], ['a1', 'a2', 'b1']);
    }));

test('at most maxInFlight run at once', () =>
    withDouble({}, async (double, make) => {
        const client = make({ maxInFlight: 2 });
        const answers = ['a', 'b', 'c'].map((stream_id) => client.respond({ model: 'm', input: 'x', stream_id }));
        const first = await double.until(() => double.connections[0]?.received.length === 2 && double.connections[0]);
        first.answer({ stream_id: 'b' }, ['done']);
        await double.until(() => first.received.length === 3);
        assert.equal(first.received[2].stream_id, 'c');
        for (const stream_id of ['a', 'c']) first.answer({ stream_id }, ['done']);
        await Promise.all(answers.map((a) => a.done));
    }));

test('a conversation continues by previous_response_id, and after a lost connection by its whole history', () =>
    withDouble(echo, async (double, make) => {
        const lane = make().lane('chat');
        const first = await lane.respond({ model: 'm', input: 'one' }).done;
        await lane.respond({ model: 'm', input: 'two' }).done;
        const [connection] = double.connections;
        assert.deepEqual(connection.received[0].input, [{ role: 'user', content: 'one' }]);
        assert.equal(connection.received[0].previous_response_id, undefined);
        assert.deepEqual(connection.received[1].input, [{ role: 'user', content: 'two' }]);
        assert.equal(connection.received[1].previous_response_id, first.id);
        connection.socket.terminate();
        await lane.respond({ model: 'm', input: 'three' }).done.catch(() => lane.respond({ model: 'm', input: 'three' }).done);
        const again = double.connections[1].received[0];
        assert.equal(again.previous_response_id, undefined);
        assert.deepEqual(again.input.map((item) => [item.role, item.content]), [
            ['user', 'one'],
            ['assistant', 'one two three'],
            ['user', 'two'],
            ['assistant', 'one two three'],
            ['user', 'three'],
        ]);
    }));

test('previous_response_not_found is met with the whole history, once', () =>
    withDouble(
        {
            onMessage(connection, message) {
                if (message.previous_response_id)
                    connection.send({ type: 'error', status: 400, error: { code: 'previous_response_not_found', message: 'gone' } }, message.stream_id);
                else connection.answer(message, ['ok']);
            },
        },
        async (double, make) => {
            const lane = make().lane('chat');
            await lane.respond({ model: 'm', input: 'one' }).done;
            const answer = lane.respond({ model: 'm', input: 'two' });
            await answer.done;
            const sent = double.received('response.create');
            assert.equal(sent.length, 3);
            assert.ok(sent[1].previous_response_id);
            assert.deepEqual(sent[2].input.map((i) => i.content), ['one', 'ok', 'two']);
            const explicit = make().lane('other').respond({ model: 'm', input: 'x', previous_response_id: 'resp_0' });
            assert.equal((await rejection(explicit.done)).code, 'previous_response_not_found');
        },
    ));

test('function calls and their outputs are part of the history', () =>
    withDouble(
        {
            onMessage(connection, message) {
                const call = { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'f', arguments: '{}', status: 'completed' };
                const response = { id: 'resp_t', status: 'completed', output: [{ type: 'reasoning', id: 'rs_1', summary: [] }, call] };
                connection.send({ type: 'response.created', sequence_number: 0, response: { id: 'resp_t', status: 'in_progress' } });
                connection.send({ type: 'response.completed', sequence_number: 1, response });
                connection.seen = message;
            },
        },
        async (double, make) => {
            const lane = make().lane();
            await lane.respond({ model: 'm', input: 'call f' }).done;
            await lane.respond({ model: 'm', input: [{ type: 'function_call_output', call_id: 'call_1', output: '1' }] }).done;
            assert.deepEqual(lane.history.map((i) => i.type ?? i.role), ['user', 'function_call', 'function_call_output', 'function_call']);
        },
    ));

test('a lane that is reset forgets the answer that was still running', () =>
    withDouble({}, async (double, make) => {
        const lane = make().lane('chat');
        const old = lane.respond({ model: 'm', input: 'old' });
        const connection = await double.until(() => double.connections[0]?.received.length === 1 && double.connections[0]);
        lane.reset();
        connection.answer({ stream_id: 'chat' }, ['late']);
        await old.done;
        assert.deepEqual(lane.history, []);
        lane.respond({ model: 'm', input: 'new' });
        await double.until(() => connection.received.length === 2);
        assert.deepEqual(connection.received[1].input, [{ role: 'user', content: 'new' }]);
    }));

test('aborting a running answer asks the server to stop, and the lane waits for its last word', () =>
    withDouble({}, async (double, make) => {
        const client = make();
        const stop = new AbortController();
        const answer = client.respond({ model: 'm', input: 'x', stream_id: 'a' }, { signal: stop.signal, onDelta: () => stop.abort() });
        const next = client.respond({ model: 'm', input: 'y', stream_id: 'a' });
        const connection = await double.until(() => double.connections[0]?.received.length === 1 && double.connections[0]);
        connection.send({ type: 'response.created', sequence_number: 0, response: { id: 'resp_x', status: 'in_progress' } }, 'a');
        connection.send({ type: 'response.output_text.delta', sequence_number: 1, delta: 'half' }, 'a');
        const error = await rejection(answer.done);
        assert.equal(error.name, 'AbortError');
        assert.equal(answer.text, 'half');
        await double.until(() => connection.received.length === 2);
        assert.deepEqual(connection.received[1], { type: 'response.cancel', response_id: 'resp_x' });
        connection.send({ type: 'response.output_text.delta', sequence_number: 2, delta: ' more' }, 'a');
        assert.equal(connection.received.length, 2, 'the next request waits');
        connection.send({ type: 'response.incomplete', sequence_number: 3, response: { id: 'resp_x', status: 'cancelled', output: [] } }, 'a');
        await double.until(() => connection.received.length === 3);
        assert.equal(answer.text, 'half', 'what comes after the stop is not shown');
        connection.answer({ stream_id: 'a' }, ['fine']);
        await next.done;
        assert.equal(next.text, 'fine');
    }));

test('aborting before the answer has an id stops its lane, and the answer once it has one', () =>
    withDouble({}, async (double, make) => {
        const answer = make().respond({ model: 'm', input: 'x', stream_id: 'a' });
        const connection = await double.until(() => double.connections[0]?.received.length === 1 && double.connections[0]);
        answer.cancel();
        assert.equal((await rejection(answer.done)).code, 'cancelled');
        await double.until(() => connection.received.length === 2);
        assert.deepEqual(connection.received[1], { type: 'response.cancel', stream_id: 'a' });
        connection.send({ type: 'error', status: 404, error: { code: 'response_not_found', message: 'none in flight' } }, 'a');
        connection.send({ type: 'response.created', sequence_number: 0, response: { id: 'resp_x', status: 'in_progress' } }, 'a');
        await double.until(() => connection.received.length === 3);
        assert.deepEqual(connection.received[2], { type: 'response.cancel', response_id: 'resp_x' });
    }));

test('aborting what waits sends nothing', () =>
    withDouble({}, async (double, make) => {
        const client = make();
        const signal = AbortSignal.abort(new Error('never mind'));
        const early = client.respond({ model: 'm', input: 'x' }, { signal });
        assert.equal((await rejection(early.done)).message, 'never mind');
        const stop = new AbortController();
        const queued = client.respond({ model: 'm', input: 'y' }, { signal: stop.signal });
        stop.abort();
        assert.equal((await rejection(queued.done)).name, 'AbortError');
        const kept = client.respond({ model: 'm', input: 'z' });
        const connection = await double.until(() => double.connections[0]?.received.length === 1 && double.connections[0]);
        assert.equal(connection.received[0].input, 'z');
        connection.answer({}, ['ok']);
        await kept.done;
    }));

for (const code of [1001, 1005, 1006, 1011, 1012, 1013]) {
    test(`after close code ${code} what was sent fails, what waits goes over a new connection`, () =>
        withDouble(
            {
                onMessage(connection, message) {
                    if (connection.number > 0) connection.answer(message, ['second']);
                    else if (code === 1006) connection.socket.terminate();
                    else if (code === 1005) connection.socket.close();
                    else connection.socket.close(code, 'test');
                },
            },
            async (double, make) => {
                const client = make();
                const sent = client.respond({ model: 'm', input: 'sent' });
                const waiting = client.respond({ model: 'm', input: 'waiting' });
                const error = await rejection(sent.done);
                assert.ok(error instanceof SluiceError);
                assert.equal(error.code, 'connection_lost');
                assert.equal(error.closeCode, code);
                await waiting.done;
                assert.equal(waiting.text, 'second');
                assert.deepEqual(double.received('response.create').map((m) => m.input), ['sent', 'waiting']);
            },
        ));
}

for (const code of [1002, 1003, 1007, 1008, 1009, 4321]) {
    test(`after close code ${code} it does not connect again by itself`, () =>
        withDouble(
            { onMessage: (connection) => connection.socket.close(code, 'no more') },
            async (double, make) => {
                const client = make({ keepOpen: true });
                const [sent, waiting] = ['sent', 'waiting'].map((input) => client.respond({ model: 'm', input }));
                assert.equal((await rejection(sent.done)).code, 'connection_lost');
                const error = await rejection(waiting.done);
                assert.equal(error.code, 'connection_closed');
                assert.equal(error.closeCode, code);
                assert.match(error.message, /no more/);
                assert.equal(client.state, 'closed');
                assert.equal(double.connections.length, 1);
            },
        ));
}

test('back-off doubles up to its ceiling, with jitter, and gives up in the end', () => {
    let tried = 0;
    return withDouble({ refuse: () => ++tried }, async (double, make) => {
        const client = make({ backoffBase: 2, backoffMax: 12, maxAttempts: 5, random: () => 1 });
        const seen = states(client);
        const error = await rejection(client.respond({ model: 'm', input: 'x' }).done);
        assert.equal(error.code, 'connection_failed');
        assert.deepEqual(delays(seen), [2, 4, 8, 12, 12]);
        assert.equal(tried, 6);
        const low = make({ backoffBase: 8, maxAttempts: 1, random: () => 0, fetch: null });
        const lowSeen = states(low);
        await rejection(low.respond({ model: 'm', input: 'x' }).done);
        assert.deepEqual(delays(lowSeen), [4]);
    });
});

test('a connection that opens and says nothing does not reset the back-off; an overloaded server (1013) is given more time', () =>
    withDouble({ onOpen: (connection) => connection.socket.close(1013) }, async (double, make) => {
        const client = make({ backoffBase: 2, maxAttempts: 3, random: () => 1, keepOpen: true });
        const seen = states(client);
        client.connect();
        await new Promise((resolve) => client.addEventListener('state', (e) => e.detail.state === 'closed' && resolve()));
        assert.equal(seen.at(-1).error.code, 'connection_failed');
        assert.deepEqual(delays(seen), [8, 16, 32]);
    }));

test('it waits for a server that is not there yet', async () => {
    const before = await Double.start(echo);
    await before.stop();
    const client = new SluiceClient({ url: before.url, token: KEY, WebSocket, backoffBase: 1, backoffMax: 20, maxAttempts: 1000 });
    const answer = client.respond({ model: 'm', input: 'x' });
    await new Promise((resolve) => client.addEventListener('state', (e) => e.detail.attempt === 2 && resolve()));
    const double = await Double.start(echo, before.port);
    try {
        await answer.done;
        assert.equal(answer.text, 'one two three');
    } finally {
        client.close();
        await double.stop();
    }
});

test('keepOpen connects again though nothing waits; without it, the next request does', () =>
    withDouble(echo, async (double, make) => {
        const eager = make({ keepOpen: true });
        eager.connect();
        (await double.until(() => double.connections[0])).socket.close(1012);
        await double.until(() => double.connections[1]);
        eager.close();
        const lazy = make();
        await lazy.respond({ model: 'm', input: 'x' }).done;
        const idle = new Promise((resolve) => lazy.addEventListener('state', (e) => e.detail.state === 'idle' && resolve()));
        double.connections[2].socket.close(1012);
        await idle;
        assert.equal(double.connections.length, 3);
        await lazy.respond({ model: 'm', input: 'x' }).done;
        assert.equal(double.connections.length, 4);
    }));

test('a refused key is a typed error, at once', () =>
    withDouble(echo, async (double, make) => {
        const client = make({ token: 'sk-wrong' });
        const error = await rejection(client.respond({ model: 'm', input: 'x' }).done);
        assert.equal(error.code, 'invalid_api_key');
        assert.equal(error.status, 401);
        assert.equal(error.type, 'authentication_error');
        assert.equal(client.state, 'closed');
        const odd = await rejection(make({ token: 'sk with blanks' }).respond({ model: 'm', input: 'x' }).done);
        assert.equal(odd.code, 'invalid_api_key');
        const typographic = await rejection(make({ token: 'sk-“pasted”' }).models());
        assert.equal(typographic.code, 'invalid_api_key');
    }));

test('the token may come from a function, anew for each connection; models() uses it too', () =>
    withDouble(echo, async (double, make) => {
        let calls = 0;
        const client = make({ token: async () => (++calls, KEY) });
        assert.deepEqual(await client.models(), ['m', 'n']);
        await client.respond({ model: 'm', input: 'x' }).done;
        assert.equal(calls, 2);
        const broken = make({ token: () => Promise.reject(new Error('no secret today')) });
        assert.equal((await rejection(broken.respond({ model: 'm', input: 'x' }).done)).message, 'no secret today');
    }));

test('silence is met with session.ping, and no answer to it is a lost connection', () =>
    withDouble(
        {
            onMessage(connection, message) {
                if (message.type !== 'session.ping') return;
                connection.pings = (connection.pings ?? 0) + 1;
                if (connection.pings < 3) connection.send({ type: 'session.pong' });
            },
        },
        async (double, make) => {
            const answer = make({ pingInterval: 15, pongTimeout: 300 }).respond({ model: 'm', input: 'x' });
            const error = await rejection(answer.done);
            assert.equal(error.code, 'connection_lost');
            assert.match(error.message, /ping/);
            assert.equal(double.connections[0].pings, 3);
        },
    ));

test('session.going_away: what runs finishes there, the rest goes elsewhere', () =>
    withDouble({}, async (double, make) => {
        const client = make();
        const old = client.respond({ model: 'm', input: 'old', stream_id: 'a' });
        const first = await double.until(() => double.connections[0]?.received.length === 1 && double.connections[0]);
        const left = new Promise((resolve) => client.addEventListener('state', resolve, { once: true }));
        first.send({ type: 'session.going_away', deadline_ms: 1000 });
        await left;
        const fresh = client.respond({ model: 'm', input: 'new', stream_id: 'b' });
        const second = await double.until(() => double.connections[1]?.received.length === 1 && double.connections[1]);
        second.answer({ stream_id: 'b' }, ['new']);
        await fresh.done;
        first.answer({ stream_id: 'a' }, ['old']);
        await old.done;
        assert.equal(old.text, 'old');
        await double.until(() => first.closed);
        assert.equal(first.closed, 1000);
    }));

test('server_draining is no answer: the request goes to the next connection', () =>
    withDouble(
        {
            onMessage(connection, message) {
                if (connection.number === 0)
                    connection.send({ type: 'error', status: 503, error: { code: 'server_draining', message: 'bye' } }, message.stream_id);
                else connection.answer(message, ['here']);
            },
        },
        async (double, make) => {
            const answer = make().respond({ model: 'm', input: 'x', stream_id: 'a' });
            await answer.done;
            assert.equal(answer.text, 'here');
        },
    ));

test('errors are typed: of a message, of an answer, flat ones', () =>
    withDouble(
        {
            onMessage(connection, message) {
                const detail = { type: 'invalid_request_error', code: 'invalid_type', message: 'not a number', param: 'temperature' };
                if (message.input === 'message') connection.send({ type: 'error', status: 400, error: detail });
                if (message.input === 'flat') connection.send({ type: 'error', code: 'server_error', message: 'flat', param: null });
                if (message.input === 'answer')
                    connection.answer(message, ['half'], { status: 'failed', error: { code: 'upstream_timeout', message: 'too slow' } });
            },
        },
        async (double, make) => {
            const client = make();
            const error = await rejection(client.respond({ model: 'm', input: 'message' }).done);
            assert.deepEqual([error.code, error.param, error.status, error.type], ['invalid_type', 'temperature', 400, 'invalid_request_error']);
            assert.equal((await rejection(client.respond({ model: 'm', input: 'flat' }).done)).code, 'server_error');
            const failed = client.respond({ model: 'm', input: 'answer' });
            const why = await rejection(failed.done);
            assert.deepEqual([why.code, why.message, why.responseId], ['upstream_timeout', 'too slow', failed.id]);
            assert.equal(failed.text, 'half');
        },
    ));

test('an error without a lane belongs to the oldest request that nothing has come for', () =>
    withDouble(
        {
            onMessage(connection, message) {
                if (message.stream_id === 'a') connection.send({ type: 'response.created', sequence_number: 0, response: { id: 'resp_a' } }, 'a');
                else connection.send({ type: 'error', status: 400, error: { code: 'invalid_json', message: 'unreadable' } });
            },
        },
        async (double, make) => {
            const client = make();
            const [a, b] = ['a', 'b'].map((stream_id) => client.respond({ model: 'm', input: 'x', stream_id }));
            assert.equal((await rejection(b.done)).code, 'invalid_json');
            assert.equal(a.state, 'running');
        },
    ));

test('everything is bounded', () =>
    withDouble(
        {
            onMessage(connection, message) {
                if (message.input === 'flood') {
                    const events = Array.from({ length: 6 }, () => 'x'.repeat(100));
                    connection.answer(message, events);
                }
            },
        },
        async (double, make) => {
            const small = make({ maxQueued: 1, maxLanes: 2, maxMessageBytes: 300, maxAnswerBytes: 500, maxBufferedEvents: 2 });
            assert.equal((await rejection(small.respond({ model: 'm', input: 'y'.repeat(400) }).done)).code, 'message_too_large');
            const flood = small.respond({ model: 'm', input: 'flood', stream_id: 'f' });
            assert.equal((await rejection(flood.done)).code, 'answer_too_large');
            assert.equal((await double.until(() => double.received('response.cancel')[0])).response_id, flood.id);
            const kept = small.respond({ model: 'm', input: 'quiet' });
            await double.until(() => double.received('response.create').some((m) => m.input === 'quiet'));
            const [queued, refused] = [1, 2].map(() => small.respond({ model: 'm', input: 'quiet' }));
            assert.equal((await rejection(refused.done)).code, 'queue_full');
            assert.equal(queued.state, 'queued');
            assert.equal(kept.state, 'running');
            small.lane('1');
            small.lane('2');
            assert.throws(() => small.lane('3'), { code: 'too_many_lanes' });
            assert.throws(() => small.lane('no blanks'), { code: 'invalid_stream_id' });
            const events = make({ maxBufferedEvents: 2 }).respond({ model: 'm', input: 'flood' });
            await events.done;
            const taken = [];
            const lost = await rejection((async () => {
                for await (const event of events) taken.push(event);
            })());
            assert.equal(lost.code, 'events_lost');
            assert.equal(taken.length, 2);
        },
    ));

test('a history that cannot be sent again says so', () =>
    withDouble(echo, async (double, make) => {
        const lane = make({ maxMessageBytes: 250 }).lane('chat');
        const ask = () => lane.respond({ model: 'm', input: 'z'.repeat(60) }).done;
        for (let i = 0; i < 3; i++) await ask();
        double.connections[0].socket.close(1012);
        await double.until(() => double.connections[0].closed);
        let error = await rejection(ask());
        if (error.code === 'connection_lost') error = await rejection(ask());
        assert.equal(error.code, 'history_too_long');
        lane.reset();
        await ask();
    }));

test('options that are not known are refused', () => {
    assert.throws(() => new SluiceClient({ url: 'ws://127.0.0.1:1/', WebSocket, pingIntervall: 3 }), /pingIntervall/);
});
