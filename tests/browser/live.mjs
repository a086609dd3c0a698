// The page of a run while the run goes on: it follows by itself, and can be loaded again where nothing runs.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { watch, withPage } from './look.mjs';

const SAMPLES = 6;

/** Triggers a run whose answers the provider holds back; gives its id. */
async function slowRun(board, provider) {
  const models = [];
  for (const name of ['slow', 'limited']) {
    // A key of its own, so that neither takes the other's turn.
    const { id } = await board.api('POST', '/models', {
      name, inference_uri: provider.uri(name), api_key: `key-of-${name}`, max_concurrency: 2,
    });
    models.push(id);
  }
  const samples = Array.from({ length: SAMPLES }, (_, at) => ({ input: `say ${at}`, target: `say ${at}` }));
  const { id: evaluation } = await board.api('POST', '/evals', {
    name: 'Repeat slowly', eval_type: 'exact', prompt: '{{input}}', samples,
  });
  const { id } = await board.api('POST', '/runs', { model_ids: models, eval_ids: [evaluation], on_board: false });
  return id;
}

/** Adds the tests; `site()` gives the browser, the board and the provider once they are there. */
export function goesLive(site, { desk, withoutScripts, keep }) {
  test('the page of a run follows it to its end without being loaded again', async () => {
    const { browser, board, provider } = site();
    const id = await slowRun(board, provider);
    await withPage(browser, desk, async (page) => {
      const noticed = watch(page);
      await page.goto(`${board.origin}/runs/${id}`);
      await page.evaluate(() => (window.isSameDocument = true));
      const shows = (text) => page.getByText(text, { exact: false }).first().waitFor();
      await shows('0 of 12 cases');
      await page.locator('.now').waitFor();
      assert.equal(await page.getByRole('link', { name: 'Reload' }).count(), 0);
      await shows('Waiting for endpoints');
      await shows('one call in four seconds');
      await keep(page, 'run-live');
      const link = page.getByRole('rowheader', { name: 'slow' }).getByRole('link');
      await link.focus();

      provider.release(2);
      await shows('2 of 12 cases');
      assert.ok(await link.evaluate((element) => element === document.activeElement), 'the focus stays');
      assert.equal(await page.locator('#progress').getAttribute('aria-label'), '16 percent done');

      provider.release(100);
      await shows('12 of 12 cases');
      await page.getByText('completed').first().waitFor();
      assert.equal(await page.locator('.now').count(), 0);
      const heads = await page.locator('#lines thead th').count();
      assert.equal(await page.locator('#lines tbody tr').first().locator('th, td').count(), heads);
      assert.equal(await page.getByText('Waiting for endpoints').count(), 0);
      assert.ok(await page.evaluate(() => window.isSameDocument), 'it was never loaded again');
      assert.deepEqual(noticed, []);
    });
  });

  test('the page of a run is loaded again by a link where no script runs', async () => {
    const { browser, board, provider } = site();
    provider.release(100);
    const { id } = await board.api('POST', '/runs', { max_samples: 1 });
    await withPage(browser, withoutScripts, async (page) => {
      await page.goto(`${board.origin}/runs/${id}`);
      const again = page.getByRole('link', { name: 'Reload' });
      for (const end = Date.now() + 60_000; (await again.count()) > 0 && Date.now() < end;) await again.click();
      await page.getByText('completed').first().waitFor();
    });
  });
}
