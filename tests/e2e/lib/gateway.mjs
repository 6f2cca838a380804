// Starts the real program on free ports with a configuration of the test's own, and takes it down again.
// The binary is $SLUICE_BIN, or build/$SLUICE_BUILD/sluice ("dev" when unset).
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { closeSync, constants, openSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const MAX_LOG = 16 * 1024 * 1024;
const SERVING = /\bserving"(?: generation=|,"generation":)\d+/;
const COMPLAINT = /AddressSanitizer|LeakSanitizer|runtime error:|Assertion .* failed/;

export const TEST_KEY = 'sk-test-only';

export function binary() {
    return process.env.SLUICE_BIN ?? path.join(root, 'build', process.env.SLUICE_BUILD ?? 'dev', 'sluice');
}

/** The environment of every gateway process: sanitizers, where built in, report and fail. */
export function gatewayEnv(extra = {}) {
    return {
        ...process.env,
        ASAN_OPTIONS: 'detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1',
        UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
        ...extra,
    };
}

/** Runs the program to its end: { code, stdout, stderr }. For `check`, `key new`, `--help`. */
export async function runSluice(args, { env = {}, input } = {}) {
    const child = spawn(binary(), args, { env: gatewayEnv(env), stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (d) => (stdout += d));
    child.stderr.on('data', (d) => (stderr += d));
    child.stdin.on('error', () => {}); // it need not read, and may have ended already
    child.stdin.end(input ?? '');
    const code = await new Promise((resolve, reject) => {
        child.once('error', reject);
        child.once('close', resolve);
    });
    return { code, stdout, stderr };
}

let certificatePromise;
/** One self-signed certificate a test process, for localhost, 127.0.0.1 and ::1: { certificate, key } are PEM files, `pem` the text. */
export function testCertificate() {
    certificatePromise ??= (async () => {
        const dir = await mkdtemp(path.join(tmpdir(), 'sluice-cert-'));
        process.once('exit', () => rmSync(dir, { recursive: true, force: true }));
        const certificate = path.join(dir, 'tls.crt');
        const key = path.join(dir, 'tls.key');
        await run('openssl', [
            'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
            '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1',
            '-keyout', key, '-out', certificate,
        ]);
        return { certificate, key, pem: await readFile(certificate, 'utf8') };
    })();
    return certificatePromise;
}

/** The configuration that tests start from: TLS and plain on loopback, two workers, the demo provider, one key. */
export async function defaultConfig() {
    const { certificate, key } = await testCertificate();
    return {
        listen: [
            { address: '127.0.0.1:0', tls: { certificate, key } },
            { address: '127.0.0.1:0' },
        ],
        workers: 2,
        providers: [{ name: 'demo', dialect: 'demo' }],
        models: [{ name: 'demo', targets: [{ provider: 'demo', model: 'demo' }] }],
        keys: [{ name: 'test', plaintext: TEST_KEY, models: ['*'] }],
    };
}

/** Top-level keys of `over` replace those of `base`; plain objects (timeouts, limits, debug) are merged one level deep. */
export function mergeConfig(base, over = {}) {
    const out = { ...base };
    for (const [name, value] of Object.entries(over)) {
        if (value === undefined || value === null) delete out[name];
        else if (isPlain(value) && isPlain(out[name])) out[name] = { ...out[name], ...value };
        else out[name] = value;
    }
    return out;
}

function isPlain(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const alive = new Set();
process.on('exit', () => {
    for (const child of alive) killTree(child.pid);
});

function childrenOf(pid) {
    try {
        return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
    } catch {
        return [];
    }
}

function killTree(pid) {
    for (const p of [pid, ...childrenOf(pid)]) {
        try {
            process.kill(p, 'SIGKILL');
        } catch {
            // gone already
        }
    }
}

/**
 * Starts the gateway and resolves when every listener has said that it listens, and the workers serve.
 *
 *   config     an object merged over defaultConfig(); written as JSON, which is YAML
 *   yaml       instead of `config`: the whole text
 *   env        added to the environment
 *   listeners  how many "listening" lines to wait for (default: as many as are configured)
 *   fifo       stderr is a pipe, as a shell's `|` makes it, and not the socket that node makes: see readLog()
 *   allow      a RegExp of complaints in stderr that stop() tolerates
 */
export async function startGateway({ config, yaml, env = {}, listeners, fifo = false, allow } = {}) {
    const dir = await mkdtemp(path.join(tmpdir(), 'sluice-test-'));
    const file = path.join(dir, 'sluice.yaml');
    const merged = yaml === undefined ? mergeConfig(await defaultConfig(), config) : undefined;
    const text = yaml ?? JSON.stringify(merged, null, 2);
    await writeFile(file, text);
    const want = listeners ?? merged?.listen.length ?? (text.match(/^\s*-\s*\{?\s*"?address"?:/gm) ?? []).length;

    const pipe = fifo ? await openFifo(path.join(dir, 'stderr')) : undefined;
    const child = spawn(binary(), ['serve', '--config', file], {
        env: gatewayEnv(env),
        stdio: ['ignore', 'pipe', pipe?.writeEnd ?? 'pipe'],
    });
    if (pipe) closeSync(pipe.writeEnd);
    alive.add(child);
    const gw = new Gateway(child, pipe?.reader ?? child.stderr, { dir, file, config: merged, allow });
    try {
        await gw.waitFor(() => gw.listening.length >= want && SERVING.test(gw.logs), 'the listeners');
    } catch (e) {
        killTree(child.pid);
        throw e;
    }
    return gw;
}

/** What a line of the log says, text or JSON: { time, level, role, msg, ... }. {}: it is no line of the log. */
export function logFields(line) {
    if (line.startsWith('{')) {
        try {
            return JSON.parse(line);
        } catch {
            return {};
        }
    }
    if (!line.startsWith('time=')) return {};
    const fields = {};
    for (const [, name, quoted, bare] of line.matchAll(/([\w.]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g))
        fields[name] = quoted?.replace(/\\(["\\])/g, '$1') ?? bare;
    return fields;
}

async function openFifo(name) {
    await run('mkfifo', [name]);
    const readEnd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK);
    const writeEnd = openSync(name, constants.O_WRONLY);
    return { reader: new net.Socket({ fd: readEnd, readable: true, writable: false }), writeEnd };
}

class Gateway {
    /** All of stderr and stdout so far (the last 16 MiB). */
    logs = '';
    /** [{ address, host, port, tls }], in the order of the log lines; `unix:` addresses have no port. */
    listening = [];
    #waiters = new Set();
    #exit;
    #partial = '';

    constructor(child, stderr, { dir, file, config, allow }) {
        Object.assign(this, { child, pid: child.pid, dir, file, config, allow, key: TEST_KEY });
        const onData = (d) => this.#take(d.toString('utf8'));
        this.stderr = stderr;
        stderr.on('data', onData);
        child.stdout.on('data', onData);
        this.#exit = new Promise((resolve) => {
            child.once('error', (error) => resolve({ error }));
            child.once('close', (code, signal) => resolve({ code, signal }));
        }).then((end) => {
            alive.delete(child);
            this.exited = end;
            this.#wake();
            return end;
        });
    }

    #take(chunk) {
        this.logs = (this.logs + chunk).slice(-MAX_LOG);
        const lines = (this.#partial + chunk).split('\n');
        this.#partial = lines.pop();
        for (const line of lines) {
            const { msg, address, tls, admin } = logFields(line);
            if (msg !== 'listening' || !address) continue;
            const port = /:(\d+)$/.exec(address);
            const entry = {
                address,
                host: address.replace(/:\d+$/, ''),
                port: port ? Number(port[1]) : undefined,
                tls: tls === 'true',
                admin: admin === 'true',
            };
            if (!this.listening.some((l) => l.address === entry.address)) this.listening.push(entry);
        }
        this.#wake();
    }

    #wake() {
        for (const w of [...this.#waiters]) w();
    }

    /** Resolves with the first true answer of `test`, asked again whenever output comes; rejects when the program ends first. */
    waitFor(test, what = 'a log line', timeout = 30_000) {
        return new Promise((resolve, reject) => {
            let timer;
            const finish = (settle, value) => {
                clearTimeout(timer);
                this.#waiters.delete(look);
                settle(value);
            };
            const look = () => {
                const got = test();
                if (got) finish(resolve, got);
                else if (this.exited)
                    finish(reject, new Error(`gateway ended (${JSON.stringify(this.exited)}) before ${what}:\n${this.logs}`));
            };
            timer = setTimeout(() => finish(reject, new Error(`no ${what} in ${timeout} ms:\n${this.logs}`)), timeout);
            this.#waiters.add(look);
            look();
        });
    }

    /** Waits for a match in the log, looking at all of it, or from `since` on (see mark()). */
    waitLog(regex, { since = 0, timeout } = {}) {
        return this.waitFor(() => regex.exec(this.logs.slice(since)), `log line ${regex}`, timeout);
    }

    /** False: the log is not read from now on; true: it is again. */
    readLog(on) {
        if (on) this.stderr.resume();
        else this.stderr.pause();
    }

    /** The lines of the log so far, as logFields() tells them; `msg`: only those. */
    lines(msg) {
        const all = this.logs.slice(0, this.logs.lastIndexOf('\n') + 1).split('\n').map(logFields);
        return all.filter((l) => l.level && (msg === undefined || l.msg === msg));
    }

    /** A position in the log to wait from. */
    mark() {
        return this.logs.length;
    }

    /** The ports of the first TLS and the first plain listener. */
    get ports() {
        return {
            https: this.listening.find((l) => l.tls && l.port)?.port,
            http: this.listening.find((l) => !l.tls && !l.admin && l.port)?.port,
            admin: this.listening.find((l) => l.admin)?.port,
        };
    }

    /** https://localhost:PORT + path; `{ tls: false }`: http://127.0.0.1:PORT. */
    url(rest = '/', { tls = true } = {}) {
        return tls ? `https://localhost:${this.ports.https}${rest}` : `http://127.0.0.1:${this.ports.http}${rest}`;
    }

    wsUrl(rest = '/v1/responses', opts) {
        return this.url(rest, opts).replace(/^http/, 'ws');
    }

    /** The processes below the master, read from the kernel. */
    workerPids() {
        return childrenOf(this.pid);
    }

    async writeConfig(config) {
        this.config = mergeConfig(this.config ?? {}, config);
        await writeFile(this.file, JSON.stringify(this.config, null, 2));
    }

    /** SIGHUP; resolves with the match of `until` (served, or failed) in what is logged after it. */
    reload(until = new RegExp(`${SERVING.source}|\\breload failed`)) {
        const since = this.mark();
        process.kill(this.pid, 'SIGHUP');
        return this.waitLog(until, { since });
    }

    /** Ends when the process has ended: { code, signal }. */
    async ended() {
        return this.#exit;
    }

    /** SIGTERM to the master, then the end: fails unless it exits 0 and no sanitizer said anything. */
    async stop({ signal = 'SIGTERM', timeout = 30_000 } = {}) {
        this.child.kill(signal); // nothing, where it has ended already
        let timer;
        const late = new Promise((resolve) => {
            timer = setTimeout(() => resolve(null), timeout);
        });
        const end = await Promise.race([this.#exit, late]);
        clearTimeout(timer);
        if (!end) {
            killTree(this.pid);
            await this.#exit;
            throw new Error(`gateway did not end within ${timeout} ms of ${signal}:\n${this.logs.slice(-20_000)}`);
        }
        await rm(this.dir, { recursive: true, force: true });
        const complaint = COMPLAINT.exec(this.logs);
        if (complaint && !this.allow?.test(complaint[0]))
            throw new Error(`the gateway's stderr has "${complaint[0]}":\n${this.logs.slice(complaint.index, complaint.index + 20_000)}`);
        if (end.code !== 0)
            throw new Error(`the gateway ended with ${JSON.stringify(end)}:\n${this.logs.slice(-20_000)}`);
        return end;
    }
}
