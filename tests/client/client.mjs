// The client of Vercel Blob as npm has it, against the server at VERCEL_BLOB_API_URL. GRANTS names the files that
// were granted beforehand, each for what its test does: {name: {token, pathname}}.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import * as blob from '@vercel/blob';
import {
  completeMultipartUpload,
  createMultipartUpload,
  createMultipartUploader,
  put,
  uploadPart,
} from '@vercel/blob/client';

const grants = JSON.parse(process.env.GRANTS);
const base = new URL(process.env.VERCEL_BLOB_API_URL);
const MIB = 1024 * 1024;

const noise = (length) => Buffer.from(Array.from({ length: 4096 }, (_, n) => (n * 40503) >> 8)).toString('latin1')
  .repeat(Math.ceil(length / 4096)).slice(0, length);
const bytes = (length) => Buffer.from(noise(length), 'latin1');
const sha256 = (buffer) => createHash('sha256').update(buffer).digest('hex');

/** Puts a body up under the grant of that name. */
const send = (name, body, options = {}) => {
  const { token, pathname } = grants[name];
  return put(pathname, body, { access: 'public', token, ...options });
};

/** The file at an address that begins with the server's public one. */
const fetched = async (url) => {
  const { pathname, search } = new URL(url);
  const answer = await fetch(new URL(pathname + search, base));
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
};

const assertStored = async (name, answer, body) => {
  assert.equal(answer.pathname, grants[name].pathname);
  assert.equal(answer.contentType, 'application/octet-stream');
  assert.match(answer.contentDisposition, /^attachment/);
  assert.ok(answer.etag);
  assert.equal(sha256(await fetched(answer.url)), sha256(body));
  assert.equal(sha256(await fetched(answer.downloadUrl)), sha256(body));
};

/** That a call fails with an error of that class, at once: nothing is tried again. */
const assertFails = async (call, name, words = /./) => {
  const begun = Date.now();
  await assert.rejects(call, (error) => {
    assert.equal(error.constructor.name, blob[name].name, error.stack);
    assert.match(error.message, words);
    return true;
  });
  assert.ok(Date.now() - begun < 900, 'it was tried again');
};

test('a buffer is put up, with progress', async () => {
  const body = bytes(3 * MIB);
  const seen = [];
  const answer = await send('buffer', body, { onUploadProgress: (event) => seen.push(event) });
  await assertStored('buffer', answer, body);
  // The client tells of ten steps a second at most, and of the last one when that is due.
  for (const end = Date.now() + 2000; seen.at(-1)?.percentage !== 100 && Date.now() < end; ) await sleep(20);
  assert.deepEqual(seen.at(-1), { loaded: body.length, total: body.length, percentage: 100 });
});

test('text, a Blob and streams of both kinds are put up', async () => {
  const body = bytes(2 * MIB + 17);
  const file = join(mkdtempSync(join(tmpdir(), 'client-')), 'file');
  writeFileSync(file, body);
  for (const [name, make] of [
    ['blob', () => new Blob([body])],
    ['web', () => new Blob([body]).stream()],
    ['node', () => createReadStream(file)],
  ]) {
    await assertStored(name, await send(name, make()), body);
  }
  await assertStored('text', await send('text', 'some text'), Buffer.from('some text'));
});

test('a file comes in parts, from a buffer and from a stream, with progress', async () => {
  const body = bytes(26 * MIB + 5);
  for (const [name, make] of [['parts', () => body], ['partsOfStream', () => Readable.from(pieces(body))]]) {
    const seen = [];
    const answer = await send(name, make(), { multipart: true, onUploadProgress: (event) => seen.push(event) });
    await assertStored(name, answer, body);
    assert.ok(seen.at(-1).loaded > 16 * MIB, 'it was told how far it had come');
  }
});

function* pieces(body) {
  for (let at = 0; at < body.length; at += 3 * MIB) yield body.subarray(at, at + 3 * MIB);
}

test('parts are sent and put together by hand', async () => {
  const parts = [bytes(5 * MIB), bytes(5 * MIB + 1), bytes(3)];
  const { token, pathname } = grants.byHand;
  const { key, uploadId } = await createMultipartUpload(pathname, { access: 'public', token });
  assert.equal(key, pathname);
  const named = [];
  for (const at of [2, 0, 1]) {
    const options = { access: 'public', token, key, uploadId, partNumber: at + 1 };
    named.push(await uploadPart(pathname, parts[at], options));
  }
  const options = { access: 'public', token, key, uploadId };
  await assertStored('byHand', await completeMultipartUpload(pathname, named, options), Buffer.concat(parts));

  const uploader = await createMultipartUploader(grants.uploader.pathname,
    { access: 'public', token: grants.uploader.token });
  const one = await uploader.uploadPart(1, 'one');
  await assertStored('uploader', await uploader.complete([one]), Buffer.from('one'));
});

test('a file that was put up can be asked after and given up', async () => {
  const { token } = grants.given;
  const { url } = await send('given', bytes(1000));
  const head = await blob.head(url, { token });
  assert.equal(head.size, 1000);
  assert.equal(head.pathname, grants.given.pathname);
  assert.ok(Math.abs(head.uploadedAt - Date.now()) < 60_000);
  await blob.del(url, { token });
  await assertFails(() => blob.head(url, { token }), 'BlobNotFoundError');
});

test('each refusal is an error of its own class, and is not tried again', async () => {
  const { token, pathname } = grants.refused;
  const options = { access: 'public', token };
  await assertFails(() => put('artifacts/1-other.bin', 'x', options), 'BlobPathnameMismatchError');
  await assertFails(() => put(pathname, 'x', { ...options, contentType: 'text/html' }), 'BlobContentTypeNotAllowedError');
  await assertFails(() => send('expired', 'x'), 'BlobClientTokenExpiredError');
  await assertFails(() => send('expired', 'x', { multipart: true }), 'BlobClientTokenExpiredError');
  await assertFails(() => send('cancelled', 'x'), 'BlobError', /cancelled/);
  const forged = token.slice(0, -6) + (token.at(-6) === 'A' ? 'B' : 'A') + token.slice(-5);
  await assertFails(() => put(pathname, 'x', { ...options, token: forged }), 'BlobAccessError');
});

test('a file that is too large is refused, whole and in parts, however late that is found', async () => {
  const large = bytes(40 * MIB);
  await assertFails(() => send('small', large), 'BlobFileTooLargeError', /length cannot be greater than 1000 bytes/);
  await assertFails(() => send('small', Readable.from(pieces(large))), 'BlobFileTooLargeError');
  await assertFails(() => send('small', large, { multipart: true }), 'BlobFileTooLargeError');
});

test('what is aborted ends at once, and can be done again', async () => {
  for (const multipart of [false, true]) {
    const controller = new AbortController();
    const endless = new ReadableStream({
      async pull(stream) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        // Somebody reads on after it was aborted.
        if (controller.signal.aborted) stream.close();
        else stream.enqueue(new Uint8Array(MIB));
      },
    });
    const sending = send('aborted', endless, { multipart, abortSignal: controller.signal });
    setTimeout(() => controller.abort(), 300);
    await assert.rejects(sending, blob.BlobRequestAbortedError);
  }
  await assertStored('aborted', await send('aborted', 'x', { multipart: true }), Buffer.from('x'));
});
