// Names and texts that would break a page which trusted them. They set `window.hacked` if they run.
// They go into every text field that the API's own document has, and come from models and graders too.

import { runsAreOver } from './board.mjs';
import { HOSTILE } from './provider.mjs';

const RUNS = (how) => `window.hacked="${how}"`;

export const MODELS = [
  `<script>${RUNS('model')}</script>`,
  `"><img src=x onerror='${RUNS('image')}'>`,
  'نموذج اللغة العربية (v2) עברית',
  'Wide'.repeat(25),
];

export const EVALS = [
  `<script>${RUNS('eval')}</script>`,
  'اختبار القراءة',
  'A name of one hundred characters '.repeat(4).slice(0, 99) + '.',
];

export const SETS = [`<script>${RUNS('set')}</script>`, 'بيانات التدريب (v2) עברית'];

const TEXT = `</pre><script>${RUNS('text')}</script><svg onload='${RUNS('svg')}'> ${'long'.repeat(200)} {{input}}`;
/** What somebody gives as a reason. */
const REASON = TEXT.slice(0, 400);
/** For where only a hundred characters are taken. */
const SHORT = `'"><img src=x onerror=${RUNS('short').replaceAll('"', '`')}></td>`;
const LINK = `https://example.org/"><script>${RUNS('address')}</script>`;
const TYPE = `text/plain; a="<script>${RUNS('type').replaceAll('"', "'")}</script>"`;
const MARKDOWN = `[link](javascript:${RUNS('link')}) <b onclick='${RUNS('click')}'>bold</b> ${TEXT}`;

/** A file whose keys and values are of that kind, one line no object, and the last longer than any preview. */
const LINES = [
  JSON.stringify({ [TEXT]: MARKDOWN, '\u202eright to left': '\u202eright to left', '': null }),
  JSON.stringify(MARKDOWN),
  JSON.stringify({ nested: [{ [MARKDOWN]: TEXT }], number: -1.5, lines: 'one\n\ntwo\n'.repeat(9) }),
  JSON.stringify({ long: TEXT.repeat(20) }),
].join('\n');
/** Many columns. */
const VALUES = [...Array(150).keys()].map((at) => `"${MARKDOWN.replaceAll('"', '""').slice(0, 40)} ${at}"`).join() +
  `\n1,"two\nlines",${TEXT.slice(0, 60)}${','.repeat(147)}\n${','.repeat(149)}\n`;

/** Fields that take no text of one's own, and why; all others are planted. */
const SPARED = new Map([
  ['models.api_key', 'is never shown'],
  ['models.parameters.reasoning_effort', 'is one of a few words'],
  ['models.parameters.thinking_tags', 'is one of a few words'],
  ['evals.eval_type', 'is one of a few words'],
  ['evals.reducer', 'is one of a few words'],
  ['artifacts.artifact_type', 'is one of a few words'],
  ['keys.scope', 'is one of a few words'],
  ['schedules.cron', 'is an expression of its own form'],
  ['artifacts.file', 'is bytes'],
  ['training-sets.file', 'is bytes'],
]);
const IDS = /_ids\[\]$/;
/** What has a form of its own, and what programs alone say to each other: no page shows it. */
const BARE = /\.sha256$|^\/(oauth2|api\/blob)\//;

/** What was planted so far: `noun.field`, such as `evals.samples[].target`. */
const planted = new Set();

/** Every text in `body` that would run, by its field. */
function note(noun, body, path = '') {
  if (typeof body === 'string' && body.includes('window.hacked')) planted.add(noun + path);
  if (Array.isArray(body)) body.forEach((each) => note(noun, each, `${path}[]`));
  else if (body instanceof FormData) for (const [name, value] of body) note(noun, value.name ?? value, `.${name}`);
  else if (body && typeof body === 'object') {
    for (const [name, value] of Object.entries(body)) note(noun, value, `${path}.${name}`);
  }
}

/** `evals` of `/evals/{id}`, `artifacts` of `/models/{id}/artifacts/request-upload`. */
const nounOf = (path) => path.split('/').filter((part) => /^[a-z-]+s$/.test(part)).at(-1);

/** The text fields of the document's writes that nothing was planted in. */
export function missed(document) {
  const resolve = (schema) => {
    while (schema?.$ref) schema = document.components.schemas[schema.$ref.split('/').at(-1)];
    return schema ?? {};
  };
  const fields = (of, path) => {
    const schema = resolve(of);
    const types = [schema.type].flat();
    return [
      ...(types.includes('string') ? [path] : []),
      ...['oneOf', 'anyOf', 'allOf'].flatMap((some) => (schema[some] ?? []).flatMap((each) => fields(each, path))),
      ...(types.includes('array') ? fields(schema.items, `${path}[]`) : []),
      ...Object.entries(schema.properties ?? {}).flatMap(([name, each]) => fields(each, `${path}.${name}`)),
    ];
  };
  const found = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.values(methods).flatMap(({ requestBody }) => {
      const forms = Object.entries(requestBody?.content ?? {}).filter(([kind]) => kind !== 'application/x-ndjson');
      return forms.flatMap(([, { schema }]) => fields(schema, nounOf(path) ?? path));
    }));
  return [...new Set(found)].filter((field) => !planted.has(field) && !SPARED.has(field) && !IDS.test(field) && !BARE.test(field)).sort();
}

/** Registers all of it and runs it; gives the ids by name. */
export async function register({ api, ...rest }, provider) {
  const board = {
    ...rest,
    api: (method, path, body) => {
      note(nounOf(path), body);
      return api(method, path, body);
    },
  };
  const ids = new Map();
  for (const [at, name] of MODELS.entries()) {
    const { id } = await board.api('POST', '/models', {
      name,
      description: MARKDOWN,
      inference_uri: 'builtin:echo',
      provider: `<i>${'provider'.repeat(8)}</i>`,
      is_official: at === 0,
      open_weights: at < 2,
      input_price: 1,
      output_price: 2,
      license: SHORT,
      url: LINK,
      parameters: { system_prompt: TEXT, stop: [SHORT] },
    });
    await board.api('PATCH', `/models/${id}`, { description: MARKDOWN, reason: REASON });
    ids.set(name, id);
  }
  const { id: teller } = await board.api('POST', '/models', {
    name: `Teller ${SHORT}`,
    inference_uri: provider.uri(`${HOSTILE} ${TEXT.slice(0, 200)}`),
    provider: SHORT,
  });
  const { id: grader } = await board.api('POST', '/models', {
    name: 'A grader',
    inference_uri: provider.uri(`${HOSTILE}-grader`),
    is_active: false,
  });
  for (const name of EVALS) {
    const samples = ['a', 'b', 'c'].map((key) => ({ id: `<${key}>`, input: `${key} ${TEXT}`, target: key }));
    const { id } = await board.api('POST', '/evals', {
      name,
      description: MARKDOWN,
      category: 'Hostile & <b>bold</b>',
      tags: ['<i>tag</i>'],
      eval_type: 'includes',
      prompt: 'Say it: {{input}}',
      samples,
    });
    ids.set(name, id);
  }
  for (const [at, name] of SETS.entries()) {
    const form = new FormData();
    form.set('file', new Blob([at === 0 ? LINES : VALUES]), at === 0 ? '<b>&\u05d0.jsonl' : 'wide.csv');
    form.set('metadata', JSON.stringify({ name, description: MARKDOWN }));
    const { id } = await board.api('POST', '/training-sets', form);
    ids.set(name, id);
  }
  for (const more of [
    {
      eval_type: 'choice',
      samples: [{ id: `<c>${SHORT}`, input: TEXT, choices: [TEXT, MARKDOWN], target: 'A', cluster_id: SHORT }],
    },
    { eval_type: 'includes', samples: [{ input: TEXT, target: TEXT }, { input: MARKDOWN, target: [TEXT, SHORT] }] },
    { eval_type: 'includes', expected_behavior: TEXT, prompt: MARKDOWN },
    { eval_type: 'rubric', eval_criteria: JSON.stringify({ rubric: TEXT, grader }) },
    { eval_type: 'semantic', expected_behavior: TEXT, eval_criteria: { rubric: TEXT, grader } },
  ]) {
    const common = { name: `${more.eval_type} ${SHORT}`, category: SHORT, tags: [SHORT], description: MARKDOWN };
    const { id } = await board.api('POST', '/evals', { prompt: `${TEXT} {{input}}`, ...common, ...more });
    await board.api('PATCH', `/evals/${id}`, { description: TEXT, reason: REASON });
  }
  await plantFiles(board, teller);
  await board.api('POST', '/keys', { name: SHORT });
  await board.api('POST', '/schedules', { name: SHORT, cron: '0 3 1 1 *', run: { notes: MARKDOWN } });
  const { id: run } = await board.api('POST', '/runs', { only_missing: true, notes: MARKDOWN });
  await runsAreOver(board, { failures: true });
  await board.api('POST', `/runs/${run}/rescore`, { notes: TEXT });
  await runsAreOver(board, { failures: true });
  await plantVerdict(board, run);
  return ids;
}

/** What a person says of an answer of that run. */
async function plantVerdict(board, run) {
  const [{ id: result }] = (await board.api('GET', `/runs/${run}/results`)).filter(({ scored_count: count }) => count > 0);
  const [{ id, score }] = await board.api('GET', `/results/${result}/cases?state=scored&limit=1`);
  // A verdict that changes nothing is refused.
  await board.api('POST', `/cases/${id}/overrule`, { correct: score < 1, reason: REASON });
}

/** Artifacts and training sets whose files are elsewhere, and uploads that are asked for. */
async function plantFiles(board, model) {
  const file = { file_name: `${SHORT.replaceAll('/', '')}.bin`, content_type: TYPE };
  const artifact = { ...file, name: SHORT, version: SHORT, description: MARKDOWN, blob_url: LINK, artifact_type: 'weights' };
  const { id } = await board.api('POST', `/models/${model}/artifacts`, artifact);
  await board.api('PATCH', `/models/${model}/artifacts/${id}`, { description: TEXT });
  const form = new FormData();
  form.set('file', new Blob(['x']), `${SHORT.replaceAll('/', '')}.txt`);
  for (const [field, value] of Object.entries({ name: SHORT, artifact_type: 'logs', version: SHORT, description: TEXT })) {
    form.set(field, value);
  }
  form.set('metadata', JSON.stringify({ name: SHORT }));
  form.delete('name');
  await board.api('POST', `/models/${model}/artifacts`, form);
  await board.api('POST', '/training-sets', { ...file, file_name: `${file.file_name}.jsonl`, name: SHORT, description: TEXT, blob_url: LINK });
  await board.api('POST', `/models/${model}/artifacts/request-upload`, file);
  await board.api('POST', '/training-sets/request-upload', { ...file, file_name: `${file.file_name}.jsonl` });
}

/** The pages of everything that there is: of results and cases those of the newest runs, which met it all. */
export async function addresses({ api }) {
  const of = async (list, page) => (await api('GET', list)).map(({ id }) => `${page}/${id}`);
  const runs = await api('GET', '/runs?limit=2');
  const results = (await Promise.all(runs.map(({ id }) => api('GET', `/runs/${id}/results`)))).flat();
  const cases = (await Promise.all(results.slice(0, 40).map(({ id }) => api('GET', `/results/${id}/cases?limit=4`)))).flat();
  const judged = results.filter(({ overruled_count: count }) => count > 0);
  const overruled = (await Promise.all(judged.map(({ id }) => api('GET', `/results/${id}/cases?state=overruled`)))).flat();
  return [
    ...['/', '/costs', '/evals', '/runs', '/schedules', '/training-sets', '/ledger', '/docs'],
    ...(await of('/models', '/models')),
    ...(await of('/evals', '/evals')),
    ...(await of('/training-sets', '/training-sets')),
    ...runs.map(({ id }) => `/runs/${id}`),
    ...results.map(({ id }) => `/results/${id}`),
    ...cases.map(({ id }) => `/cases/${id}`),
    ...overruled.flatMap(({ id }) => [`/cases/${id}`, `/settings/cases/${id}`]),
  ];
}
