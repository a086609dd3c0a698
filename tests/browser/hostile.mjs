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

const TEXT = `</pre><script>${RUNS('text')}</script><svg onload='${RUNS('svg')}'> ${'long'.repeat(200)} {{input}}`;
const MARKDOWN = `[link](javascript:${RUNS('link')}) <b onclick='${RUNS('click')}'>bold</b> ${TEXT}`;

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
  await board.api('POST', '/runs', { only_missing: true, notes: MARKDOWN });
  await runsAreOver(board);
  return ids;
}
