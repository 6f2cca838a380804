// What the chat page makes of answers, in Chromium: how they look, grow, are read aloud, and fit.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { answered, ask, choose, enter, focused, inBrowser, lastAnswer, overflow, pageStack, screens, shot } from './lib/page.mjs';

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

// Long answers that are one block, by the rules of Markdown.
const GIANTS = {
    line: Array.from({ length: 6000 }, (_, i) => `${i} `).join(''),
    unbroken: `${'界'.repeat(3999)}${'🌊'.repeat(6000)}`,
    lines: Array.from({ length: 1500 }, (_, i) => `line ${i} of one paragraph`).join('\n'),
    list: Array.from({ length: 700 }, (_, i) => `${i % 5 === 4 ? '   - inner' : `${i}.`} item`).join('\n'),
    quote: Array.from({ length: 1500 }, (_, i) => `> line ${i} of one quotation`).join('\n'),
    code: `\`\`\`\n${Array.from({ length: 950 }, (_, i) => (i % 99 === 0 ? '' : `line ${i};`)).join('\n')}\n\`\`\``,
};

let stack;
let gw;

before(async () => {
    stack = await pageStack({
        rich: { tokens: RICH.match(/\s*\S+/g) },
        long: { tokens: LONG, gap: 15 },
        river: { tokens: Array.from({ length: 20_000 }, (_, i) => `Wave ${i}.\n\n`), gap: 1 }, // ends when it is stopped
        held: { tokens: ['First ', 'words. ', 'Then ', 'the ', 'rest.'], hold: 2 },
        breaks: { tokens: ['Half ', 'of ', '`it`.'], failure: { code: 'overloaded', message: 'Too many of you.' } },
        thinks: { reasoning: 'First this, then that, and so on.', text: 'Done.' },
        refuses: { refusal: 'That I will not say.' },
        mute: { tokens: [] },
    });
    gw = stack.gw;
});

after(async () => {
    await stack?.stop();
});

const reached = (model) => stack.provider.next((exchange) => exchange.body.model === model);

inBrowser('what a model thinks stands under a fold', async (page) => {
    await enter(page, gw);
    await choose(page, 'thinks');
    await ask(page, 'Think');
    await answered(page, 1);
    assert.equal(await page.getByText('First this').isVisible(), false);
    await page.getByText('Reasoning').click();
    assert.equal(await page.locator('.thoughts p').innerText(), 'First this, then that, and so on.');
    assert.equal(await lastAnswer(page), 'Done.');
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
    await enter(page, gw);
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
    await enter(page, gw);
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

/** Records what the hidden live region says; the returned function gives the list. */
async function listen(page) {
    await page.evaluate(() => {
        window.said = [];
        const node = document.querySelector('#announcer');
        new MutationObserver(() => window.said.push(node.textContent)).observe(node, { childList: true, characterData: true, subtree: true });
    });
    return () => page.evaluate(() => window.said);
}

inBrowser('a screen reader hears sentences, not tokens', async (page) => {
    await enter(page, gw);
    const heard = await listen(page);
    await ask(page, 'Tell me what you are');
    await answered(page, 1);
    const said = await heard();
    assert.equal(said[0], 'Answering.');
    assert.equal(said.slice(1).join('').replace(/\s+/g, ' ').trim(), (await lastAnswer(page)).replace(/\s+/g, ' ').trim());
    assert.ok(said.length < 10, `${said.length} announcements`);
    assert.equal(await page.locator('#talk').getAttribute('aria-live'), null);
});

inBrowser('a screen reader is not flooded by a long answer', async (page) => {
    await enter(page, gw);
    const heard = await listen(page);
    await startRiver(page);
    await page.waitForFunction(() => document.querySelector('#announcer').textContent.endsWith('The rest stands in the conversation.'));
    await distanceAfter(page, 300);
    await page.getByRole('button', { name: 'Stop' }).click();
    await answered(page, 1);
    const said = await heard();
    assert.ok(said.join('').length < 2000, `${said.join('').length} characters`);
    assert.equal(said.at(-1), 'Stopped.');
});

inBrowser('a screen reader hears also what is no text, and that something was copied', async (page) => {
    await enter(page, gw);
    const heard = await listen(page);
    await choose(page, 'refuses');
    await ask(page, 'Say it');
    await answered(page, 1);
    assert.equal((await heard()).at(-1), 'That I will not say.');
    await choose(page, 'mute');
    await ask(page, 'Say anything');
    await answered(page, 2);
    assert.equal((await heard()).at(-1), 'The model answered nothing.');
    await choose(page, 'thinks');
    await ask(page, 'Think');
    await answered(page, 3);
    await page.getByRole('button', { name: 'Copy answer' }).click();
    await page.waitForFunction(() => /^(Copied|Not allowed)\.$/.test(window.said.at(-1)));
    const levels = await page.locator('h1, h2').evaluateAll((list) => list.filter((h) => h.checkVisibility()).map((h) => h.textContent));
    assert.deepEqual(levels, ['Sluice', ...Array(3).fill(['You', 'Answer']).flat()]);
});

inBrowser('a phone shows it all in its width', async (page) => {
    await page.goto(gw.url('/'));
    assert.equal(await overflow(page), 0);
    await shot(page, 'phone-setup');
    await page.getByRole('heading', { name: 'Sluice' }).waitFor();
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

for (const colorScheme of ['light', 'dark']) {
    inBrowser(`all text stands out from what is behind it, in ${colorScheme}`, async (page) => {
        await page.goto(gw.url('/'));
        await page.getByLabel('API key').fill('sk-not-a-key');
        await page.keyboard.press('Enter');
        await page.locator('#key-error', { hasText: 'does not accept' }).waitFor();
        const faint = async () => assert.deepEqual(await page.evaluate(faintTexts), []);
        await faint();
        await enter(page, gw);
        await faint();
        for (const [i, model] of ['rich', 'breaks'].entries()) {
            await choose(page, model);
            await ask(page, 'Show everything');
            await (i === 0 ? answered(page, 1) : page.locator('.failure').waitFor());
        }
        await faint();
        await shot(page, `contrast-${colorScheme}`);
    }, { colorScheme });
}

/** Runs in the page: the visible texts whose contrast is less than 4.5 (WCAG 2.2, 1.4.3). */
function faintTexts() {
    const numbers = (color) => color.match(/[\d.]+/g).map(Number);
    const over = ([r, g, b, a = 1], below) => [r, g, b].map((c, i) => c * a + below[i] * (1 - a));
    const light = (c) => c.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    const luminance = (c) => light(c).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const line = (node) => (node ? [...line(node.parentElement), node] : []);
    const behind = (node) => line(node).reduce((below, at) => over(numbers(getComputedStyle(at).backgroundColor), below), [255, 255, 255]);
    const found = [];
    for (const node of document.querySelectorAll('body *')) {
        const own = [...node.childNodes].some((child) => child.nodeType === Node.TEXT_NODE && child.data.trim());
        if (!own || !node.checkVisibility() || node.closest('.hidden, .skip, option, :disabled, title')) continue;
        const below = behind(node);
        const [r, g, b, a = 1] = numbers(getComputedStyle(node).color);
        const opacity = line(node).reduce((all, at) => all * getComputedStyle(at).opacity, 1);
        const [low, high] = [luminance(over([r, g, b, a * opacity], below)), luminance(below)].sort((x, y) => x - y);
        const contrast = (high + 0.05) / (low + 0.05);
        if (contrast < 4.5) found.push(`${node.tagName}.${node.className} "${node.textContent.slice(0, 30)}": ${contrast.toFixed(2)}`);
    }
    return found;
}

test('the screenshots are kept', async (t) => t.diagnostic(`screenshots: ${await screens}`));
