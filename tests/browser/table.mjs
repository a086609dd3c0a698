// The table of the board where it is wide: what stays in place covers nothing, and nothing is lost on paper.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { runsAreOver, start } from './board.mjs';
import { withPage } from './look.mjs';

/** Evals of a board that scrolls sideways at 1440 px. */
const EVALS = 12;
/** Width of a sheet of paper on its side, in pixels. */
const PAPER = { width: 1100, height: 780 };
/** What a link may be covered by its neighbours' rounding, in pixels. */
const HAIR = 1;

/** Adds evals to a board of the demo until it has `EVALS`, and measures its models on them. */
async function widen(board) {
  await runsAreOver(board);
  const held = await board.api('GET', '/evals?limit=100');
  for (let at = held.length; at < EVALS; at += 1) {
    const samples = Array.from({ length: 4 }, (_, of) => ({ input: `say ${of}`, target: `say ${of}` }));
    await board.api('POST', '/evals', { name: `Repetition ${at}`, eval_type: 'exact', prompt: '{{input}}', samples });
  }
  await board.api('POST', '/runs', {});
  await runsAreOver(board);
}

/** Presses Tab through all of `within`; gives what of each focused element is covered or cut off, as complaints. */
async function covered(page, within) {
  const wrong = [];
  const count = await page.locator(`${within} a`).count();
  await page.locator(within).focus();
  for (let at = 0; at < count; at += 1) {
    await page.keyboard.press('Tab');
    const said = await page.evaluate(([within, hair]) => {
      const link = document.activeElement;
      if (!link.closest(within)) return `the focus left ${within} at ${link.outerHTML.slice(0, 80)}`;
      const box = link.getBoundingClientRect();
      const corners = [[box.left + hair, box.top + hair], [box.right - hair, box.bottom - hair],
        [box.left + hair, box.bottom - hair], [box.right - hair, box.top + hair]];
      const isSeen = corners.every(([x, y]) => {
        const top = document.elementFromPoint(x, y);
        // What rounds a link's corner off is its own cell.
        return top && (link.contains(top) || top === link.closest('th, td'));
      });
      return isSeen ? '' : `${link.textContent} at ${Math.round(box.left)}, ${Math.round(box.top)} is covered`;
    }, [within, HAIR + 1]);
    if (said) wrong.push(said);
  }
  return { wrong, count };
}

/** Adds the tests; `site()` gives the browser once it is there. */
export function tableTests(site, { desk, withoutScripts }) {
  describe('a board with twelve evals', () => {
    let board;
    before(async () => {
      board = await start('demo');
      await widen(board);
    });
    after(() => board?.stop());

    const onBoard = (use, options = desk, query = '') => () =>
      withPage(site().browser, options, async (page) => {
        await page.goto(`${board.origin}/${query}`);
        await use(page);
      });
    const isWide = async (page) => {
      const heads = await page.locator('.board thead th:has(.name)').count();
      assert.ok(heads >= EVALS, `${heads} evals`);
      const hidden = await page.locator('.scroll.board').evaluate((box) => box.scrollWidth - box.clientWidth);
      assert.ok(hidden > 0, 'the table scrolls sideways');
    };

    test('never hides what has the focus below what stays', onBoard(async (page) => {
      await isWide(page);
      const { wrong, count } = await covered(page, '.scroll.board');
      assert.ok(count > 100, `${count} links`);
      assert.deepEqual(wrong, []);
      // Back again: what comes into view then comes from the other side.
      const back = [];
      for (let at = 1; at < count; at += 1) {
        await page.keyboard.press('Shift+Tab');
        const left = await page.evaluate(() => {
          const cell = document.activeElement.closest('th, td');
          const box = document.activeElement.getBoundingClientRect();
          const stays = cell.parentElement.cells[1];
          return cell.cellIndex > 1 ? box.left - stays.getBoundingClientRect().right : 0;
        });
        if (left < -HAIR) back.push(`${await page.evaluate(() => document.activeElement.textContent)}: ${left}`);
      }
      assert.deepEqual(back, []);
    }));

    test('is skipped to by its link, past filters and heads', onBoard(async (page) => {
      const skip = page.getByRole('link', { name: 'Skip to the rows' });
      await skip.focus();
      assert.ok((await skip.boundingBox()).x >= 0, 'it is seen once it has the focus');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      const name = page.locator('.board tbody th[scope=row] a').first();
      assert.ok(await name.evaluate((link) => link === document.activeElement), 'the next is the first row');
    }));

    test('shows ranks of three digits whole', onBoard(async (page) => {
      // A board of hundreds of models, but for the models: only the ranks are as long as there. It is scrolled, so that
      // the names stand where they stay.
      for (const [ranks, kind] of [['98–99', ''], ['118–243', 'of-hundreds'], ['1018–2043', 'of-thousands']]) {
        const cut = await page.locator('.scroll.board').evaluate((box, [ranks, kind]) => {
          if (kind) box.classList.add(kind);
          const cells = [...box.querySelectorAll('tbody tr:not(.line) > td:first-child')];
          for (const cell of cells) cell.textContent = ranks;
          box.scrollLeft = box.scrollWidth;
          return cells.flatMap((cell) => {
            const text = document.createRange();
            text.selectNodeContents(cell);
            const [written, name] = [text.getBoundingClientRect(), cell.nextElementSibling.getBoundingClientRect()];
            return written.right > name.left || written.left < box.getBoundingClientRect().left
              ? [`${ranks} ends at ${written.right}, the names begin at ${name.left}`] : [];
          });
        }, [ranks, kind]);
        assert.deepEqual(cut, []);
      }
    }));

    test('keeps every row and column on paper', onBoard(async (page) => {
      const shape = () => page.evaluate(() => {
        const seen = (cell) => cell.getClientRects().length > 0 && getComputedStyle(cell).visibility === 'visible';
        return [...document.querySelectorAll('.scroll.board tr')].map((row) => [...row.cells].filter(seen).length);
      });
      const onScreen = await shape();
      await page.emulateMedia({ media: 'print' });
      assert.deepEqual(await shape(), onScreen);
      const { hidden, right, bottom } = await page.locator('.scroll.board').evaluate((box) => {
        const [table, page] = [box.querySelector('table').getBoundingClientRect(), document.documentElement];
        return {
          hidden: ['overflowX', 'overflowY'].filter((way) => getComputedStyle(box)[way] !== 'visible'),
          right: table.right - page.clientWidth,
          bottom: table.bottom - page.getBoundingClientRect().bottom,
        };
      });
      assert.deepEqual(hidden, [], 'nothing is cut off or scrolls');
      assert.ok(right <= HAIR, `the table is ${right} px wider than the sheet`);
      assert.ok(bottom <= HAIR, `the table is ${bottom} px longer than the page`);
      assert.ok((await page.pdf({ preferCSSPageSize: true })).length > 10_000);
    }, { viewport: PAPER }));

    test('stays where it was scrolled to when it is sorted', onBoard(async (page) => {
      await isWide(page);
      const box = page.locator('.scroll.board');
      const before = await box.evaluate((box) => {
        // Not to its end, which moves with the arrow of what it is sorted by.
        box.scrollLeft = 150;
        return box.scrollLeft;
      });
      assert.equal(before, 150);
      await page.locator('.board thead .by').last().click();
      await page.locator('.board thead th[aria-sort] .by').waitFor();
      assert.equal(await box.evaluate((box) => box.scrollLeft), before);
    }));

    test('keeps the columns open while they are chosen', onBoard(async (page) => {
      const columns = page.getByRole('navigation', { name: 'Columns' });
      await page.getByText('Columns', { exact: true }).click();
      await columns.getByRole('link', { name: 'Show Win rate' }).click();
      await columns.getByRole('link', { name: 'Hide Win rate' }).click();
      await columns.getByRole('link', { name: 'Show Win rate' }).waitFor();
      assert.equal(new URL(page.url()).search, '', 'these are the usual columns again');
    }));

    test('has its panels without scripts too', onBoard(async (page) => {
      for (const panel of ['columns', 'past', 'weights']) {
        const details = page.locator(`.filters details.${panel}`);
        const inner = details.locator(':scope > :not(summary)').first();
        assert.equal(await inner.isVisible(), false, panel);
        await details.locator('summary').click();
        assert.ok(await inner.isVisible(), panel);
      }
    }, withoutScripts));
  });
}
