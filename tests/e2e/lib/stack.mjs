// The gateway over a scripted provider, reached through both provider dialects.
import { TEST_KEY, startGateway } from './gateway.mjs';
import { startProvider } from './provider.mjs';

/** What a key lists that may ask for all that is configured, and for anything at both providers. */
export const ANY = ['*', 'chat/*', 'resp/*'];

/**
 * Models: `chat/NAME` and `resp/NAME` (provider/model) reach the scripted provider as NAME; NAME alone goes to chat.
 * { gw, provider, stop() }
 */
export async function startStack({ config = {}, scripts = {}, ...rest } = {}) {
    const provider = await startProvider({ scripts });
    const base = { base_url: provider.url, allow_plaintext: true, api_key: 'sk-upstream-secret' };
    const starting = startGateway({
        config: {
            providers: [
                { name: 'demo', dialect: 'demo' },
                { name: 'chat', dialect: 'chat_completions', ...base },
                { name: 'resp', dialect: 'responses', ...base },
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
