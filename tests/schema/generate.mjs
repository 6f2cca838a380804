// Valid messages of every kind, and mutations of them. Everything comes from one seeded generator, so a failure can be repeated.

export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }
  // mulberry32
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  below(n) {
    return Math.floor(this.next() * n);
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  chance(p) {
    return this.next() < p;
  }
}

const text = (r) => r.pick(['', 'a', 'hello', 'été', '🌍', 'line\nbreak', '"quoted\\"', 'x'.repeat(70), '\u0000', '7', 'null']);
// A list of up to `max`; a full one has one of each alternative.
const some = (r, max, make) => (r.full && make.all ? make.all.map((m) => m(r)) : Array.from({ length: r.below(max + 1) }, () => make(r)));
const oneOf = (...all) => Object.assign((r) => r.pick(all)(r), { all });

// An object from [key, make, probability] rows; a row without a probability is always there. With `full` set, so is every other.
function object(r, rows) {
  const o = {};
  for (const [key, make, p = 1] of rows) if (r.chance(p) || r.full) o[key] = typeof make === 'function' ? make(r) : make;
  return o;
}
const nullable = (make) => (r) => (r.chance(0.15) ? null : make(r));
const boolean = (r) => r.chance(0.5);
const choice = (...values) => (r) => r.pick(values);
const schema = (r) => r.pick([{}, { type: 'object', properties: { a: { type: 'string' } } }]);
const metadata = (r) => Object.fromEntries(some(r, 4, (q) => [q.pick(['k', 'é'.repeat(64), 'a b', 'x']), text(q)]));

// ---- Responses ----

const status = [['id', nullable(choice('msg_1', 'x')), 0.3], ['status', nullable(choice('completed', 'incomplete')), 0.3]];

const responsesPart = oneOf(
  (r) => object(r, [['type', choice('input_text', 'output_text')], ['text', text], ['annotations', choice([], null), 0.3], ['logprobs', [], 0.2], ['prompt_cache_breakpoint', { mode: 'explicit' }, 0.2]]),
  (r) => ({ type: 'refusal', refusal: text(r) }),
  (r) => object(r, [['type', 'input_image'], ['image_url', choice('https://example.com/a.png', 'data:image/png;base64,AA')], ['detail', choice('low', 'high', 'auto', 'original', null), 0.5], ['file_id', null, 0.2]]),
  (r) => object(r, [['type', 'input_image'], ['file_id', 'file_1'], ['image_url', null, 0.3]]),
  () => ({ type: 'input_file', file_url: 'https://example.com/' }),
  () => ({ type: 'input_audio', anything: [1] }),
);
const responsesContent = (r) => (!r.full && r.chance(0.4) ? text(r) : some(r, 3, responsesPart));
const reasoningTexts = (type) => (r) => some(r, 2, (q) => ({ type, text: text(q) }));

const responsesItem = oneOf(
  (r) => object(r, [['type', 'message', 0.5], ['role', choice('user', 'assistant', 'system', 'developer')], ['content', responsesContent], ['phase', 'final_answer', 0.2], ...status]),
  (r) => object(r, [['type', 'function_call'], ['call_id', 'call_1'], ['name', 'f'], ['arguments', text], ...status]),
  (r) => object(r, [['type', 'function_call_output'], ['call_id', 'call_1'], ['output', responsesContent], ...status]),
  (r) => object(r, [['type', 'reasoning'], ['summary', reasoningTexts('summary_text')], ['content', nullable(reasoningTexts('reasoning_text')), 0.4], ['encrypted_content', nullable(text), 0.4], ...status]),
  () => ({ type: 'mcp_approval_response', approve: true }),
);

const responsesTool = oneOf(
  (r) => object(r, [['type', 'function'], ['name', choice('f', 'é'.repeat(128), 'get_weather')], ['description', nullable(text), 0.5], ['parameters', nullable(schema), 0.8], ['strict', nullable(boolean), 0.7]]),
  () => ({ type: 'web_search', filters: {} }),
);
const responsesChoice = (r) => r.pick(['none', 'auto', 'required', { type: 'function', name: 'f' }, { type: 'allowed_tools', mode: 'auto', tools: [] }]);
const responsesFormat = (r) =>
  r.pick([{ type: 'text' }, { type: 'json_object' }, object(r, [['type', 'json_schema'], ['name', 'n'.repeat(1 + r.below(64))], ['schema', schema], ['description', nullable(text), 0.4], ['strict', nullable(boolean), 0.4]])]);

function responsesRequest(r) {
  return object(r, [
    ['type', 'response.create', 0.3],
    ['model', choice('m', 'gpt-4o', 'x'.repeat(256))],
    ['input', (q) => (!q.full && q.chance(0.3) ? text(q) : some(q, 4, responsesItem))],
    ['instructions', nullable(text), 0.3],
    ['tools', (q) => some(q, 3, responsesTool), 0.4],
    ['tool_choice', responsesChoice, 0.3],
    ['temperature', nullable(choice(0, 2, 0.7, 1)), 0.3],
    ['top_p', nullable(choice(0, 1, 0.5)), 0.3],
    ['max_output_tokens', nullable(choice(1, 100, 2147483647)), 0.3],
    ['parallel_tool_calls', nullable(boolean), 0.2],
    ['text', (q) => object(q, [['format', responsesFormat, 0.7], ['verbosity', choice('low', 'medium', 'high', null), 0.5]]), 0.4],
    ['reasoning', nullable((q) => object(q, [['effort', choice('none', 'low', 'max', null), 0.7], ['summary', choice('auto', 'detailed', null), 0.5], ['mode', 'pro', 0.2]])), 0.4],
    ['metadata', nullable(metadata), 0.3],
    ['user', text, 0.2],
    ['store', nullable(boolean), 0.3],
    ['previous_response_id', nullable(choice('resp_1', 'r'.repeat(256))), 0.2],
    ['stream', nullable(boolean), 0.3],
    ['background', nullable(boolean), 0.1],
    ['generate', boolean, 0.2],
    ['stream_id', choice('a', 'A.b-c_9', 'z'.repeat(256)), 0.3],
    ['truncation', choice('auto', 'disabled', null), 0.2],
    ['include', nullable((q) => some(q, 2, text)), 0.2],
    ['service_tier', nullable(choice('auto', 'flex')), 0.2],
    ['top_logprobs', nullable(choice(0, 20)), 0.2],
    ['max_tool_calls', nullable(choice(1, 9)), 0.2],
    ['prompt_cache_key', nullable(text), 0.1],
    ['safety_identifier', nullable(text), 0.1],
    ['prompt', nullable(choice({ id: 'p' })), 0.1],
    ['conversation', null, 0.1],
    ['future_parameter', choice(1, {}, []), 0.1],
  ]);
}

// ---- Chat Completions ----

const chatText = (r) => ({ type: 'text', text: text(r) });
const chatImage = (r) => ({ type: 'image_url', image_url: object(r, [['url', 'https://example.com/'], ['detail', choice('low', 'auto', null), 0.5]]) });
const list = (max, make) => (r) => (r.full && make.all ? make.all.map((m) => m(r)) : Array.from({ length: 1 + r.below(max) }, () => make(r)));
const plain = (r) => (!r.full && r.chance(0.5) ? text(r) : list(2, chatText)(r));
const userPart = oneOf(chatText, chatImage, () => ({ type: 'input_audio', input_audio: {} }));
const userContent = (r) => (!r.full && r.chance(0.4) ? text(r) : list(3, userPart)(r));
const chatCall = (r) => object(r, [['id', 'call_1'], ['type', 'function', 0.8], ['function', (q) => ({ name: 'f', arguments: text(q) })]]);

const assistantParts = (r) => some(r, 2, oneOf(chatText, (q) => ({ type: 'refusal', refusal: text(q) })));
const assistantRest = [['name', nullable(text), 0.2], ['reasoning_content', nullable(text), 0.2], ['audio', null, 0.1], ['function_call', null, 0.1]];

const chatMessage = oneOf(
  (r) => object(r, [['role', choice('system', 'developer')], ['content', plain], ['name', nullable(text), 0.2]]),
  (r) => object(r, [['role', 'user'], ['content', userContent], ['name', nullable(text), 0.2]]),
  (r) => object(r, [['role', 'assistant'], ['content', (q) => q.pick([text, assistantParts, () => null])(q)], ...assistantRest]),
  (r) => object(r, [['role', 'assistant'], ['content', assistantParts]]),
  (r) => object(r, [['role', 'assistant'], ['content', null, 0.5], ['tool_calls', list(2, chatCall)], ...assistantRest]),
  (r) => ({ role: 'assistant', tool_calls: list(2, chatCall)(r) }),
  (r) => ({ role: 'assistant', refusal: text(r) }),
  () => ({ role: 'assistant', audio: { id: 'a' } }),
  (r) => object(r, [['role', 'tool'], ['tool_call_id', 'call_1'], ['content', userContent]]),
);
const chatTool = oneOf(
  (r) => ({ type: 'function', function: object(r, [['name', 'f'.repeat(1 + r.below(64))], ['description', nullable(text), 0.5], ['parameters', nullable(schema), 0.7], ['strict', nullable(boolean), 0.5]]) }),
  () => ({ type: 'custom', custom: { name: 'c' } }),
);
const chatFormat = (r) =>
  r.pick([{ type: 'text' }, { type: 'json_object' }, { type: 'json_schema', json_schema: object(r, [['name', 'n'], ['schema', nullable(schema), 0.8], ['description', nullable(text), 0.3], ['strict', nullable(boolean), 0.4]]) }]);

function chatRequest(r) {
  return object(r, [
    ['model', choice('m', 'é'.repeat(256))],
    ['messages', list(4, chatMessage)],
    ['tools', nullable((q) => some(q, 3, chatTool)), 0.4],
    ['tool_choice', nullable((q) => q.pick(['none', 'auto', 'required', { type: 'function', function: { name: 'f' } }, { type: 'custom', custom: {} }])), 0.3],
    ['parallel_tool_calls', nullable(boolean), 0.2],
    ['response_format', nullable(chatFormat), 0.4],
    ['temperature', nullable(choice(0, 2, 0.7)), 0.3],
    ['top_p', nullable(choice(0, 1)), 0.3],
    ['max_tokens', nullable(choice(1, 2147483647)), 0.2],
    ['max_completion_tokens', nullable(choice(1, 5)), 0.2],
    ['stop', nullable((q) => (q.chance(0.5) ? text(q) : some(q, 4, text))), 0.3],
    ['n', nullable(choice(1)), 0.2],
    ['stream', nullable(boolean), 0.4],
    ['stream_options', nullable((q) => object(q, [['include_usage', nullable(boolean), 0.8], ['include_obfuscation', nullable(boolean), 0.3]])), 0.3],
    ['reasoning_effort', nullable(choice('low', 'whatever')), 0.2],
    ['verbosity', choice('low', 'medium', 'high', null), 0.2],
    ['metadata', nullable(metadata), 0.3],
    ['user', nullable(text), 0.2],
    ['store', nullable(boolean), 0.2],
    ['functions', null, 0.1],
    ['logprobs', true, 0.1],
  ]);
}

// ---- the rest ----

// With both names now and then; both sides must refuse that.
const cancel = (r) => object(r, [['type', 'response.cancel'], ['response_id', choice('resp_1', 'r'.repeat(256)), 0.4], ['stream_id', choice('a', 'A.b-c_9', 'z'.repeat(256)), 0.4]]);
const ping = (r) => object(r, [['type', 'session.ping'], ['at', choice(1, null, 'x'), 0.5], ['data', text, 0.5], ['nested', choice({ a: [1] }), 0.3]]);

export const kinds = {
  responses_request: responsesRequest,
  response_create: (r) => ({ ...responsesRequest(r), type: 'response.create' }),
  response_cancel: cancel,
  session_ping: ping,
  chat_completions_request: chatRequest,
};

// ---- mutations ----

// Every place in a message: [holder, key].
function places(value, out = []) {
  if (Array.isArray(value)) value.forEach((v, i) => (out.push([value, i]), places(v, out)));
  else if (value && typeof value === 'object') for (const k of Object.keys(value)) out.push([value, k]), places(value[k], out);
  return out;
}

const strangers = [null, true, false, 0, 1, -1, 1.5, 2.0001, 21, 1e21, 2147483648, -0.0001, '', 'x', 'message', 'function', 'item_reference', 'json_schema', 'text', 'response.create',
  'a b', 'é'.repeat(65), '🌍'.repeat(129), 'y'.repeat(257), 'z'.repeat(513), [], {}, [[]], [null], [1], ['x'], { type: 'x' }, { type: null }, { a: { b: 1 } }];
const keys = ['type', 'role', 'name', 'content', 'text', 'id', 'stream_id', 'input', 'model', 'arguments', 'generate', 'conversation', 'idempotency_key', 'function_call', 'functions', 'audio', 'image_url', 'file_id', 'unknown'];

// All that can be done to the member `key` of `holder`.
function moves(holder, key, strange) {
  const old = holder[key];
  const put = (v) => () => (holder[key] = structuredClone(v));
  const all = [() => (Array.isArray(holder) ? holder.splice(key, 1) : delete holder[key]), ...strange.map(put), put([old])];
  if (typeof old === 'string') all.push(put(old + 'x'), put([...old].slice(1).join('')), put((old || 'x').repeat(Math.ceil(600 / (old.length || 1)))), put(old.toUpperCase()));
  if (typeof old === 'number') all.push(put(old + 0.5), put(old + 1), put(-old - 1), put(old * 1000 + 1), put(String(old)));
  if (typeof old === 'boolean') all.push(put(String(old)), put(!old), put(Number(old)));
  if (Array.isArray(old)) all.push(() => old.push(structuredClone(strange.at(-1))), () => old.push(...old.flatMap((v) => structuredClone([v, v, v]))));
  return all;
}

function addMember(object, r) {
  object[r.pick(keys)] = structuredClone(r.pick(strangers));
}
const isObject = (v) => v !== null && typeof v === 'object' && !Array.isArray(v);

// 0 to 3 changes of one message. The holder of the root makes the root itself a place, too.
export function mutate(message, r) {
  const root = { '': structuredClone(message) };
  for (let n = r.pick([0, 1, 1, 1, 2, 3]); n > 0 && root[''] !== undefined; n--) {
    const [holder, key] = r.pick(places(root));
    if (r.chance(0.2) && isObject(holder[key])) addMember(holder[key], r);
    else r.pick(moves(holder, key, [null, r.pick(strangers), r.pick(strangers)]))();
  }
  return root[''] === undefined ? {} : root[''];
}

// Everything that can be done to every member of one message, one thing at a time.
export function* sweep(message) {
  const at = (root, i) => places(root)[i];
  const root = { '': message };
  for (let i = 1; i < places(root).length; i++) {
    const n = moves(...at(structuredClone(root), i), strangers).length;
    for (let k = 0; k < n; k++) {
      const copy = structuredClone(root);
      moves(...at(copy, i), strangers)[k]();
      yield copy[''];
    }
  }
}
