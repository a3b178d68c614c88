import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../testing/command.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { skipUnless } from '../testing/requirements.ts';
import { readCredentials } from './credentials.ts';
import { createAuthority, createSelfSigned } from './test-channel.ts';

const secret = 'hunter2hunter2hunter2';

/** What is said of it, with all that is underneath. */
async function refusal(attempt: Promise<unknown>): Promise<{ readonly code: unknown; readonly message: string; readonly all: string }> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof Error && 'code' in error && 'details' in error) return { code: error.code, message: error.message, all: `${error.stack} ${String(error.details)} ${String(error.cause)}` };
    throw error;
  }
  throw new Error('it should be refused');
}

t.test('a file with a key', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'migration.key');
  const read = (): ReturnType<typeof readCredentials> => readCredentials({ by: 'keyFile', path });
  const write = (text: string | Buffer, mode = 0o600): void => {
    writeFileSync(path, text);
    chmodSync(path, mode);
  };
  t.match(await refusal(read()), { code: 'ioFailure', message: `migration.keyFile: ${path} cannot be read`, all: /ENOENT/ });
  const rows: readonly (readonly [string | Buffer, number, RegExp])[] = [
    ['', 0o600, /must hold one line of 16 to 1024 characters$/],
    ['hunter2\n', 0o600, /must hold one line of 16/],
    [`${secret}\n${secret}\n`, 0o600, /must hold one line/],
    [`${secret}\n\n`, 0o600, /must hold one line/],
    [secret.repeat(60), 0o600, /must hold one line/],
    [Buffer.alloc(1_048_577, secret), 0o600, /must be a file of at most 1048576 bytes$/],
    [secret, 0o640, /must be readable by its owner only: current mode is 0640$/],
    [secret, 0o604, /current mode is 0604$/],
    [secret, 0o620, /current mode is 0620$/],
  ];
  for (const [text, mode, message] of rows) {
    write(text, mode);
    const said = await refusal(read());
    t.match(said, { code: 'invalidConfiguration', message });
    t.notMatch(said.all, /hunter2/);
  }
});

t.test('a key is a key, wherever it is written', async (t) => {
  const directory = temporaryDirectory(t);
  const path = join(directory, 'migration.key');
  const write = (text: string, mode = 0o600): void => {
    writeFileSync(path, text);
    chmodSync(path, mode);
  };
  const psk = async (): Promise<unknown> => (await readCredentials({ by: 'keyFile', path })).client.pskCallback?.(null);
  write(secret, 0o400);
  const bare = await psk();
  for (const end of ['\n', '\r\n']) {
    write(`${secret}${end}`);
    t.same(await psk(), bare, 'the end of its line is not counted');
  }
  t.same((await readCredentials({ by: 'key', key: secret })).client.pskCallback?.(null), bare, 'and it is the key that weft.yaml could hold');
  write(`${secret}.`);
  t.notSame(await psk(), bare);
  const folder = join(directory, 'folder');
  mkdirSync(folder, { mode: 0o700 });
  t.match(await refusal(readCredentials({ by: 'keyFile', path: folder })), { message: /must be a file of at most/ });
  const pipe = join(directory, 'pipe');
  run('mkfifo', ['-m', '600', pipe]);
  t.match(await refusal(readCredentials({ by: 'keyFile', path: pipe })), { message: /must be a file of at most/ }, 'which is not waited for');
});

t.test('files with certificates', { skip: skipUnless({ tools: ['openssl'] }) }, async (t) => {
  const directory = temporaryDirectory(t);
  const files = createAuthority(directory, 'ours')('node');
  const other = createSelfSigned(directory, 'other');
  const made = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const { server } = await readCredentials({ by: 'tls', files });
  t.match(server, { minVersion: 'TLSv1.3', requestCert: true, rejectUnauthorized: true });
  const bundle = made('bundle.pem', `words\n${readFileSync(files.ca, 'utf8')}\n${readFileSync(other.certificate, 'utf8')}`);
  t.equal([(await readCredentials({ by: 'tls', files: { ...files, ca: bundle } })).server.ca].flat().length, 2, 'more than one authority, as when they change');
  const rows: readonly (readonly [Partial<typeof files>, RegExp])[] = [
    [{ ca: '/nonexistent/ca.pem' }, /^migration\.tls\.ca: \/nonexistent\/ca\.pem cannot be read$/],
    [{ ca: made('empty', '') }, /^migration\.tls\.ca: \S+ must hold certificates in PEM$/],
    [{ ca: made('words', 'what browsers trust') }, /^migration\.tls\.ca: \S+ must hold certificates in PEM$/],
    [{ ca: made('broken', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n') }, /^migration\.tls\.ca: \S+ must hold certificates in PEM: /],
    [{ certificate: files.key }, /^migration\.tls\.certificate: \S+ must hold certificates in PEM$/],
    [{ key: made('no.key', secret) }, /^migration\.tls\.key: \S+ must hold a private key in PEM without a passphrase$/],
    [{ key: other.key }, /^migration\.tls\.key: \S+ must hold the key of the first certificate in /],
  ];
  for (const [wrong, message] of rows) {
    const said = await refusal(readCredentials({ by: 'tls', files: { ...files, ...wrong } }));
    t.match(said, { message });
    t.notMatch(said.all, /hunter2|PRIVATE/);
  }
  chmodSync(files.key, 0o644);
  t.match(await refusal(readCredentials({ by: 'tls', files })), { code: 'invalidConfiguration', message: /^migration\.tls\.key: \S+ must be readable by its owner only: current mode is 0644$/ });
});
