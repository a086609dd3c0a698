// A server of our own, with data of our own, and its API.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const BINARY = process.env.EVALBOARD_BIN;
/** Until the server listens, and until a run is over; of a debug build on a busy machine. */
const PATIENCE_MS = 90_000;
/** The tests ask more often than people do. */
const NO_LIMITS = Object.fromEntries(
  ['READ', 'READ_BURST', 'WRITE', 'WRITE_BURST'].map((name) => [`EVALBOARD_RATE_${name}`, '100000']),
);

/** Starts `evalboard COMMAND` on an empty folder; `stop` ends it and removes the folder. It may call `allowed`. */
export async function start(command, allowed = '') {
  if (!BINARY) throw new Error('EVALBOARD_BIN must name the evalboard binary');
  const folder = await mkdtemp(join(tmpdir(), 'evalboard-browser-'));
  const child = spawn(BINARY, [command, '--listen', '127.0.0.1:0', '--data-dir', folder], {
    env: { ...process.env, ...NO_LIMITS, EVALBOARD_EGRESS_ALLOW: allowed, NO_COLOR: '1' },
  });
  // Read for as long as it lives: a process that cannot write its log stands still.
  // Each stream by itself: a piece of one may come within a line of the other.
  const output = { stdout: '', stderr: '' };
  for (const name of Object.keys(output)) child[name].on('data', (chunk) => (output[name] += chunk));
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill();
    await ended;
    await rm(folder, { recursive: true });
  };
  try {
    const known = async (pattern) => {
      if (child.exitCode !== null) throw new Error('the server ended');
      return (output.stdout.match(pattern) ?? output.stderr.match(pattern))?.[1];
    };
    // Each is waited for with what ends it: output comes in pieces, which may end anywhere.
    const origin = await until(() => known(/(?:The demo is|listening) on (http:\/\/[\d.:]+)\s/));
    const key = command === 'demo' ? await until(() => known(/^KEY=(\S+)\s/m)) : undefined;
    // Nobody can sign in on an empty folder, so that a link is printed, at some time.
    const setup = await until(() => known(/(http:\S+\/setup\?token=\S+)\s/));
    return { origin, key, setup, stop, api: (method, path, body) => ask(origin, key, method, path, body) };
  } catch (error) {
    await stop();
    throw new Error(`${BINARY} ${command}: ${error.message}; it wrote:\n${output.stdout}${output.stderr}`);
  }
}

/** Waits until no run is open; the newest must be complete unless it may have `failures`. */
export async function runsAreOver(board, { failures = false } = {}) {
  const [newest] = await until(async () => {
    const runs = await board.api('GET', '/runs?limit=10');
    return runs.length > 0 && runs.every(({ status }) => !['queued', 'running'].includes(status)) && runs;
  });
  if (newest.status !== 'completed' && !failures) throw new Error(`the run is ${JSON.stringify(newest)}`);
}

/** `body` is a form, or something to be sent as JSON. */
async function ask(origin, key, method, path, body) {
  const isJson = body && !(body instanceof FormData);
  const answer = await fetch(`${origin}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${key}`, ...(isJson && { 'content-type': 'application/json' }) },
    body: isJson ? JSON.stringify(body) : body,
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

async function until(ready) {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await sleep(100)) {
    const found = await ready();
    if (found) return found;
  }
  throw new Error(`nothing after ${PATIENCE_MS / 1000} s`);
}
