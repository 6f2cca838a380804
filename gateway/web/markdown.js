// Light Markdown as DOM nodes, built while the text still comes. Everything ends up in text nodes: nothing that a model writes
// is ever read as HTML.

const FENCE = /^\s*(`{3,}|~{3,})\s*([A-Za-z0-9_+#.-]*)/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^\s*>\s?(.*)$/;
const INLINE = /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)|\*\*(?=\S)([\s\S]*?\S)\*\*|(?<![\w*])\*(?=[^\s*])([^*]*?[^\s*])\*(?![\w*])|(?<![\w_])_(?=[^\s_])([^_]*?[^\s_])_(?![\w_])/g;
const MAX_DEPTH = 4;
// Longer blocks go on in a next one, so that a growing text costs the same however long it is.
const MAX_TEXT = 4000; // characters
const MAX_ITEMS = 100;
const MAX_LINES = 100; // of code, whose pieces stay in one block

function element(name, ...children) {
    const node = document.createElement(name);
    node.append(...children);
    return node;
}

/** Inline code, bold and emphasis; line ends become <br>. */
function inline(text, depth = 0) {
    const out = [];
    const plain = (piece) => {
        piece.split('\n').forEach((line, i) => {
            if (i > 0) out.push(document.createElement('br'));
            if (line) out.push(line);
        });
    };
    if (depth >= MAX_DEPTH || text.length > MAX_TEXT) {
        plain(text);
        return out;
    }
    let at = 0;
    for (const m of text.matchAll(INLINE)) {
        plain(text.slice(at, m.index));
        if (m[1]) out.push(element('code', m[2].replace(/\s+/g, ' ').trim() || m[2]));
        else if (m[3] !== undefined) out.push(element('strong', ...inline(m[3], depth + 1)));
        else out.push(element('em', ...inline(m[4] ?? m[5], depth + 1)));
        at = m.index + m[0].length;
    }
    plain(text.slice(at));
    return out;
}

function codeBlock(lines, language) {
    const copy = element('button', 'Copy');
    copy.type = 'button';
    copy.className = 'copy';
    const head = element('figcaption', element('span', language || 'text'), copy);
    const code = element('code');
    for (let i = 0; i < lines.length; i += MAX_LINES) {
        const piece = lines.slice(i, i + MAX_LINES).join('\n');
        code.append(element('span', i + MAX_LINES < lines.length ? `${piece}\n` : piece));
    }
    const pre = element('pre', code);
    pre.tabIndex = 0; // wide code is scrolled by keyboard too
    const figure = element('figure', head, pre);
    figure.className = 'code';
    return figure;
}

/** Items with their indent become nested lists. */
function list(items) {
    const build = (from, indent, depth) => {
        const ordered = /\d/.test(items[from].mark);
        const node = document.createElement(ordered ? 'ol' : 'ul');
        if (ordered) node.start = Number.parseInt(items[from].mark, 10);
        let i = from;
        while (i < items.length && items[i].indent >= indent) {
            if (items[i].indent > indent + 1 && depth < MAX_DEPTH && node.lastChild) {
                const inner = build(i, items[i].indent, depth + 1);
                node.lastChild.append(inner.node);
                i = inner.next;
            } else {
                node.append(element('li', ...inline(items[i].text)));
                i++;
            }
        }
        return { node, next: i };
    };
    const nodes = [];
    for (let i = 0; i < items.length; ) {
        const part = build(i, items[i].indent, 1);
        nodes.push(part.node);
        i = part.next;
    }
    return nodes.length === 1 ? nodes[0] : element('div', ...nodes);
}

/** Where a line that is too long for one block is cut: after a blank, if there is one not far from the end. */
function cutOf(line) {
    if (line.length <= MAX_TEXT) return line.length;
    const blank = line.lastIndexOf(' ', MAX_TEXT - 1) + 1;
    if (blank > MAX_TEXT / 2) return blank;
    return /[\uD800-\uDBFF]/.test(line[MAX_TEXT - 1]) ? MAX_TEXT - 1 : MAX_TEXT;
}

/** Cuts text into blocks. The last one may still grow. */
class Blocks {
    /** [{ start, node, goesOn }] */
    list = [];
    #lines;
    #i = 0;
    #offset = 0;
    #goesOn;

    /** `goesOn`: of what the text's first block is only more: '' or 'P', 'LIST', 'QUOTE'; in the list it says so of each block. */
    constructor(text, goesOn) {
        this.#lines = text.split('\n');
        this.#goesOn = goesOn;
        while (this.#i < this.#lines.length) this.#take(this.#lines[this.#i], this.#offset);
    }

    #next() {
        this.#offset += this.#lines[this.#i].length + 1;
        this.#i++;
    }

    #add(start, node) {
        if (this.#goesOn) node.className = 'more';
        this.list.push({ start, node, goesOn: this.#goesOn });
        this.#goesOn = '';
    }

    #take(line, start) {
        const fence = FENCE.exec(line);
        const heading = HEADING.exec(line);
        if (line.trim() === '') {
            this.#next();
        } else if (this.#goesOn === 'P') {
            this.#takeParagraph(start);
        } else if (fence) {
            this.#takeCode(start, fence);
        } else if (heading) {
            this.#add(start, element(heading[1].length < 3 ? 'h3' : 'h4', ...inline(heading[2])));
            this.#next();
        } else if (RULE.test(line)) {
            this.#add(start, document.createElement('hr'));
            this.#next();
        } else if (ITEM.test(line)) {
            this.#takeItems(start);
        } else if (QUOTE.test(line)) {
            this.#takeQuote(start);
        } else {
            this.#takeParagraph(start);
        }
    }

    #takeCode(start, [, mark, language]) {
        const lines = this.#lines;
        const body = [];
        for (this.#next(); this.#i < lines.length && !lines[this.#i].trim().startsWith(mark); this.#next()) body.push(lines[this.#i]);
        if (this.#i < lines.length) this.#next();
        this.#add(start, codeBlock(body, language));
    }

    #takeItems(start) {
        const lines = this.#lines;
        const items = [];
        let full = false;
        for (; this.#i < lines.length; this.#next()) {
            const line = lines[this.#i];
            const m = RULE.test(line) ? null : ITEM.exec(line);
            const blank = line.trim() === '';
            full = m !== null && items.length >= MAX_ITEMS && m[1].length <= items[0].indent;
            if (full) break;
            if (m) items.push({ indent: m[1].length, mark: m[2], text: m[3] });
            else if (blank && ITEM.test(lines[this.#i + 1] ?? '')) continue;
            else if (!blank && /^\s{2,}/.test(line) && !FENCE.test(line)) items.at(-1).text += `\n${line.trim()}`;
            else break;
        }
        this.#add(start, list(items));
        if (full) this.#goesOn = 'LIST';
    }

    #takeQuote(start) {
        const body = [];
        let size = 0;
        const more = () => QUOTE.exec(this.#lines[this.#i] ?? '');
        for (let m = more(); m && size < MAX_TEXT; this.#next(), m = more()) {
            body.push(m[1]);
            size += m[1].length + 1;
        }
        this.#add(start, element('blockquote', ...inline(body.join('\n'))));
        if (more()) this.#goesOn = 'QUOTE';
    }

    #takeParagraph(start) {
        const lines = this.#lines;
        const body = [lines[this.#i].slice(0, cutOf(lines[this.#i]))];
        let rest = lines[this.#i].slice(body[0].length);
        if (rest) {
            lines[this.#i] = rest;
            this.#offset += body[0].length;
        } else {
            let room = MAX_TEXT - body[0].length;
            for (this.#next(); this.#i < lines.length; this.#next()) {
                const line = lines[this.#i];
                if (line.trim() === '' || begins(line)) break;
                room -= line.length + 1;
                if (room < 0) {
                    rest = line;
                    break;
                }
                body.push(line);
            }
        }
        this.#add(start, element('p', ...inline(body.join('\n'))));
        if (rest.trim()) this.#goesOn = 'P';
    }
}

function begins(line) {
    return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || ITEM.test(line) || QUOTE.test(line);
}

/** Makes `old` like `fresh` with as few changes as can be: what a reader has selected stays selected. */
function morph(old, fresh) {
    const have = [...old.childNodes];
    const want = [...fresh.childNodes];
    want.forEach((node, i) => {
        const mine = have[i];
        if (!mine) old.append(node);
        else if (mine.nodeName !== node.nodeName) mine.replaceWith(node);
        else if (mine.nodeType === Node.TEXT_NODE) {
            if (mine.data !== node.data) {
                if (node.data.startsWith(mine.data)) mine.appendData(node.data.slice(mine.data.length));
                else mine.data = node.data;
            }
        } else {
            if (mine.nodeName === 'OL') mine.start = node.start;
            morph(mine, node);
        }
    });
    for (const extra of have.slice(want.length)) extra.remove();
}

/** Shows a growing text in `root`. Only its last two blocks are looked at again: a line that is not whole yet ("2.") may turn out
 * to belong to the block before it. */
export class MarkdownView {
    #root;
    #text = '';
    #from = 0; // where the blocks that may still change begin
    #goesOn = ''; // what the first of them goes on with
    #open = []; // their nodes

    constructor(root) {
        this.#root = root;
    }

    set(text) {
        if (text === this.#text) return;
        this.#text = text;
        const fresh = new Blocks(text.slice(this.#from), this.#goesOn).list;
        const nodes = fresh.map(({ node }, i) => {
            const old = this.#open[i];
            if (!old) this.#root.append(node);
            else if (old.nodeName !== node.nodeName) old.replaceWith(node);
            else {
                morph(old, node);
                if (old.className !== node.className) old.className = node.className;
                return old;
            }
            return node;
        });
        for (const extra of this.#open.slice(nodes.length)) extra.remove();
        const done = Math.max(0, nodes.length - 2);
        if (done > 0) {
            this.#from += fresh[done].start;
            this.#goesOn = fresh[done].goesOn;
        }
        this.#open = nodes.slice(done);
    }
}
