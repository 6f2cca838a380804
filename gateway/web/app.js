// The chat page: one conversation over one WebSocket.
import { SluiceClient, SluiceError } from './sluice.js';
import { MarkdownView } from './markdown.js';

const $ = (id) => document.getElementById(id);
const ui = Object.fromEntries(
    ['model', 'status', 'status-text', 'change-key', 'new-chat', 'scroller', 'setup', 'key-form', 'key', 'key-error', 'show-key',
     'use-key', 'welcome', 'ideas', 'talk', 'latest', 'composer', 'prompt', 'send', 'stop', 'announcer'].map((id) => [id, $(id)]),
);

const STORED_KEY = 'sluice.key';
const STORED_MODEL = 'sluice.model';
const NEAR = 64; // px from the end: the reader follows
const NOTHING = 'The model answered nothing.';
const ANNOUNCE_EVERY = 3000; // ms between two readings of a growing answer
const ANNOUNCE_MOST = 1500; // characters of one answer; about a minute and a half of speech

let client = null;
let lane = null;
let current = null; // the turn that is being answered

const stopped = () => new DOMException('Stopped by the reader.', 'AbortError');

function make(name, className, ...children) {
    const node = document.createElement(name);
    if (className) node.className = className;
    node.append(...children);
    return node;
}

// ---- the key and the connection ----

function showSetup(problem = '', key = '') {
    following = false; // an answer that grows must not carry it away
    ui.setup.hidden = false;
    ui.welcome.hidden = true;
    ui['change-key'].setAttribute('aria-expanded', 'true');
    ui['key-error'].textContent = problem;
    ui.key.setAttribute('aria-invalid', problem ? 'true' : 'false');
    ui.key.value = key;
    ui.key.focus();
}

function hideSetup() {
    ui.setup.hidden = true;
    ui['change-key'].setAttribute('aria-expanded', 'false');
    ui['key-error'].textContent = '';
    ui.welcome.hidden = !ui.talk.hidden;
    if (toTheEnd() < NEAR) following = true;
}

function showStatus(kind, text) {
    ui.status.dataset.kind = kind;
    ui['status-text'].textContent = text;
}

function showState(state) {
    const texts = {
        idle: ['ready', 'Ready'],
        connecting: ['busy', 'Connecting'],
        open: ['good', 'Connected'],
        waiting: ['busy', 'Reconnecting'],
        closed: ['bad', 'Not connected'],
    };
    showStatus(...texts[state]);
}

/** What to tell a person about an error. */
function explain(error) {
    if (error?.name === 'AbortError') return 'Stopped.';
    if (error?.code === 'invalid_api_key') return 'The server does not accept this key.';
    if (error?.code === 'connection_failed') return 'The server cannot be reached. Check your connection, then try again.';
    if (error instanceof TypeError || error?.name === 'TimeoutError') return 'The server cannot be reached.';
    const wait = error?.retryAfter ? ` Try again in ${error.retryAfter} s.` : '';
    return `${error?.message ?? 'Something went wrong.'}${wait}`;
}

function fillModels(names) {
    const wanted = sessionStorage.getItem(STORED_MODEL) ?? ui.model.value;
    ui.model.replaceChildren(...names.map((name) => make('option', '', name)));
    if (names.includes(wanted)) ui.model.value = wanted;
    ui.model.disabled = names.length === 0;
}

async function useKey(key) {
    const fresh = new SluiceClient({ token: key });
    showStatus('busy', 'Connecting');
    ui['use-key'].disabled = true;
    ui['key-error'].textContent = ''; // or the same problem again would not be read out
    try {
        const names = (await fresh.models()).filter((name) => !name.endsWith('*')); // patterns are not to be asked for
        if (names.length === 0) throw new SluiceError('no_models', 'This key may not use any model.');
        newChat();
        client?.close();
        client = fresh;
        client.addEventListener('state', () => client === fresh && showState(fresh.state));
        lane = client.lane('chat');
        client.connect();
        fillModels(names);
        sessionStorage.setItem(STORED_KEY, key);
        ui.prompt.disabled = false;
        ui.prompt.placeholder = 'Ask something';
        hideSetup();
        ui.prompt.focus();
    } catch (error) {
        const refused = error?.status === 401 || error?.status === 403;
        if (refused && sessionStorage.getItem(STORED_KEY) === key) sessionStorage.removeItem(STORED_KEY);
        if (client) showState(client.state); // with the key of before
        else showStatus('bad', 'No key');
        showSetup(explain(error), refused ? '' : key);
    } finally {
        ui['use-key'].disabled = false;
        updateSend();
    }
}

// ---- the conversation ----

function updateSend() {
    const running = current !== null;
    const focused = document.activeElement;
    ui.stop.hidden = !running;
    ui.send.hidden = running;
    ui.send.disabled = !client || ui.prompt.value.trim() === '';
    if (focused === ui.stop && !running) ui.prompt.focus();
}

// Whether the page keeps to its end: until the reader moves up, and again once they have come back down.
let following = true;
let lastTop = 0;

const toTheEnd = () => ui.scroller.scrollHeight - ui.scroller.scrollTop - ui.scroller.clientHeight;

function onScroll() {
    const top = ui.scroller.scrollTop;
    const left = toTheEnd();
    if (top < lastTop && left > 1) following = false;
    else if (top > lastTop && left < NEAR) following = true;
    lastTop = top;
    ui.latest.hidden = following || left < NEAR;
}

/** The reader is about to move up. Where the page goes by that is known only a frame later, too late to let it be. */
function letGo() {
    if (ui.scroller.scrollTop > 0) following = false;
}

/** Wheel, touch, keys and the scroll bar: the ways up. */
function watchTheReader() {
    let finger = null;
    const passive = { passive: true };
    ui.scroller.addEventListener('scroll', onScroll, passive);
    ui.scroller.addEventListener('wheel', (e) => e.deltaY < 0 && !e.ctrlKey && letGo(), passive);
    ui.scroller.addEventListener('touchstart', (e) => (finger = e.touches[0].clientY), passive);
    ui.scroller.addEventListener('touchmove', (e) => {
        const at = e.touches[0].clientY;
        if (at > finger) letGo();
        finger = at;
    }, passive);
    ui.scroller.addEventListener('keydown', (e) => {
        const up = ['ArrowUp', 'PageUp', 'Home'].includes(e.key) || (e.key === ' ' && e.shiftKey);
        if (up && !e.target.closest('button, input')) letGo();
        if (e.key === 'End' && !e.target.closest('input')) toEnd(); // where the browser would go is the end of now, not of then
    });
    ui.scroller.addEventListener('pointerdown', (e) => e.target === ui.scroller && e.offsetX >= ui.scroller.clientWidth && letGo());
}

function toEnd() {
    following = true;
    ui.scroller.scrollTop = ui.scroller.scrollHeight;
    lastTop = ui.scroller.scrollTop; // now: the event comes after the reader's next move
}

/** Changes the page by `change`, and stays at its end if the reader was there. */
function keepingPlace(change) {
    onScroll(); // the reader's last move may not have been told yet
    change();
    if (following) toEnd();
    else ui.latest.hidden = toTheEnd() < NEAR;
}

function newChat() {
    current?.stop.abort(stopped());
    current = null;
    lane?.reset();
    ui.talk.replaceChildren();
    ui.talk.hidden = true;
    ui.latest.hidden = true;
    ui.welcome.hidden = !ui.setup.hidden;
    updateSend();
}

const say = (text) => (ui.announcer.textContent = text);

/** Reads a growing answer to those who listen: whole sentences at a time, not too often, and not for ever. */
class Announcer {
    #read = 0;
    #last = performance.now();
    #full = false;

    update(text, end = false) {
        if (this.#full) {
            if (end) say('The answer is complete.');
            return;
        }
        const now = performance.now();
        if (!end && now - this.#last < ANNOUNCE_EVERY) return;
        this.#full = text.length > ANNOUNCE_MOST;
        const rest = text.slice(this.#read, ANNOUNCE_MOST);
        const sentences = Math.max(...['. ', '! ', '? ', '\n'].map((mark) => rest.lastIndexOf(mark))) + 1;
        const piece = rest.slice(0, end && !this.#full ? rest.length : sentences);
        if (this.#full) say(`${piece} The rest stands in the conversation.`);
        else if (piece) say(piece);
        this.#read += piece.length;
        this.#last = now;
    }
}

const duration = (ms) => (ms < 995 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`);

function statistics(turn) {
    const { timings, usage, response } = turn.answer;
    const parts = [response?.model ?? turn.model];
    const tokens = usage?.output_tokens;
    if (tokens) parts.push(`${tokens} token${tokens === 1 ? '' : 's'}`);
    if (timings.firstText !== null) {
        const streaming = timings.ended - timings.firstText;
        if (tokens > 1 && streaming > 100) parts.push(`${Math.round((tokens - 1) / (streaming / 1000))}/s`);
        parts.push(`first ${duration(timings.firstText - timings.asked)}`);
    }
    parts.push(duration(timings.ended - timings.asked));
    return parts.join(' · ');
}

/** One question and its answer. */
class Turn {
    constructor(question, model) {
        this.question = question;
        this.model = model;
        this.stop = new AbortController();
        this.body = make('div', 'body waiting');
        this.body.setAttribute('aria-busy', 'true');
        this.foot = make('div', 'foot');
        this.reply = make('article', 'reply', make('h2', 'hidden', 'Answer'), this.body, this.foot);
        this.asked = make('article', 'asked', make('h2', 'hidden', 'You'), make('p', '', question));
        this.view = new MarkdownView(this.body);
        this.announcer = new Announcer();
        this.thinking = ''; // reasoning that is not shown yet
        this.frame = 0;
    }

    start() {
        const onDelta = () => this.#schedule();
        const onEvent = (event) => this.#reasoning(event);
        const body = { model: this.model, input: this.question };
        this.answer = lane.respond(body, { onDelta, onEvent, signal: this.stop.signal });
        this.answer.done.then(() => this.#end(null), (error) => this.#end(error));
    }

    #schedule() {
        this.frame ||= requestAnimationFrame(() => {
            this.frame = 0;
            keepingPlace(() => this.#draw());
            this.announcer.update(this.#said());
        });
    }

    #said() {
        return this.answer.text || this.answer.refusal;
    }

    #draw() {
        this.#drawThoughts();
        const text = this.#said();
        if (!text) return;
        this.body.classList.remove('waiting');
        this.body.classList.add('growing');
        this.view.set(text);
    }

    #reasoning(event) {
        if (!/^response\.reasoning(_summary)?_text\.delta$/.test(event.type)) return;
        this.thinking += event.delta;
        this.#schedule();
    }

    /** Models that think aloud do it under a fold. */
    #drawThoughts() {
        if (!this.thinking) return;
        if (!this.thoughts) {
            this.thoughts = make('p', '');
            this.body.before(make('details', 'thoughts', make('summary', '', 'Reasoning'), this.thoughts));
        }
        this.thoughts.append(this.thinking);
        this.thinking = '';
    }

    #end(error) {
        cancelAnimationFrame(this.frame);
        if (!this.reply.isConnected) return; // of a chat that was left
        if (current === this) current = null;
        keepingPlace(() => {
            this.#draw();
            this.body.classList.remove('waiting', 'growing');
            this.body.removeAttribute('aria-busy');
            if (error && error.name !== 'AbortError') this.#failed(error);
            else this.#finished(error);
        });
        updateSend();
    }

    #finished(error) {
        const note = error ? 'Stopped' : this.answer.response?.status === 'incomplete' ? 'Cut off: the limit of tokens was reached' : '';
        if (note) this.foot.append(make('span', 'note', note));
        this.foot.append(make('span', 'stats', statistics(this)));
        const { text } = this.answer; // and not the answer, which holds all its events
        if (text) this.foot.append(copyButton('Copy answer', () => text));
        const nothing = !error && !this.#said();
        if (nothing) this.body.append(make('p', 'quiet', NOTHING));
        this.announcer.update(this.#said(), true);
        if (error) say('Stopped.');
        else if (nothing) say(NOTHING);
        else if (note) ui.announcer.append(` ${note}.`);
    }

    #failed(error) {
        const retry = make('button', 'again', 'Try again');
        retry.type = 'button';
        retry.addEventListener('click', () => {
            if (current) return;
            this.asked.remove();
            this.reply.remove();
            ask(this.question);
            ui.prompt.focus(); // the button is gone
        });
        const box = make('div', 'failure', make('p', '', explain(error)));
        box.setAttribute('role', 'alert');
        if (error.code) box.append(make('p', 'code-name', [error.code, error.param].filter(Boolean).join(', ')));
        const row = make('div', 'row', retry);
        if (error.code === 'invalid_api_key') {
            const other = make('button', 'again', 'Use another key');
            other.type = 'button';
            other.addEventListener('click', () => showSetup());
            row.append(other);
        }
        box.append(row);
        this.body.classList.add('broken');
        this.reply.append(box);
    }
}

function ask(question) {
    if (!client || current || !question.trim()) return;
    hideSetup();
    current = new Turn(question.trim(), ui.model.value);
    ui.welcome.hidden = true;
    ui.talk.hidden = false;
    ui.talk.append(current.asked, current.reply);
    say('Answering.');
    toEnd();
    current.start();
    updateSend();
}

function copyButton(label, text) {
    const button = make('button', 'copy', 'Copy');
    button.type = 'button';
    button.setAttribute('aria-label', label);
    button.addEventListener('click', () => copy(button, text()));
    return button;
}

async function copy(button, text) {
    try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
    } catch {
        button.textContent = 'Not allowed';
    }
    say(`${button.textContent}.`);
    setTimeout(() => (button.textContent = 'Copy'), 1600);
}

// ---- the controls ----

function growPrompt() {
    if (CSS.supports('field-sizing', 'content')) return;
    ui.prompt.style.height = 'auto';
    ui.prompt.style.height = `${ui.prompt.scrollHeight}px`;
}

/** Whether a key belongs to an input method, such as those for Chinese and Japanese; Safari tells the last one by 229 only. */
const composing = (e) => e.isComposing || e.keyCode === 229;

function submit() {
    const text = ui.prompt.value;
    if (!client || current || !text.trim()) return;
    ui.prompt.value = '';
    growPrompt();
    ask(text);
    ui.prompt.focus();
}

ui.composer.addEventListener('submit', (e) => {
    e.preventDefault();
    submit();
});
ui.prompt.addEventListener('input', () => {
    growPrompt();
    updateSend();
});
ui.prompt.addEventListener('keydown', (e) => {
    if (e.key !== 'Enter' || e.shiftKey || composing(e)) return;
    e.preventDefault();
    submit();
});
ui.stop.addEventListener('click', () => current?.stop.abort(stopped()));
document.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape' || composing(e)) return;
    if (!ui.setup.hidden && client) {
        hideSetup();
        ui.prompt.focus();
    } else current?.stop.abort(stopped());
});
ui['new-chat'].addEventListener('click', () => {
    newChat();
    if (client) {
        hideSetup();
        ui.prompt.focus();
    }
});
ui['change-key'].addEventListener('click', () => {
    if (ui.setup.hidden) showSetup();
    else if (client) hideSetup();
    else ui.key.focus();
    if (!ui.setup.hidden) ui.scroller.scrollTop = 0;
});
ui['key-form'].addEventListener('submit', (e) => {
    e.preventDefault();
    const key = ui.key.value.trim();
    if (key) useKey(key);
    else showSetup('Paste a key first.');
});
ui['show-key'].addEventListener('click', () => {
    const shown = ui.key.type === 'password';
    ui.key.type = shown ? 'text' : 'password';
    ui['show-key'].textContent = shown ? 'Hide' : 'Show';
    ui['show-key'].setAttribute('aria-label', shown ? 'Hide key' : 'Show key');
});
ui.model.addEventListener('change', () => sessionStorage.setItem(STORED_MODEL, ui.model.value));
ui.ideas.addEventListener('click', (e) => {
    const idea = e.target.closest('button');
    if (!idea) return;
    ask(idea.textContent);
    ui.prompt.focus();
});
ui.talk.addEventListener('click', (e) => {
    const button = e.target.closest('figure.code button.copy');
    if (button) copy(button, button.closest('figure').querySelector('pre').textContent);
});
watchTheReader();
ui.latest.addEventListener('click', () => {
    toEnd();
    ui.prompt.focus();
});

const stored = sessionStorage.getItem(STORED_KEY);
if (stored) useKey(stored);
else showSetup();
