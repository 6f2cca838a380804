// One request followed from the client's error to the provider's: for each way to end, the line says so, with the
// ids that the client saw and the provider got.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { rawWS } from './lib/clients.mjs';
import { logFields, startGateway } from './lib/gateway.mjs';
import { startStack } from './lib/stack.mjs';

let stack, gw, provider;
before(async () => {
    stack = await startStack({
        config: {
            workers: 1,
            admin: { address: '127.0.0.1:0' },
            log: { format: 'json' },
            timeouts: { first_token: '300ms' },
            keys: [{ name: 'ann', plaintext: 'sk-test-only', models: ['chat/*', 'resp/*', 'demo'] }],
        },
        listeners: 3,
        scripts: {
            fine: { text: 'all is well', usage: { input: 100, output: 20, cached: 64 }, headers: { 'x-request-id': 'theirs-1' } },
            slow: { text: 'one two three', hold: 1 },
            'their-401': { status: 401, body: { error: { message: 'no', code: 'invalid_api_key' } }, headers: { 'x-request-id': 'theirs-401' } },
            'their-429': { status: 429, retry: 7, headers: { 'x-request-id': 'theirs-429' } },
            'their-500': { status: 500, headers: { 'x-request-id': 'theirs-500' } },
        },
    });
    ({ gw, provider } = stack);
});
after(() => stack.stop());

/** The next line of that message after `since` for which `test` is true. */
function line(msg, since, test = () => true) {
    const find = () =>
        gw.logs
            .slice(since, gw.logs.lastIndexOf('\n') + 1)
            .split('\n')
            .map(logFields)
            .find((l) => l.msg === msg && test(l));
    return gw.waitFor(find, `a line "${msg}"`);
}

const post = (body, { headers, signal, key = gw.key } = {}) =>
    fetch(gw.url('/v1/responses', { tls: false }), {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        signal,
    });

/** What `line` should say; undefined: not said at all. */
function says(l, want) {
    for (const [name, value] of Object.entries(want))
        if (value instanceof RegExp) assert.match(String(l[name]), value, `${name} of ${JSON.stringify(l)}`);
        else assert.equal(l[name], value, `${name} of ${JSON.stringify(l)}`);
}

const common = { level: 'info', principal: 'ann', client: '127.0.0.1', endpoint: '/v1/responses' };
const failures = [
    ['their-401', { error: 'upstream_auth_failed', provider_status: 401, provider_request: 'theirs-401' }],
    ['their-429', { error: 'rate_limit_exceeded', provider_status: 429, provider_request: 'theirs-429' }],
    ['their-500', { provider_status: 500, provider_request: 'theirs-500' }],
    ['silent', { error: /timeout/, provider_status: undefined }],
];

describe('over HTTP', () => {
    it('done', async () => {
        const since = gw.mark();
        const res = await post({ model: 'chat/fine', input: 'x' });
        const body = await res.json();
        const sent = (await provider.next()).headers['x-request-id'];
        const l = await line('request', since);
        says(l, {
            ...common,
            end: 'done',
            transport: 'http',
            request: res.headers.get('x-request-id'),
            response: body.id,
            model: 'chat/fine',
            provider: 'chat',
            target_model: 'fine',
            status: 200,
            terminal: 'completed',
            error: undefined,
            input_tokens: 100,
            output_tokens: 20,
            cached_tokens: 64,
            attempts: 1,
            provider_status: 200,
            provider_request: 'theirs-1',
        });
        assert.equal(sent, l.request);
        assert.ok(l.first_token_ms >= 0 && l.total_ms >= l.first_token_ms);
    });
    it("the client's own id is the provider's too", async () => {
        const since = gw.mark();
        const res = await post({ model: 'chat/fine', input: 'x', stream: true }, { headers: { 'x-request-id': 'mine-42' } });
        await res.text();
        assert.equal(res.headers.get('x-request-id'), 'mine-42');
        assert.equal((await provider.next()).headers['x-request-id'], 'mine-42');
        says(await line('request', since), { ...common, end: 'done', request: 'mine-42', status: 200 });
    });
    it('normalized bytes are said', async () => {
        const since = gw.mark();
        await (await post({ model: 'chat/fine', input: 'a\r\nb' })).text();
        await provider.next();
        says(await line('request', since), { end: 'done', normalized_bytes: /^[1-9]/ });
    });
    it('the client left', async () => {
        const since = gw.mark();
        const gone = new AbortController();
        const res = await post({ model: 'chat/slow', input: 'x', stream: true }, { signal: gone.signal });
        const x = await provider.next();
        gone.abort();
        await assert.rejects(res.text());
        assert.equal(await x.closed, true);
        says(await line('request', since), {
            ...common,
            end: 'client_left',
            request: res.headers.get('x-request-id'),
            response: /^resp_/,
            status: undefined,
            provider: 'chat',
        });
    });
    for (const [model, want] of failures)
        it(`${model}: failed`, async () => {
            const since = gw.mark();
            const res = await post({ model: `chat/${model}`, input: 'x' });
            const body = await res.json();
            const sent = (await provider.next()).headers['x-request-id'];
            const l = await line('request', since);
            says(l, {
                ...common,
                end: 'failed',
                request: res.headers.get('x-request-id'),
                terminal: 'failed',
                status: res.status,
                attempts: 1,
                error: body.error.code,
            });
            says(l, want);
            assert.equal(sent, l.request);
        });
    for (const [what, body, want] of [
        ['no JSON', '{', { status: 400, error: 'invalid_json' }],
        ['a wrong member', { model: 'chat/fine', input: 7 }, { status: 400, model: undefined }],
        ['a model that the key has not', { model: 'secret', input: 'x' }, { model: 'secret', status: /40[34]/ }],
    ])
        it(`refused: ${what}`, async () => {
            const since = gw.mark();
            const res = await post(body);
            const answer = await res.json();
            const l = await line('request', since);
            says(l, {
                ...common,
                end: 'refused',
                request: res.headers.get('x-request-id'),
                response: undefined,
                provider: undefined,
                attempts: undefined,
                status: res.status,
                error: answer.error.code ?? undefined,
            });
            for (const [name, value] of Object.entries(want))
                if (value !== undefined) says(l, { [name]: value });
        });
});

describe('over WebSocket', () => {
    let c;
    before(async () => (c = await rawWS(gw)));
    after(() => c.end());
    const ask = (model) => c.send({ type: 'response.create', model, input: 'x' });
    const TERMINAL = ['response.completed', 'response.failed', 'response.incomplete', 'response.cancelled', 'error'];
    const end = async () => (await c.until((e) => TERMINAL.includes(e.type))).at(-1);

    it('done', async () => {
        const since = gw.mark();
        ask('resp/fine');
        const last = await end();
        const sent = (await provider.next()).headers['x-request-id'];
        const l = await line('request', since);
        says(l, {
            ...common,
            end: 'done',
            transport: 'websocket',
            response: last.response.id,
            provider: 'resp',
            target_model: 'fine',
            status: 200,
            terminal: 'completed',
            input_tokens: 100,
            provider_request: 'theirs-1',
        });
        assert.ok(l.session > 0 && l.conn > 0);
        assert.equal(sent, l.request);
    });
    it('cancelled', async () => {
        const since = gw.mark();
        ask('chat/slow');
        const events = await c.until((e) => e.type === 'response.output_text.delta');
        c.send({ type: 'response.cancel', response_id: events[0].response.id });
        await c.until((e) => /response\.(cancelled|incomplete|completed|failed)/.test(e.type));
        await provider.next();
        says(await line('request', since), { ...common, end: 'cancelled', terminal: 'cancelled', response: events[0].response.id });
    });
    for (const [model, want] of failures)
        it(`${model}: failed`, async () => {
            const since = gw.mark();
            ask(`chat/${model}`);
            const last = await end();
            const sent = (await provider.next()).headers['x-request-id'];
            const l = await line('request', since);
            says(l, { ...common, end: 'failed', response: last.response.id, error: last.response.error.reason ?? last.response.error.code, attempts: 1 });
            says(l, want);
            assert.equal(sent, l.request);
        });
    it('refused: no JSON', async () => {
        const since = gw.mark();
        c.ws.send('{');
        assert.equal((await end()).type, 'error');
        says(await line('request', since), { ...common, end: 'refused', status: 400, error: 'invalid_json' });
    });
    it('refused: a model that the key has not', async () => {
        const since = gw.mark();
        ask('secret');
        const last = await end();
        says(await line('request', since), { ...common, end: 'refused', status: last.status, error: last.error.code, model: 'secret' });
    });
    it('the client left, and so did one that waited', async () => {
        const since = gw.mark();
        const other = await rawWS(gw);
        for (let i = 0; i < 2; i++) other.send({ type: 'response.create', model: 'chat/slow', input: 'x' });
        const events = await other.until((e) => e.type === 'response.output_text.delta');
        await provider.next();
        other.ws.terminate();
        says(await line('request', since, (l) => l.response), { ...common, end: 'client_left', response: events[0].response.id });
        says(await line('request', since, (l) => !l.response), { ...common, end: 'client_left', attempts: undefined });
        says(await line('websocket closed', since), { principal: 'ann', client: '127.0.0.1', by: 'client', code: 1006 });
    });
    it('a connection has its line', async () => {
        const since = gw.mark();
        const other = await rawWS(gw);
        await other.end();
        says(await line('websocket closed', since), { principal: 'ann', endpoint: '/v1/responses', by: 'client', code: /^100[05]$/ });
    });
});

describe('refused before there was a request', () => {
    const models = (headers) => fetch(gw.url('/v1/models', { tls: false }), { headers });
    for (const [what, headers, want] of [
        ['key', { authorization: 'Bearer wrong' }, { status: 401, error: 'invalid_api_key', principal: '' }],
        ['origin', { authorization: 'Bearer sk-test-only', origin: 'https://evil.example' }, { status: 403, error: 'origin_not_allowed' }],
    ])
        it(what, async () => {
            const since = gw.mark();
            const res = await models(headers);
            await res.arrayBuffer();
            says(await line('request refused', since), {
                reason: what,
                client: '127.0.0.1',
                request: res.headers.get('x-request-id'),
                ...want,
            });
        });
    it('a WebSocket with a wrong key', async () => {
        const since = gw.mark();
        await assert.rejects(rawWS(gw, { key: 'wrong' }));
        says(await line('request refused', since), { reason: 'key', status: 401 });
    });
    it('so many a second, the rest is counted', async () => {
        const since = gw.mark();
        for (let i = 0; i < 50; i++) await (await models({ authorization: 'Bearer wrong' })).arrayBuffer();
        const some = gw.lines('request refused').length;
        // The next line that may be written tells how many were not.
        let told = false;
        const said = line('request refused', since, (l) => l.suppressed > 0).finally(() => (told = true));
        while (!told) await (await models({ authorization: 'Bearer wrong' })).arrayBuffer();
        await said;
        assert.ok(some > 0);
    });
});

it('refused past a cap', async () => {
    const full = await startGateway({ config: { workers: 1, limits: { max_sessions_per_address: 1 }, log: { format: 'json' } } });
    try {
        const held = await rawWS(full);
        const res = await fetch(full.url('/v1/models', { tls: false }));
        assert.equal(res.status, 429);
        await res.arrayBuffer();
        const at = (msg) => full.waitFor(() => full.lines(msg)[0], msg);
        says(await at('connection refused'), { key: 'limits.max_sessions_per_address', address: '127.0.0.1' });
        says(await at('request refused'), { reason: 'cap', status: 429, error: 'connection_limit_reached', request: res.headers.get('x-request-id') });
        await held.end();
    } finally {
        await full.stop();
    }
});

it('the counters say the same', async () => {
    const text = await (await fetch(`http://127.0.0.1:${gw.ports.admin}/metrics`)).text();
    const value = (series) => Number(text.split('\n').find((l) => l.startsWith(`${series} `))?.slice(series.length + 1));
    const lines = gw.lines('request');
    const count = (test) => lines.filter(test).length;
    for (const transport of ['http', 'websocket'])
        for (const end of ['done', 'client_left', 'refused', 'failed'])
            assert.equal(
                value(`sluice_requests_total{endpoint="/v1/responses",transport="${transport}",end="${end}"}`),
                count((l) => l.transport === transport && l.end === end),
                `${transport} ${end}`,
            );
    assert.equal(value('sluice_principal_requests_total{principal="ann",end="failed"}'), count((l) => l.end === 'failed'));
    const tokens = lines.reduce((sum, l) => sum + (l.input_tokens ?? 0), 0);
    assert.equal(value('sluice_principal_tokens_total{principal="ann",gen_ai_token_type="input"}'), tokens);
    assert.equal(value('sluice_requests_in_flight{endpoint="/v1/responses",transport="http"}'), 0);
    assert.equal(value('sluice_requests_in_flight{endpoint="/v1/responses",transport="websocket"}'), 0);
    assert.ok(value('sluice_refusals_total{reason="key"}') >= 52);
    assert.equal(value('sluice_refusals_total{reason="origin"}'), 1);
});
