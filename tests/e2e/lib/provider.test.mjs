// The scripted provider itself, held against the official client: what others test with must be right.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { startProvider } from './provider.mjs';

let provider;
let openai;
before(async () => {
    provider = await startProvider({
        scripts: {
            tools: { toolCalls: [{ name: 'add', arguments: { a: 1, b: 22 } }, { name: 'now', arguments: '{}' }] },
            thinks: { reasoning: 'let me see', text: 'It is four.' },
            refuses: { refusal: 'I cannot help with that.' },
            short: { text: 'too long to', finish: 'length' },
            breaks: { text: 'so far', failure: { code: 'server_error', message: 'model fell over' } },
        },
    });
    openai = new OpenAI({ baseURL: provider.url, apiKey: 'sk-test', maxRetries: 0 });
});
after(() => provider.close());

const messages = [{ role: 'user', content: 'Hello out there' }];

test('chat: a streamed text with usage', async () => {
    const stream = await openai.chat.completions.create({ model: 'any', messages, stream: true, stream_options: { include_usage: true } });
    let text = '';
    let usage;
    for await (const c of stream) {
        text += c.choices[0]?.delta.content ?? '';
        usage ??= c.usage;
    }
    assert.equal(text, 'You said: Hello out there');
    assert.equal(usage.completion_tokens, 5);
});

test('chat: tool calls come in pieces and fold together', async () => {
    const done = await openai.chat.completions.stream({ model: 'tools', messages }).finalChatCompletion();
    const calls = done.choices[0].message.tool_calls;
    assert.deepEqual(calls.map((c) => [c.function.name, JSON.parse(c.function.arguments)]), [['add', { a: 1, b: 22 }], ['now', {}]]);
    assert.equal(done.choices[0].finish_reason, 'tool_calls');
});

test('responses: text, reasoning, refusal, tools and lengths fold together', async () => {
    const ask = (model) => openai.responses.stream({ model, input: 'Hi' }).finalResponse();
    assert.equal((await ask('tokens-3')).output_text, 't0 t1 t2');
    assert.deepEqual((await ask('thinks')).output.map((o) => o.type), ['reasoning', 'message']);
    assert.equal((await ask('refuses')).output[0].content[0].refusal, 'I cannot help with that.');
    assert.equal((await ask('tools')).output[0].arguments, '{"a":1,"b":22}');
    const short = await openai.responses.create({ model: 'short', input: 'Hi' });
    assert.deepEqual([short.status, short.incomplete_details], ['incomplete', { reason: 'max_output_tokens' }]);
});

test('statuses, retry-after, HTML and plain JSON answers', async () => {
    await assert.rejects(openai.responses.create({ model: 'status-429.retry-7', input: 'x' }), (e) => {
        assert.equal(e.status, 429);
        assert.equal(e.headers.get('retry-after'), '7');
        return true;
    });
    provider.script('html', { status: 500, body: '<h1>oops</h1>' });
    const res = await fetch(`${provider.url}/responses`, { method: 'POST', body: '{"model":"html"}' });
    assert.deepEqual([res.status, res.headers.get('content-type'), await res.text()], [500, 'text/html', '<h1>oops</h1>']);
    const json = await openai.chat.completions.create({ model: 'tokens-2', messages });
    assert.equal(json.choices[0].message.content, 't0 t1');
});

test('cut, drip, silence and a client that leaves', async () => {
    const post = (model, signal) => fetch(`${provider.url}/chat/completions`, { method: 'POST', signal, body: JSON.stringify({ model, stream: true, messages }) });
    await assert.rejects((await post('tokens-100.cut-1000')).text());
    await assert.rejects(post('cut-0').then((r) => r.text()));
    assert.match(await (await post('tokens-2.drip-1')).text(), /t1.*\[DONE\]/s);
    assert.doesNotMatch(await (await post('tokens-2.noterminal')).text(), /DONE|"stop"/);
    provider.taken = provider.requests.length;
    const leave = new AbortController();
    const silent = post('silent', leave.signal);
    const x = await provider.next();
    leave.abort();
    await assert.rejects(silent);
    assert.equal(await x.closed, true);
});

test('a held answer goes on when it is released', async () => {
    provider.taken = provider.requests.length;
    const stream = await openai.chat.completions.create({ model: 'tokens-4.hold-2', messages, stream: true });
    const x = await provider.next();
    const seen = [];
    for await (const c of stream) {
        if (!c.choices[0]?.delta.content) continue;
        seen.push(c.choices[0].delta.content);
        if (seen.length === 2) x.release();
    }
    assert.deepEqual(seen, ['t0', ' t1', ' t2', ' t3']);
    assert.equal(await x.closed, false);
});

test('HTTP/2 over TLS: two streams share a connection, one is reset', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'provider-'));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
        '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', join(dir, 'key'), '-out', join(dir, 'crt')], { stdio: 'ignore' });
    const cert = readFileSync(join(dir, 'crt'));
    const p = await startProvider({ tls: { cert, key: readFileSync(join(dir, 'key')) }, http2: true });
    rmSync(dir, { recursive: true });
    const client = http2.connect(p.origin, { ca: cert });
    const ask = (model) => {
        const stream = client.request({ ':method': 'POST', ':path': '/v1/chat/completions' });
        stream.end(JSON.stringify({ model, stream: true, messages }));
        return stream.setEncoding('utf8');
    };
    let text = '';
    for await (const part of ask('tokens-3')) text += part;
    assert.match(text, /t2.*\[DONE\]/s);
    const left = ask('tokens-3.hold-1');
    left.once('data', () => left.close(http2.constants.NGHTTP2_CANCEL));
    const [first, second] = [await p.next(), await p.next()];
    assert.equal(await first.closed, false);
    assert.equal(await second.closed, true);
    assert.deepEqual([first.connection, second.connection, p.connections, first.httpVersion], [1, 1, 1, '2.0']);
    client.close();
    await p.close();
});
