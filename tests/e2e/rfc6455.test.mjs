// RFC 6455 on /echo, which goes through the very code that serves /v1/responses: framing, fragments, control frames, UTF-8,
// close codes. Frames are written byte by byte where a library would not let us be wrong.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { frame, rawFrames, rawTCP, rawWS } from './lib/clients.mjs';
import { startGateway } from './lib/gateway.mjs';

const CONT = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

let gw;
before(async () => {
    gw = await startGateway({ config: { debug: { echo: true }, limits: { max_message_bytes: 300000 }, workers: 1 } });
});
after(() => gw.stop());

const closeWith = (code, reason = '') => {
    const b = Buffer.alloc(2);
    b.writeUInt16BE(code);
    return frame(CLOSE, Buffer.concat([b, Buffer.from(reason)]));
};

async function expectClose(bytes, code) {
    const c = await rawFrames(gw);
    for (const b of [bytes].flat()) c.write(b);
    assert.equal(await c.closeCode(), code);
    c.end();
}

describe('handshake', () => {
    it('computes the accept key of RFC 6455 1.3', async () => {
        const c = await rawFrames(gw);
        assert.equal(c.handshake.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
        c.end();
    });
    const upgrade = (lines) => `GET /echo HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n\r\n`;
    const good = 'Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13';
    for (const [what, lines, status] of [
        ['another version is told which one', good.replace('13', '8'), 426],
        ['no version', good.replace('\r\nSec-WebSocket-Version: 13', ''), 426],
        ['no key', good.replace(/\r\nSec-WebSocket-Key: [^\r]*/, ''), 400],
        ['a short key', good.replace('dGhlIHNhbXBsZSBub25jZQ==', 'c2hvcnQ='), 400],
        ['Upgrade: h2c', good.replace('websocket', 'h2c'), 426],
        ['Upgrade: foo', good.replace('websocket', 'foo'), 426],
    ]) {
        it(`refuses ${what}`, async () => {
            const c = await rawTCP(gw);
            c.write(upgrade(lines));
            const r = await c.response();
            assert.equal(r.status, status);
            assert.ok(r.json().error.message);
            if (status === 426) assert.equal(r.headers['sec-websocket-version'], '13');
            c.end();
        });
    }
});

describe('messages', () => {
    for (const n of [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 299999]) {
        it(`echoes ${n} bytes of text and of binary`, async () => {
            const c = await rawWS(gw, { path: '/echo' });
            const text = 'x'.repeat(n);
            c.ws.send(text);
            assert.equal(await c.nextRaw(), text);
            const bin = Buffer.alloc(n, 0xfe);
            c.ws.send(bin);
            assert.deepEqual(await c.nextRaw(), bin);
            assert.equal((await c.end()).code, 1000);
        });
    }
    it('answers with the shortest length form', async () => {
        const c = await rawFrames(gw);
        for (const [n, head] of [[125, 125], [126, 126], [65535, 126], [65536, 127]]) {
            c.write(frame(BINARY, Buffer.alloc(n)));
            const h = await c.bytes(2);
            assert.equal(h[1], head);
            await c.bytes((head === 127 ? 8 : head === 126 ? 2 : 0) + n);
        }
        c.end();
    });
    it('takes a frame that comes byte by byte', async () => {
        const c = await rawFrames(gw);
        for (const b of frame(TEXT, 'h\u00e9llo w\u00f6rld')) c.write(Buffer.from([b]));
        const f = await c.frame();
        assert.equal(f.payload.toString(), 'h\u00e9llo w\u00f6rld');
        assert.equal(f.opcode, TEXT);
        c.end();
    });
    it('puts fragments together, with control frames between them', async () => {
        const c = await rawFrames(gw);
        c.write(frame(TEXT, 'a', { fin: false }));
        c.write(frame(PING, 'p1'));
        c.write(frame(CONT, '', { fin: false }));
        c.write(frame(CONT, 'b', { fin: false }));
        c.write(frame(PING, 'p2'));
        c.write(frame(CONT, 'c'));
        const got = [await c.frame(), await c.frame(), await c.frame()];
        assert.deepEqual(got.map((f) => [f.opcode, f.payload.toString()]), [[PONG, 'p1'], [PONG, 'p2'], [TEXT, 'abc']]);
        c.end();
    });
    it('takes many small messages in one segment', async () => {
        const c = await rawFrames(gw);
        c.write(Buffer.concat(Array.from({ length: 500 }, (_, i) => frame(TEXT, `m${i}`))));
        for (let i = 0; i < 500; i++) assert.equal((await c.frame()).payload.toString(), `m${i}`);
        c.end();
    });
    it('closes 1009 on a message that is too big, whole, fragmented, or merely announced', async () => {
        await expectClose(frame(BINARY, Buffer.alloc(300001)), 1009);
        await expectClose([frame(BINARY, Buffer.alloc(200000), { fin: false }), frame(CONT, Buffer.alloc(100001))], 1009);
        await expectClose(frame(BINARY, '', { length: 2 ** 40 }), 1009);
    });
});

describe('control frames', () => {
    it('answers each of ten pings', async () => {
        const c = await rawFrames(gw);
        c.write(Buffer.concat(Array.from({ length: 10 }, (_, i) => frame(PING, `ping ${i}`))));
        for (let i = 0; i < 10; i++) {
            const f = await c.frame();
            assert.equal(f.opcode, PONG);
            assert.equal(f.payload.toString(), `ping ${i}`);
        }
        c.end();
    });
    it('passes over unsolicited pongs', async () => {
        const c = await rawFrames(gw);
        c.write(frame(PONG, 'nobody asked'));
        c.write(frame(PING, Buffer.alloc(125, 7)));
        const f = await c.frame();
        assert.equal(f.opcode, PONG);
        assert.equal(f.payload.length, 125);
        c.end();
    });
    it('closes 1002 on a control frame over 125 bytes, or in fragments', async () => {
        await expectClose(frame(PING, Buffer.alloc(126)), 1002);
        await expectClose(frame(PING, 'x', { fin: false }), 1002);
        await expectClose(frame(CLOSE, Buffer.alloc(126)), 1002);
    });
});

describe('protocol errors close 1002', () => {
    for (const [what, bytes] of [
        ['RSV1', frame(TEXT, 'x', { rsv: 4 })],
        ['RSV2', frame(TEXT, 'x', { rsv: 2 })],
        ['RSV3 on a ping', frame(PING, 'x', { rsv: 1 })],
        ['opcode 3', frame(3, 'x')],
        ['opcode 7', frame(7, 'x')],
        ['opcode 11', frame(11, 'x')],
        ['opcode 15', frame(15, 'x')],
        ['a continuation of nothing', frame(CONT, 'x')],
        ['a new message inside a fragmented one', [frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b')]],
        ['an unmasked frame', frame(TEXT, 'x', { mask: false })],
        ['a 16-bit length that needed none', frame(TEXT, 'x', { lengthBytes: 2 })],
        ['a 64-bit length that needed none', frame(TEXT, 'x', { lengthBytes: 8 })],
        ['a 64-bit length with the top bit', Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])],
    ]) {
        it(what, () => expectClose(bytes, 1002));
    }
});

describe('UTF-8', () => {
    const bad = {
        'a lone continuation': [0x80],
        'an overlong slash': [0xc0, 0xaf],
        'an overlong NUL': [0xe0, 0x80, 0x80],
        'a surrogate': [0xed, 0xa0, 0x80],
        'past U+10FFFF': [0xf4, 0x90, 0x80, 0x80],
        'a five-byte form': [0xf8, 0x88, 0x80, 0x80, 0x80],
        'a truncated sequence at the end': [0x68, 0xe2, 0x82],
        '0xFF': [0x68, 0xff, 0x68],
    };
    for (const [what, bytes] of Object.entries(bad)) it(`closes 1007 on ${what}`, () => expectClose(frame(TEXT, Buffer.from(bytes)), 1007));
    it('closes 1007 across fragments, at once when it can be known', async () => {
        await expectClose([frame(TEXT, Buffer.from([0xe2, 0x82]), { fin: false }), frame(CONT, Buffer.from([0x41]))], 1007);
        await expectClose(frame(TEXT, Buffer.from([0xf4, 0x90]), { fin: false }), 1007);
    });
    it('takes a character split at any place of its bytes', async () => {
        const c = await rawFrames(gw);
        const text = Buffer.from('\u00b5\u20ac\u{1f600}');
        for (let i = 1; i < text.length; i++) {
            c.write(frame(TEXT, text.subarray(0, i), { fin: false }));
            c.write(frame(CONT, text.subarray(i)));
            assert.deepEqual((await c.frame()).payload, text);
        }
        c.end();
    });
    it('does not ask binary to be UTF-8', async () => {
        const c = await rawFrames(gw);
        c.write(frame(BINARY, Buffer.from([0xff, 0xfe])));
        assert.equal((await c.frame()).opcode, BINARY);
        c.end();
    });
});

describe('close', () => {
    for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
        it(`${code} is answered in kind`, () => expectClose(closeWith(code, 'bye'), code));
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
        it(`${code} is a protocol error`, () => expectClose(closeWith(code), 1002));
    it('empty is answered empty', async () => {
        const c = await rawFrames(gw);
        c.write(frame(CLOSE));
        const f = await c.frame();
        assert.equal(f.opcode, CLOSE);
        assert.ok(f.payload.length === 0 || f.payload.readUInt16BE() === 1000);
        await c.closed();
    });
    it('of one byte is a protocol error', () => expectClose(frame(CLOSE, 'x'), 1002));
    it('with a reason that is not UTF-8 is 1007', async () => {
        const b = Buffer.from([0x03, 0xe8, 0xff]);
        await expectClose(frame(CLOSE, b), 1007);
    });
    it('ends the connection, and what comes after it is not looked at', async () => {
        const c = await rawFrames(gw);
        c.write(Buffer.concat([frame(TEXT, 'before'), closeWith(1000), frame(TEXT, 'after')]));
        assert.equal((await c.frame()).payload.toString(), 'before');
        assert.equal((await c.frame()).opcode, CLOSE);
        await c.closed();
        assert.equal(c.data.length, 0);
    });
});
