// The chat page in Chromium, over https, against the real gateway.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startStack } from '../e2e/lib/stack.mjs';
import { answered, ask, enter, lastAnswer, openBrowser, screenshotDir, watchGrowth } from './lib/page.mjs';

const LONG = Array.from({ length: 60 }, (_, i) => `Paragraph ${i} of a long answer.\n\n`);
const RICH = `Some **bold** and \`code\`, and a list:

1. one
2. two
   - inner

\`\`\`js
const wide = '${'x'.repeat(200)}';
\`\`\`

<img src=x onerror="document.title='broken in'"><script>document.title='broken in'</script>
averyverylongword${'y'.repeat(300)}`;

const MODELS = ['demo', 'rich', 'long', 'river', 'held', 'flaky', 'talk'];

let stack;
let gw;
let failures = 0;
let screens;

before(async () => {
    const text = (s) => ({ tokens: s.match(/\s*\S+/g) });
    stack = await startStack({
        config: {
            models: MODELS.map((name) => ({
                name,
                targets: [name === 'demo' ? { provider: 'demo', model: 'demo' } : { provider: 'chat', model: name }],
            })),
        },
        scripts: {
            rich: text(RICH),
            long: { tokens: LONG, gap: 15 },
            river: { tokens: Array.from({ length: 20_000 }, (_, i) => `Wave ${i}.\n\n`), gap: 1 }, // ends when it is stopped
            held: { tokens: ['First ', 'words. ', 'Then ', 'the ', 'rest.'], hold: 2 },
            flaky: () => (failures++ === 0 ? { status: 500, body: { error: { message: 'The model fell over.' } } } : text('Up again.')),
        },
    });
    gw = stack.gw;
    screens = await screenshotDir();
});

after(async () => {
    await stack?.stop();
});

/** A test in a browser of its own; whatever the page should not have done fails it. */
function inBrowser(name, body, options) {
    test(name, { timeout: 60_000 }, async (t) => {
        const browser = await openBrowser(options);
        try {
            await body(browser.page, browser, t);
            assert.deepEqual(browser.problems, []);
        } finally {
            await browser.close();
        }
    });
}

const reached = (model) => stack.provider.next((exchange) => exchange.body.model === model);
const choose = (page, model) => page.getByLabel('Model').selectOption(model);
const shot = (page, name) => page.screenshot({ path: path.join(screens, `${name}.png`) });
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className);

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
    assert.deepEqual(await page.getByLabel('Model').locator('option').allInnerTexts(), MODELS);
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
    await page.getByRole('button', { name: 'Try again' }).click();
    await answered(page, 1);
    assert.equal(await lastAnswer(page), 'Up again.');
    assert.equal(await page.locator('.asked').count(), 1);
    assert.equal(await failure.count(), 0);
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

inBrowser('what a model writes is formatted, and never more than text', async (page) => {
    await enter(page, gw);
    await choose(page, 'rich');
    await ask(page, 'Show everything');
    await answered(page, 1);
    const body = page.locator('.reply .body');
    assert.equal(await body.locator('strong').innerText(), 'bold');
    assert.equal(await body.locator('p code').innerText(), 'code');
    assert.equal(await body.locator('ol > li').count(), 2);
    assert.equal(await body.locator('ol > li > ul > li').innerText(), 'inner');
    assert.match(await body.locator('figure pre').innerText(), /^const wide/);
    assert.equal(await body.locator('img, script').count(), 0);
    assert.match(await body.innerText(), /<img src=x onerror=/);
    assert.equal(await page.title(), 'Sluice');
    assert.equal(await overflow(page), 0);
});

inBrowser('a text that comes a character at a time looks like one that came whole', async (page) => {
    await page.goto(gw.url('/'));
    const texts = [
        RICH,
        '1. a\n2. b\n\n3. c\n   - d\n     1. e\n4. f',
        'para\nline two\n\n# Head\n> quote\n> more\n\n---\n- x\n- y\n\nend *it* _is_ ***both*** ** not ** snake_case_name 2*3*4',
        '```\ncode without an end\n# not a heading',
        '~~~py\nprint("```")\n~~~\nafter',
        '``a ` b`` and `unclosed **bold `code` inside** * not a list *',
        '\n\n  leading\n\n\n\nblank lines\n\n',
        '- [x] ~~z~~\n10) ten\n11) eleven\n* * *\n<b>&amp;</b>',
    ];
    const differing = await page.evaluate(async (list) => {
        const { MarkdownView } = await import('/markdown.js');
        const show = (steps) => {
            const root = document.createElement('div');
            const view = new MarkdownView(root);
            for (const step of steps) view.set(step);
            return root.innerHTML;
        };
        return list
            .map((text) => [show([text]), show(Array.from(text, (_, i) => text.slice(0, i + 1)))])
            .filter(([whole, grown]) => whole !== grown || !whole);
    }, texts);
    assert.deepEqual(differing, []);
});

inBrowser('a reader who scrolls up is left in peace', async (page) => {
    await enter(page, gw);
    await choose(page, 'long');
    await ask(page, 'Tell me at length');
    await page.waitForFunction(() => document.querySelectorAll('.reply .body p').length > 25);
    const following = await page.evaluate(() => {
        const s = document.querySelector('#scroller');
        return s.scrollHeight - s.scrollTop - s.clientHeight;
    });
    assert.ok(following < 80, 'it follows the end');
    await page.locator('#talk').hover();
    await page.mouse.wheel(0, -4000);
    await page.getByRole('button', { name: 'Latest' }).waitFor();
    await page.mouse.wheel(0, -4000); // text that came meanwhile may have cut the first one short
    await page.waitForFunction(() => document.querySelector('#scroller').scrollTop === 0);
    await answered(page, 1);
    assert.equal(await page.evaluate(() => document.querySelector('#scroller').scrollTop), 0);
    await page.getByRole('button', { name: 'Latest' }).click();
    await page.getByRole('button', { name: 'Latest' }).waitFor({ state: 'hidden' });
    assert.equal(await focused(page), 'prompt');
});

/** Long answers that are one block, by the rules of Markdown. */
const GIANTS = {
    line: Array.from({ length: 6000 }, (_, i) => `${i} `).join(''),
    unbroken: `${'界'.repeat(3999)}${'🌊'.repeat(6000)}`,
    lines: Array.from({ length: 1500 }, (_, i) => `line ${i} of one paragraph`).join('\n'),
    list: Array.from({ length: 700 }, (_, i) => `${i % 5 === 4 ? '   - inner' : `${i}.`} item`).join('\n'),
    quote: Array.from({ length: 1500 }, (_, i) => `> line ${i} of one quotation`).join('\n'),
    code: `\`\`\`\n${Array.from({ length: 950 }, (_, i) => (i % 99 === 0 ? '' : `line ${i};`)).join('\n')}\n\`\`\``,
};

inBrowser('an answer that is one giant block grows at its end only', async (page) => {
    await page.goto(gw.url('/'));
    const found = await page.evaluate(async (giants) => {
        const { MarkdownView } = await import('/markdown.js');
        const grow = (text, step, seen = () => {}) => {
            const root = document.createElement('div');
            const view = new MarkdownView(root);
            const observer = new MutationObserver(() => {});
            observer.observe(root, { childList: true, characterData: true, subtree: true });
            for (let end = step; end < text.length + step; end += step) {
                view.set(text.slice(0, end));
                seen(root, observer.takeRecords());
            }
            return root;
        };
        // How far from the end of the page's text the change was that lay farthest from it.
        const reach = (root, records) => {
            let most = 0;
            for (const { target, type } of records) {
                if (type !== 'characterData' || !root.contains(target)) continue;
                const rest = document.createRange();
                rest.setStart(target, target.length);
                rest.setEnd(root, root.childNodes.length);
                most = Math.max(most, rest.toString().length);
            }
            return most;
        };
        return Object.entries(giants).map(([name, text]) => {
            let far = 0;
            const grown = grow(text, 331, (root, records) => (far = Math.max(far, reach(root, records))));
            const leaves = [...grown.querySelectorAll('p, li, blockquote, pre span')].filter((node) => !node.querySelector('li'));
            return {
                name,
                far,
                same: grown.innerHTML === grow(text, text.length).innerHTML,
                longest: Math.max(...leaves.map((node) => node.textContent.length)),
                items: Math.max(0, ...[...grown.children].map((node) => node.querySelectorAll('li').length)),
                blocks: grown.children.length,
                more: grown.querySelectorAll(':scope > .more').length,
                text: grown.textContent,
            };
        });
    }, GIANTS);
    for (const { name, far, same, longest, items, blocks, more } of found) {
        assert.ok(same, `${name}: it looks like one that came whole`);
        assert.ok(longest <= 5000, `${name}: no piece is long, but one has ${longest}`);
        assert.ok(items <= 101, `${name}: no list is long, but one has ${items} items`);
        assert.ok(far < 10_000, `${name}: only the end is changed, but something ${far} before it was`);
        assert.equal(more, blocks - 1, `${name}: the pieces belong together`);
    }
    const text = (wanted) => found.find(({ name }) => name === wanted).text;
    assert.equal(text('line'), GIANTS.line);
    assert.equal(text('unbroken'), GIANTS.unbroken);
    assert.ok(text('code').endsWith(GIANTS.code.slice(4, -4)), 'code is copied as it was');
});

inBrowser('code of many pieces is one block to the reader who selects it', async (page) => {
    await page.goto(gw.url('/'));
    const code = GIANTS.code.slice(4, -4);
    const selected = await page.evaluate(async (text) => {
        const { MarkdownView } = await import('/markdown.js');
        const talk = document.querySelector('#talk');
        talk.hidden = false;
        new MarkdownView(talk).set(text);
        getSelection().selectAllChildren(talk.querySelector('pre'));
        return getSelection().toString();
    }, GIANTS.code);
    assert.equal(selected.trimEnd(), code.trimEnd());
});

/** Asks for the answer that does not end, and waits until it fills the page. */
async function startRiver(page) {
    await enter(page, gw);
    await choose(page, 'river');
    await ask(page, 'Flow');
    await page.waitForFunction(() => document.querySelectorAll('.reply .body p').length > 60);
}

/** Waits until the answer has grown by `n` paragraphs, then gives the distance to the end, in px. */
const distanceAfter = (page, n) =>
    page.evaluate(async (more) => {
        const body = document.querySelector('.reply .body');
        const s = document.querySelector('#scroller');
        const from = body.childElementCount;
        while (body.childElementCount < from + more) await new Promise(requestAnimationFrame);
        return s.scrollHeight - s.scrollTop - s.clientHeight;
    }, n);

/** The reader moves up by `move`, and is left there while the text flows. */
async function leftInPeace(page, move) {
    await startRiver(page);
    assert.ok((await distanceAfter(page, 1)) < 80, 'it follows the end');
    await move();
    await page.getByRole('button', { name: 'Latest' }).waitFor();
    const place = await page.evaluate(() => document.querySelector('#scroller').scrollTop);
    assert.ok((await distanceAfter(page, 40)) > 500, 'the end flows away');
    assert.ok((await page.evaluate(() => document.querySelector('#scroller').scrollTop)) <= place, 'and nothing follows it');
    await page.getByRole('button', { name: 'Stop' }).click();
    await answered(page, 1);
}

inBrowser('a small turn of the wheel is enough to be left in peace by a fast answer', async (page) => {
    await leftInPeace(page, async () => {
        await page.locator('#talk').hover();
        await page.mouse.wheel(0, -30);
    });
});

inBrowser('so is a key', async (page) => {
    await leftInPeace(page, async () => {
        await page.locator('#talk').focus();
        await page.keyboard.press('ArrowUp');
    });
});

inBrowser('so is a finger', async (page, { context }) => {
    const cdp = await context.newCDPSession(page);
    const touch = (type, y) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: y ? [{ x: 180, y }] : [] });
    await leftInPeace(page, async () => {
        await touch('touchStart', 300);
        for (let y = 305; y <= 345; y += 5) await touch('touchMove', y);
        await touch('touchEnd');
    });
}, { viewport: { width: 360, height: 700 }, isMobile: true, hasTouch: true });

inBrowser('a move up between two frames counts, also when the text has grown by more since', async (page) => {
    await enter(page, gw);
    await choose(page, 'held');
    await page.evaluate(() => (document.querySelector('#scroller').style.height = '120px'));
    await ask(page, 'Speak '.repeat(400));
    const exchange = await reached('held');
    await page.waitForFunction(() => document.querySelector('.reply .body')?.textContent.trim() === 'First words.');
    await page.evaluate(() => {
        const body = document.querySelector('.reply .body');
        const s = document.querySelector('#scroller');
        new MutationObserver((_, observer) => {
            observer.disconnect();
            s.scrollTop -= 20; // where the compositor is before the page's own scroll event comes
        }).observe(body, { childList: true, characterData: true, subtree: true });
    });
    exchange.release();
    await answered(page, 1);
    const left = await page.evaluate(() => {
        const s = document.querySelector('#scroller');
        return s.scrollHeight - s.scrollTop - s.clientHeight;
    });
    assert.ok(left >= 20, `${left} px from the end`);
});

inBrowser('a reader who goes back to the end is taken along again', async (page) => {
    await startRiver(page);
    await page.locator('#talk').hover();
    await page.mouse.wheel(0, -600);
    await page.getByRole('button', { name: 'Latest' }).waitFor();
    await page.locator('#talk').focus();
    await page.keyboard.press('End');
    await page.getByRole('button', { name: 'Latest' }).waitFor({ state: 'hidden' });
    assert.ok((await distanceAfter(page, 20)) < 80);
    await page.keyboard.press('Escape');
    await answered(page, 1);
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

inBrowser('a screen reader hears sentences, not tokens', async (page) => {
    await enter(page, gw);
    await page.evaluate(() => {
        window.said = [];
        const node = document.querySelector('#announcer');
        new MutationObserver(() => window.said.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });
    });
    await ask(page, 'Tell me what you are');
    await answered(page, 1);
    const said = await page.evaluate(() => window.said);
    assert.equal(said[0], 'Answering.');
    assert.equal(said.slice(1).join('').replace(/\s+/g, ' ').trim(), (await lastAnswer(page)).replace(/\s+/g, ' ').trim());
    assert.ok(said.length < 10, `${said.length} announcements`);
    assert.equal(await page.locator('#talk').getAttribute('aria-live'), null);
});

inBrowser('a phone shows it all in its width', async (page) => {
    await page.goto(gw.url('/'));
    assert.equal(await overflow(page), 0);
    await shot(page, 'phone-setup');
    await enter(page, gw);
    assert.equal(await overflow(page), 0);
    await choose(page, 'rich');
    await ask(page, 'Show everything, please, and in a sentence that is longer than a phone is wide');
    await answered(page, 1);
    assert.equal(await overflow(page), 0);
    await shot(page, 'phone-answer');
    for (const name of ['Key', 'New chat', 'Send']) {
        const box = await page.getByRole('button', { name, exact: true }).boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= 360, `${name} is within the width`);
        assert.ok(box.width >= 38 && box.height >= 38, `${name} can be hit by a finger`);
    }
}, { viewport: { width: 360, height: 700 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });

inBrowser('it follows the wish for dark, and for no motion', async (page) => {
    await enter(page, gw);
    await ask(page, 'count to 5');
    await answered(page, 1);
    const [red] = (await page.evaluate(() => getComputedStyle(document.body).backgroundColor)).match(/\d+/g).map(Number);
    assert.ok(red < 60, 'the page is dark');
    await page.evaluate(() => (document.querySelector('#status').dataset.kind = 'busy'));
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.dot')).animationName), 'none');
    await shot(page, 'answer-dark');
}, { colorScheme: 'dark', reducedMotion: 'reduce' });

test('the screenshots are kept', (t) => t.diagnostic(`screenshots: ${screens}`));
