import { execFileSync, spawn } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readAll, type ReadLimits } from './read-all.ts';

const chunkBytes = 64 * 1024;
const generous: ReadLimits = { bytesMax: 1024 * 1024, deadlineMs: 20_000 };
const directory = mkdtempSync(join(tmpdir(), 'weft-read-all-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));

/** Runs with a descriptor of a file of this content. */
function withFile<T>(content: string | Uint8Array, fn: (fd: number) => T): T {
  const path = join(directory, 'file');
  writeFileSync(path, content);
  const fd = openSync(path, 'r');
  try {
    return fn(fd);
  } finally {
    closeSync(fd);
  }
}

for (const content of ['', '{}', 'ü'.repeat(chunkBytes), 'x'.repeat(chunkBytes), 'x'.repeat(chunkBytes + 1)]) {
  t.equal(withFile(content, (fd) => readAll(fd, generous)), content, `a file of ${Buffer.byteLength(content)} bytes`);
}
t.equal(withFile(Uint8Array.of(0x61, 0xff, 0x62), (fd) => readAll(fd, generous)), 'a\ufffdb', 'bytes that are no UTF-8');

const long = 'x'.repeat(10 * chunkBytes);
const cut = withFile(long, (fd) => readAll(fd, { ...generous, bytesMax: chunkBytes }));
t.ok(cut.length > chunkBytes && cut.length <= 2 * chunkBytes, 'reading stops soon behind the limit, and the caller sees that it was passed');
t.equal(withFile('x'.repeat(chunkBytes), (fd) => readAll(fd, { ...generous, bytesMax: chunkBytes })).length, chunkBytes, 'as many bytes as the limit are all read');
t.equal(withFile('', (fd) => readAll(fd, { bytesMax: 0, deadlineMs: 0 })), '', 'a file is ready at once');

/** A named pipe with both ends open in this process: it has what is written to it, and no end. */
function openEndlessPipe(): { readonly fd: number } {
  const path = join(directory, 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR);
  rmSync(path);
  return { fd };
}

t.test('a pipe that never ends is given up', async (t) => {
  for (const content of ['', '{"cniVersion":']) {
    const { fd } = openEndlessPipe();
    if (content !== '') writeSync(fd, content);
    const message = 'The network configuration must come on stdin and end: it did not within 30 ms';
    t.throws(() => readAll(fd, { ...generous, deadlineMs: 30 }), { code: 'ioFailure', cniCode: 5, message }, `after ${content.length} bytes`);
    closeSync(fd);
  }
});

t.test('a pipe that would fill the memory stops at the limit', async (t) => {
  const { fd } = openEndlessPipe();
  writeSync(fd, 'x'.repeat(8192));
  t.equal(readAll(fd, { ...generous, bytesMax: 4096 }).length, 8192);
  closeSync(fd);
});

t.test('a writer that is slow and then ends', async (t) => {
  const path = join(directory, 'slow');
  execFileSync('mkfifo', [path]);
  const writer = spawn('sh', ['-c', `exec > ${path}; printf '{"a":'; sleep 0.05; printf '1}'`]);
  const ended = new Promise((resolve) => writer.once('exit', resolve));
  const fd = openSync(path, 'r');
  t.equal(readAll(fd, generous), '{"a":1}');
  closeSync(fd);
  await ended;
});

t.test('a device that is not readable', async (t) => {
  const fd = openSync(directory, 'r');
  t.throws(() => readAll(fd, generous), { code: 'ioFailure', message: /on stdin cannot be read: EISDIR/ }, 'a directory as stdin');
  closeSync(fd);
});
