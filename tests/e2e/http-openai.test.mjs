// The HTTP front by the official client: both client dialects over every provider dialect, JSON and SSE.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { openai } from './lib/clients.mjs';
import { runSluice } from './lib/gateway.mjs';
import { ANY, PROVIDERS, startStack } from './lib/stack.mjs';

let stack, gw, provider, client;
before(async () => {
    stack = await startStack({
        config: { timeouts: { heartbeat: '100ms' }, keys: [
            { name: 'test', plaintext: 'sk-test-only', models: ANY },
            { name: 'narrow', plaintext: 'sk-narrow', models: ['demo'] },
            { name: 'everything', plaintext: 'sk-everything', models: ['*'] },
        ] },
        scripts: {
            weather: { toolCalls: [{ id: 'call_1', name: 'get_weather', arguments: { city: 'Bern' } }] },
            thinker: { reasoning: 'Hmm.', text: 'Yes.' },
            refuser: { refusal: 'No.' },
        },
    });
    ({ gw, provider } = stack);
    client = openai(gw);
});
after(() => stack.stop());

const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: 'hi' }];
const TEN = Array.from({ length: 10 }, (_, i) => `t${i}`).join(' ');

it('every dialect that a provider may speak has its scripted provider, and its column in these tests', async () => {
    const listed = await readFile(new URL('../../protocols/dialects.def', import.meta.url), 'utf8');
    const names = [...listed.matchAll(/^(?:PROVIDER_)?DIALECT\((\w+)\)$/gm)].map((m) => m[1]);
    assert.deepEqual(new Set(Object.values(PROVIDERS)), new Set(names));
    const help = (await runSluice(['serve', '--help'])).stdout;
    const row = help.match(/^ *providers\[\]\.dialect +(.*?) +required/m);
    assert.deepEqual(new Set(row[1].split(' | ')), new Set([...names, 'demo']));
});

for (const via of Object.keys(PROVIDERS)) {
    describe(`chat completions over a ${via} provider`, () => {
        it('answers in JSON', async () => {
            const r = await client.chat.completions.create({ model: `${via}/tokens-10`, messages });
            assert.equal(r.object, 'chat.completion');
            assert.match(r.id, /^chatcmpl-/);
            assert.equal(r.choices[0].message.content, TEN);
            assert.equal(r.choices[0].finish_reason, 'stop');
            assert.equal(r.usage.completion_tokens, 10);
            assert.equal(r.model, `${via}/tokens-10`);
        });
        it('streams, with usage when asked', async () => {
            const stream = await client.chat.completions.create({ model: `${via}/tokens-10`, messages, stream: true, stream_options: { include_usage: true } });
            let text = '', usage, finish;
            for await (const chunk of stream) {
                text += chunk.choices[0]?.delta.content ?? '';
                finish ??= chunk.choices[0]?.finish_reason ?? undefined;
                usage = chunk.usage ?? usage;
            }
            assert.equal(text, TEN);
            assert.equal(finish, 'stop');
            assert.equal(usage.completion_tokens, 10);
        });
        it('calls tools, streaming and not', async () => {
            const r = await client.chat.completions.create({ model: `${via}/weather`, messages, tools });
            assert.equal(r.choices[0].finish_reason, 'tool_calls');
            assert.deepEqual(JSON.parse(r.choices[0].message.tool_calls[0].function.arguments), { city: 'Bern' });
            const s = client.chat.completions.stream({ model: `${via}/weather`, messages, tools });
            const final = await s.finalChatCompletion();
            assert.equal(final.choices[0].message.tool_calls[0].function.name, 'get_weather');
            assert.deepEqual(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { city: 'Bern' });
            const back = await client.chat.completions.create({
                model: `${via}/tokens-1`,
                messages: [...messages, r.choices[0].message, { role: 'tool', tool_call_id: r.choices[0].message.tool_calls[0].id, content: ' sun ' }],
            });
            assert.equal(back.choices[0].message.content, 't0');
            assert.ok(JSON.stringify(provider.requests.at(-1).body).includes('" sun "'));
        });
        it('shows refusals and reasoning', async () => {
            const r = await client.chat.completions.create({ model: `${via}/refuser`, messages });
            if (via === 'msg') // which says it as text, with a reason to stop of its own
                assert.deepEqual([r.choices[0].message.content, r.choices[0].finish_reason], ['No.', 'content_filter']);
            else assert.equal(r.choices[0].message.refusal, 'No.');
            const t = await client.chat.completions.create({ model: `${via}/thinker`, messages });
            assert.equal(t.choices[0].message.content, 'Yes.');
            assert.equal(t.choices[0].message.reasoning_content, 'Hmm.');
        });
    });
    describe(`responses over a ${via} provider`, () => {
        it('answers in JSON', async () => {
            const r = await client.responses.create({ model: `${via}/tokens-10`, input: 'hi' });
            assert.equal(r.status, 'completed');
            assert.equal(r.output_text, TEN);
            assert.equal(r.usage.output_tokens, 10);
        });
        it('streams', async () => {
            const stream = await client.responses.create({ model: `${via}/tokens-10`, input: 'hi', stream: true });
            let text = '', last, n = -1;
            for await (const e of stream) {
                if (e.type === 'response.output_text.delta') text += e.delta;
                assert.ok(e.sequence_number > n);
                n = e.sequence_number;
                last = e;
            }
            assert.equal(text, TEN);
            assert.equal(last.type, 'response.completed');
        });
        it('calls tools', async () => {
            const r = await client.responses.create({ model: `${via}/weather`, input: 'x', tools: tools.map((t) => ({ type: 'function', ...t.function, strict: false })) });
            const call = r.output.find((o) => o.type === 'function_call');
            assert.deepEqual(JSON.parse(call.arguments), { city: 'Bern' });
        });
        it('helpers of the client work on it', async () => {
            const s = client.responses.stream({ model: `${via}/tokens-10`, input: 'hi' });
            const final = await s.finalResponse();
            assert.equal(final.output_text, TEN);
        });
    });
}

describe('what rides along', () => {
    it('unknown fields and logprobs reach and leave a provider of the same dialect', async () => {
        await client.chat.completions.create({ model: 'chat/tokens-1', messages, seed: 7, logit_bias: { 50256: -100 }, x_custom: { a: [1e30] } });
        const sent = provider.requests.at(-1).raw;
        assert.match(sent, /"seed":7/);
        assert.match(sent, /"x_custom":\{"a":\[1e\+?30\]\}/);
        await client.chat.completions.create({ model: 'resp/tokens-1', messages, seed: 7 });
        assert.ok(!('seed' in provider.requests.at(-1).body));
    });
    it('the provider gets its own key, and the request id', async () => {
        await client.chat.completions.create({ model: 'chat/tokens-1', messages });
        const { headers } = provider.requests.at(-1);
        assert.equal(headers.authorization, 'Bearer sk-upstream-secret');
        assert.match(headers['x-request-id'], /^req_/);
        assert.ok(!JSON.stringify(headers).includes(gw.key));
        await client.chat.completions.create({ model: 'msg/tokens-1', messages });
        const sent = provider.requests.at(-1);
        assert.equal(sent.path, '/v1/messages');
        assert.equal(sent.headers['x-api-key'], 'sk-upstream-secret');
        assert.equal(sent.headers['anthropic-version'], '2023-06-01');
        assert.equal(sent.headers.authorization, undefined);
        assert.deepEqual(sent.body.system, [{ type: 'text', text: 'Be brief.' }]);
    });
});

describe('errors are the client\u2019s own types', () => {
    const asks = (model, body = {}) => client.chat.completions.create({ model, messages, ...body });
    for (const [model, Type, status] of [
        ['status-400', OpenAI.BadRequestError, 400],
        ['status-401', OpenAI.InternalServerError, 502],
        ['status-429.retry-7', OpenAI.RateLimitError, 429],
        ['status-500', OpenAI.InternalServerError, 502],
        ['status-503', OpenAI.InternalServerError, 503],
    ])
        for (const stream of [false, true])
            it(`${model}${stream ? ' streaming' : ''}`, () =>
                assert.rejects(asks(`chat/${model}`, { stream }), (e) => {
                    assert.ok(e instanceof Type, `${e.constructor.name} ${e.status} ${e.message}`);
                    assert.equal(e.status, status);
                    if (status === 429) assert.equal(e.headers.get('retry-after'), '7');
                    assert.ok(!e.message.includes('sk-upstream-secret'));
                    return true;
                }));
    it('a wrong key, a model that is not allowed, a bad field', async () => {
        await assert.rejects(openai(gw, { apiKey: 'sk-x' }).models.list(), OpenAI.AuthenticationError);
        await assert.rejects(openai(gw, { apiKey: 'sk-narrow' }).chat.completions.create({ model: 'tokens-1', messages }), OpenAI.PermissionDeniedError);
        await assert.rejects(asks('tokens-1', { temperature: 'hot' }), (e) => e instanceof OpenAI.BadRequestError && e.param === 'temperature');
        await assert.rejects(asks('tokens-1', { messages: [{ role: 'user', content: [{ type: 'text' }] }] }), (e) => e.param === 'messages[0].content[0].text');
    });
    it('previous_response_id over HTTP says that nothing is stored', () =>
        assert.rejects(client.responses.create({ model: 'tokens-1', input: 'x', previous_response_id: 'resp_1' }), (e) => e.code === 'previous_response_not_found'));
});

describe('the rest of the front', () => {
    it('lists the models that the key may use', async () => {
        const ids = (await client.models.list()).data.map((m) => m.id);
        assert.deepEqual(ids, ['demo', ...ANY]);
        const narrow = openai(gw, { apiKey: 'sk-narrow' });
        assert.deepEqual((await narrow.models.list()).data.map((m) => m.id), ['demo']);
    });
    it('tells of one model whether the key may use it', async () => {
        for (const id of ['demo', 'chat/any', 'anything at all']) assert.equal((await client.models.retrieve(id)).id, id);
        const narrow = openai(gw, { apiKey: 'sk-narrow' });
        assert.equal((await narrow.models.retrieve('demo')).object, 'model');
        await assert.rejects(narrow.models.retrieve('chat/any'), (e) => e instanceof OpenAI.NotFoundError && e.code === 'model_not_found');
    });
    it('passes names through only to a provider that the key names', async () => {
        const everything = openai(gw, { apiKey: 'sk-everything' });
        assert.ok((await everything.chat.completions.create({ model: 'tokens-1', messages })).id);
        await assert.rejects(everything.chat.completions.create({ model: 'chat/tokens-1', messages }), (e) => {
            assert.ok(e instanceof OpenAI.PermissionDeniedError);
            assert.equal(e.code, 'model_not_allowed');
            assert.match(e.message, /'chat\/\*'/);
            return true;
        });
    });
    it('says which path was meant', async () => {
        const lost = new OpenAI({ baseURL: gw.url('', { tls: false }), apiKey: gw.key, maxRetries: 0 });
        await assert.rejects(lost.chat.completions.create({ model: 'demo', messages }), (e) => {
            assert.equal(e.status, 404);
            assert.match(e.message, /nothing at \/chat\/completions. Did you mean \/v1\/chat\/completions\?/);
            return true;
        });
    });
    it('takes x-api-key, and answers probes without a key', async () => {
        const ask = (path, headers) => fetch(gw.url(path, { tls: false }), { headers });
        assert.equal((await ask('/v1/models', { 'x-api-key': gw.key })).status, 200);
        assert.equal((await ask('/v1/models', { 'x-api-key': 'sk-wrong' })).status, 401);
        assert.deepEqual(await (await ask('/healthz')).json(), { status: 'ok' });
        assert.deepEqual(await (await ask('/readyz')).json(), { status: 'ready' });
    });
    it('tells its time', async () => {
        const r = await client.chat.completions.create({ model: 'tokens-1', messages }).withResponse();
        assert.match(r.response.headers.get('openai-processing-ms'), /^\d+$/);
    });
    it('refuses a coded body by the name of its header', async () => {
        const r = await fetch(gw.url('/v1/responses', { tls: false }), {
            method: 'POST',
            headers: { authorization: `Bearer ${gw.key}`, 'content-type': 'application/json', 'content-encoding': 'gzip' },
            body: gzipSync('{}'),
        });
        assert.equal(r.status, 415);
        const { error } = await r.json();
        assert.equal(error.code, 'unsupported_content_encoding');
        assert.match(error.message, /Content-Encoding/);
    });
    it('sends comments while a provider is silent', async () => {
        const r = await fetch(gw.url('/v1/chat/completions', { tls: false }), {
            method: 'POST',
            headers: { authorization: `Bearer ${gw.key}`, 'content-type': 'application/json' },
            body: JSON.stringify({ model: 'silent', messages, stream: true }),
        });
        assert.equal(r.status, 200);
        assert.match(r.headers.get('content-type'), /text\/event-stream/);
        const reader = r.body.getReader();
        const { value } = await reader.read();
        assert.match(Buffer.from(value).toString(), /^:/);
        const x = await provider.next((q) => q.model === 'silent');
        await reader.cancel();
        assert.equal(await x.closed, true);
    });
    it('keeps connections alive', async () => {
        for (let i = 0; i < 20; i++) await client.models.list();
    });
    it('refuses what is not JSON by its type', async () => {
        const status = async (type) => {
            const body = JSON.stringify({ model: 'chat/tokens-1', messages });
            const headers = { authorization: `Bearer ${gw.key}`, 'content-type': type };
            const r = await fetch(gw.url('/v1/chat/completions', { tls: false }), { method: 'POST', headers, body });
            await r.arrayBuffer();
            return r.status;
        };
        assert.equal(await status('text/plain'), 415);
        assert.equal(await status('application/jsonp'), 415);
        assert.equal(await status('Application/JSON ; charset=utf-8'), 200);
    });
    it('reuses the connection to the provider', async () => {
        const seen = new Set();
        for (let i = 0; i < 8; i++) {
            await client.chat.completions.create({ model: 'chat/tokens-1', messages });
            seen.add(provider.requests.at(-1).connection);
        }
        assert.ok(seen.size <= 4, `${seen.size} connections for 8 requests in turn`);
    });
});
