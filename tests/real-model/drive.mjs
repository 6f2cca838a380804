// Real answers through the gateway, to the official client and to the chat page. Called by tests/real-model.sh.
import assert from 'node:assert/strict';
import path from 'node:path';
import { startGateway } from '../e2e/lib/gateway.mjs';
import { openai, responsesWS } from '../e2e/lib/clients.mjs';
import { answered, ask, enter, lastAnswer, openBrowser, watchGrowth } from '../browser/lib/page.mjs';
import { startModelServer } from './model-server.mjs';

const [modelPath, outDir] = process.argv.slice(2);
const ms = (since) => `${Math.round(performance.now() - since)} ms`;

function heading(text) {
    console.log(`\n== ${text}`);
}

/** One answer over an official connection, its tokens printed as they come. */
async function stream(ws, create) {
    const begun = performance.now();
    const pieces = [];
    let first;
    const onDelta = (event) => {
        first ??= ms(begun);
        pieces.push(event.delta);
        process.stdout.write(pieces.length > 1 ? `|${event.delta}` : event.delta);
    };
    console.log(`> ${create.input}`);
    ws.on('response.output_text.delta', onDelta);
    const end = (await ws.answer(create)).at(-1);
    ws.off('response.output_text.delta', onDelta);
    assert.equal(end.type, 'response.completed', JSON.stringify(end));
    assert.equal(pieces.join(''), end.response.output[0].content[0].text);
    assert.ok(end.response.usage.output_tokens > 0);
    console.log(`\n  ${pieces.length} events, ${end.response.usage.output_tokens} tokens, first after ${first}, all after ${ms(begun)}`);
    return { response: end.response, pieces };
}

async function overWebSocket(gw, model) {
    heading('the official client (openai, ResponsesWS) over wss');
    const ws = await responsesWS(gw, { tls: true });
    const { response, pieces } = await stream(ws, { model: 'gemma', input: 'What is the capital of Italy?' });
    assert.ok(pieces.length >= 5, 'the answer came in pieces');
    await stream(ws, { model: 'gemma', input: 'And of Spain?', previous_response_id: response.id });

    heading('response.cancel reaches the model');
    const aborted = model.nextAbort();
    const id = new Promise((resolve) => ws.on('response.created', (event) => resolve(event.response.id)));
    let seen = 0;
    const fifth = new Promise((resolve) => ws.on('response.output_text.delta', () => ++seen === 5 && resolve()));
    ws.send({ type: 'response.create', model: 'gemma', input: 'List the numbers from one to one hundred, in words.' });
    await fifth;
    const asked = performance.now();
    ws.send({ type: 'response.cancel', response_id: await id });
    await aborted;
    console.log(`  cancelled after 5 tokens; the model stopped ${ms(asked)} later`);
    ws.close();
}

async function overHttp(gw) {
    heading('the official client over HTTP, chat completions, streaming');
    const begun = performance.now();
    const pieces = [];
    const chunks = await openai(gw).chat.completions.create({
        model: 'gemma',
        messages: [{ role: 'user', content: 'What is water made of?' }],
        stream: true,
        stream_options: { include_usage: true },
    });
    let usage;
    for await (const chunk of chunks) {
        pieces.push(chunk.choices[0]?.delta.content ?? '');
        usage = chunk.usage ?? usage;
    }
    assert.ok(pieces.filter(Boolean).length >= 5);
    console.log(`> What is water made of?\n${pieces.join('')}\n  ${usage.completion_tokens} tokens after ${ms(begun)}`);
}

async function onThePage(gw) {
    heading('the chat page in Chromium over https');
    const { page, problems, close } = await openBrowser();
    try {
        await enter(page, gw);
        const growth = await watchGrowth(page);
        for (const [i, question] of ['Name three rivers in Europe.', 'Why does a river flow to the sea?'].entries()) {
            await ask(page, question);
            await answered(page, i + 1);
            console.log(`> ${question}\n${await lastAnswer(page)}\n  ${await page.locator('.stats').nth(i).innerText()}`);
        }
        const steps = await growth();
        assert.ok(steps.length >= 8, `the text grew in ${steps.length} steps`);
        const file = path.join(outDir, 'chat.png');
        await page.screenshot({ path: file });
        console.log(`  the text on the page grew in ${steps.length} steps; screenshot: ${file}`);
        assert.deepEqual(problems, []);
    } finally {
        await close();
    }
}

const model = await startModelServer(modelPath);
const gw = await startGateway({
    config: {
        providers: [{ name: 'local', dialect: 'chat_completions', base_url: model.url, allow_plaintext: true }],
        models: [{ name: 'gemma', targets: [{ provider: 'local', model: model.name }] }],
    },
});
console.log(`${model.name} at ${model.url}, the gateway at ${gw.url()}`);
try {
    await overWebSocket(gw, model);
    await overHttp(gw);
    await onThePage(gw);
    heading('done');
    console.log(`  ${model.stats.answers} answers, ${model.stats.aborted} broken off`);
} finally {
    await gw.stop();
    await model.close();
}
