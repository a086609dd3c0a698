// Names and texts that would break a page which trusted them. They set `window.hacked` if they run.

import { runsAreOver } from './board.mjs';

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
const MARKDOWN = `[link](javascript:${RUNS('link')}) <b onclick='${RUNS('click')}'>bold</b> ${TEXT}`;

/** A file whose keys and values are of that kind, one line no JSON, and the last longer than any preview. */
const LINES = [
  JSON.stringify({ [TEXT]: MARKDOWN, '\u202eright to left': '\u202eright to left', '': null }),
  MARKDOWN,
  JSON.stringify({ nested: [{ [MARKDOWN]: TEXT }], number: -1.5, lines: 'one\n\ntwo\n'.repeat(9) }),
  TEXT.repeat(20),
].join('\n');
/** Many columns, of which most rows have fewer and one has more. */
const VALUES = [...Array(150).keys()].map((at) => `"${MARKDOWN.replaceAll('"', '""').slice(0, 40)} ${at}"`).join() +
  `\n1,"two\nlines",${TEXT.slice(0, 60)}\n${','.repeat(200)}\n`;

/** Registers all of it and runs it; gives the ids by name. */
export async function register(board) {
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
    });
    ids.set(name, id);
  }
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
  await board.api('POST', '/runs', { only_missing: true, notes: MARKDOWN });
  await runsAreOver(board);
  return ids;
}
