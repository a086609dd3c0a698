// A browser, and what there is to notice on a page.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

/** Until something is on a page, of a debug build on a busy machine. */
const PATIENCE_MS = 90_000;
/**
 * A move that nobody sees: a tenth of what is called good for a page as a whole (cumulative layout shift). On a busy
 * machine a page is painted before its last elements were read, and those beside them move by a little.
 */
const UNSEEN_MOVE = 0.01;
const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

export async function launch() {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(`there is no ${EXECUTABLE}: install chromium or set CHROMIUM to where it is`);
  }
  return chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox', '--disable-gpu', '--disable-quic'] });
}

/** Runs `use` with a page in a context of its own. */
export async function withPage(browser, options, use) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE_MS);
  try {
    return await use(await context.newPage());
  } finally {
    await context.close();
  }
}

/** What goes wrong on `page` from now on. Chromium tells violations of the content policy as console errors. */
export function watch(page) {
  const wrong = [];
  page.on('console', (message) => {
    // A failed response is noticed below, where it is known whether it was expected.
    const isResponse = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !isResponse) wrong.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => wrong.push(`script: ${error.message}`));
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText;
    // The next page cuts short what the last one was still loading, such as its icon.
    if (why !== 'net::ERR_ABORTED') wrong.push(`request: ${request.url()} ${why}`);
  });
  page.on('response', (answer) => {
    // The page itself is judged by whoever opened it.
    const isPage = answer.request().isNavigationRequest() && answer.frame() === page.mainFrame();
    if (answer.status() >= 400 && !isPage) wrong.push(`response: ${answer.status()} ${answer.url()}`);
  });
  return wrong;
}

/** What a page says of itself, where it leads to, and parts of it that are led to but are not there. */
export function read(page) {
  return page.evaluate(() => {
    const here = location.href.split('#')[0];
    const links = [...document.querySelectorAll('a[href], link[href]')].map((link) => link.href);
    const parts = links.filter((link) => link.startsWith(`${here}#`)).map((link) => link.slice(here.length + 1));
    return {
      title: document.title.trim(),
      headings: [...document.querySelectorAll('h1')].map((heading) => heading.innerText.trim()),
      links: links.map((link) => link.split('#')[0]),
      picture: document.querySelector('meta[property="og:image"]')?.content,
      missingParts: parts.filter((part) => !document.getElementById(decodeURIComponent(part))),
      hacked: window.hacked,
    };
  });
}

/** How much the page has moved under the eyes of its reader since it was loaded: a number for each time it did. */
export async function moves(page) {
  const all = await page.evaluate(() => new Promise((told) => {
    const observer = new PerformanceObserver((list) => told(list.getEntries().map(({ value }) => value)));
    observer.observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => told([]), 300);
  }));
  return all.filter((value) => value > UNSEEN_MOVE);
}

/** The elements that make the page wider than the window; none when it fits. */
export function overflowing(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const wide = [...document.body.querySelectorAll('*')].filter((element) => {
      for (let box = element.parentElement; box && box !== document.body; box = box.parentElement) {
        if (getComputedStyle(box).overflowX !== 'visible') return false;
      }
      return element.getBoundingClientRect().right > root.clientWidth + 0.5;
    });
    const name = (element) => [element.localName, ...element.classList].join('.');
    return [`${root.scrollWidth} px wide`, ...new Set(wide.map((it) => `${name(it.parentElement)} > ${name(it)}`))];
  });
}
