// Light Markdown as DOM nodes, built while the text still comes. Everything ends up in text nodes: nothing that a model writes
// is ever read as HTML.

const FENCE = /^\s*(`{3,}|~{3,})\s*([A-Za-z0-9_+#.-]*)/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^\s*([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+•]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^\s*>\s?(.*)$/;
const INLINE = /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)|\*\*(?=\S)([\s\S]*?\S)\*\*|(?<![\w*])\*(?=[^\s*])([^*]*?[^\s*])\*(?![\w*])|(?<![\w_])_(?=[^\s_])([^_]*?[^\s_])_(?![\w_])/g;
const MAX_DEPTH = 4;
const MAX_INLINE = 20_000; // a longer paragraph is shown as it is

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
    if (depth >= MAX_DEPTH || text.length > MAX_INLINE) {
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
    const code = element('code', lines.join('\n'));
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

/** Cuts text into blocks: [{ start, node }]. The last one may still grow. */
function blocks(text) {
    const lines = text.split('\n');
    const out = [];
    let offset = 0;
    let i = 0;
    const next = () => {
        offset += lines[i].length + 1;
        i++;
    };
    while (i < lines.length) {
        const start = offset;
        const line = lines[i];
        const fence = FENCE.exec(line);
        const heading = HEADING.exec(line);
        if (line.trim() === '') {
            next();
        } else if (fence) {
            const body = [];
            for (next(); i < lines.length && !lines[i].trim().startsWith(fence[1]); next()) body.push(lines[i]);
            if (i < lines.length) next();
            out.push({ start, node: codeBlock(body, fence[2]) });
        } else if (heading) {
            out.push({ start, node: element(heading[1].length < 3 ? 'h3' : 'h4', ...inline(heading[2])) });
            next();
        } else if (RULE.test(line)) {
            out.push({ start, node: document.createElement('hr') });
            next();
        } else if (ITEM.test(line)) {
            const items = takeItems();
            out.push({ start, node: list(items) });
        } else if (QUOTE.test(line)) {
            const body = [];
            for (; i < lines.length && QUOTE.test(lines[i]); next()) body.push(QUOTE.exec(lines[i])[1]);
            out.push({ start, node: element('blockquote', ...inline(body.join('\n'))) });
        } else {
            const body = [];
            for (; i < lines.length && lines[i].trim() !== '' && !begins(lines[i]); next()) body.push(lines[i]);
            if (body.length === 0) {
                body.push(lines[i]);
                next();
            }
            out.push({ start, node: element('p', ...inline(body.join('\n'))) });
        }
    }
    return out;

    function takeItems() {
        const items = [];
        for (; i < lines.length; next()) {
            const m = ITEM.exec(lines[i]);
            const blank = lines[i].trim() === '';
            if (m && !RULE.test(lines[i])) items.push({ indent: m[1].length, mark: m[2], text: m[3] });
            else if (blank && i + 1 < lines.length && ITEM.test(lines[i + 1])) continue;
            else if (!blank && /^\s{2,}/.test(lines[i]) && !FENCE.test(lines[i])) items.at(-1).text += `\n${lines[i].trim()}`;
            else break;
        }
        return items;
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
    #open = []; // their nodes

    constructor(root) {
        this.#root = root;
    }

    set(text) {
        if (text === this.#text) return;
        this.#text = text;
        const fresh = blocks(text.slice(this.#from));
        const nodes = fresh.map(({ node }, i) => {
            const old = this.#open[i];
            if (!old) this.#root.append(node);
            else if (old.nodeName !== node.nodeName) old.replaceWith(node);
            else {
                morph(old, node);
                return old;
            }
            return node;
        });
        for (const extra of this.#open.slice(nodes.length)) extra.remove();
        const done = Math.max(0, nodes.length - 2);
        if (done > 0) this.#from += fresh[done].start;
        this.#open = nodes.slice(done);
    }
}
