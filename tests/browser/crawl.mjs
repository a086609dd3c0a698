// Follows the links of the site as a visitor would, a few pages of every shape.

import { read, watch, withPage } from './look.mjs';

/** Pages that are opened of one shape, such as `/models/:id`; the rest only has to answer. */
const PER_SHAPE = 3;
/** Of those, pages of one path that are looked at closely: without a query, and with any. */
const TYPICAL_PER_PATH = { plain: 2, asked: 1 };
/** Addresses of one shape that are asked for, without a query and with any: those are combinations of a few links. */
const ASKED_PER_SHAPE = { plain: 200, asked: 8 };

/** `/models/:id?sort`: what an address looks like without what varies. */
export function shape(address) {
  const { pathname, searchParams } = new URL(address);
  const path = pathname.split('/').map((segment, at) => (at > 1 && at % 2 === 0 ? ':id' : segment));
  const names = [...new Set(searchParams.keys())].sort();
  return path.join('/') + (names.length ? `?${names.join('&')}` : '');
}

/** `models-id-2`, for a file. */
function name(kind, count) {
  return `${kind.replace(/^\/(?=\?|$)/, 'board').replace(/\W+/g, '-').replace(/^-/, '')}-${count}`;
}

/** What is below `/docs` is text, as the repository has it. */
const isPage = (url) => !/^\/(api|static|files|preview|docs)\/|\.xml$/.test(url.pathname);

/**
 * Opens what can be reached from `starts` (paths).
 * Gives the pages (`isTypical`: worth a closer look), every address with the page that first led to it, and what was wrong.
 */
export async function crawl(browser, origin, starts) {
  const pages = [];
  const wrong = [];
  const links = new Map(starts.map((path) => [origin + path, 'the tests']));
  const opened = new Map();
  const typical = new Map();
  await withPage(browser, { viewport: { width: 1440, height: 900 } }, async (page) => {
    const noticed = watch(page);
    // A map may grow while it is walked through.
    for (const address of links.keys()) {
      const kind = shape(address);
      const count = (opened.get(kind) ?? 0) + 1;
      if (!isPage(new URL(address)) || count > PER_SHAPE) continue;
      opened.set(kind, count);
      const answer = await page.goto(address);
      // It is told as a link that leads nowhere.
      if (answer.status() >= 400) continue;
      const seen = await read(page);
      const [path, query] = kind.split('?');
      const which = query ? 'asked' : 'plain';
      const like = (typical.get(path + which) ?? 0) + 1;
      typical.set(path + which, like);
      pages.push({ address, name: name(kind, count), isTypical: like <= TYPICAL_PER_PATH[which] });
      for (const link of [...seen.links, seen.picture ?? '']) {
        if (link.startsWith(`${origin}/`) && !links.has(link)) links.set(link, address);
      }
      const complaints = [...soundness(seen), ...noticed.splice(0)];
      if (!seen.picture) complaints.push('it names no picture for where it is posted');
      wrong.push(...complaints.map((complaint) => `${address}: ${complaint}`));
    }
  });
  return { pages, links, wrong };
}

/** What is wrong with a page that `read` read. */
export function soundness({ title, headings, missingParts, hacked }) {
  return [
    !title && 'it has no title',
    (headings.length !== 1 || !headings[0]) && `it has not one h1 but ${JSON.stringify(headings)}`,
    missingParts.length && `it leads to parts it does not have: ${missingParts.join(', ')}`,
    hacked !== undefined && `outside text ran: ${hacked}`,
  ].filter(Boolean);
}

/** The links that lead nowhere, a line for each shape; and how many were not asked for. */
export async function broken(links) {
  const asked = new Map();
  const dead = new Map();
  let spared = 0;
  for (const [address, from] of links) {
    const kind = shape(address);
    asked.set(kind, (asked.get(kind) ?? 0) + 1);
    if (asked.get(kind) > ASKED_PER_SHAPE[kind.includes('?') ? 'asked' : 'plain']) {
      spared += 1;
      continue;
    }
    const answer = await fetch(address, { headers: { accept: 'text/html, */*' } });
    await answer.body?.cancel();
    if (answer.status >= 400) dead.set(kind, [...(dead.get(kind) ?? []), `${answer.status} ${address} on ${from}`]);
  }
  return { spared, dead: [...dead].map(([kind, those]) => `${kind}: ${those.length}, such as ${those[0]}`) };
}
