// Keeps the board where it is while it is sorted, filtered and given other columns: each of these loads the page anew.
// Without this script all of it works, and begins at the start.

const KEY = 'board-place';
/** A page that is opened later than this is not what the link led to. */
const FRESH_MS = 30_000;

const table = document.querySelector('.scroll.board');
const panels = () => [...document.querySelectorAll('.filters details')];

function keep() {
  const open = panels().filter((panel) => panel.open).map((panel) => panel.className);
  const place = { at: Date.now(), left: table?.scrollLeft ?? 0, top: table?.scrollTop ?? 0, page: window.scrollY, open };
  sessionStorage.setItem(KEY, JSON.stringify(place));
}

function restore() {
  const place = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
  sessionStorage.removeItem(KEY);
  if (!place || Date.now() - place.at > FRESH_MS) return;
  for (const panel of panels()) panel.open ||= place.open.includes(panel.className);
  table?.scrollTo(place.left, place.top);
  window.scrollTo(0, place.page);
}

/** Whether a link or form leads to the board again, in this very window. */
function leadsBack(address, target) {
  const to = new URL(address, location.href);
  return to.origin === location.origin && to.pathname === location.pathname && !target;
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('main a[href]');
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  const isWithin = link?.getAttribute('href').startsWith('#');
  if (link && isPlain && !isWithin && leadsBack(link.href, link.target)) keep();
});
document.addEventListener('submit', ({ target }) => {
  if (leadsBack(target.action, target.target)) keep();
});

try {
  restore();
} catch {
  // Storage that is not to be had, or holds something else, is no reason to fail.
}
