// What a client's leaving means for its answer, by its key's on_disconnect; and what a failed attempt leaves in the log.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { rawWS } from './lib/clients.mjs';
import { TEST_KEY } from './lib/gateway.mjs';
import { ANY, startStack } from './lib/stack.mjs';

const POLICIES = ['cancel', 'keep', 'finish'];

let stack, gw, provider;
before(async () => {
    stack = await startStack({
        config: {
            workers: 1,
            timeouts: { resume_ttl: '700ms' },
            keys: [
                { name: 'test', plaintext: TEST_KEY, models: ANY },
                ...POLICIES.map((p) => ({ name: p, plaintext: `sk-${p}`, models: ANY, on_disconnect: p })),
            ],
        },
        scripts: {
            short: { tokens: 10, gap: 20 },
            long: { tokens: 150, gap: 20 },
            slow: { status: 429, body: '{"error":{"message":"slower","code":"rate_limit_exceeded"}}', headers: { 'x-request-id': 'theirs_42' } },
        },
    });
    ({ gw, provider } = stack);
});
after(() => stack.stop());

/** Asks, leaves after the first text, and tells whether the provider was left alone with its answer. */
async function leave(model, key) {
    const c = await rawWS(gw, { key });
    c.send({ type: 'response.create', model: `chat/${model}`, input: 'x' });
    await c.until('response.output_text.delta');
    const x = provider.requests.findLast((r) => r.model === model);
    c.ws.terminate();
    return x.closed;
}

describe('a client that leaves', () => {
    it('cancels: nobody told otherwise', async () => {
        assert.equal(await leave('long', TEST_KEY), true);
    });
    it('cancel: the provider is told to stop', async () => {
        assert.equal(await leave('long', 'sk-cancel'), true);
    });
    it('keep: what ends within resume_ttl is finished', async () => {
        assert.equal(await leave('short', 'sk-keep'), false);
    });
    it('keep: past resume_ttl the provider is told to stop', async () => {
        assert.equal(await leave('long', 'sk-keep'), true);
    });
    it('finish: the provider says it all', async () => {
        assert.equal(await leave('long', 'sk-finish'), false);
    });
});

describe('a failed attempt', () => {
    it('leaves a line with the ids, the status and the kind', async () => {
        const c = await rawWS(gw);
        c.send({ type: 'response.create', model: 'chat/slow', input: 'x' });
        const events = await c.until('response.failed');
        const { id } = events[0].response;
        const [line] = await gw.waitLog(new RegExp(`.*attempt failed.*response=${id}.*`));
        assert.match(line, / request=req_\w+ /);
        assert.match(line, / provider=chat status=429 kind=rate_limited code=rate_limit_exceeded provider_request=theirs_42 /);
        await c.end();
    });
});
