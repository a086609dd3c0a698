// Keeps the page of an open run up to date. The server alone writes what is shown: whenever the run has moved,
// the page is fetched again and the parts of it that differ take the place of the old ones.

const PARTS = ['state', 'progress', 'remark', 'waits', 'failed', 'lines', 'again', 'facts'];
/** Shortest time between two fetches, in milliseconds. */
const PAUSE = 1000;

const parser = new DOMParser();
const events = new EventSource(document.getElementById('state').dataset.follow);
/** How often the last fetch is tried, and the wait between two tries, in milliseconds. */
const LAST_TRIES = 5;
const BETWEEN = 2000;

let due;
let last = 0;
let asked = 0;

/** Fetches the page, now or as soon as the pause is over; many calls make one fetch. */
function soon() {
  due ??= setTimeout(refresh, Math.max(0, last + PAUSE - Date.now()));
}

/** Shows the page as it is now, and says whether there was one; one that was overtaken is left aside. */
async function refresh() {
  due = undefined;
  last = Date.now();
  const mine = (asked += 1);
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' }, cache: 'no-cache' });
    const text = await answer.text();
    if (answer.ok && mine === asked) show(parser.parseFromString(text, 'text/html'));
    return answer.ok;
  } catch {
    // The server is away: the stream comes back when it does, and tells of the run anew.
    return false;
  }
}

/** No event follows the last one: what it is about is asked for until it comes. */
async function finish(tries = LAST_TRIES) {
  if ((await refresh()) || tries === 0) return;
  setTimeout(() => finish(tries - 1), BETWEEN);
}

function show(page) {
  for (const id of PARTS) {
    const [old, fresh] = [document.getElementById(id), page.getElementById(id)];
    if (old && fresh && old.outerHTML !== fresh.outerHTML) replace(old, fresh);
  }
  markLive();
}

/** Puts `fresh` in the place of `old`; a link that had the focus has it again. */
function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  old.replaceWith(fresh);
  if (focused) fresh.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

/** While the stream is open there is no need to load the page by hand. */
function markLive() {
  document.documentElement.classList.toggle('following', events.readyState === EventSource.OPEN);
}

events.addEventListener('open', markLive);
events.addEventListener('error', markLive);
events.addEventListener('progress', soon);
events.addEventListener('waiting', soon);
events.addEventListener('done', () => {
  events.close();
  markLive();
  clearTimeout(due);
  finish();
});
