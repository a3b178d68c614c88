import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { temporaryDirectory } from '../testing/directory.ts';
import { skipUnless } from '../testing/requirements.ts';
import { notifyServiceManager } from './notify.ts';

/** A service manager: prints one line when it listens, and one with what it receives. */
const receiver = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = sys.argv[1]
s.bind("\\0" + address[1:] if address.startswith("@") else address)
s.settimeout(20)
print("listening", flush=True)
print(repr(s.recv(4096)), flush=True)
`;

t.test('what is sent arrives', { skip: skipUnless({ tools: ['python3'] }) }, async (t) => {
  const directory = temporaryDirectory(t);
  for (const address of [join(directory, 'notify'), `@weft-test-${process.pid}`, join(directory, 'x'.repeat(107 - directory.length - 1))]) {
    const child = spawn('python3', ['-c', receiver, address], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => child.kill('SIGKILL'));
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    t.equal((await lines.next()).value, 'listening');
    t.equal(notifyServiceManager('READY=1\nSTATUS=grün', address), undefined);
    t.equal((await lines.next()).value, String.raw`b'READY=1\nSTATUS=gr\xc3\xbcn'`, address);
    await once(child, 'exit');
  }
});

t.test('nobody wants to know', async (t) => {
  t.equal(notifyServiceManager('READY=1', undefined), undefined);
  t.equal(notifyServiceManager('READY=1', ''), undefined);
});

t.test('what cannot be delivered is said, and not thrown', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'file'), '');
  const rows: readonly (readonly [address: string, words: RegExp])[] = [
    [join(directory, 'missing'), /cannot notify the service manager on \S+missing: sendto: .*ENOENT/],
    [join(directory, 'file'), /ECONNREFUSED/],
    ['@nobody-listens-here', /ECONNREFUSED/],
    [`/${'x'.repeat(200)}`, /must have fewer than 108 bytes: it has 201/],
    ['relative', /must be a path, or "@" and a name/],
    ['vsock:2:1234', /must be a path/],
    ['/', /must be a path/],
    ['@', /must be a path/],
  ];
  for (const [address, words] of rows) t.match(notifyServiceManager('READY=1', address), words, address);
});
