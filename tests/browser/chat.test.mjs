// The chat page in Chromium, over https, against the real gateway: keys, questions and answers, and what goes wrong.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answered, ask, choose, enter, focused, inBrowser, lastAnswer, pageStack, screens, shot, watchGrowth } from './lib/page.mjs';

let stack;
let gw;
let failures = 0;

before(async () => {
    stack = await pageStack({
        held: { tokens: ['First ', 'words. ', 'Then ', 'the ', 'rest.'], hold: 2 },
        breaks: { tokens: ['Half ', 'of ', 'it.'], failure: { code: 'overloaded', message: 'Too many of you.' } },
        flaky: () => (failures++ === 0 ? { status: 500, body: { error: { message: 'The model fell over.' } } } : { text: 'Up again.' }),
    });
    gw = stack.gw;
});

after(async () => {
    await stack?.stop();
});

const reached = (model) => stack.provider.next((exchange) => exchange.body.model === model);

inBrowser('the page comes with a strict policy and asks for a key', async (page) => {
    const reply = await page.goto(gw.url('/'));
    const headers = reply.headers();
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    assert.match(headers['content-security-policy'], /default-src 'none'/);
    assert.doesNotMatch(headers['content-security-policy'], /unsafe|\*/);
    assert.ok(headers.etag);
    await page.getByRole('heading', { name: 'Paste a key to begin' }).waitFor();
    assert.equal(await focused(page), 'key');
    assert.equal(await page.locator('#prompt').isDisabled(), true);
    await shot(page, 'setup');
});

inBrowser('a question is answered token after token', async (page) => {
    await enter(page, gw);
    assert.deepEqual(await page.getByLabel('Model').locator('option').allInnerTexts(), ['demo', 'talk', 'held', 'breaks', 'flaky']);
    await shot(page, 'welcome');
    const growth = await watchGrowth(page);
    await ask(page, 'Please count to 30');
    await answered(page, 1);
    const whole = Array.from({ length: 30 }, (_, i) => i + 1).join(' ');
    assert.equal(await lastAnswer(page), whole);
    const steps = (await growth()).filter((text) => text !== '');
    assert.ok(steps.length >= 10, `the text grew in ${steps.length} steps`);
    for (const step of steps) assert.ok(whole.startsWith(step.trimEnd()), `"${step}" is a beginning of the answer`);
    assert.match(await page.locator('.stats').innerText(), /^demo · 30 tokens · /);
    await shot(page, 'answer-light');
});

inBrowser('what has come is shown while the rest is still to come', async (page) => {
    await enter(page, gw);
    await choose(page, 'held');
    await ask(page, 'Speak');
    const exchange = await reached('held');
    await page.waitForFunction(() => document.querySelector('.reply .body')?.textContent.trim() === 'First words.');
    assert.equal(await page.getByRole('button', { name: 'Stop' }).isVisible(), true);
    exchange.release();
    await answered(page, 1);
    assert.equal(await lastAnswer(page), 'First words. Then the rest.');
    assert.equal(await page.getByRole('button', { name: 'Stop' }).isVisible(), false);
});

inBrowser('an answer is stopped in mid-stream, and the chat goes on', async (page) => {
    await enter(page, gw);
    await ask(page, 'count to 9999');
    await page.waitForFunction(() => document.querySelector('.reply .body')?.textContent.includes('1 2 3 4 5'));
    await page.getByRole('button', { name: 'Stop' }).click();
    await answered(page, 1);
    assert.equal(await page.locator('.note').innerText(), 'Stopped');
    const kept = await lastAnswer(page);
    assert.match(kept, /^1 2 3 4 5/);
    await ask(page, 'count to 3');
    await answered(page, 2);
    assert.equal(await lastAnswer(page), '1 2 3');
    assert.equal(await page.locator('.reply').first().locator('.body').innerText(), kept, 'nothing came after the stop');
});

inBrowser('a bad key is a plain error, and a good one helps', async (page) => {
    await page.goto(gw.url('/'));
    await page.getByLabel('API key').fill('sk-not-a-key');
    await page.keyboard.press('Enter');
    const problem = page.locator('#key-error');
    await problem.filter({ hasText: 'does not accept this key' }).waitFor();
    assert.equal(await focused(page), 'key');
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    await shot(page, 'bad-key');
    await page.getByLabel('API key').fill(gw.key);
    await page.keyboard.press('Enter');
    await page.locator('#prompt:enabled').waitFor();
    assert.equal(await page.locator('#setup').isVisible(), false);
});

inBrowser('another key that is no good leaves all as it was', async (page) => {
    await enter(page, gw);
    await page.locator('#status', { hasText: 'Connected' }).waitFor();
    await page.getByRole('button', { name: 'Key', exact: true }).click();
    await page.getByLabel('API key').fill('sk-not-a-key');
    await page.keyboard.press('Enter');
    await page.locator('#key-error', { hasText: 'does not accept this key' }).waitFor();
    assert.equal(await page.locator('#status').innerText(), 'Connected');
    await page.getByLabel('API key').fill('sk-“pasted”');
    await page.keyboard.press('Enter');
    await page.locator('#key-error', { hasText: 'does not accept this key' }).waitFor();
    await page.keyboard.press('Escape');
    await ask(page, 'count to 3');
    await answered(page, 1);
    await page.reload();
    await page.locator('#prompt:enabled').waitFor();
});

inBrowser('a server that cannot answer now does not cost the key', async (page) => {
    await enter(page, gw);
    await page.route('**/v1/models', (route) => route.fulfill({ status: 503, json: { error: { code: 'overloaded', message: 'Come back later.' } } }));
    await page.reload();
    await page.locator('#key-error', { hasText: 'Come back later.' }).waitFor();
    assert.equal(await page.getByLabel('API key').inputValue(), gw.key);
    await page.unroute('**/v1/models');
    await page.getByRole('button', { name: 'Use key' }).click();
    await page.locator('#prompt:enabled').waitFor();
});

inBrowser('the key stays in the tab: a reload keeps it, another tab does not have it', async (page, { context }) => {
    await enter(page, gw);
    await page.reload();
    await page.locator('#prompt:enabled').waitFor();
    assert.equal(await page.evaluate(() => localStorage.length), 0);
    assert.equal(await page.evaluate(() => document.cookie), '');
    const other = await context.newPage();
    await other.goto(gw.url('/'));
    await other.getByRole('heading', { name: 'Paste a key to begin' }).waitFor();
});

inBrowser('a conversation has a memory, until a new chat', async (page) => {
    await enter(page, gw);
    await choose(page, 'talk');
    const asked = async (text, n) => {
        await ask(page, text);
        const exchange = await reached('talk');
        await answered(page, n);
        return exchange.body.messages.map((m) => [m.role, m.content]);
    };
    assert.deepEqual(await asked('My name is Ada.', 1), [['user', 'My name is Ada.']]);
    assert.deepEqual(await asked('Who am I?', 2), [
        ['user', 'My name is Ada.'],
        ['assistant', 'You said: My name is Ada.'],
        ['user', 'Who am I?'],
    ]);
    await page.getByRole('button', { name: 'New chat' }).click();
    assert.equal(await page.locator('.asked').count(), 0);
    assert.equal(await focused(page), 'prompt');
    assert.deepEqual(await asked('And now?', 1), [['user', 'And now?']]);
});

inBrowser('a failed answer says why and can be tried again', async (page) => {
    failures = 0;
    await enter(page, gw);
    await choose(page, 'flaky');
    await ask(page, 'Are you there?');
    const failure = page.locator('.failure');
    await failure.waitFor();
    assert.ok((await failure.innerText()).length > 20);
    await shot(page, 'failure');
    await page.getByRole('button', { name: 'Try again' }).focus();
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'prompt', 'the button is gone, the focus is not');
    await answered(page, 1);
    assert.equal(await lastAnswer(page), 'Up again.');
    assert.equal(await page.locator('.asked').count(), 1);
    assert.equal(await failure.count(), 0);
});

inBrowser('an answer that breaks off keeps what had come', async (page) => {
    await enter(page, gw);
    await choose(page, 'breaks');
    await ask(page, 'All of it, please');
    const failure = page.locator('.failure');
    await failure.waitFor();
    assert.match(await failure.innerText(), /Too many of you\./);
    assert.equal(await lastAnswer(page), 'Half of it.');
    assert.equal(await page.getByRole('button', { name: 'Stop' }).isVisible(), false);
    await shot(page, 'broken');
});

inBrowser('a connection lost in mid-answer: what had come stays, and another try has it all', async (page) => {
    await enter(page, gw);
    await choose(page, 'held');
    await ask(page, 'Speak');
    await reached('held');
    await page.waitForFunction(() => document.querySelector('.reply .body')?.textContent.trim() === 'First words.');
    const killed = gw.workerPids();
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    await page.locator('.failure', { hasText: 'connection was lost' }).waitFor();
    assert.equal(await lastAnswer(page), 'First words.');
    await shot(page, 'lost');
    await page.getByRole('button', { name: 'Try again' }).click();
    (await reached('held')).release();
    await answered(page, 1);
    assert.equal(await lastAnswer(page), 'First words. Then the rest.');
    assert.equal(await page.locator('.asked').count(), 1);
});

inBrowser('a lost worker: the next question finds another, with the whole conversation', async (page) => {
    await enter(page, gw);
    await choose(page, 'talk');
    await ask(page, 'Remember me.');
    await reached('talk');
    await answered(page, 1);
    const since = gw.mark();
    const killed = gw.workerPids();
    await Promise.all([
        page.locator('#status:not([data-kind="good"])').waitFor(),
        ...killed.map((pid) => process.kill(pid, 'SIGKILL')),
    ]);
    await gw.waitFor(() => gw.workerPids().length === killed.length && !gw.workerPids().some((pid) => killed.includes(pid)));
    assert.ok(gw.logs.length > since);
    await ask(page, 'Who am I?');
    const { body } = await reached('talk');
    await answered(page, 2);
    assert.deepEqual(body.messages.map((m) => m.content), ['Remember me.', 'You said: Remember me.', 'Who am I?']);
});

inBrowser('Esc closes the card of the key first, and is left to an input method', async (page) => {
    await enter(page, gw);
    await choose(page, 'held');
    await ask(page, 'Speak');
    const exchange = await reached('held');
    await page.getByRole('button', { name: 'Key', exact: true }).click();
    await page.keyboard.press('Escape');
    assert.equal(await page.locator('#setup').isVisible(), false);
    await page.evaluate(() => {
        const init = { key: 'Escape', bubbles: true, isComposing: true };
        document.querySelector('#prompt').dispatchEvent(new KeyboardEvent('keydown', init));
    });
    exchange.release();
    await answered(page, 1);
    assert.equal(await lastAnswer(page), 'First words. Then the rest.');
    assert.equal(await page.locator('.note').count(), 0);
});

inBrowser('the keyboard is enough', async (page) => {
    await page.goto(gw.url('/'));
    await page.keyboard.type(gw.key);
    await page.keyboard.press('Enter');
    await page.locator('#prompt:enabled').waitFor();
    assert.equal(await focused(page), 'prompt');
    await page.keyboard.type('count');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('to what you like; count to 9999');
    assert.equal(await page.getByLabel('Message').inputValue(), 'count\nto what you like; count to 9999');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.querySelector('.reply .body')?.textContent.includes('1 2 3'));
    await page.keyboard.press('Escape');
    await page.locator('.note', { hasText: 'Stopped' }).waitFor();
    assert.equal(await focused(page), 'prompt');
    await page.evaluate(() => document.activeElement.blur());
    const order = [];
    for (let i = 0; i < 8; i++) {
        await page.keyboard.press('Tab');
        order.push(await focused(page));
    }
    const [outside, ...inside] = order; // past the end of the page, then round again
    assert.equal(outside, '');
    assert.deepEqual(inside, ['skip', 'model', 'change-key', 'new-chat', 'talk', 'copy', 'prompt']);
    await page.evaluate(() => document.activeElement.blur());
    await page.locator('.skip').focus();
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'prompt');
});

test('the screenshots are kept', async (t) => t.diagnostic(`screenshots: ${await screens}`));
