// From the link that a new server prints to a first key, out and in again: without scripts, and by keyboard alone.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { start } from './board.mjs';
import { overflowing, watch, withPage } from './look.mjs';

const EMAIL = 'ada@example.org';
const PASSWORD = 'correct horse battery';
/** More than any of these pages has to tab to. */
const MOST_TABS = 60;

/** Tabs on until `target` has the focus. */
async function reach(page, target) {
  for (let pressed = 0; pressed < MOST_TABS; pressed += 1) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`${target} is not reached by Tab on ${page.url()}`);
}

/** Types each text into the field of that label, and sends the form with Enter. */
async function fill(page, fields) {
  for (const [label, text] of Object.entries(fields)) {
    await reach(page, page.getByLabel(label, { exact: true }));
    await page.keyboard.type(text);
  }
  await send(page);
}

/** Presses Enter, and waits for the page it leads to. */
async function send(page) {
  await Promise.all([page.waitForNavigation(), page.keyboard.press('Enter')]);
}

async function follow(page, target) {
  await reach(page, target);
  await send(page);
}

/** Adds the test; `site()` gives the browser, and `keep` keeps a page as images. */
export function entranceTests(site, { keep, violations }) {
  test('a first admin sets the board up, makes a key, signs out and in again, by keyboard and without scripts', async () => {
    const board = await start('serve');
    try {
      await withPage(site().browser, { viewport: { width: 390, height: 800 }, javaScriptEnabled: false }, async (page) => {
        const noticed = watch(page);
        await page.goto(`${board.origin}/`);
        await page.getByText('the server printed a link when it started', { exact: false }).waitFor();
        await page.goto(board.setup);
        await fill(page, { 'E-mail address': EMAIL, 'Password': PASSWORD, 'Password again': PASSWORD });
        assert.equal(new URL(page.url()).pathname, '/settings/api-keys');
        await fill(page, { Name: 'My first' });
        const key = await page.locator('.once code').innerText();
        const me = await fetch(`${board.origin}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } });
        assert.equal((await me.json()).role, 'admin');
        await follow(page, page.getByRole('link', { name: 'Handle', exact: true }));
        assert.equal(await page.getByLabel('Handle', { exact: true }).inputValue(), 'ada');
        assert.deepEqual(await overflowing(page), []);
        await keep(page, 'settings-handle');
        await page.setViewportSize({ width: 390, height: 800 });

        await follow(page, page.getByRole('button', { name: 'Sign out' }));
        assert.equal(new URL(page.url()).pathname, '/');
        await follow(page, page.getByRole('banner').getByRole('link', { name: 'Settings' }));
        assert.equal(new URL(page.url()).pathname, '/login');
        await fill(page, { 'E-mail address': EMAIL, 'Password': PASSWORD });
        assert.equal(new URL(page.url()).pathname, '/settings/api-keys');
        await page.getByRole('rowheader', { name: 'My first' }).waitFor();
        assert.equal(await page.getByText(key).count(), 0, 'a key is shown once');
        assert.deepEqual(noticed, []);
      });
      await withPage(site().browser, { viewport: { width: 390, height: 800 }, bypassCSP: true }, async (page) => {
        await page.goto(`${board.origin}/login`);
        await fill(page, { 'E-mail address': EMAIL, 'Password': PASSWORD });
        for (const colorScheme of ['light', 'dark']) {
          await page.emulateMedia({ colorScheme });
          for (const path of ['/settings/api-keys', '/settings/handle', '/settings/people', '/settings/training-sets', '/settings/password']) {
            await page.goto(`${board.origin}${path}`);
            assert.deepEqual(await violations(page), [], path);
          }
        }
      });
    } finally {
      await board.stop();
    }
  });
}
