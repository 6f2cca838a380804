// The Responses WebSocket mode, by the official client (ResponsesWS) and, where that one would not misbehave, by `ws`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { rawWS, responsesWS, textOf } from './lib/clients.mjs';
import { PROVIDERS, startStack } from './lib/stack.mjs';

let stack, gw, provider;
before(async () => {
    stack = await startStack({
        config: { workers: 1, origins: ['https://chat.example.com'] },
        scripts: {
            weather: { toolCalls: [{ name: 'get_weather', arguments: { city: 'Z\u00fcrich' } }, { name: 'get_time', arguments: {} }] },
            thinker: { reasoning: 'Let me think about that.', text: 'Done thinking.' },
            refuser: { refusal: 'I will not.' },
            short: { text: 'cut off', finish: 'length' },
            held: { text: 'one two three four', hold: 2 },
            json: { text: '{"city":"Bern"}' },
            searcher: { raw: readFileSync(new URL('../fixtures/responses/citations.sse', import.meta.url), 'utf8') },
        },
    });
    ({ gw, provider } = stack);
});
after(() => stack.stop());

const types = (events) => events.map((e) => e.type.replace('response.', ''));

function assertNumbered(events) {
    let last = -1;
    for (const e of events) {
        assert.ok(e.sequence_number > last, `sequence_number ${e.sequence_number} after ${last}`);
        last = e.sequence_number;
    }
    assert.equal(events[0].sequence_number, 0);
}

const REQUIRED = ['id', 'created_at', 'error', 'incomplete_details', 'instructions', 'metadata', 'model', 'object', 'output',
    'parallel_tool_calls', 'temperature', 'tool_choice', 'tools', 'top_p'];

describe('the official client', () => {
    for (const tls of [false, true]) {
        for (const via of Object.keys(PROVIDERS)) {
            it(`streams text over ${tls ? 'wss' : 'ws'} from a ${via} provider`, async () => {
                const ws = await responsesWS(gw, { tls });
                const events = await ws.answer({ model: `${via}/tokens-20`, input: 'hi', instructions: 'Be brief.' });
                assertNumbered(events);
                assert.deepEqual([...new Set(types(events))], ['created', 'in_progress', 'output_item.added', 'content_part.added',
                    'output_text.delta', 'output_text.done', 'content_part.done', 'output_item.done', 'completed']);
                const want = Array.from({ length: 20 }, (_, i) => `t${i}`).join(' ');
                assert.equal(textOf(events), want);
                const { response } = events.at(-1);
                for (const k of REQUIRED) assert.ok(k in response, k);
                assert.match(response.id, /^resp_[0-9a-f]{32}$/);
                assert.equal(response.status, 'completed');
                assert.equal(response.model, `${via}/tokens-20`);
                assert.equal(response.instructions, 'Be brief.');
                assert.equal(response.output[0].content[0].text, want);
                assert.equal(response.usage.output_tokens, 20);
                assert.equal(events.find((e) => e.type === 'response.output_text.done').text, want);
                ws.close();
            });
        }
    }
    for (const via of Object.keys(PROVIDERS)) {
        it(`calls functions side by side (${via})`, async () => {
            const ws = await responsesWS(gw);
            const tools = [{ type: 'function', name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } }, strict: false }];
            const events = await ws.answer({ model: `${via}/weather`, input: 'weather?', tools });
            const { response } = events.at(-1);
            const calls = response.output.filter((o) => o.type === 'function_call');
            assert.deepEqual(calls.map((c) => [c.name, JSON.parse(c.arguments)]), [['get_weather', { city: 'Z\u00fcrich' }], ['get_time', {}]]);
            const first = events.filter((e) => e.type === 'response.function_call_arguments.delta' && e.output_index === calls.length - 2).map((e) => e.delta).join('');
            assert.equal(first, calls[0].arguments);
            assert.equal(events.filter((e) => e.type === 'response.function_call_arguments.done').length, 2);
            // The outputs go back, with the calls out of the connection's memory.
            const again = await ws.answer({
                model: `${via}/json`,
                previous_response_id: response.id,
                input: calls.map((c) => ({ type: 'function_call_output', call_id: c.call_id, output: ' sunny\r\n' })),
            });
            assert.equal(again.at(-1).type, 'response.completed');
            const sent = provider.requests.at(-1).body;
            const text = JSON.stringify(sent);
            assert.ok(text.includes(calls[0].call_id) && text.includes('get_weather') && text.includes(' sunny\\r\\n'), text);
            ws.close();
        });
        it(`passes structured output and images on (${via})`, async () => {
            const ws = await responsesWS(gw);
            const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false };
            const events = await ws.answer({
                model: `${via}/json`,
                input: [{ role: 'user', content: [{ type: 'input_text', text: 'where?' }, { type: 'input_image', image_url: 'https://example.com/a.png', detail: 'low' }] }],
                text: { format: { type: 'json_schema', name: 'place', schema, strict: true } },
            });
            const { response } = events.at(-1);
            assert.deepEqual(JSON.parse(response.output[0].content[0].text), { city: 'Bern' });
            assert.equal(response.text.format.name, 'place');
            const sent = provider.requests.at(-1).body;
            const format = { chat: () => sent.response_format.json_schema, resp: () => sent.text.format, msg: () => sent.output_config.format }[via]();
            assert.deepEqual(format.schema, schema);
            assert.ok(JSON.stringify(sent).includes('https://example.com/a.png'));
            ws.close();
        });
        it(`shows reasoning, refusals and what was cut off (${via})`, async () => {
            const ws = await responsesWS(gw);
            const thought = await ws.answer({ model: `${via}/thinker`, input: 'x' });
            assert.equal(thought.at(-1).response.output[0].type, 'reasoning');
            assert.ok(JSON.stringify(thought.at(-1).response.output[0]).includes('Let me think'));
            assert.equal(textOf(thought), 'Done thinking.');
            const refused = await ws.answer({ model: `${via}/refuser`, input: 'x' });
            if (via === 'msg') // which says it as text, with a reason to stop of its own
                assert.deepEqual([textOf(refused), refused.at(-1).response.incomplete_details.reason], ['I will not.', 'content_filter']);
            else assert.equal(refused.at(-1).response.output[0].content[0].refusal, 'I will not.');
            const short = await ws.answer({ model: `${via}/short`, input: 'x' });
            assert.equal(short.at(-1).type, 'response.incomplete');
            assert.equal(short.at(-1).response.incomplete_details.reason, 'max_output_tokens');
            ws.close();
        });
    }
    it('runs two lanes at once, and keeps the order within each', async () => {
        const ws = await responsesWS(gw);
        const slow = ws.answer({ model: 'held', input: 'x', stream_id: 'a' });
        const x = await provider.next((r) => r.model === 'held');
        const second = ws.answer({ model: 'tokens-3', input: 'y', stream_id: 'b' });
        assert.equal(textOf(await second), 't0 t1 t2'); // while lane a waits
        x.release();
        assert.equal(textOf(await slow), 'one two three four');
        ws.close();
    });
    it('continues a conversation by previous_response_id', async () => {
        const ws = await responsesWS(gw);
        const a = await ws.answer({ model: 'tokens-2', input: 'first question' });
        const b = await ws.answer({ model: 'tokens-3', input: 'second question', previous_response_id: a.at(-1).response.id });
        assert.equal(b.at(-1).response.previous_response_id, a.at(-1).response.id);
        const roles = provider.requests.at(-1).body.messages.map((m) => [m.role, typeof m.content === 'string' ? m.content : m.content[0].text]);
        assert.deepEqual(roles, [['user', 'first question'], ['assistant', 't0 t1'], ['user', 'second question']]);
        ws.close();
    });
    it('continues with output items that only the provider understands', async () => {
        const ws = await responsesWS(gw);
        const a = await ws.answer({ model: 'resp/searcher', input: 'search' });
        const { id, output } = a.at(-1).response;
        assert.equal(output[0].type, 'web_search_call');
        await ws.answer({ model: 'resp/tokens-1', input: 'and', previous_response_id: id });
        const sent = provider.requests.at(-1).body.input;
        assert.deepEqual(sent.map((i) => i.type), ['message', 'web_search_call', 'message', 'message']);
        assert.deepEqual(sent[1].action, { type: 'search', query: 'q' });
        const [e] = (await ws.answer({ model: 'resp/searcher', input: 'search' })).slice(-1);
        const [refused] = (await ws.answer({ model: 'tokens-1', input: 'and', previous_response_id: e.response.id })).slice(-1);
        assert.match(JSON.stringify(refused), /unsupported_by_provider/);
        ws.close();
    });
    it('warms up without a model call', async () => {
        const ws = await responsesWS(gw);
        const n = provider.requests.length;
        const events = await ws.answer({ model: 'tokens-2', input: 'x', generate: false });
        assert.equal(events.at(-1).type, 'response.completed');
        assert.deepEqual(events.at(-1).response.output, []);
        const next = await ws.answer({ model: 'tokens-2', input: 'y', previous_response_id: events.at(-1).response.id });
        assert.equal(next.at(-1).type, 'response.completed');
        assert.equal(provider.requests.length, n + 1);
        ws.close();
    });
    it('cancels, and the provider sees the connection close', async () => {
        const ws = await responsesWS(gw);
        const done = ws.answer({ model: 'silent', input: 'x' });
        const x = await provider.next((r) => r.model === 'silent');
        ws.send({ type: 'response.cancel' });
        const events = await done;
        assert.equal(events.at(-1).response.status, 'cancelled');
        assert.equal(await x.closed, true);
        assert.equal(textOf(await ws.answer({ model: 'tokens-2', input: 'still here' })), 't0 t1');
        ws.close();
    });
    it('is told of errors as error events, and lives on', async () => {
        const ws = await responsesWS(gw);
        const [e] = await ws.answer({ model: 'tokens-1', input: 'x', temperature: 'hot' });
        assert.equal(e.type, 'error');
        assert.equal(e.status, 400);
        assert.equal(e.error.param, 'temperature');
        assert.equal(textOf(await ws.answer({ model: 'tokens-1', input: 'x' })), 't0');
        ws.close();
    });
});

describe('messages by hand', () => {
    it('each error names its field', async () => {
        const c = await rawWS(gw);
        const create = { type: 'response.create', model: 'tokens-1', input: 'x' };
        for (const [message, status, param] of [
            ['{nonsense', 400, null],
            [{}, 400, 'type'],
            [{ type: 'nothing' }, 400, 'type'],
            [{ ...create, model: undefined }, 400, 'model'],
            [{ ...create, model: 7 }, 400, 'model'],
            [{ ...create, input: [{ role: 'user', content: [{ type: 'input_text', text: 'x' }, { type: 'input_text' }] }] }, 400, 'input[0].content[1].text'],
            [{ ...create, tools: [{ type: 'function' }] }, 400, 'tools[0].name'],
            [{ ...create, max_output_tokens: -1 }, 400, 'max_output_tokens'],
            [{ ...create, stream_id: '' }, 400, 'stream_id'],
            [{ ...create, stream_id: 'a b' }, 400, 'stream_id'],
            [{ ...create, stream_id: 'x'.repeat(257) }, 400, 'stream_id'],
            [{ ...create, previous_response_id: 'resp_nope' }, 400, 'previous_response_id'],
            [{ type: 'response.cancel', response_id: 'resp_nope' }, 404, 'response_id'],
        ]) {
            c.send(message);
            const e = await c.next();
            assert.equal(e.type, 'error', JSON.stringify(e));
            assert.equal(e.status, status, JSON.stringify(e));
            assert.equal(e.error.param, param, JSON.stringify(e));
            assert.ok(e.error.message.length > 10);
        }
        c.send({ type: 'session.ping', nonce: 42 });
        assert.deepEqual(await c.next(), { type: 'session.pong', nonce: 42 });
        await c.end();
    });
    it('tolerates stream and background', async () => {
        const c = await rawWS(gw);
        c.send({ type: 'response.create', model: 'tokens-1', input: 'x', stream: true, background: false });
        assert.equal((await c.until('response.completed')).at(-1).response.status, 'completed');
        await c.end();
    });
    it('16 answers run at once, the 17th waits', async () => {
        const c = await rawWS(gw);
        for (let i = 0; i < 17; i++) c.send({ type: 'response.create', model: 'silent', input: 'x', stream_id: `l${i}` });
        const xs = [];
        for (let i = 0; i < 16; i++) xs.push(await provider.next((r) => r.model === 'silent'));
        c.send({ type: 'session.ping' });
        const seen = await c.until('session.pong');
        assert.equal(seen.filter((e) => e.type === 'response.created').length, 16);
        c.send({ type: 'response.cancel', stream_id: 'l3' });
        const rest = await c.until((e) => e.type === 'response.created');
        assert.equal(rest.at(-1).stream_id, 'l16');
        await c.end();
        for (const x of xs) assert.equal(await x.closed, true);
    });
    it('32 named lanes, and no more', async () => {
        const c = await rawWS(gw);
        for (let i = 0; i < 32; i++) {
            c.send({ type: 'response.create', model: 'tokens-1', input: 'x', stream_id: `l${i}` });
            await c.until('response.completed');
        }
        c.send({ type: 'response.create', model: 'tokens-1', input: 'x', stream_id: 'more' });
        const e = await c.next();
        assert.equal(e.error.code, 'websocket_stream_limit_reached');
        assert.equal(e.stream_id, 'more');
        await c.end();
    });
    it('closes 1003 on a binary message, 1007 on bad UTF-8, 1009 on a huge one', async () => {
        for (const [send, code] of [
            [(ws) => ws.send(Buffer.from('{}')), 1003],
            [(ws) => ws._sender.sendFrame([Buffer.from([0x81, 0x81, 0, 0, 0, 0]), Buffer.from([0xff])]), 1007],
            [(ws) => ws.send(' '.repeat(1024 * 1024 + 1)), 1009],
        ]) {
            const c = await rawWS(gw);
            send(c.ws);
            assert.equal((await c.closed).code, code);
        }
    });
    it('leaves nothing running when the client goes', async () => {
        const c = await rawWS(gw);
        c.send({ type: 'response.create', model: 'silent', input: 'x' });
        const x = await provider.next((r) => r.model === 'silent');
        c.ws.terminate();
        assert.equal(await x.closed, true);
    });
    it('normalizes what people write, and nothing else', async () => {
        const c = await rawWS(gw);
        c.send({ type: 'response.create', model: 'tokens-1', instructions: ' e\u0301 ', input: [
            { role: 'user', content: '  cafe\u0301\r\nline\u0007 ' },
            { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{"a":" e\u0301\\r\\n"}' },
            { type: 'function_call_output', call_id: 'c1', output: ' e\u0301\r\n ' },
        ] });
        await c.until('response.completed');
        const { messages } = provider.requests.at(-1).body;
        const flat = (m) => (typeof m.content === 'string' ? m.content : (m.content?.[0]?.text ?? null));
        assert.equal(flat(messages[0]), ' \u00e9 ');
        assert.equal(flat(messages[1]), '  caf\u00e9\nline\u0007 ');
        assert.equal(messages[2].tool_calls[0].function.arguments, '{"a":" e\u0301\\r\\n"}');
        assert.equal(flat(messages[3]), ' e\u0301\r\n ');
        await c.end();
    });
});

describe('opening', () => {
    const refused = (options, status, code) =>
        assert.rejects(rawWS(gw, options), (e) => {
            assert.equal(e.status, status);
            const body = JSON.parse(e.body);
            if (code) assert.equal(body.error.code, code);
            assert.ok(body.error.message);
            return true;
        });
    it('a browser authenticates by subprotocol, and the token is not echoed', async () => {
        const c = await rawWS(gw, { key: null, protocols: ['responses', `openai-insecure-api-key.${gw.key}`] });
        assert.equal(c.ws.protocol, 'responses');
        await c.end();
    });
    it('refuses without a key, and with a wrong one', async () => {
        await refused({ key: null }, 401, 'missing_api_key');
        await refused({ key: 'sk-wrong' }, 401, 'invalid_api_key');
        await refused({ key: null, protocols: ['responses', 'openai-insecure-api-key.sk-wrong'] }, 401, 'invalid_api_key');
    });
    it('knows its origins', async () => {
        await refused({ headers: { origin: 'https://evil.example.com' } }, 403);
        for (const origin of ['https://chat.example.com', `http://127.0.0.1:${gw.ports.http}`]) await (await rawWS(gw, { headers: { origin } })).end();
    });
    it('426 without an upgrade', async () => {
        const r = await fetch(gw.url('/v1/responses', { tls: false }), { headers: { authorization: `Bearer ${gw.key}` } });
        assert.equal(r.status, 426);
    });
    it('accepts OpenAI-Beta', async () => {
        await (await rawWS(gw, { headers: { 'openai-beta': 'responses_websockets=2026-02-06' } })).end();
    });
});
