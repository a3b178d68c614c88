/** Who is not a node, and a node that has gone mad: nothing happens for them, and others are served. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { MigrationAuthentication } from '../config/migration-conf.ts';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { skipUnless } from '../testing/requirements.ts';
import { readCredentials } from './credentials.ts';
import { encodeFrame } from './frame.ts';
import { addressB, createAuthority, createNode, createPair, createSelfSigned, eventually, key, longMs, otherKey, type TestNode, type TestNodeOptions } from './test-channel.ts';

const patient = { deadlineMs: longMs };
const handshakeMs = 300;
const host = formatAddress(addressB);

interface Scene {
  readonly a: TestNode;
  readonly b: TestNode;
  readonly port: number;
  /** What b's handler was asked. */
  readonly asked: unknown[];
}

/** Two nodes; hostile callers knock at b. */
async function createScene(t: Test, authentication: (node: string) => MigrationAuthentication = () => key, b: Partial<TestNodeOptions> = {}): Promise<Scene> {
  const asked: unknown[] = [];
  const handler: TestNodeOptions['handler'] = (body) => {
    asked.push(body);
    return Promise.resolve(body);
  };
  const pair = await createPair(t, { authentication: authentication('a') }, { authentication: authentication('b'), limits: { handshakeMs, reportMs: 20 }, handler, ...b });
  return { ...pair, asked };
}

/** What b warned of, as text. */
function warnings({ lines }: TestNode): string {
  return lines.filter(({ level }) => level === 'warn').map((line) => JSON.stringify(line)).join('\n');
}

/** Waits until the other end has closed it. */
async function ended(socket: Socket): Promise<void> {
  socket.on('error', () => undefined).resume();
  await eventually('it is closed on', () => socket.closed);
}

/** A TCP connection. It may have been closed on already. */
async function knock(t: Test, port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host, localAddress });
  t.teardown(() => void socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve).on('error', resolve));
  return socket;
}

/** The first bytes of a ClientHello that is never complete (RFC 8446 §4.1.2, §5.1). */
const halfGreeting = Buffer.from('16030102000100', 'hex');

const strangers: Readonly<Record<string, { readonly act: (socket: Socket) => void; readonly said: RegExp }>> = {
  'says nothing': { act: () => undefined, said: /it did not authenticate within 300 ms/ },
  'says what is no TLS': { act: (socket) => void socket.write(Buffer.alloc(4096, 0xa5)), said: /it does not speak TLS/ },
  'speaks HTTP': { act: (socket) => void socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), said: /it does not speak TLS \(http request\)/ },
  'says half a greeting': { act: (socket) => void socket.write(halfGreeting), said: /within 300 ms/ },
  'says it slowly': { act: trickle, said: /within 300 ms/ },
  'goes at once': { act: (socket) => void socket.end(), said: /it did not authenticate/ },
  'resets': { act: (socket) => void socket.resetAndDestroy(), said: /it did not authenticate|ECONNRESET/ },
};

/** Byte after byte, for as long as it is let. */
function trickle(socket: Socket): void {
  let sent = 0;
  const timer = setInterval(() => socket.write(Buffer.from([halfGreeting[(sent += 1) - 1] ?? 0])), 20);
  socket.once('close', () => clearInterval(timer));
}

t.test('who does not authenticate', async (t) => {
  for (const [name, { act, said }] of Object.entries(strangers)) {
    await t.test(name, async (t) => {
      const { a, b, port, asked } = await createScene(t);
      const socket = await knock(t, port);
      act(socket);
      await ended(socket);
      await eventually('it is said', () => said.test(warnings(b)));
      t.match(warnings(b), /127\.0\.0\.1/, 'with who it was');
      t.same(asked, [], 'nothing happened');
      t.equal(await a.channel.ask(addressB, 'x', patient), 'x', 'others are served');
    });
  }
});

const impostors: Readonly<Record<string, { readonly options: () => Promise<ConnectionOptions> | ConnectionOptions; readonly said: RegExp }>> = {
  'has another key': { options: async () => (await readCredentials(otherKey)).client, said: /it has another key/ },
  'has a key of another name': { options: async () => ({ ...(await readCredentials(key)).client, pskCallback: () => ({ psk: Buffer.alloc(32), identity: 'root' }) }), said: /it has a key of another kind/ },
  'has an empty key': { options: async () => ({ ...(await readCredentials(key)).client, pskCallback: () => ({ psk: Buffer.from([0]), identity: 'weft' }) }), said: /it has another key/ },
  'has no key': { options: () => ({ rejectUnauthorized: false }), said: /it authenticates in another way/ },
  'wants to be trusted without one': { options: () => ({ rejectUnauthorized: false, ciphers: 'aNULL:eNULL:@SECLEVEL=0', maxVersion: 'TLSv1.2' }), said: /it authenticates in another way/ },
  'wants a key without forward secrecy': { options: async () => ({ ...(await readCredentials(key)).client, ciphers: 'PSK-AES256-GCM-SHA384' }), said: /it authenticates in another way/ },
};

t.test('who has not the key', async (t) => {
  for (const [name, { options, said }] of Object.entries(impostors)) {
    await t.test(name, async (t) => {
      const { b, port, asked } = await createScene(t);
      await tryTo(port, await options());
      await eventually('it is said', () => said.test(warnings(b)));
      t.same(asked, []);
    });
  }
});

t.test('who has not the certificate', { skip: skipUnless({ tools: ['openssl'] }) }, async (t) => {
  const directory = temporaryDirectory(t);
  const certify = createAuthority(directory, 'ours');
  const foreign = createAuthority(directory, 'theirs');
  const read = (paths: { readonly certificate: string; readonly key: string }): ConnectionOptions => ({ cert: readFileSync(paths.certificate), key: readFileSync(paths.key) });
  const rows: Readonly<Record<string, () => Promise<ConnectionOptions> | ConnectionOptions>> = {
    'has none': () => ({}),
    'has one of another authority': () => read(foreign('x')),
    'has one of an authority with the same name': () => read(createAuthority(temporaryDirectory(t), 'ours')('x')),
    'has one of its own': () => read(createSelfSigned(directory, 'self')),
    'speaks TLS 1.2': () => ({ ...read(certify('old')), maxVersion: 'TLSv1.2' }),
    'has a key instead': async () => (await readCredentials(key)).client,
  };
  for (const [name, options] of Object.entries(rows)) {
    await t.test(name, async (t) => {
      const { a, b, port, asked } = await createScene(t, (node) => ({ by: 'tls', files: certify(node) }));
      await tryTo(port, { rejectUnauthorized: false, ...(await options()) });
      await eventually('it is said', () => warnings(b) !== '');
      t.match(warnings(b), /127\.0\.0\.1: it (has no certificate|showed no certificate of this authority|authenticates in another way)/);
      t.same(asked, []);
      t.equal(await a.channel.ask(addressB, 'x', patient), 'x', 'others are served');
    });
  }
  await t.test('the one that is asked has none', async (t) => {
    const scene = await createScene(t, (node) => ({ by: 'tls', files: certify(node) }));
    const lone = createNode(t, { name: 'lone', port: scene.port, authentication: { by: 'tls', files: foreign('lone') } });
    await t.rejects(lone.channel.ask(addressB, 'x', patient), { code: 'invalidConfiguration', message: /do not know each other: its certificate is of another authority/ });
    t.same(scene.asked, []);
    const half = createNode(t, { name: 'half', port: scene.port, authentication: { by: 'tls', files: { ...foreign('half'), ca: certify('half').ca } } });
    await t.rejects(half.channel.ask(addressB, 'x', patient), { code: 'tryAgainLater', details: 'Perhaps it does not know this node: its log says why.' });
    t.same(scene.asked, []);
  });
});

/** Greets and asks, as if it were a node; ends when it is closed on. */
async function tryTo(port: number, options: ConnectionOptions): Promise<void> {
  const socket = connectTls({ ...options, host, port });
  socket.on('error', () => undefined);
  // Written at once and not after the handshake: it must not even be read.
  socket.write(Buffer.concat([greeting, encodeFrame({ kind: 'ask', id: 1, body: 'mischief' })]));
  await ended(socket);
}

const greeting = encodeFrame({ kind: 'hello', version: 1, node: 'mad' });
const ask = (id: unknown): Buffer => encodeFrame({ kind: 'ask', id, body: 'x' });
const raw = (length: number, bytes: string | Buffer): Buffer => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  return Buffer.concat([head, Buffer.from(bytes)]);
};

const madNodes: Readonly<Record<string, { readonly says: readonly Buffer[]; readonly said: RegExp }>> = {
  'greets with another version': { says: [encodeFrame({ kind: 'hello', version: 2, node: 'new' })], said: /it speaks version 2 of the channel, and this node version 1: install the same weft on both/ },
  'greets without a name': { says: [encodeFrame({ kind: 'hello', version: 1 })], said: /a greeting must have a node's name/ },
  'greets with a name that spoils a log': { says: [encodeFrame({ kind: 'hello', version: 1, node: 'a\nb' })], said: /a greeting must have a node's name/ },
  'asks before it greets': { says: [ask(1)], said: /a greeting must come first/ },
  'does not greet': { says: [], said: /it did not authenticate within 300 ms/ },
  'greets slowly': { says: [greeting.subarray(0, 9)], said: /it did not authenticate within 300 ms/ },
  'greets twice': { says: [greeting, greeting], said: /a second greeting came/ },
  'announces too much': { says: [greeting, raw(65_537, '')], said: /a message must have at most 65536 bytes: current value is 65537/ },
  'announces four gigabytes': { says: [raw(0xffff_ffff, '')], said: /at most 65536 bytes/ },
  'sends nothing in a frame': { says: [greeting, raw(0, '')], said: /JSON/ },
  'sends no JSON': { says: [greeting, raw(3, '{"a')], said: /JSON/ },
  'sends no UTF-8': { says: [greeting, raw(4, Buffer.from([0x22, 0xc3, 0x28, 0x22]))], said: /not valid/ },
  'sends a list': { says: [greeting, encodeFrame([])], said: /a message must be an object/ },
  'sends brackets': { says: [greeting, raw(60_000, '['.repeat(60_000))], said: /JSON/ },
  'asks without an id': { says: [greeting, ask(undefined)], said: /id must be a whole number from 1 up/ },
  'asks with id 0': { says: [greeting, ask(0)], said: /id must be/ },
  'asks without a body': { says: [greeting, encodeFrame({ kind: 'ask', id: 1 })], said: /must have a body/ },
  'answers what was not asked': { says: [greeting, encodeFrame({ kind: 'answer', id: 1, body: 1 })], said: /an answer came to a question that was not asked/ },
  'fails without words': { says: [greeting, encodeFrame({ kind: 'failure', id: 1, failure: {} })], said: /a failure must have a code and words/ },
  'is of an unknown kind': { says: [greeting, encodeFrame({ kind: 'order', id: 1 })], said: /of a kind that is known/ },
  'calls itself a prototype': { says: [greeting, raw(31, '{"__proto__":{"kind":"ask"}    }')], said: /of a kind that is known|JSON/ },
};

async function connectMad(t: Test, port: number, localAddress = '127.0.0.1'): Promise<TLSSocket> {
  const options: ConnectionOptions & { readonly localAddress: string } = { ...(await readCredentials(key)).client, host, port, localAddress };
  const socket = connectTls(options);
  t.teardown(() => void socket.destroy());
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).on('error', reject));
  return socket;
}

t.test('a node that has gone mad', async (t) => {
  for (const [name, { says, said }] of Object.entries(madNodes)) {
    await t.test(name, async (t) => {
      const { a, b, port, asked } = await createScene(t);
      const socket = await connectMad(t, port);
      socket.write(Buffer.concat(says));
      await ended(socket);
      await eventually(`it is said: ${warnings(b)}`, () => said.test(warnings(b)));
      t.match(b.lines.find(({ level }) => level === 'warn'), { connections: 1 }, 'once');
      t.same(asked, []);
      t.equal(await a.channel.ask(addressB, 'x', patient), 'x', 'others are served');
    });
  }
});

t.test('two questions with one id', async (t) => {
  const { b, port } = await createScene(t, undefined, { handler: () => new Promise(() => undefined) });
  const socket = await connectMad(t, port);
  socket.write(Buffer.concat([greeting, ask(7), ask(7)]));
  await ended(socket);
  await eventually('it is said', () => /a second question has the id/.test(warnings(b)));
});

t.test('too many questions', async (t) => {
  let asked = 0;
  const { port } = await createScene(t, undefined, { handler: () => new Promise(() => void (asked += 1)) });
  const socket = await connectMad(t, port);
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
  socket.write(Buffer.concat([greeting, ...Array.from({ length: 65 }, (_, index) => ask(index + 1))]));
  await eventually('the last one is refused', () => heard.includes('"id":65'));
  t.match(heard, /"code":"tryAgainLater","message":"node node-b has 64 questions of this node to answer already"/);
  t.equal(asked, 64);
});

t.test('answers that nobody fetches', async (t) => {
  const { a, b, port } = await createScene(t);
  const socket = await connectMad(t, port);
  socket.pause();
  socket.write(greeting);
  const large = 'x'.repeat(60_000);
  let id = 0;
  const timer = setInterval(() => {
    for (let count = 0; count < 20; count += 1) socket.write(encodeFrame({ kind: 'ask', id: (id += 1), body: large }));
  }, 5);
  t.teardown(() => clearInterval(timer));
  await eventually('it is closed on', () => /it does not fetch what it asked for/.test(warnings(b)));
  clearInterval(timer);
  t.equal(await a.channel.ask(addressB, 'x', patient), 'x');
});

t.test('thousands of strangers', async (t) => {
  const { a, b, port, asked } = await createScene(t, undefined, { limits: { handshakeMs: longMs } });
  const sockets: Socket[] = [];
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  // No more at once than the kernel keeps for a listener: of those beyond, the caller alone believes that they are open (SYN cookies).
  while (sockets.length < 2000) {
    sockets.push(...Array.from({ length: 100 }, () => connect(port, host).on('error', () => undefined).resume()));
    await eventually('all but a few are closed on', () => sockets.filter(({ closed }) => closed).length === sockets.length - 16);
  }
  t.equal(await a.channel.ask(addressB, 'x', patient), 'x', 'who comes from elsewhere is served');
  await eventually('they are in the log', () => total(b) === 2000 - 16);
  t.match(warnings(b), /16 connections from there have not authenticated yet \(\d+ times\)/);
  t.ok(b.lines.filter(({ level }) => level === 'warn').length < 20, 'in a few lines');
  t.same(asked, ['x']);
  t.equal(b.channel.connections, 1);
});

function total({ lines }: TestNode): number {
  return lines.filter(({ level }) => level === 'warn').reduce((sum, { connections }) => sum + Number(connections), 0);
}

t.test('strangers from everywhere, and too many nodes', async (t) => {
  const { b, port } = await createScene(t, undefined, { limits: { handshakeMs: longMs, strangersMax: 4, strangersPerAddressMax: 2, connectionsMax: 6 } });
  const waiting = await Promise.all(['127.0.1.1', '127.0.1.1', '127.0.1.2', '127.0.1.2'].map((from) => knock(t, port, from)));
  await ended(await knock(t, port, '127.0.1.3'));
  await eventually('it is said', () => /127\.0\.1\.3: 4 connections have not authenticated yet/.test(warnings(b)));
  for (const socket of waiting) socket.destroy();
  const nodes = [];
  for (let index = 1; index <= 6; index += 1) {
    const node = await retried(() => connectMad(t, port, `127.0.2.${index}`));
    node.write(greeting);
    await eventually('it is open', () => b.channel.connections === index);
    nodes.push(node);
  }
  await ended(await knock(t, port, '127.0.1.3'));
  await eventually('it is said', () => /127\.0\.1\.3: 6 connections are open/.test(warnings(b)));
  await t.rejects(b.channel.ask(parseAddress('127.0.0.77'), 'x', patient), { code: 'tryAgainLater', message: '6 connections with other nodes are open' });
  t.ok(nodes.every(({ destroyed }) => !destroyed), 'who is in stays in');
});

/** Until it is noticed that others have gone. */
async function retried(attempt: () => Promise<TLSSocket>): Promise<TLSSocket> {
  for (let left = 200; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}
