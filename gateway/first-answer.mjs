// Asks the gateway one question over a WebSocket and prints the answer as it comes: first-answer.mjs URL CA KEY MODEL
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { WebSocket } = createRequire(new URL('../tests/package.json', import.meta.url))('ws');
const [url, ca, key, model] = process.argv.slice(2);
const question = 'What are you?';

const ws = new WebSocket(url, { ca: readFileSync(ca), headers: { authorization: `Bearer ${key}` } });
let ended = false;

function fail(reason) {
    console.error(`\nThe first question was not answered: ${reason}`);
    process.exit(1);
}

ws.on('open', () => {
    process.stdout.write(`\nAsked ${model} over ${url}: ${question}\n\n`);
    ws.send(JSON.stringify({ type: 'response.create', model, input: question }));
});
ws.on('message', (data) => {
    const event = JSON.parse(data);
    if (event.type === 'response.output_text.delta') process.stdout.write(event.delta);
    if (event.type === 'error' || event.type === 'response.failed') fail((event.error ?? event.response.error).message);
    if (event.type === 'response.completed') {
        ended = true;
        process.stdout.write('\n');
        ws.close(1000);
    }
});
ws.on('error', (error) => fail(error.message));
ws.on('close', (code) => ended || fail(`the connection closed (${code})`));
