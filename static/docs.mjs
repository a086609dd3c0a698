// The reference's key field, and its "try it": sends the requests that the page describes and shows what comes back.
//
// The page is whole without it. The key stays in this browser: it goes into a header of requests to the server that
// the page came from, and nowhere else. What comes back is shown as text, never as markup.

const STORED_AS = 'evalboard.key';
const KB = 1024;
/** Of an answer: how much is shown, and how much is read at all, in bytes. */
const SHOWN = 64 * KB;
const READ = 4 * KB * KB;
/** How long a stream of events is listened to, in milliseconds. */
const LISTENED = 3000;
/** The headers that are shown, where an answer has them. */
const HEADERS = [
  'Location', 'Content-Type', 'ETag', 'Link', 'X-Total-Count', 'Retry-After', 'RateLimit-Remaining', 'X-Request-Id',
];
/** How long a button says that it did what it says, in milliseconds. */
const SAID_FOR = 2000;

const docs = document.querySelector('.docs');
const template = document.querySelector('#try');

// The key.

let key = '';

/** What this browser remembers; nothing where it may not. */
function recall() {
  try {
    return localStorage.getItem(STORED_AS) ?? '';
  } catch {
    return '';
  }
}

/** Remembers the key, or forgets it when it is empty. False when it will not outlive the page. */
function keep(text) {
  try {
    if (text) localStorage.setItem(STORED_AS, text);
    else localStorage.removeItem(STORED_AS);
    return true;
  } catch {
    return false;
  }
}

function startKeyring() {
  const form = document.querySelector('.key');
  const input = form.querySelector('input');
  const show = form.querySelector('.show');
  const forget = form.querySelector('.forget');
  const use = (text, words) => {
    key = text;
    docs.classList.toggle('keyed', Boolean(text));
    forget.disabled = !input.value;
    form.querySelector('[role=status]').textContent = words;
  };
  const recalled = () => {
    input.value = recall();
    use(input.value, input.value ? 'Stored.' : '');
  };
  input.addEventListener('input', () => {
    const text = input.value.trim();
    // Nothing else can stand in a header.
    const isKey = /^[\x21-\x7e]*$/.test(text);
    const isKept = keep(isKey ? text : '');
    if (!isKey) use('', 'Not stored: no key has spaces or such letters in it.');
    else if (!text) use('', 'Forgotten.');
    else use(text, isKept ? 'Stored.' : 'This browser stores nothing: it lasts until you leave the page.');
  });
  show.addEventListener('click', () => {
    const isShown = show.getAttribute('aria-pressed') !== 'true';
    show.setAttribute('aria-pressed', String(isShown));
    input.type = isShown ? 'text' : 'password';
  });
  forget.addEventListener('click', () => {
    input.value = '';
    keep('');
    // A button that is disabled must not have the focus.
    input.focus();
    use('', 'Forgotten.');
  });
  form.addEventListener('submit', (event) => event.preventDefault());
  // Another tab of this browser may store or forget it too.
  addEventListener('storage', (event) => [STORED_AS, null].includes(event.key) && recalled());
  recalled();
  form.hidden = false;
}

// The request: as an address, as a command, and as it is sent. `asked` is what stands in a form.

/** As a part of an address; what a shell would take for its own is escaped too. */
function escaped(text) {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Path and query; what is missing stays as the reference writes it. */
function address({ path, inputs }, { values }) {
  const filled = path.replace(/\{(\w+)\}/g, (hole, name) => (values.path[name] ? escaped(values.path[name]) : hole));
  const given = inputs.filter(({ name, place }) => place === 'query' && values.query[name]);
  const query = given.map(({ name }) => `${escaped(name)}=${escaped(values.query[name])}`);
  return filled + (query.length ? `?${query.join('&')}` : '');
}

/** As one word of a shell. */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The same line as the server writes, with what was typed. The key is named, never written out. */
function curl(call, asked) {
  const url = docs.dataset.url + address(call, asked);
  const parts = [`curl ${call.method === 'GET' ? '' : `-X ${call.method} `}${/[?&]/.test(url) ? quoted(url) : url}`];
  if (call.needs_key) parts.push('-H "Authorization: Bearer $KEY"');
  if (call.body?.file) {
    const name = asked.file?.name ?? call.body.file;
    const file = /^[\w.-]+$/.test(name) ? `file=@${name}` : quoted(`file=@"${name.replace(/["\\]/g, '\\$&')}"`);
    parts.push(`--form-string ${quoted(`metadata=${asked.text}`)}`, `-F ${file}`);
  } else if (asked.text) {
    const flag = call.body.media.endsWith('ndjson') ? '--data-binary' : '-d';
    parts.push(`-H "Content-Type: ${call.body.media}"`, `${flag} ${quoted(asked.text)}`);
  }
  return parts.join(' \\\n  ');
}

function request(call, { text, file }) {
  const headers = call.needs_key ? { authorization: `Bearer ${key}` } : {};
  // What the server says now is asked for, not what this browser kept.
  const request = { method: call.method, headers, cache: 'no-store' };
  if (call.body?.file) {
    request.body = new FormData();
    request.body.append('metadata', text);
    request.body.append('file', file);
  } else if (text) {
    headers['content-type'] = call.body.media;
    request.body = text;
  }
  return request;
}

/** Why it cannot be sent, and the field to blame; nothing when it can. */
function objection(form, call, { values, text, file }) {
  for (const input of form.querySelectorAll('[data-place=path]')) {
    const { name } = input.dataset;
    if (!values.path[name]) return { words: `${name} is missing: the address has it.`, field: input };
    // A browser would take these for steps through the address.
    if (/^\.\.?$/.test(values.path[name])) return { words: `${name} cannot be ${values.path[name]}`, field: input };
  }
  if (call.body?.file && !file) return { words: 'No file is chosen.', field: form.querySelector('[type=file]') };
  const words = call.body && text && unreadable(call.body.media, text);
  if (words) return { words, field: form.querySelector('textarea') };
  if (call.needs_key && !key) return { words: 'This needs a key, and none is stored.' };
  return undefined;
}

/** What is wrong with text that should be JSON, or lines of it. */
function unreadable(media, text) {
  const isLines = media.endsWith('ndjson');
  for (const [at, part] of (isLines ? text.split('\n') : [text]).entries()) {
    try {
      if (!isLines || part.trim()) JSON.parse(part);
    } catch (error) {
      return `${isLines ? `Line ${at + 1}` : 'The body'} is not JSON: ${error.message}`;
    }
  }
  return undefined;
}

// The answer.

/** Of an answer's bytes as many as are read, and whether those are all. A stream of events is read for a while. */
async function read(answer) {
  const reader = answer.body?.getReader();
  const goesOn = isStream(answer.headers.get('content-type') ?? '');
  if (goesOn) setTimeout(() => reader.cancel(), LISTENED);
  const chunks = [];
  for (let size = 0; reader && size < READ; size += chunks.at(-1).length) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
  }
  const blob = new Blob(chunks);
  const isWhole = blob.size < READ;
  if (!isWhole) await reader.cancel();
  return { bytes: new Uint8Array(await blob.arrayBuffer()), isWhole };
}

function isStream(type) {
  return type.startsWith('text/event-stream');
}

/** The text that the bytes are; nothing when they are none. A letter that was cut off at the end is left out. */
function decoded(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return undefined;
  }
}

function sized(bytes) {
  if (bytes < KB) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`;
  return bytes < KB * KB ? `${(bytes / KB).toFixed(1)} KB` : `${(bytes / KB / KB).toFixed(1)} MB`;
}

/** The body as it is shown, and what is to be said of it. */
function shown(type, { bytes, isWhole }) {
  const text = decoded(bytes);
  if (text === undefined) return { text: '', note: `Not text, and so not shown: ${type || 'of no type'}.` };
  if (!text) return { text: '', note: 'It has no body.' };
  if (isStream(type)) return { text: text.slice(0, SHOWN), note: 'It may go on: what came in the first three seconds.' };
  const pretty = isWhole && type.includes('json') ? indented(text) : text;
  if (isWhole && pretty.length <= SHOWN) return { text: pretty, note: '' };
  return { text: pretty.slice(0, SHOWN), note: 'Only its first 64 KB are shown.' };
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function showAnswer(form, answer, got) {
  const place = form.querySelector('.answer');
  const rows = HEADERS.filter((name) => answer.headers.has(name)).map((name) => {
    const row = document.createElement('div');
    row.append(element('dt', name), element('dd', answer.headers.get(name)));
    return row;
  });
  const { text, note } = shown(answer.headers.get('content-type') ?? '', got);
  place.querySelector('dl').replaceChildren(...rows);
  place.querySelector('code').textContent = text;
  place.querySelector('pre').hidden = !text;
  place.querySelector('p').textContent = note;
  place.hidden = false;
}

// A form for each request, made when it is first opened.

function element(name, text, kind = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = kind;
  return made;
}

/** A button of a bar; what it is about is told to those who cannot see where it stands. */
function button(text, about) {
  const made = element('button', text);
  made.type = 'button';
  made.append(element('span', ` ${about}`, 'unseen'));
  return made;
}

function equip(figure) {
  const call = JSON.parse(figure.dataset.call);
  const about = `${call.method} ${call.path}${call.body?.file ? ', with the file' : ''}`;
  const copy = button('Copy', `curl: ${about}`);
  const open = button('Try it', about);
  const said = element('span', '', 'unseen');
  said.setAttribute('role', 'status');
  copy.addEventListener('click', () => copied(copy, said, figure.querySelector('code')));
  open.setAttribute('aria-expanded', 'false');
  let form;
  open.addEventListener('click', () => {
    if (form) form.hidden = !form.hidden;
    else figure.append((form = made(call, figure.querySelector('code'))));
    open.setAttribute('aria-expanded', String(!form.hidden));
  });
  figure.querySelector('figcaption').append(said, copy, open);
}

/** Copies the command, or selects it where a page may not copy: over plain HTTP. */
async function copied(copy, said, command) {
  let words = 'Copied';
  try {
    await navigator.clipboard.writeText(command.textContent);
  } catch {
    getSelection().selectAllChildren(command);
    words = 'Selected';
  }
  copy.firstChild.data = said.textContent = words;
  setTimeout(() => {
    copy.firstChild.data = 'Copy';
    said.textContent = '';
  }, SAID_FOR);
}

function made(call, command) {
  const form = template.content.firstElementChild.cloneNode(true);
  form.setAttribute('aria-label', `Try it: ${call.method} ${call.path}`);
  fill(form, call);
  if (!call.needs_key) form.querySelectorAll('.keys').forEach((part) => part.remove());
  const send = form.querySelector('.send button');
  const name = (isArmed) => {
    send.classList.toggle('armed', isArmed);
    if (call.method === 'DELETE') send.textContent = isArmed ? 'Really delete' : 'Delete';
  };
  name(false);
  form.addEventListener('input', () => {
    name(false);
    command.textContent = curl(call, typed(form));
  });
  send.addEventListener('blur', () => name(false));
  // The second half of a double click is not meant.
  send.addEventListener('click', (event) => event.detail > 1 && event.preventDefault());
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submitted(form, call, send.classList.contains('armed'), name);
  });
  return form;
}

function fill(form, { inputs, body }) {
  const place = form.querySelector('.inputs');
  place.append(...inputs.map(labelled));
  if (!inputs.length) place.remove();
  const [text, file] = form.querySelectorAll('.text, .file');
  if (!body?.file) file.remove();
  if (!body) text.remove();
  text.firstElementChild.textContent = body?.file ? 'metadata' : 'body';
  const area = text.querySelector('textarea');
  area.defaultValue = body?.text ?? '';
  area.rows = Math.min(16, Math.max(3, area.defaultValue.split('\n').length));
}

function labelled({ name, place, kind }) {
  const label = document.createElement('label');
  const input = document.createElement('input');
  Object.assign(input, { autocomplete: 'off', spellcheck: false, autocapitalize: 'off' });
  input.inputMode = kind === 'integer' ? 'numeric' : 'text';
  // Not its name: a form's own properties give way to the names in it, such as `id`.
  Object.assign(input.dataset, { name, place });
  input.required = place === 'path';
  label.append(element('span', name), input);
  return label;
}

function typed(form) {
  const inputs = [...form.querySelectorAll('.inputs input')];
  const of = (place) => Object.fromEntries(inputs
    .filter(({ dataset }) => dataset.place === place)
    .map(({ dataset, value }) => [dataset.name, value.trim()]));
  return {
    // Of path and query each by itself: a name may be in both.
    values: { path: of('path'), query: of('query') },
    text: form.querySelector('textarea')?.value.trim() ?? '',
    file: form.querySelector('[type=file]')?.files[0],
  };
}

function tell(form, words, kind = '') {
  const status = form.querySelector('[role=status]');
  status.textContent = words;
  status.className = kind;
}

/** Sends what was asked for, unless it cannot be, is on its way already, or has to be confirmed first. */
async function submitted(form, call, isConfirmed, arm) {
  if (form.ariaBusy === 'true') return;
  const asked = typed(form);
  const { words, field } = objection(form, call, asked) ?? {};
  form.querySelectorAll('[aria-invalid]').forEach((blamed) => blamed.removeAttribute('aria-invalid'));
  if (words) {
    tell(form, `Not sent. ${words}`, 'bad');
    field?.setAttribute('aria-invalid', 'true');
    field?.focus();
  } else if (call.method === 'DELETE' && !isConfirmed) {
    arm(true);
    tell(form, 'Nothing is deleted yet: press again.');
  } else {
    arm(false);
    await send(form, call, asked);
  }
}

async function send(form, call, asked) {
  form.ariaBusy = 'true';
  tell(form, 'Sent. Waiting for the answer.');
  const began = performance.now();
  try {
    const answer = await fetch(address(call, asked), request(call, asked));
    const got = await read(answer);
    const took = `${Math.max(1, Math.round(performance.now() - began))} ms`;
    const size = `${got.isWhole ? '' : 'more than '}${sized(got.bytes.length)}`;
    showAnswer(form, answer, got);
    tell(form, `${`${answer.status} ${answer.statusText}`.trim()}, ${took}, ${size}`, answer.ok ? 'good' : 'bad');
  } catch {
    form.querySelector('.answer').hidden = true;
    tell(form, 'No answer: the server could not be reached, or the connection broke.', 'bad');
  }
  form.ariaBusy = 'false';
}

startKeyring();
document.querySelectorAll('.call').forEach(equip);
