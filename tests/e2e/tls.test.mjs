// What TLS says to strangers: groups, ciphers, protocols.
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { after, before, describe, it } from 'node:test';
import { startGateway } from './lib/gateway.mjs';

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
