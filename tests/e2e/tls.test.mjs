// What TLS says to strangers: groups, ciphers, protocols.
import assert from 'node:assert/strict';
import net from 'node:net';
import https from 'node:https';
import tls from 'node:tls';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { after, before, describe, it } from 'node:test';
import { startGateway, testCertificate } from './lib/gateway.mjs';

/** { protocol, alpn, group } of one handshake, or its error. */
function handshake(gw, options = {}) {
    return new Promise((resolve, reject) => {
        const s = tls.connect({ host: '127.0.0.1', port: gw.ports.https, rejectUnauthorized: false, ...options }, () => {
            const key = s.getEphemeralKeyInfo();
            resolve({ protocol: s.getProtocol(), alpn: s.alpnProtocol, cipher: s.getCipher().name, group: key?.name });
            s.destroy();
        });
        s.on('error', reject);
    });
}

describe('a stranger\u2019s hello', () => {
    let gw;
    before(async () => {
        gw = await startGateway({ config: { workers: 1 } });
    });
    after(() => gw.stop());

    it('gets cheap groups only: finite fields are refused', async () => {
        assert.equal((await handshake(gw)).protocol, 'TLSv1.3');
        assert.equal((await handshake(gw, { ecdhCurve: 'X25519' })).group, 'X25519');
        assert.equal((await handshake(gw, { ecdhCurve: 'P-256' })).group, 'prime256v1');
        assert.equal((await handshake(gw, { ecdhCurve: 'P-384' })).group, 'secp384r1');
        for (const ecdhCurve of ['ffdhe8192', 'ffdhe2048', 'P-521', 'X448']) {
            await assert.rejects(handshake(gw, { ecdhCurve }), /handshake failure|alert number 40/, ecdhCurve);
            await assert.rejects(handshake(gw, { ecdhCurve, maxVersion: 'TLSv1.2' }), /handshake failure|alert number 40/, ecdhCurve);
        }
        // What remains is chosen when it is offered beside those.
        assert.equal((await handshake(gw, { ecdhCurve: 'ffdhe8192:X448:P-521:P-256' })).group, 'prime256v1');
    });

    it('gets ECDHE with AEAD only in TLS 1.2', async () => {
        const old = { maxVersion: 'TLSv1.2' };
        for (const ciphers of ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'])
            assert.equal((await handshake(gw, { ...old, ciphers })).cipher, ciphers);
        for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'ECDHE-ECDSA-AES128-CCM', 'DHE-RSA-AES128-GCM-SHA256', 'AES128-GCM-SHA256'])
            await assert.rejects(handshake(gw, { ...old, ciphers }), /handshake failure|alert number 40/, ciphers);
    });

    it('that offers only protocols which are not spoken here ends in no_application_protocol', async () => {
        assert.equal((await handshake(gw, { ALPNProtocols: ['h2', 'http/1.1'] })).alpn, 'http/1.1');
        assert.equal((await handshake(gw)).alpn, false);
        for (const ALPNProtocols of [['h2'], ['imap'], ['smtp', 'ftp']])
            await assert.rejects(handshake(gw, { ALPNProtocols }), /no application protocol|alert number 120/i);
    });
});

/** A connection that says nothing, and whether it is still there when the other end has had time to close it. */
function mute(gw, localAddress) {
    return new Promise((resolve, reject) => {
        const s = net.connect({ host: '127.0.0.1', port: gw.ports.https, localAddress }, () => resolve(s));
        s.over = new Promise((done) => s.once('close', done));
        s.on('error', () => {}).once('error', reject);
        s.resume();
    });
}

describe('a flood of handshakes', () => {
    it('is cut before it costs one; who comes from elsewhere notices nothing', async () => {
        const limits = { max_handshakes_per_second_per_address: 10 };
        const gw = await startGateway({ config: { workers: 2, limits } });
        // Within far less than a second: ten, and one more for each tenth of a second that it takes.
        const began = Date.now();
        const ends = await Promise.allSettled(Array.from({ length: 200 }, () => handshake(gw)));
        const done = ends.filter((e) => e.status === 'fulfilled').length;
        assert.ok(done >= 10 && done <= 11 + (Date.now() - began) / 100, `${done} handshakes`);
        for (let i = 0; i < 5; i++) await handshake(gw, { localAddress: '127.0.0.2' });
        assert.match(gw.logs, /connection refused" key=limits\.max_handshakes_per_second_per_address address=127\.0\.0\.1 suppressed=\d+/);
        await gw.stop();
        assert.ok((gw.logs.match(/connection refused/g) ?? []).length <= 5 * 2 * (2 + (Date.now() - began) / 1000), 'log lines');
    });

    it('in all', async () => {
        const gw = await startGateway({ config: { workers: 2, limits: { max_handshakes_per_second: 10 } } });
        const began = Date.now();
        const ends = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => handshake(gw, { localAddress: `127.0.1.${i + 1}` })));
        const done = ends.filter((e) => e.status === 'fulfilled').length;
        assert.ok(done >= 10 && done <= 11 + (Date.now() - began) / 100, `${done} handshakes`);
        await gw.stop();
    });

    it('under way: who says nothing holds a few places, and only until the handshake\u2019s time is up', async () => {
        const gw = await startGateway({ config: { workers: 2, timeouts: { handshake: '2s' }, limits: { max_handshakes_per_address: 3 } } });
        // Handshakes that are done count no more.
        const open = [];
        for (let i = 0; i < 4; i++)
            open.push(await new Promise((resolve, reject) => {
                const s = tls.connect({ host: '127.0.0.1', port: gw.ports.https, rejectUnauthorized: false }, () => s.write('G', () => resolve(s)));
                s.on('error', reject);
            }));
        await handshake(gw);
        const silent = [];
        for (let i = 0; i < 3; i++) silent.push(await mute(gw));
        // They are connected; their workers may still have to take them.
        while (await handshake(gw).then(() => true, () => false));
        await handshake(gw, { localAddress: '127.0.0.2' });
        await Promise.all(silent.map((s) => s.over));
        await handshake(gw);
        for (const s of open) s.destroy();
        await gw.stop();
    });
});

describe('who never authenticates', () => {
    const get = (path, key) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${key ? `Authorization: Bearer ${key}\r\n` : ''}\r\n`;
    /** A connection without TLS: ask(text) resolves with the next answer's status; `closed` when it is over. */
    function client(gw, localAddress) {
        return new Promise((resolve, reject) => {
            const s = net.connect({ host: '127.0.0.1', port: gw.ports.http, localAddress }, () => resolve(s));
            let text = '';
            let heard = () => {};
            s.over = new Promise((done) => s.once('close', done));
            s.on('error', reject);
            s.on('data', (d) => heard((text += d)));
            s.ask = (request) =>
                new Promise((answer, fail) => {
                    text = '';
                    heard = () => {
                        const m = /^HTTP\/1\.1 (\d+)[^]*?content-length: (\d+)\r\n[^]*?\r\n\r\n/i.exec(text);
                        if (m && text.length >= m[0].length + Number(m[2])) answer(Number(m[1]));
                    };
                    s.once('close', () => fail(new Error('closed')));
                    s.write(request);
                });
        });
    }

    it('is sent away in time, however often it asks; who has authenticated stays', async () => {
        const gw = await startGateway({ config: { workers: 1, timeouts: { unauthenticated: '1s', keep_alive: '20s' } } });
        const known = await client(gw);
        assert.equal(await known.ask(get('/v1/models', gw.key)), 200);
        const stranger = await client(gw);
        let asked = 0;
        await assert.rejects(
            (async () => {
                for (;;) {
                    assert.equal(await stranger.ask(get('/v1/models', 'sk-wrong')), 401);
                    asked++;
                }
            })(),
        );
        await stranger.over;
        assert.ok(asked > 0);
        assert.equal(await known.ask(get('/v1/models', 'sk-wrong')), 401);
        assert.equal(await known.ask(get('/v1/models', gw.key)), 200);
        known.destroy();
        await gw.stop();
    });

    it('does not fill max_sessions: others come in', async () => {
        const limits = { max_sessions: 8, max_unauthenticated: 4 };
        const gw = await startGateway({ config: { workers: 2, limits } });
        const strangers = [];
        for (let i = 0; i < 4; i++) strangers.push(await client(gw));
        for (const s of strangers) assert.equal(await s.ask(get('/v1/models', 'sk-wrong')), 401);
        const late = await client(gw, '127.0.0.2');
        assert.equal(await late.ask(get('/v1/models', gw.key)), 503);
        await gw.waitLog(/connection refused" key=limits\.max_unauthenticated address=127\.0\.0\.2/);
        // As soon as one of them shows who it is, there is room for the next.
        for (const s of strangers) assert.equal(await s.ask(get('/v1/models', gw.key)), 200);
        for (let i = 0; i < 4; i++) {
            const c = await client(gw);
            assert.equal(await c.ask(get('/v1/models', gw.key)), 200);
            strangers.push(c);
        }
        const full = await client(gw);
        assert.equal(await full.ask(get('/v1/models', gw.key)), 503);
        await gw.waitLog(/connection refused" key=limits\.max_sessions address=127\.0\.0\.1/);
        for (const s of strangers) s.destroy();
        await gw.stop();
    });
});

describe('certificates', () => {
    let dir;
    before(async () => {
        dir = await mkdtemp(path.join(tmpdir(), 'sluice-names-'));
    });
    after(() => rm(dir, { recursive: true }));
    const make = async (name, kind) => {
        const files = { certificate: path.join(dir, `${name}.crt`), key: path.join(dir, `${name}.key`) };
        await promisify(execFile)('openssl', [
            'req', '-x509', '-newkey', ...kind, '-nodes', '-days', '2', '-subj', `/CN=${name}`,
            '-addext', `subjectAltName=DNS:${name},DNS:*.${name}`, '-keyout', files.key, '-out', files.certificate,
        ]);
        return files;
    };
    const subject = (gw, servername) =>
        new Promise((resolve, reject) => {
            const s = tls.connect({ host: '127.0.0.1', port: gw.listening[0].port, servername, rejectUnauthorized: false }, () => {
                resolve(s.getPeerCertificate().subject.CN);
                s.destroy();
            });
            s.on('error', reject);
        });

    it('several of a listener, by the name that a client asks for; read once, and again on SIGHUP', async () => {
        const one = await make('one.example', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
        const two = await make('two.example', ['rsa:2048']);
        const own = await testCertificate();
        const gw = await startGateway({
            config: { workers: 1, listen: [{ address: '0.0.0.0:0', tls: { certificate: own.certificate, key: own.key, certificates: [one, two] } }, { address: '127.0.0.1:0' }] },
        });
        assert.equal(await subject(gw, 'localhost'), 'localhost');
        assert.equal(await subject(gw, 'one.example'), 'one.example');
        assert.equal(await subject(gw, 'two.example'), 'two.example');
        assert.equal(await subject(gw, 'chat.two.example'), 'two.example');
        assert.equal(await subject(gw, 'three.example'), 'localhost');
        // A worker that is started again needs no file.
        await unlink(one.key);
        const since = gw.mark();
        process.kill(gw.workerPids()[0], 'SIGKILL');
        await gw.waitLog(/worker started/, { since });
        assert.equal(await subject(gw, 'one.example'), 'one.example');
        assert.match((await gw.reload())[0], /reload failed/);
        assert.equal(await subject(gw, 'one.example'), 'one.example');
        // The same names with other keys.
        const before = await new Promise((resolve) => {
            const s = tls.connect({ host: '127.0.0.1', port: gw.listening[0].port, servername: 'one.example', rejectUnauthorized: false }, () => {
                resolve(s.getPeerCertificate().fingerprint256);
                s.destroy();
            });
        });
        await make('one.example', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']);
        await chmod(one.key, 0o644);
        const mark = gw.mark();
        assert.match((await gw.reload())[0], /serving/);
        assert.match(gw.logs.slice(mark), /a file with a secret can be read by every user of this machine.* file=.*one\.example\.key/);
        const s = tls.connect({ host: '127.0.0.1', port: gw.listening[0].port, servername: 'one.example', rejectUnauthorized: false });
        await new Promise((resolve) => s.once('secureConnect', resolve));
        assert.notEqual(s.getPeerCertificate().fingerprint256, before);
        s.destroy();
        await gw.stop();
    });

    it('browsers are told to come over TLS only, where this is no loopback', async () => {
        const { certificate, key } = await testCertificate();
        const own = { certificate, key };
        const gw = await startGateway({
            config: { workers: 1, listen: [{ address: '0.0.0.0:0', tls: own }, { address: '127.0.0.1:0', tls: own }] },
        });
        const header = (port) =>
            new Promise((resolve, reject) => {
                https.get({ host: '127.0.0.1', port, rejectUnauthorized: false, agent: false }, (r) => {
                    r.resume();
                    resolve(r.headers['strict-transport-security']);
                }).on('error', reject);
            });
        assert.equal(await header(gw.listening[0].port), 'max-age=31536000');
        assert.equal(await header(gw.listening[1].port), undefined);
        await gw.stop();
    });
});

describe('session tickets', () => {
    /** One connection: what it resumed, and a ticket for the next. */
    const connect = (gw, session, options) =>
        new Promise((resolve, reject) => {
            const s = tls.connect({ host: '127.0.0.1', port: gw.ports.https, session, rejectUnauthorized: false, ...options }, () => {
                const reused = s.isSessionReused();
                // A ticket of TLS 1.3 comes after the handshake.
                s.once('session', (ticket) => {
                    resolve({ reused, ticket });
                    s.destroy();
                });
                if (s.getProtocol() !== 'TLSv1.3') {
                    resolve({ reused, ticket: s.getSession() });
                    s.destroy();
                }
            });
            s.on('error', reject);
        });

    it('are taken by every worker, also by later ones', async () => {
        const gw = await startGateway({ config: { workers: 4 } });
        for (const options of [{}, { maxVersion: 'TLSv1.2' }]) {
            let { ticket } = await connect(gw, undefined, options);
            for (let i = 0; i < 16; i++) {
                const next = await connect(gw, ticket, options);
                assert.equal(next.reused, true);
                ticket = next.ticket;
            }
            const since = gw.mark();
            process.kill(gw.workerPids()[0], 'SIGKILL');
            await gw.waitLog(/worker started/, { since });
            await gw.reload();
            for (let i = 0; i < 8; i++) assert.equal((await connect(gw, ticket, options)).reused, true);
        }
        await gw.stop();
    });

    it('count until their key was changed twice', async () => {
        const gw = await startGateway({ config: { workers: 2, timeouts: { tickets: '2s' }, log: { level: 'debug' } } });
        const changed = (since) => gw.waitLog(/keys of session tickets changed/, { since });
        await changed(gw.mark());
        const { ticket } = await connect(gw);
        let since = gw.mark();
        await changed(since);
        for (let i = 0; i < 4; i++) assert.equal((await connect(gw, ticket)).reused, true);
        since = gw.mark();
        await changed(since);
        for (let i = 0; i < 4; i++) assert.equal((await connect(gw, ticket)).reused, false);
        await gw.stop();
    });
});
