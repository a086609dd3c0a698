// Shows how much of a file has been sent, and lets it be stopped. Without it the form is sent as any other.

const form = document.querySelector('form.upload');
const sending = form.querySelector('.sending');
const [bar, words, stop] = ['progress', 'span', 'button'].map((name) => sending.querySelector(name));
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** `12.3 MB` */
function size(bytes) {
  let unit = 0;
  for (; bytes >= 1000 && unit < UNITS.length - 1; unit += 1) bytes /= 1000;
  return `${bytes.toFixed(unit && bytes < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

function tell(text) {
  words.textContent = text;
}

function isSending(is) {
  sending.hidden = false;
  bar.hidden = stop.hidden = !is;
  form.querySelector('.main').disabled = is;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  const request = new XMLHttpRequest();
  request.open('POST', form.action);
  request.setRequestHeader('accept', 'text/html');
  request.upload.addEventListener('progress', ({ loaded, total }) => {
    bar.max = total;
    bar.value = loaded;
    tell(loaded < total ? `${size(loaded)} of ${size(total)}` : 'Sent; it is being checked.');
  });
  request.addEventListener('load', () => {
    isSending(false);
    // What was added has a page of its own, to which the answer led.
    if (request.status < 400) return location.assign(request.responseURL);
    const page = new DOMParser().parseFromString(request.responseText, 'text/html');
    const why = page.querySelector('.said') ?? page.querySelector('main p');
    tell(why?.textContent ?? 'It was refused.');
  });
  request.addEventListener('error', () => {
    isSending(false);
    tell('The connection broke off; the file was not added.');
  });
  request.addEventListener('abort', () => {
    isSending(false);
    tell('Stopped; nothing was added.');
  });
  stop.onclick = () => request.abort();
  isSending(true);
  bar.value = 0;
  tell('');
  request.send(new FormData(form));
});
