// What providers do wrong, seen from a client: each fault becomes one typed terminal, at once, and nobody else notices.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { rawWS } from './lib/clients.mjs';
import { PROVIDERS, startStack } from './lib/stack.mjs';

let stack, gw, provider, c;
before(async () => {
    stack = await startStack({
        config: {
            workers: 1,
            timeouts: { connect: '5s', first_token: '1500ms', between_tokens: '1500ms', total: '20s' },
            limits: { max_response_bytes: 65536 },
        },
        scripts: {
            html: { status: 502, body: '<html><body><h1>Bad gateway</h1></body></html>' },
            'html-200': { raw: '<html>hello</html>', contentType: 'text/html' },
            garbage: { raw: 'data: {"choices":[{"delta":{"content":"x"}\n\n' },
            'not-json': { raw: 'data: hello\n\n' },
            binary: { raw: '\u0000\u0001\u0002\n\n\n' },
            empty: { raw: '' },
            'inside': { text: 'partial', failure: { code: 'server_error', message: 'the model fell over' } },
            forever: { tokens: 100000, size: 100 },
            beating: { tokens: 3, delay: 300, heartbeat: 50 },
            whole: { text: 'all at once', json: true },
            eager: { tokens: 300 },
        },
    });
    ({ gw, provider } = stack);
    c = await rawWS(gw);
});
after(async () => {
    await c.end();
    await stack.stop();
});

let lane = 0;
async function ask(model, client = c) {
    const stream_id = `q${lane++ % 8}`;
    client.send({ type: 'response.create', model, input: 'x', stream_id });
    const events = await client.until((e) => ['response.completed', 'response.failed', 'response.incomplete', 'error'].includes(e.type));
    assert.equal(new Set(events.map((e) => e.stream_id)).size, 1);
    return events;
}

async function expectFailed(model, pattern) {
    const events = await ask(model);
    const last = events.at(-1);
    assert.equal(last.type, 'response.failed', JSON.stringify(last));
    assert.equal(last.response.status, 'failed');
    assert.ok(last.response.error.code && last.response.error.message);
    if (pattern) assert.match(JSON.stringify(last.response.error), pattern);
    return events;
}

for (const via of Object.keys(PROVIDERS)) {
    describe(`over ${via}`, () => {
        for (const [model, pattern] of [
            ['status-401', /credential|authentication|key/i],
            ['status-404', /404|not.?found/i],
            ['status-429', /rate_limit/],
            ['status-500', /500|server_error/],
            ['html', /502|server_error/],
            ['html-200', /text\/html|invalid/i],
            ['garbage', /invalid/i],
            ['not-json', /invalid/i],
            ['empty', /truncated|ended/i],
            ['tokens-5.noterminal', /truncated|ended/i],
            ['inside', /fell over/],
            ['silent', /first.?token|timeout|timed out|time/i],
            ['tokens-5.hang', /time|token/i],
        ])
            it(`${model} fails, typed`, () => expectFailed(`${via}/${model}`, pattern));
        it('keeps what came before the fault', async () => {
            const events = await expectFailed(`${via}/inside`);
            assert.ok(events.some((e) => e.type === 'response.output_text.delta'));
        });
        it('takes one whole JSON answer for a stream', async () => {
            const events = await ask(`${via}/whole`);
            assert.equal(events.at(-1).response.output[0].content[0].text, 'all at once');
        });
        it('takes bytes one at a time', async () => {
            assert.equal((await ask(`${via}/tokens-5.drip-1`)).at(-1).type, 'response.completed');
        });
        it('waits through heartbeats for the first token', async () => {
            assert.equal((await ask(`${via}/beating`)).at(-1).type, 'response.completed');
        });
        it('ends an answer that is too large', async () => {
            await expectFailed(`${via}/forever`, /large/);
            const x = provider.requests.findLast((r) => r.model === 'forever');
            assert.equal(await x.closed, true);
        });
        it('cut at any byte is never completed', async () => {
            const whole = (await ask(`${via}/tokens-4`)).at(-1);
            assert.equal(whole.type, 'response.completed');
            const size = provider.requests.at(-1).bytes;
            const step = process.env.SLUICE_FULL ? 1 : 37;
            for (let n = -1; n < size - 20; n += step) {
                const last = (await ask(`${via}/tokens-4.cut-${n < 0 ? 0 : n}`)).at(-1);
                const text = last.response.output?.[0]?.content?.[0]?.text ?? '';
                if (last.type === 'response.completed') assert.equal(text, 't0 t1 t2 t3', `cut at ${n}`);
                else assert.equal(last.type, 'response.failed', `cut at ${n}`);
            }
        });
    });
}

describe('nobody else notices', () => {
    it('a stream goes on while others fail', async () => {
        const other = await rawWS(gw);
        other.send({ type: 'response.create', model: 'chat/tokens-40.gap-10', input: 'x' });
        const good = other.until('response.completed');
        for (let i = 0; i < 10; i++) await expectFailed('chat/garbage');
        const events = await good;
        assert.equal(events.at(-1).response.output[0].content[0].text, Array.from({ length: 40 }, (_, i) => `t${i}`).join(' '));
        await other.end();
    });
    it('a provider that cannot be reached is a typed failure', async () => {
        await provider.close();
        await expectFailed('chat/tokens-1', /reach|connect|unavailable/i);
    });
});
