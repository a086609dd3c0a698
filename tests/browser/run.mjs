// The pages in a real browser. `make browser` runs it; EVALBOARD_BIN names the binary, CHROMIUM the browser.

import assert from 'node:assert/strict';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';

import { runsAreOver, start } from './board.mjs';
import { broken, crawl, soundness } from './crawl.mjs';
import { docsTests } from './docs.mjs';
import { entranceTests } from './entrance.mjs';
import * as hostile from './hostile.mjs';
import { goesLive } from './live.mjs';
import { launch, moves, overflowing, read, watch, withPage } from './look.mjs';
import * as providers from './provider.mjs';
import { tableTests } from './table.mjs';

const SCREENSHOTS = new URL('screenshots/', import.meta.url);
const WIDTHS = [1440, 820, 390];
const SCHEMES = ['light', 'dark'];
/** Also what WCAG 2.2 asks for and axe leaves out unless told. */
const AXE_OPTIONS = { rules: { 'target-size': { enabled: true } }, resultTypes: ['violations'] };
const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

const DESK = { viewport: { width: 1440, height: 900 } };
const WITHOUT_SCRIPTS = { ...DESK, javaScriptEnabled: false };

let browser;
let board;
let empty;
let provider;
let ids;
let site;
/** What the browser of the demo's admin holds once he has signed in. */
let person;
/** What is looked at in every width and scheme: name and address. */
let pages;

before(async () => {
  browser = await launch();
  await rm(SCREENSHOTS, { recursive: true, force: true });
  await mkdir(SCREENSHOTS);
  provider = await providers.start();
  [board, empty] = await Promise.all([start('demo', provider.host), start('serve')]);
  await runsAreOver(board);
  await keepPicture();
  ids = await hostile.register(board, provider);
  person = await withPage(browser, DESK, signIn);
  site = await crawl(browser, board.origin, ['/', '/docs', ...(await hostileLinks())]);
  pages = [
    ...site.pages.filter((page) => page.isTypical),
    { name: 'error-404', address: `${board.origin}/nothing/here`, status: 404 },
    { name: 'error-400', address: `${board.origin}/?sort=luck`, status: 400 },
    { name: 'board-nobody', address: `${board.origin}/?q=nobody+is+called+so` },
    { name: 'start', address: `${empty.origin}/` },
    { name: 'compare-none', address: `${empty.origin}/compare` },
    { name: 'compare-nobody', address: `${board.origin}/compare?a=nobody&b=nothing`, status: 400 },
    { name: 'training-sets-none', address: `${empty.origin}/training-sets` },
  ];
});

after(async () => {
  await browser?.close();
  await Promise.all([board?.stop(), empty?.stop()]);
  provider?.stop();
});

/** The board of the demo as it is at first: the picture in the README. */
async function keepPicture() {
  await withPage(browser, { viewport: { width: 1440, height: 900 }, deviceScaleFactor: 1 }, async (page) => {
    await page.goto(board.origin);
    for (const scheme of SCHEMES) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.screenshot({ path: new URL(`picture.${scheme}.png`, SCREENSHOTS).pathname });
    }
  });
}

/** Where the board leads to from hostile names, so that those pages are among the ones opened. */
async function hostileLinks() {
  return withPage(browser, DESK, async (page) => {
    await page.goto(board.origin);
    const paths = await page.locator('th a:has(bdi)').evaluateAll((links) => links.map((link) => link.pathname));
    return paths.filter((path) => [...ids.values()].some((id) => path.endsWith(`/${id}`)));
  });
}

/** Sets the demo's admin up in a browser, by the link that the server printed; answers what it holds then. */
async function signIn(page) {
  const { email } = await board.api('GET', '/me');
  await page.goto(board.setup);
  await page.getByLabel('E-mail').fill(email);
  for (const field of await page.locator('input[type=password]').all()) await field.fill('correct horse battery');
  await page.locator('main form button').click();
  await page.waitForURL('**/settings/api-keys');
  return page.context().storageState();
}

/** Every complaint is shown, not only the first. */
function assertNone(complaints) {
  assert.equal(complaints.length, 0, `\n${complaints.join('\n')}`);
}

describe('every page', () => {
  test('renders, and nothing is refused, missing or told to the console', () => {
    assert.ok(site.pages.length >= 2);
    assertNone(site.wrong);
  });

  test('leads only to what is there', async (t) => {
    const { dead, spared } = await broken(site.links);
    t.diagnostic(`${site.pages.length} pages opened, ${site.links.size} links, ${spared} of them not asked for`);
    assertNone(dead);
  });

  test('that tells of an error, or of nothing, is a page too', async () => {
    for (const { address, status = 200 } of pages.filter((page) => !site.pages.includes(page))) {
      await withPage(browser, DESK, async (page) => {
        const noticed = watch(page);
        const answer = await page.goto(address);
        assert.equal(answer.status(), status, address);
        assertNone([...soundness(await read(page)), ...noticed]);
      });
    }
  });

  for (const scheme of SCHEMES) {
    for (const width of WIDTHS) {
      test(`is kept as an image: ${width} px, ${scheme}`, async () => {
        await everyPage({ width, scheme }, (page, { name }) => keep(page, name, width, scheme));
      });
    }
    for (const width of [1440, 390]) {
      test(`is accessible to axe: ${width} px, ${scheme}`, async () => {
        // The policy of the page would refuse axe itself; no other check goes round it.
        assertNone(await everyPage({ width, scheme, bypassCSP: true }, violations));
      });
    }
  }

  for (const width of [1440, 390]) {
    test(`stays where it is while it loads: ${width} px`, async () => {
      assertNone(await everyPage({ width }, async (page) => (await moves(page)).map((by) => `it moved by ${by}`)));
    });
  }

  test('does not scroll sideways on a phone', async () => {
    assertNone(await everyPage({ width: 390 }, overflowing));
  });
});

async function keep(page, name, width, scheme) {
  const path = new URL(`${name}.${width}.${scheme}.png`, SCREENSHOTS).pathname;
  await page.screenshot({ path, fullPage: true });
}

/** The page as it is now, in every width and scheme. */
async function keepAll(page, name) {
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      await keep(page, name, width, scheme);
    }
  }
}

/** What `look` finds on each page: every complaint once, with the pages it is about. */
async function everyPage({ width, scheme = 'light', ...more }, look) {
  const options = { viewport: { width, height: 900 }, colorScheme: scheme, ...more };
  return withPage(browser, options, async (page) => {
    const found = new Map();
    for (const each of pages) {
      await page.goto(each.address);
      for (const complaint of (await look(page, each)) ?? []) {
        found.set(complaint, [...(found.get(complaint) ?? []), each.name]);
      }
    }
    return [...found].map(([complaint, names]) => `${complaint}\n    on ${names.join(', ')}`);
  });
}

async function violations(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate((options) => window.axe.run(document, options), AXE_OPTIONS);
  return violations.map(({ id, nodes: [first, ...more] }) => {
    const fix = first.failureSummary.replace(/\s*\n\s*/g, ' ');
    return `${id}: ${first.target.join(' ')} and ${more.length} more\n    ${fix}`;
  });
}

for (const [how, options] of [['with scripts', DESK], ['without scripts', WITHOUT_SCRIPTS]]) {
  describe(`the board ${how}`, () => {
    const onBoard = (use) => () =>
      withPage(browser, options, async (page) => {
        await page.goto(board.origin);
        await use(page);
      });

    test('is sorted by any head, and turned round by it', onBoard(sortsByEveryHead));
    test('hides rows, says how many, and brings them back', onBoard(filtersAndClears));
    test('shows and hides columns', onBoard(choosesColumns));
    test('goes back to a day', onBoard(goesBack));
    test('says what happened where there is nothing', async () => {
      await withPage(browser, options, async (page) => {
        await page.goto(`${board.origin}/nothing/here`);
        await page.getByRole('link', { name: 'Back to the leaderboard' }).click();
        assert.equal(page.url(), `${board.origin}/`);
      });
    });
  });
}

for (const [how, options] of [['with scripts', DESK], ['without scripts', WITHOUT_SCRIPTS]]) {
  describe(`a file from the browser ${how}`, () => {
    const send = (file, then) => () =>
      withPage(browser, { ...options, storageState: person }, async (page) => {
        await page.goto(`${board.origin}/settings/training-sets`);
        await page.getByLabel('Name').fill('From a browser');
        await page.getByLabel('File').setInputFiles({ mimeType: 'text/csv', ...file });
        await page.getByRole('button', { name: 'Add it' }).click();
        await then(page);
      });
    const buffer = Buffer.from(`a,b\n${'1,2\n'.repeat(500_000)}`);

    test('becomes a training set', send({ name: 'sums.csv', buffer }, async (page) => {
      await page.waitForURL('**/training-sets/*');
      assert.match(await page.locator('.lede').innerText(), /From a browser[^]*500,001 lines/);
    }));
    test('is refused in words where it is none', send({ name: 'sums.jsonl', buffer }, async (page) => {
      await page.getByText('line 1 is no JSON').waitFor();
      assert.equal(new URL(page.url()).pathname, '/settings/training-sets');
    }));
  });
}

test('a file on its way shows how much was sent, and can be stopped', async () => {
  await withPage(browser, { ...DESK, storageState: person }, async (page) => {
    // No faster than a slow line, or there is nothing to see.
    const network = await page.context().newCDPSession(page);
    await network.send('Network.emulateNetworkConditions', {
      offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 200_000,
    });
    await page.goto(`${board.origin}/settings/training-sets`);
    await page.getByLabel('Name').fill('Stopped');
    await page.getByLabel('File').setInputFiles({ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.alloc(3_000_000, 'a') });
    await page.getByRole('button', { name: 'Add it' }).click();
    await page.getByText(/ of 3\.0 MB/).waitFor();
    await keepAll(page, 'upload');
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped; nothing was added.').waitFor();
    assert.ok(!(await board.api('GET', '/training-sets')).some(({ name }) => name === 'Stopped'));
  });
});

test('the board is sorted on a phone too, where it has no heads', async () => {
  await withPage(browser, { viewport: { width: 390, height: 800 } }, async (page) => {
    await page.goto(board.origin);
    await page.getByText('Sorted by Score, descending').click();
    await page.getByRole('navigation', { name: 'Sort by' }).getByRole('link', { name: 'Model' }).click();
    assert.equal(new URL(page.url()).searchParams.get('sort'), 'model');
    await page.getByText('Sorted by Model, ascending').waitFor();
  });
});

async function sortsByEveryHead(page) {
  const heads = page.locator('thead th');
  const count = await heads.count();
  let sorted = 0;
  for (let at = 0; at < count; at += 1) {
    // The head of an eval leads to the eval first.
    const sorter = heads.nth(at).locator('a').last();
    if ((await sorter.count()) === 0) continue;
    sorted += 1;
    const ways = [];
    for (const _ of ['once', 'again']) {
      await sorter.click();
      assert.deepEqual(await sortedHeads(page), [at], 'aria-sort is on the head that was clicked alone');
      ways.push(await heads.nth(at).getAttribute('aria-sort'));
    }
    assert.deepEqual(ways.sort(), ['ascending', 'descending']);
  }
  assert.ok(sorted >= 7, `${sorted} heads sort`);
  await page.goto(`${board.origin}/?sort=model`);
  const names = (await page.locator('tbody:not(.below) th a bdi').allTextContents()).map((name) => name.toLowerCase());
  assert.deepEqual(names, [...names].sort());
}

/** Positions of the heads that say they are sorted by. */
function sortedHeads(page) {
  return page.locator('thead th').evaluateAll((heads) =>
    heads.flatMap((head, at) => (head.hasAttribute('aria-sort') ? [at] : [])));
}

async function filtersAndClears(page) {
  const rows = page.locator('.board tbody th[scope=row]');
  const all = await rows.count();
  const narrowings = [
    () => page.getByRole('link', { name: 'Official', exact: true }).click(),
    () => page.getByRole('link', { name: 'Open weights', exact: true }).click(),
    async () => {
      await page.getByRole('searchbox').fill('echo');
      await page.getByRole('button', { name: 'Show' }).click();
    },
  ];
  for (const narrow of narrowings) {
    await narrow();
    const shown = await rows.count();
    assert.ok(shown > 0 && shown < all, `${shown} of ${all}`);
    assert.equal(await page.getByRole('status').innerText(), `${all - shown} of ${all} models hidden · Clear filters`);
    await page.getByRole('link', { name: 'Clear filters' }).click();
    assert.equal(await rows.count(), all);
    assert.equal(await page.getByRole('status').count(), 0);
  }
  // A category is another board, not a filter: it changes the columns.
  const columns = await page.locator('.board thead th').count();
  await page.getByRole('combobox').selectOption('Mathematics');
  await page.getByRole('button', { name: 'Show' }).click();
  assert.ok((await page.locator('.board thead th').count()) < columns);
}

async function choosesColumns(page) {
  const heads = page.locator('.board thead th');
  const usual = await heads.count();
  const choose = async (name) => {
    // It stays open once a column was chosen, with scripts as they are run.
    await page.waitForLoadState('domcontentloaded');
    const isOpen = await page.locator('details.columns').evaluate((panel) => panel.open);
    if (!isOpen) await page.getByText('Columns', { exact: true }).click();
    await page.getByRole('navigation', { name: 'Columns' }).getByRole('link', { name, exact: true }).click();
  };
  await choose('Hide Errors');
  assert.equal(await heads.count(), usual - 1);
  assert.equal(await page.getByRole('status').innerText(), '1 column hidden, show all');
  await choose('Show Win rate');
  assert.equal(await heads.count(), usual);
  await page.getByRole('link', { name: 'show all' }).click();
  assert.equal(await heads.count(), usual + 1);
  await choose('Hide Win rate');
  assert.equal(page.url(), `${board.origin}/`);
}

async function goesBack(page) {
  await page.getByText('History', { exact: true }).click();
  const form = page.getByRole('form', { name: 'The board of a past day' });
  await form.getByLabel('End of day').fill('2020-02-29');
  await form.getByRole('button').click();
  assert.equal(new URL(page.url()).search, '?as_of=2020-02-29');
  assert.match(await page.getByRole('status').first().innerText(), /^The board as of 2020-02-29 23:59 UTC/);
  await page.getByRole('link', { name: 'Back to now' }).click();
  assert.ok((await page.locator('.board tbody th[scope=row]').count()) > 0);
}

describe('a run under way', () => {
  goesLive(() => ({ browser, board, provider }), { desk: DESK, withoutScripts: WITHOUT_SCRIPTS, keep: keepAll });
});
tableTests(() => ({ browser }), { desk: DESK, withoutScripts: WITHOUT_SCRIPTS });
docsTests(() => ({ browser, board, ids, violations }));
entranceTests(() => ({ browser }), { keep: keepAll, violations });

describe('what comes from outside', () => {
  test('was planted in every text field that the document has', async () => {
    assertNone(hostile.missed(await board.api('GET', '/openapi.json')));
  });

  test('runs on no page of anything, signed in or not', async (t) => {
    await withPage(browser, { ...DESK, storageState: person }, async (page) => {
      const addresses = await hostile.addresses(board);
      const noticed = watch(page);
      const wrong = [];
      for (const path of [...addresses, '/settings/api-keys', '/settings/people', '/settings/password', '/settings/training-sets']) {
        const answer = await page.goto(board.origin + path);
        if (answer.status() !== 200) wrong.push(`${path}: ${answer.status()}`);
        const { hacked } = await read(page);
        // Chromium tells of what it kept from running, too.
        const told = noticed.splice(0).filter((line) => /Content Security|script/.test(line));
        if (hacked !== undefined || told.length) wrong.push(`${path}: ${hacked} ${told.join()}`);
      }
      t.diagnostic(`${addresses.length} addresses`);
      assert.ok(addresses.length > 60, `${addresses.length} addresses`);
      assert.ok((await page.goto(`${board.origin}/settings/api-keys`)) && (await page.getByText('onerror=').count()));
      assertNone(wrong);
    });
  });

  test('is shown as the text it is', async () => {
    await withPage(browser, DESK, async (page) => {
      await page.goto(board.origin);
      const shown = await page.locator('bdi').allTextContents();
      assertNone([...hostile.MODELS, ...hostile.EVALS].filter((name) => !shown.includes(name)));
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      assert.equal(await page.locator('main script, main img, main i i').count(), 0);
    });
  });
});

test('the checks notice what they look for', async () => {
  await withPage(browser, DESK, async (page) => {
    const noticed = watch(page);
    await page.goto(board.origin);
    await page.evaluate(() => {
      document.querySelector('main').insertAdjacentHTML('beforeend', '<p style="width: 9000px">wide</p>');
      const script = document.createElement('script');
      script.textContent = 'window.hacked = true';
      document.body.append(script);
      return fetch('/api/v1/nothing');
    });
    assert.equal(noticed.filter((line) => line.includes('Content Security Policy')).length, 2, noticed.join('\n'));
    assert.ok(noticed.some((line) => line.startsWith('response: 404')));
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.deepEqual(await overflowing(page), []);
    await page.locator('h1').evaluate((heading) => heading.style.setProperty('min-width', '9000px'));
    assert.match((await overflowing(page)).join(), /> h1/);
  });
});
