import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { WeftError } from '../errors/weft-error.ts';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { skipUnless } from '../testing/requirements.ts';
import { readCredentials } from './credentials.ts';
import { encodeFrame } from './frame.ts';
import type { JsonValue, Peer } from './peers.ts';
import { addressA, addressB, createAuthority, createNode, createPair, eventually, freePort, key, longMs, otherKey } from './test-channel.ts';

const patient = { deadlineMs: longMs };

t.test('it asks and is answered', async (t) => {
  const from: Peer[] = [];
  const { a, b } = await createPair(t, {}, {
    handler: (body, peer) => {
      from.push(peer);
      return Promise.resolve({ got: body });
    },
  });
  for (const body of [null, true, 1.5, 'text äöü', [1, [2]], { a: { b: null } }]) t.same(await a.channel.ask(addressB, body, patient), { got: body });
  t.same(from[0], { address: addressA, node: 'node-a' }, 'its address is the one it listens at');
  t.equal(a.channel.connections, 1, 'one connection is enough');
  t.same(await b.channel.ask(addressA, 'back', patient), 'back');
  t.equal(b.channel.connections, 1, 'it serves both directions, whoever opened it');
});

t.test('it asks with certificates', { skip: skipUnless({ tools: ['openssl'] }) }, async (t) => {
  const certify = createAuthority(temporaryDirectory(t), 'ours');
  const { a, b } = await createPair(t, { authentication: { by: 'tls', files: certify('a') } }, { authentication: { by: 'tls', files: certify('b') } });
  t.equal(await a.channel.ask(addressB, 'there', patient), 'there');
  t.equal(await b.channel.ask(addressA, 'back', patient), 'back');
  t.equal(a.channel.connections, 1);
});

t.test('many ask at once, and are answered out of order', async (t) => {
  const held = Promise.withResolvers<JsonValue>();
  const { a, b } = await createPair(t, {}, { handler: (body) => (body === 'slow' ? held.promise : Promise.resolve(body)) });
  const slow = a.channel.ask(addressB, 'slow', patient);
  const quick = await Promise.all(Array.from({ length: 50 }, (_, index) => a.channel.ask(addressB, index, patient)));
  t.same(quick, Array.from({ length: 50 }, (_, index) => index));
  t.equal(b.channel.connections, 1, 'on one connection, also while it was being made');
  held.resolve('late');
  t.equal(await slow, 'late');
});

t.test('more than one connection takes is more than one connection', async (t) => {
  const held = Promise.withResolvers<JsonValue>();
  const { a, b } = await createPair(t, {}, { handler: () => held.promise });
  const answers = Array.from({ length: 150 }, () => a.channel.ask(addressB, 'all', patient));
  await eventually('three are open', () => b.channel.connections === 3);
  held.resolve('done');
  t.same(new Set(await Promise.all(answers)), new Set(['done']));
});

t.test('errors travel', async (t) => {
  const thrown: Readonly<Record<string, unknown>> = {
    known: new WeftError('invalidConfiguration', 'VNI 16777208 is a tenant', { details: 'give it another' }),
    retry: new WeftError('tryAgainLater', 'not yet'),
    foreign: new TypeError('x is not a function'),
    long: new WeftError('ioFailure', '\u0001'.repeat(200_000)),
  };
  const { a } = await createPair(t, {}, {
    handler: (body) => {
      if (body === 'large') return Promise.resolve('x'.repeat(65_536));
      throw thrown[String(body)] as Error;
    },
  });
  const asked = (body: JsonValue): Promise<JsonValue> => a.channel.ask(addressB, body, patient);
  await t.rejects(asked('known'), { name: 'WeftError', code: 'invalidConfiguration', message: 'VNI 16777208 is a tenant', details: 'give it another' });
  await t.rejects(asked('retry'), { code: 'tryAgainLater', message: 'not yet' });
  await t.rejects(asked('foreign'), { code: 'internal', message: 'the other node failed: x is not a function' });
  await t.rejects(asked('large'), { code: 'internal', message: /must have at most 65536 bytes: current value is 65/ });
  await t.rejects(asked('long'), { code: 'ioFailure' });
  await t.rejects(asked('x'.repeat(65_536)), { code: 'internal', message: /^a question for another node cannot be sent: a message must have at most 65536 bytes/ });
  t.equal(a.channel.connections, 1, 'and cost no connection');
});

t.test('a late answer is none, and the connection goes on', async (t) => {
  const held = Promise.withResolvers<JsonValue>();
  const { a, b } = await createPair(t, {}, { handler: (body) => (body === 'slow' ? held.promise : Promise.resolve(body)) });
  const other = a.channel.ask(addressB, 'slow', patient);
  await t.rejects(a.channel.ask(addressB, 'slow', { deadlineMs: 30 }), { code: 'tryAgainLater', message: 'node node-b at 127.0.0.3 did not answer within 30 ms' });
  t.equal(await a.channel.ask(addressB, 'next', patient), 'next');
  held.resolve('late');
  t.equal(await other, 'late', 'who is patient is answered');
  await eventually('a has no connection but the one', () => a.channel.connections <= 2 && b.channel.connections <= 2);
  t.equal(await a.channel.ask(addressB, 'again', patient), 'again');
});

t.test('the other node goes, and comes back', async (t) => {
  const { a, b, port } = await createPair(t, {}, { handler: () => new Promise(() => undefined) });
  const asked = a.channel.ask(addressB, 'x', patient);
  await eventually('they are connected', () => b.channel.connections === 1);
  await b.channel.close();
  await t.rejects(asked, { code: 'tryAgainLater', message: 'the connection with node node-b at 127.0.0.3 was lost' });
  await t.rejects(a.channel.ask(addressB, 'x', patient), { code: 'tryAgainLater', message: 'the node at 127.0.0.3 cannot be reached', cause: { code: 'ECONNREFUSED' } });
  await t.rejects(b.channel.ask(addressA, 'x', patient), { code: 'tryAgainLater', message: 'the channel to other nodes is closed' });
  const again = createNode(t, { name: 'node-b', port });
  await again.channel.listen(addressB);
  t.equal(await a.channel.ask(addressB, 'there', patient), 'there');
});

t.test('silence closes a connection, and the next question makes another', async (t) => {
  const limits = { silenceMs: 60 };
  const { a, b } = await createPair(t, { limits }, { limits });
  t.equal(await a.channel.ask(addressB, 1, patient), 1);
  await eventually('it is closed', () => a.channel.connections === 0 && b.channel.connections === 0);
  t.equal(await a.channel.ask(addressB, 2, patient), 2);
  t.notOk([...a.lines, ...b.lines].some(({ level }) => level === 'warn'), 'which is nothing to warn of');
});

t.test('a connection is kept open, and made again', async (t) => {
  const limits = { silenceMs: 60 };
  const { a, b, port } = await createPair(t, { limits }, { limits });
  const stop = a.channel.keepOpen(addressB);
  await eventually('it is open before anybody asks', () => a.channel.connections === 1 && b.channel.connections === 1);
  await new Promise((resolve) => setTimeout(resolve, 5 * limits.silenceMs));
  const opened = (): number => b.lines.filter(({ message }) => message === 'a connection with another node is open').length;
  t.equal(opened(), 1, 'it was not closed meanwhile');
  await b.channel.close();
  await eventually('it is noticed', () => a.lines.some(({ message }) => message === 'a connection with another node is closed'));
  const again = createNode(t, { name: 'node-b', port, limits });
  await again.channel.listen(addressB);
  await eventually('it is open again', () => again.channel.connections === 1);
  stop();
  await eventually('it is let go', () => again.channel.connections === 0);
  a.channel.keepOpen(addressB);
  await a.channel.close();
  await eventually('the end is the end', () => again.channel.connections === 0);
});

t.test('a node that has become mute is left', async (t) => {
  const limits = { silenceMs: 100, handshakeMs: 400 };
  const { a, b, port } = await createPair(t);
  const server = createTlsServer((await readCredentials(key)).server, (socket) => void socket.on('error', () => undefined).write(encodeFrame({ kind: 'hello', version: 1, node: 'mute' })));
  server.listen(port, '127.0.0.6');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const c = createNode(t, { name: 'node-c', port, limits });
  const mute = parseAddress('127.0.0.6');
  await t.rejects(c.channel.ask(mute, 'x', { deadlineMs: 1000 }), { code: 'tryAgainLater', message: 'node mute at 127.0.0.6 did not answer within 1000 ms' });
  t.equal(c.channel.connections, 0, 'the next question makes a new connection');
  c.channel.keepOpen(mute);
  const count = (): number => c.lines.filter(({ message }) => message === 'a connection with another node is closed').length;
  await eventually('its pings are not answered', () => count() >= 2);
  t.ok([a, b].every(({ lines }) => lines.every(({ level }) => level === 'debug')));
});

t.test('who waits for an answer is not silent', async (t) => {
  const limits = { silenceMs: 40 };
  const { a } = await createPair(t, { limits }, { limits, handler: (body) => new Promise((resolve) => setTimeout(() => resolve(body), 200)) });
  t.equal(await a.channel.ask(addressB, 'x', patient), 'x');
});

t.test('nodes that do not know each other say so', async (t) => {
  const { a, b, port } = await createPair(t, {}, { authentication: otherKey });
  await t.rejects(a.channel.ask(addressB, 'x', patient), { code: 'invalidConfiguration', message: /^the node at 127\.0\.0\.3 and this one do not know each other: it has another key/, details: /the same key/ });
  await eventually('b says it', () => b.lines.some(({ level }) => level === 'warn'));
  t.match(b.lines, [{ level: 'warn', connections: 1, callers: [/^127\.0\.0\.2: it has another key/] }]);
  t.notMatch(JSON.stringify(b.lines), /somebody else|tests only/, 'no key is in the log');
  t.equal(a.channel.connections + b.channel.connections, 0);
  const old = createNode(t, { name: 'node-c', port });
  await old.channel.listen(parseAddress('127.0.0.4'));
  t.equal(await a.channel.ask(parseAddress('127.0.0.4'), 'x', patient), 'x', 'with others it goes on');
});

t.test('the deadline counts also while a connection is made', async (t) => {
  const port = await listenMutely(t, '127.0.0.5');
  const lone = createNode(t, { name: 'lone', port });
  await t.rejects(lone.channel.ask(parseAddress('127.0.0.5'), 'x', { deadlineMs: 50 }), { code: 'tryAgainLater', message: 'the node at 127.0.0.5 could not be reached within 50 ms' });
  const quick = createNode(t, { name: 'quick', port, limits: { handshakeMs: 50 } });
  await t.rejects(quick.channel.ask(parseAddress('127.0.0.5'), 'x', patient), { code: 'tryAgainLater', message: 'the node at 127.0.0.5 did not greet within 50 ms' });
  t.equal(quick.channel.connections, 0);
});

t.test('where it cannot listen it says what to change', async (t) => {
  const { port } = await createPair(t);
  const third = createNode(t, { name: 'third', port });
  await t.rejects(third.channel.listen(addressA), { code: 'ioFailure', message: `cannot listen on 127.0.0.2, TCP port ${port}, for other nodes: set migration.listen and migration.port to what is free on this node`, cause: { code: 'EADDRINUSE' } });
  await t.rejects(third.channel.listen(parseAddress('192.0.2.77')), { code: 'ioFailure', cause: { code: 'EADDRNOTAVAIL' } });
  await third.channel.listen(parseAddress('127.0.0.9'));
  t.equal(await third.channel.ask(addressA, 'x', patient), 'x', 'and can be told again');
});

t.test('a key in a file is the same key', async (t) => {
  const path = join(temporaryDirectory(t), 'migration.key');
  const { a } = await createPair(t, { authentication: { by: 'keyFile', path } }).catch(() => ({ a: undefined }));
  t.equal(a, undefined, 'which is not there yet');
  writeFileSync(path, `${key.by === 'key' ? key.key : ''}\n`, { mode: 0o600 });
  const { a: next } = await createPair(t, { authentication: { by: 'keyFile', path } });
  t.equal(await next.channel.ask(addressB, 'x', patient), 'x');
});

t.test('IPv6', async (t) => {
  const port = await freePort();
  const loopback = parseAddress('::1');
  const from: string[] = [];
  const node = createNode(t, { name: 'six', port, handler: (body, { address }) => (from.push(formatAddress(address)), Promise.resolve(body)) });
  await node.channel.listen(loopback);
  t.equal(await node.channel.ask(loopback, 'x', patient), 'x', 'also of itself');
  t.same(from, ['::1']);
});

/** Accepts, and says nothing. @returns the port */
async function listenMutely(t: Test, address: string): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => void sockets.add(socket.on('error', () => undefined))).listen(0, address);
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}
