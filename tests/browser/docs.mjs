// The reference's key field and its "try it".

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import * as hostile from './hostile.mjs';
import { moves, overflowing, watch, withPage } from './look.mjs';

const DESK = { viewport: { width: 1440, height: 900 } };
const STORED_AS = 'evalboard.key';

/** One route of the page: what its first form, or another one, is made of. */
function route(page, id, at = 0) {
  const call = page.locator(`#${id} .call`).nth(at);
  const named = (name) => call.getByRole('button', { name });
  return {
    call,
    curl: () => call.locator('figcaption + pre').textContent(),
    open: () => named('Try it').click(),
    copy: () => named('Copy').click(),
    // What is in the path comes before a parameter of the same name.
    input: (name) => call.locator(`[data-name=${name}]`).first(),
    body: call.locator('textarea'),
    file: call.locator('[type=file]'),
    send: call.locator('.send button'),
    status: call.locator('form [role=status]'),
    headers: call.locator('.answer dl'),
    answer: call.locator('.answer pre'),
  };
}

/** Sends, and gives the words once they match. */
async function sent({ send, status }, words) {
  await send.click();
  const there = status.filter({ hasText: words });
  await there.waitFor({ timeout: 10_000 }).catch(async () => assert.match(await status.innerText(), words));
  return status.innerText();
}

/** Everything that the page's requests carried, as text. */
function asked(page) {
  const all = [];
  page.on('request', (request) => all.push({ url: request.url(), key: request.headers().authorization }));
  return all;
}

/** `given()` has the browser, the board with its demo key, and what axe says of a page. */
export function docsTests(given) {
  describe('the reference', () => {
    /** A test on the page; what went wrong there fails it, but for the answers that it asks for. */
    const onDocs = (use, options = DESK) => () =>
      withPage(given().browser, options, async (page) => {
        const noticed = watch(page);
        await page.goto(`${given().board.origin}/docs`);
        await use(page, given());
        const wrong = noticed.filter((line) => !line.startsWith('response: 4'));
        assert.deepEqual(wrong, []);
      });

    test('reads without a key', onDocs(readsWithoutKey));
    test('keeps a key until it is forgotten', onDocs(keepsKey));
    test('tells another tab of the key', onDocs(tellsOtherTabs));
    test('writes with the key, and says so when there is none', onDocs(writes));
    test('says what is wrong before it sends', onDocs(refusesEarly));
    test('deletes at the second press only', onDocs(deletesAtSecondPress));
    test('sends lines and files', onDocs(sendsLinesAndFiles));
    test('shows what comes from outside as text', onDocs(showsText));
    test('says when there is no answer', onDocs(saysNoAnswer));
    test('shows the beginning of a long answer, and the size of what is no text', onDocs(showsBeginning));
    test('listens to events for a while', onDocs(listens));
    test('writes the commands that the server wrote', onDocs(writesSameCommands));
    test('fills in the commands, without the key', onDocs(fillsCommands));
    test('copies a command', onDocs(copies, { ...DESK, permissions: ['clipboard-read', 'clipboard-write'] }));
    test('selects a command where it may not copy', onDocs(selects));
    test('can be used by keyboard alone', onDocs(byKeyboard));
    test('does not move while it loads', onDocs(staysStill));
    test('has no dead controls without scripts', onDocs(withoutScripts, { ...DESK, javaScriptEnabled: false }));
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1440, 390]) {
        // The policy of the page would refuse axe itself.
        const options = { viewport: { width, height: 900 }, colorScheme, bypassCSP: true };
        test(`is accessible with an answer shown: ${width} px, ${colorScheme}`, onDocs(accessible, options));
      }
    }
  });
}

async function readsWithoutKey(page) {
  const requests = asked(page);
  const list = route(page, 'get-api-v1-models');
  await list.open();
  await list.input('limit').fill('2');
  assert.match(await sent(list, /^200/), /^200 OK, \d+ ms, [\d.]+ (bytes|KB)$/);
  assert.equal(JSON.parse(await list.answer.innerText()).length, 2);
  assert.match(await list.headers.innerText(), /ETag[^]+Link[^]+X-Total-Count/);
  assert.equal(requests.at(-1).key, undefined);
  assert.ok(requests.at(-1).url.endsWith('/api/v1/models?limit=2'));
}

async function listens(page, { board }) {
  const [{ id }] = await board.api('GET', '/runs?limit=1');
  const events = route(page, 'get-api-v1-runs-id-events');
  await events.open();
  await events.input('id').fill(id);
  await sent(events, /^200/);
  assert.match(await events.answer.innerText(), /event: progress/);
}

async function keepsKey(page, { board }) {
  const requests = asked(page);
  await page.getByLabel('Your API key').fill(board.key);
  await page.reload();
  assert.equal(await page.getByLabel('Your API key').inputValue(), board.key);
  const trigger = route(page, 'post-api-v1-runs');
  await trigger.open();
  // Nothing is missing on the demo's board, which only a known key is told.
  await sent(trigger, /^(202|400)/);
  assert.equal(requests.at(-1).key, `Bearer ${board.key}`);
  assert.ok(requests.every(({ url }) => !url.includes(board.key)));

  const shown = page.getByRole('button', { name: 'Show' });
  assert.equal(await page.locator('#key').getAttribute('type'), 'password');
  await shown.click();
  assert.equal(await page.locator('#key').getAttribute('type'), 'text');
  assert.equal(await shown.getAttribute('aria-pressed'), 'true');

  await page.getByRole('button', { name: 'Forget' }).click();
  assert.equal(await page.evaluate((name) => localStorage.getItem(name), STORED_AS), null);
  assert.equal(await page.locator('#key').inputValue(), '');
  const count = requests.length;
  await sent(trigger, /none is stored/);
  assert.equal(requests.length, count, 'nothing is sent without the key');
}

async function tellsOtherTabs(page, { board }) {
  const other = await page.context().newPage();
  await other.goto(`${board.origin}/docs`);
  await page.locator('#key').fill(board.key);
  await other.locator('.docs.keyed').waitFor({ state: 'attached' });
  assert.equal(await other.locator('#key').inputValue(), board.key);
}

async function writes(page, { board }) {
  const create = route(page, 'post-api-v1-models');
  await create.open();
  assert.ok(await create.call.getByRole('link', { name: 'type it once' }).isVisible());
  await sent(create, /needs a key/);
  await page.locator('#key').fill('has spaces');
  assert.match(await page.locator('#key-state').innerText(), /^Not stored/);
  await page.locator('#key').fill(`${board.key.slice(0, -1)}!`);
  await sent(create, /^401/);
  await page.locator('#key').fill(` ${board.key} `);
  await create.body.fill(JSON.stringify({ name: 'Made on the reference', inference_uri: 'builtin:echo' }));
  await sent(create, /^201/);
  const { id, name } = JSON.parse(await create.answer.innerText());
  assert.equal(name, 'Made on the reference');
  assert.ok((await create.headers.innerText()).includes(`/api/v1/models/${id}`), 'its location');
  await board.api('DELETE', `/models/${id}`);
}

async function refusesEarly(page, { board }) {
  const requests = asked(page);
  await page.locator('#key').fill(board.key);
  const count = requests.length;
  const edit = route(page, 'patch-api-v1-models-id');
  await edit.open();
  await sent(edit, /id is missing/);
  assert.equal(await edit.input('id').getAttribute('aria-invalid'), 'true');
  assert.ok(await edit.input('id').evaluate((input) => input === document.activeElement));
  await edit.input('id').fill('..');
  await sent(edit, /id cannot be \.\./);
  await edit.input('id').fill('some');
  await edit.body.fill('{"name": }');
  await sent(edit, /not JSON/);
  assert.equal(await edit.input('id').getAttribute('aria-invalid'), null);
  const lines = route(page, 'put-api-v1-evals-id-samples');
  await lines.open();
  await lines.input('id').fill('some');
  await lines.body.fill('{}\n\n{"input"}');
  await sent(lines, /Line 3 is not JSON/);
  const form = route(page, 'post-api-v1-training-sets', 1);
  await form.open();
  await sent(form, /No file is chosen/);
  assert.equal(requests.length, count);
}

async function deletesAtSecondPress(page, { board }) {
  const { id } = await board.api('POST', '/models', { name: 'To be deleted', inference_uri: 'builtin:echo' });
  await page.locator('#key').fill(board.key);
  const gone = route(page, 'delete-api-v1-models-id');
  await gone.open();
  await gone.input('id').fill(id);
  await gone.send.dblclick();
  await gone.status.filter({ hasText: 'press again' }).waitFor();
  assert.equal(await gone.send.innerText(), 'Really delete');
  await gone.input('id').fill('');
  assert.equal(await gone.send.innerText(), 'Delete', 'what changes has to be confirmed anew');
  await gone.input('id').fill(id);
  await sent(gone, /press again/);
  assert.equal((await board.api('GET', `/models/${id}`)).name, 'To be deleted');
  await sent(gone, /^200/);
  await assert.rejects(board.api('GET', `/models/${id}`), /404/);
}

async function sendsLinesAndFiles(page, { board }) {
  const { id } = await board.api('POST', '/evals', { name: 'Sums', eval_type: 'exact', prompt: '1 + 1?', expected_behavior: '2' });
  await page.locator('#key').fill(board.key);
  const lines = route(page, 'put-api-v1-evals-id-samples');
  await lines.open();
  await lines.input('id').fill(id);
  await sent(lines, /^200/);
  assert.equal(JSON.parse(await lines.answer.innerText()).sample_count, 2);
  await board.api('DELETE', `/evals/${id}`);

  const form = route(page, 'post-api-v1-training-sets', 1);
  await form.open();
  const file = { name: "it's a set.jsonl", mimeType: 'application/jsonl', buffer: Buffer.from('{"a": 1}\n') };
  await form.file.setInputFiles(file);
  assert.ok((await form.curl()).endsWith(`-F 'file=@"it'\\''s a set.jsonl"'`));
  await sent(form, /^201/);
  assert.equal(JSON.parse(await form.answer.innerText()).file_name, file.name);
}

async function showsText(page, { board, ids }) {
  const one = route(page, 'get-api-v1-models-id');
  await one.open();
  for (const name of hostile.MODELS) {
    await one.input('id').fill(ids.get(name));
    await sent(one, /^200/);
    assert.equal(JSON.parse(await one.answer.innerText()).name, name);
  }
  await one.input('id').fill(hostile.MODELS[1]);
  await sent(one, /^404/);
  assert.ok((await one.curl()).includes(`${board.origin}/api/v1/models/%22%3E%3Cimg`));
  assert.equal(await page.locator('.answer pre *:not(code)').count(), 0);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
}

async function saysNoAnswer(page) {
  await page.route('**/api/v1/status', (answer) => answer.abort('aborted'), { times: 1 });
  const state = route(page, 'get-api-v1-status');
  await state.open();
  await sent(state, /^No answer/);
  await sent(state, /^200/);
}

async function showsBeginning(page) {
  const state = route(page, 'get-api-v1-status');
  await state.open();
  const answers = (body, contentType) =>
    page.route('**/api/v1/status', (asked) => asked.fulfill({ body, contentType }), { times: 1 });
  await answers(JSON.stringify('é'.repeat(100_000)), 'application/json');
  assert.match(await sent(state, /^200/), /195\.3 KB$/);
  assert.equal((await state.answer.textContent()).length, 64 * 1024);
  assert.ok(await state.call.getByText('Only its first 64 KB are shown.').isVisible());
  await answers('x'.repeat(5 * 1024 * 1024), 'text/plain');
  await sent(state, /more than [\d.]+ MB$/);
  await answers(Buffer.from([0xff, 0xfe, 0]), 'image/png');
  await sent(state, /3 bytes$/);
  assert.ok(await state.call.getByText('Not text, and so not shown: image/png.').isVisible());
  assert.ok(await state.answer.isHidden());
}

async function writesSameCommands(page) {
  const calls = page.locator('.call');
  const commands = () => calls.locator('figcaption + pre').allTextContents();
  const written = await commands();
  assert.ok(written.length >= 30);
  for (const button of await calls.getByRole('button', { name: 'Try it' }).all()) await button.click();
  // As after a letter that was typed and taken away again.
  await calls.locator('form').evaluateAll((forms) => forms.forEach((form) => form.dispatchEvent(new Event('input'))));
  assert.deepEqual(await commands(), written);
}

async function fillsCommands(page, { board }) {
  await page.locator('#key').fill(board.key);
  const list = route(page, 'get-api-v1-models-id-results');
  await list.open();
  await list.input('id').fill("it's/me");
  await list.input('limit').fill('5');
  await list.input('cursor').fill('a&b');
  const url = `${board.origin}/api/v1/models/it%27s%2Fme/results?limit=5&cursor=a%26b`;
  assert.equal(await list.curl(), `curl '${url}'`);
  const create = route(page, 'post-api-v1-models');
  await create.open();
  await create.body.fill(`{"name": "it's"}`);
  assert.ok((await create.curl()).endsWith(`-d '{"name": "it'\\''s"}'`));
  await create.body.fill('');
  assert.ok((await create.curl()).endsWith('-H "Authorization: Bearer $KEY"'));
  assert.ok(!(await page.locator('main').innerText()).includes(board.key));
}

async function copies(page) {
  const create = route(page, 'post-api-v1-models');
  await create.copy();
  await create.call.getByText('Copied', { exact: true }).first().waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await create.curl());
}

async function selects(page) {
  // What a page that came over plain HTTP from elsewhere has.
  await page.evaluate(() => Object.defineProperty(navigator, 'clipboard', { value: undefined }));
  const create = route(page, 'post-api-v1-models');
  await create.copy();
  await create.call.getByText('Selected', { exact: true }).first().waitFor();
  assert.equal(await page.evaluate(() => getSelection().toString()), await create.curl());
}

async function byKeyboard(page) {
  const list = route(page, 'get-api-v1-models');
  const open = list.call.getByRole('button', { name: 'Try it' });
  await open.focus();
  await page.keyboard.press('Enter');
  assert.equal(await open.getAttribute('aria-expanded'), 'true');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.type('1');
  const focused = page.locator(':focus-visible');
  assert.equal(await focused.getAttribute('data-name'), 'limit');
  assert.notEqual(await focused.evaluate((input) => getComputedStyle(input).outlineStyle), 'none');
  await page.keyboard.press('Enter');
  await list.status.filter({ hasText: '200' }).waitFor();
  await open.click();
  assert.ok(await list.answer.isHidden());
}

async function staysStill(page) {
  await page.reload({ waitUntil: 'networkidle' });
  assert.deepEqual(await moves(page), []);
}

async function withoutScripts(page) {
  assert.equal(await page.locator('main :is(button, input, textarea, form):visible').count(), 0);
  assert.equal(await page.locator('.key').boundingBox(), null, 'nor is there a gap where one would be');
  assert.ok((await page.locator('.call pre:visible').count()) >= 30);
}

async function accessible(page, { violations, board }) {
  await page.locator('#key').fill(board.key);
  for (const [id, words] of [['get-api-v1-models', /^200/], ['delete-api-v1-models-id', /is missing/]]) {
    const { open, ...rest } = route(page, id);
    await open();
    await sent(rest, words);
  }
  await route(page, 'post-api-v1-training-sets', 1).open();
  assert.deepEqual(await violations(page), []);
  assert.deepEqual(await overflowing(page), []);
}
