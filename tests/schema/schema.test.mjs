// The published schemas and the gateway's validators must agree: on every generated message, and about where it is wrong.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv2020 from 'ajv/dist/2020.js';
import { Random, kinds, mutate, sweep } from './generate.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
// $SLUICE_BUILD is a directory, or the name of one in build/.
const build = process.env.SLUICE_BUILD ?? 'dev';
const probe = join(build.includes('/') ? resolve(root, build) : join(root, 'build', build), 'validate_probe');
const directory = join(root, 'protocols/schema');
const seed = Number(process.env.SLUICE_SEED ?? 20240607);
const RANDOM = 3000; // messages with random changes
const SWEPT = 1; // full messages, of which every member is changed in every way

function loadSchemas() {
  const names = readdirSync(directory).filter((n) => n.endsWith('.json'));
  return Object.fromEntries(names.map((n) => [n.slice(0, -5), JSON.parse(readFileSync(join(directory, n), 'utf8'))]));
}

function compile(schemas) {
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictTypes: false, strictRequired: false, schemas: Object.values(schemas) });
  return (kind) => ajv.getSchema(kind + '.json');
}

function* generate(kind) {
  const r = new Random(seed);
  for (let i = 0; i < RANDOM; i++) yield mutate(kinds[kind](r), r);
  r.full = true;
  for (let i = 0; i < SWEPT; i++) yield* sweep(kinds[kind](r));
}

// [{ok, code, param}] for each text.
function ask(kind, texts) {
  const run = spawnSync(probe, { input: texts.map((t) => `${kind}\t${t}\n`).join(''), encoding: 'utf8', maxBuffer: 1 << 28 });
  assert.equal(run.error, undefined, `cannot run ${probe}; set SLUICE_BUILD to a build directory`);
  assert.equal(run.status, 0, run.stderr);
  const lines = run.stdout.split('\n').slice(0, -1);
  assert.equal(lines.length, texts.length);
  return lines.map((line) => {
    const [verdict, code, param] = line.split('\t');
    return { ok: verdict === 'ok', code, param };
  });
}

// What was asked about a kind, and the answers; asked once.
const asked = {};
function cases(kind) {
  if (!asked[kind]) {
    let texts = Array.from(generate(kind), (m) => JSON.stringify(m));
    // That a ping is too large no schema can say.
    if (kind === 'session_ping') texts = texts.filter((t) => t.length < 1000);
    asked[kind] = { texts, messages: texts.map((t) => JSON.parse(t)), answers: ask(kind, texts) };
  }
  return asked[kind];
}

// The messages on which the two disagree.
function disagreements(kind, validate) {
  const { texts, messages, answers } = cases(kind);
  return texts.filter((_, i) => validate(messages[i]) !== answers[i].ok);
}

// ajv's places of error, as the gateway writes them: input[0].content. Keywords that only combine others say nothing about a place.
function errorPlaces(errors) {
  const combining = new Set(['if', 'anyOf', 'allOf', 'oneOf', 'not']);
  return errors
    .filter((e) => !combining.has(e.keyword))
    .map((e) => {
      const path = e.instancePath.split('/').slice(1).map((s) => s.replaceAll('~1', '/').replaceAll('~0', '~'));
      if (e.keyword === 'required') path.push(e.params.missingProperty);
      if (e.keyword === 'additionalProperties') path.push(e.params.additionalProperty);
      if (e.propertyName !== undefined) path.push(e.propertyName);
      return path.reduce((s, p) => (/^\d+$/.test(p) ? `${s}[${p}]` : s ? `${s}.${p}` : p), '');
    });
}

const schemas = loadSchemas();
const validators = compile(schemas);

for (const kind of Object.keys(kinds)) {
  test(`${kind}: the same verdict on every message`, () => {
    const { answers } = cases(kind);
    const differ = disagreements(kind, validators(kind));
    assert.equal(differ.length, 0, `seed ${seed}, ${differ.length} of ${answers.length} messages, such as ${differ[0]?.slice(0, 2000)}`);
    // Neither side may have it too easy.
    const valid = answers.filter((a) => a.ok).length;
    assert.ok(valid > answers.length * 0.02 && valid < answers.length * 0.98, `${valid} of ${answers.length} are valid`);
    assert.equal(answers.filter((a) => a.code === 'syntax').length, 0);
  });

  test(`${kind}: what is wrong is at the same place`, () => {
    const { texts, messages, answers } = cases(kind);
    const validate = validators(kind);
    let compared = 0;
    answers.forEach((answer, i) => {
      if (answer.ok || validate(messages[i])) return;
      const places = errorPlaces(validate.errors);
      if (places.length === 0 || answer.param.length > 150) return;
      compared++;
      const near = (p) => p === answer.param || p.startsWith(answer.param) || answer.param.startsWith(`${p}.`);
      assert.ok(places.some(near), `param ${answer.param}, ajv ${JSON.stringify(places)}: ${texts[i].slice(0, 2000)}`);
    });
    assert.ok(compared > answers.length * 0.05, `only ${compared} compared`);
  });
}

test('every limit of the schemas is met by some message', () => {
  // Each change below makes a schema wrong by a little; the comparison must notice every one of them.
  const wrongs = [
    ['responses_request', (s) => (s.properties.temperature.maximum = 3)],
    ['responses_request', (s) => delete s.properties.model.maxLength],
    ['responses_request', (s) => (s.properties.user.type = ['string', 'null'])],
    ['responses_request', (s) => delete s.anyOf],
    ['responses_request', (s) => (s.properties.stream_id.pattern = '^[A-Za-z0-9_. -]{0,256}$')],
    ['responses_request', (s) => s.$defs.item.allOf.pop()],
    ['responses_request', (s) => delete s.$defs.image_part.anyOf],
    ['responses_request', (s) => s.$defs.message.required.pop()],
    ['responses_request', (s) => (s.$defs.message.properties.role.enum[0] = 'USER')],
    ['responses_request', (s) => delete s.$defs.reasoning_item.properties.summary.items],
    ['response_create', (s) => delete s.required],
    ['response_cancel', (s) => delete s.additionalProperties],
    ['response_cancel', (s) => delete s.not],
    ['session_ping', (s) => delete s.properties.type.const],
    ['chat_completions_request', (s) => (s.properties.n.maximum = 2)],
    ['chat_completions_request', (s) => delete s.$defs.assistant.anyOf],
    ['chat_completions_request', (s) => delete s.$defs.plain_part.properties.type.const],
    ['chat_completions_request', (s) => delete s.properties.messages.minItems],
  ];
  for (const [kind, spoil] of wrongs) {
    const spoiled = structuredClone(schemas);
    spoil(spoiled[kind]);
    assert.notEqual(disagreements(kind, compile(spoiled)(kind)).length, 0, `${kind}: ${spoil} went unnoticed`);
  }
});
