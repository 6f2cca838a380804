// Chromium for the page's tests: a fresh profile each time, and an ear for everything that the page should not do.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { startStack } from '../../e2e/lib/stack.mjs';

const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((p) => existsSync(p));
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];

async function screenshotDir() {
    const dir = process.env.SLUICE_SCREENSHOTS;
    if (!dir) return mkdtemp(path.join(tmpdir(), 'sluice-screens-'));
    await mkdir(dir, { recursive: true });
    return dir;
}

/** Where screenshots go, a promise: $SLUICE_SCREENSHOTS, else a new temporary folder. */
export const screens = screenshotDir();
export const shot = async (page, name) => page.screenshot({ path: path.join(await screens, `${name}.png`) });

/** A gateway with the models `demo`, `talk` (which says what it was told) and those of the scripts. */
export const pageStack = (scripts) =>
    startStack({
        config: {
            models: ['demo', 'talk', ...Object.keys(scripts)].map((name) => ({
                name,
                targets: [name === 'demo' ? { provider: 'demo', model: 'demo' } : { provider: 'chat', model: name }],
            })),
        },
        scripts,
    });

/** A test in a browser of its own; whatever the page should not have done fails it. */
export function inBrowser(name, body, options) {
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

/** { page, context, problems, close() }; `problems` collects page errors and violations of the content security policy. */
export async function openBrowser(options = {}) {
    const profile = await mkdtemp(path.join(tmpdir(), 'sluice-chromium-'));
    const context = await chromium.launchPersistentContext(profile, {
        executablePath,
        args,
        headless: true,
        ignoreHTTPSErrors: true,
        viewport: { width: 1180, height: 820 },
        ...options,
    });
    const problems = [];
    await context.exposeFunction('reportViolation', (text) => problems.push(`violation: ${text}`));
    await context.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (e) => window.reportViolation(`${e.violatedDirective} ${e.blockedURI}`));
    });
    const page = context.pages()[0] ?? (await context.newPage());
    page.setDefaultTimeout(20_000);
    page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
    page.on('console', (message) => {
        if (/content security policy/i.test(message.text())) problems.push(message.text());
    });
    page.on('requestfailed', (request) => problems.push(`request failed: ${request.url()} ${request.failure()?.errorText}`));
    const close = async () => {
        await context.close();
        await rm(profile, { recursive: true, force: true });
    };
    return { page, context, problems, close };
}

/** Opens the page and gives it the key. */
export async function enter(page, gw, key = gw.key) {
    await page.goto(gw.url('/'));
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Use key' }).click();
    await page.locator('#prompt:enabled').waitFor();
}

export const choose = (page, model) => page.getByLabel('Model').selectOption(model);
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
export const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.className);

/** Types a question and sends it. */
export async function ask(page, text) {
    await page.getByLabel('Message').fill(text);
    await page.keyboard.press('Enter');
}

/** The last answer's text. */
export const lastAnswer = (page) => page.locator('.reply').last().locator('.body').innerText();

/** Waits until `n` answers have ended well (or were stopped). */
export const answered = (page, n) => page.locator('.reply .stats').nth(n - 1).waitFor();

/** Records every distinct text of the last answer as the page shows it; the returned function gives the list. */
export async function watchGrowth(page) {
    await page.evaluate(() => {
        window.growth = [];
        const look = () => {
            const text = [...document.querySelectorAll('.reply .body')].at(-1)?.textContent ?? '';
            if (text !== window.growth.at(-1)) window.growth.push(text);
        };
        new MutationObserver(look).observe(document.querySelector('#talk'), { childList: true, subtree: true, characterData: true });
    });
    return () => page.evaluate(() => window.growth);
}
