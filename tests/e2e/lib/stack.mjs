// The gateway over a scripted provider, reached through every provider dialect.
import { TEST_KEY, startGateway } from './gateway.mjs';
import { startProvider } from './provider.mjs';

/** The scripted provider's names, by the dialect in which each is spoken to. */
export const PROVIDERS = { chat: 'chat_completions', resp: 'responses', msg: 'messages' };

/** What a key lists that may ask for all that is configured, and for anything at both providers. */
export const ANY = ['*', ...Object.keys(PROVIDERS).map((name) => `${name}/*`)];

/**
 * Models: `chat/NAME`, `resp/NAME` and `msg/NAME` (provider/model) reach the scripted provider as NAME; NAME alone goes to chat.
 * { gw, provider, stop() }
 */
export async function startStack({ config = {}, scripts = {}, ...rest } = {}) {
    const provider = await startProvider({ scripts });
    const base = { base_url: provider.url, allow_plaintext: true, api_key: 'sk-upstream-secret' };
    const starting = startGateway({
        config: {
            providers: [
                { name: 'demo', dialect: 'demo' },
                ...Object.entries(PROVIDERS).map(([name, dialect]) => ({ name, dialect, ...base })),
            ],
            models: [
                { name: 'demo', targets: [{ provider: 'demo', model: 'demo' }] },
                { name: '*', targets: [{ provider: 'chat', model: '*' }] },
            ],
            keys: [{ name: 'test', plaintext: TEST_KEY, models: ANY }],
            ...config,
        },
        ...rest,
    });
    const gw = await starting.catch(async (error) => {
        await provider.close();
        throw error;
    });
    return {
        gw,
        provider,
        async stop() {
            try {
                await gw.stop();
            } finally {
                await provider.close();
            }
        },
    };
}
