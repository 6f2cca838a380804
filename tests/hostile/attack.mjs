// So many hostile clients at once, each of one kind, again and again until the parent ends this process. Loopback only.
//   node attack.mjs HTTP_PORT HTTPS_PORT CLIENTS KEY
import net from 'node:net';
import tls from 'node:tls';

const [httpPort, httpsPort, clients, key] = [Number(process.argv[2]), Number(process.argv[3]), Number(process.argv[4]), process.argv[5]];
const counts = {};
const HOLD_MS = 15_000; // what would stay for ever is given up by us at last

/** The address that the n-th comes from: some dozens, so that no cap of one address hides the others. */
const from = (n) => `127.0.${1 + (n % 8)}.${1 + (n % 16)}`;

function plain(n) {
    return net.connect({ host: '127.0.0.1', port: httpPort, localAddress: from(n) });
}
function secure(n, options) {
    return tls.connect({ host: '127.0.0.1', port: httpsPort, localAddress: from(n), rejectUnauthorized: false, ...options });
}
/** Resolves when it is over, whoever ends it. */
function over(s, ms = HOLD_MS) {
    return new Promise((resolve) => {
        const timer = setTimeout(() => s.destroy(), ms);
        s.on('error', () => {});
        s.once('close', () => {
            clearTimeout(timer);
            resolve();
        });
        s.resume();
    });
}
function drip(s, text, ms) {
    let at = 0;
    const timer = setInterval(() => s.writable && s.write(text[at++ % text.length]), ms);
    s.once('close', () => clearInterval(timer));
}
const upgrade = (token) =>
    `GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer ${token}\r\n\r\n`;
function frame(text) {
    const body = Buffer.from(text);
    const head = body.length < 126 ? Buffer.from([0x81, 0x80 | body.length]) : Buffer.alloc(body.length < 65536 ? 4 : 10);
    if (body.length >= 126) {
        head[0] = 0x81;
        head[1] = 0x80 | (body.length < 65536 ? 126 : 127);
        if (body.length < 65536) head.writeUInt16BE(body.length, 2);
        else head.writeBigUInt64BE(BigInt(body.length), 2);
    }
    return Buffer.concat([head, Buffer.alloc(4), body]);
}

const kinds = {
    'says nothing': (n) => over(plain(n)),
    'says nothing over TLS': (n) => over(net.connect({ host: '127.0.0.1', port: httpsPort, localAddress: from(n) })),
    'handshakes and goes': (n) => over(secure(n), 300),
    'asks for dear groups': (n) => over(secure(n, { ecdhCurve: 'ffdhe8192' }), 1000),
    'offers what is not spoken': (n) => over(secure(n, { ALPNProtocols: ['h2'] }), 1000),
    'is no TLS': (n) => {
        const s = net.connect({ host: '127.0.0.1', port: httpsPort, localAddress: from(n) });
        s.write(Buffer.alloc(4096, 0x16));
        return over(s);
    },
    'drips its head': (n) => {
        const s = plain(n);
        drip(s, 'GET / HTTP/1.1\r\nX-A: b\r\n', 200);
        return over(s);
    },
    'drips its body': (n) => {
        const s = plain(n);
        s.write(`POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"`);
        drip(s, 'a', 200);
        return over(s);
    },
    'guesses keys': async (n) => {
        const s = plain(n);
        const timer = setInterval(() => s.writable && s.write('GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-guess\r\n\r\n'), 20);
        s.once('close', () => clearInterval(timer));
        return over(s);
    },
    'uploads without a key': (n) => {
        const s = plain(n);
        s.write('POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n');
        s.write(Buffer.alloc(900_000, 0x61));
        return over(s, 2000);
    },
    'sends no HTTP': (n) => {
        const s = plain(n);
        s.write(Buffer.alloc(20_000, 0xff));
        return over(s, 2000);
    },
    'sends a head without end': (n) => {
        const s = plain(n);
        s.write(`GET / HTTP/1.1\r\n${'X-Header: 0123456789\r\n'.repeat(5000)}`);
        return over(s, 2000);
    },
    'knocks as a WebSocket': (n) => {
        const s = plain(n);
        s.write(upgrade('sk-guess'));
        return over(s, 2000);
    },
    'may not ask, with many marks': (n) => {
        const s = plain(n);
        s.write(upgrade(key));
        for (let i = 0; i < 2; i++) s.write(frame(JSON.stringify({ type: 'response.create', model: 'forbidden', input: `e${'\u0301\u0316'.repeat(100_000)}` })));
        return over(s, 3000);
    },
    'breaks the framing': (n) => {
        const s = plain(n);
        s.write(upgrade(key));
        s.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
        return over(s, 3000);
    },
    'does not read its page': (n) => {
        const s = plain(n);
        s.on('error', () => {});
        s.write('GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(200));
        s.pause();
        return new Promise((resolve) => {
            const timer = setTimeout(() => s.destroy(), HOLD_MS);
            s.once('close', () => {
                clearTimeout(timer);
                resolve();
            });
        });
    },
};

const names = Object.keys(kinds);
async function attacker(n) {
    const name = names[n % names.length];
    for (;;) {
        await kinds[name](n);
        counts[name] = (counts[name] ?? 0) + 1;
        await new Promise((resolve) => setTimeout(resolve, 50)); // a machine of two cores has honest clients to run too
    }
}

for (let n = 0; n < clients; n++) void attacker(n);
process.on('message', () => process.send(counts));
