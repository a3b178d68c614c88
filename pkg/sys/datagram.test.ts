import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createDatagramReader, decodeControl } from './datagram.ts';
import { bindSocket, closeSocket, int32, openSocket, sendTo, setSocketOption } from './libc.ts';

const [afUnix, sockDatagram, solSocket, soPassCredentials, scmCredentials] = [1, 2, 1, 16, 2];

/** struct sockaddr_un. */
function unixAddress(path: string): Buffer {
  const address = Buffer.alloc(110);
  address.writeUInt16LE(afUnix, 0);
  address.write(path, 2);
  return address;
}

/** Two sockets with names, closed with the test. */
function openPair(t: Test): { readonly from: number; readonly to: number; readonly paths: readonly [from: string, to: string]; send(text: string): void } {
  const directory = mkdtempSync(join(tmpdir(), 'weft-datagram-'));
  const paths = [join(directory, 'from'), join(directory, 'to')] as const;
  const [from, to] = paths.map((path) => {
    const fd = openSocket(afUnix, sockDatagram, 0);
    bindSocket(fd, unixAddress(path));
    return fd;
  }) as [number, number];
  t.teardown(() => {
    closeSocket(from);
    closeSocket(to);
    rmSync(directory, { recursive: true });
  });
  return { from, to, paths, send: (text) => sendTo(from, Buffer.from(text), unixAddress(paths[1])) };
}

t.test('datagrams in order, with their sender, until there is none', async (t) => {
  const { to, paths, send } = openPair(t);
  const read = createDatagramReader({ dataBytes: 64, count: 2 });
  t.same(read(to), [], 'it does not wait');
  const texts = ['one', '', 'x'.repeat(64), 'four'];
  for (const text of texts) send(text);
  for (const pair of [texts.slice(0, 2), texts.slice(2)]) {
    const datagrams = read(to);
    t.same(datagrams.map(({ data }) => data.toString()), pair);
    for (const { isCut, sender, control } of datagrams) t.same([isCut, sender.toString('utf8', 2).replace(/\0.*$/s, ''), control], [false, paths[0], []]);
  }
  t.same(read(to), []);
});

t.test('one that is too long is cut, and the next one is whole', async (t) => {
  const { to, send } = openPair(t);
  const read = createDatagramReader({ dataBytes: 4, count: 3 });
  send('too long');
  send('good');
  t.match(read(to), [{ data: Buffer.from('too '), isCut: true }, { data: Buffer.from('good'), isCut: false }]);
});

t.test('control messages', async (t) => {
  const { to, send } = openPair(t);
  setSocketOption(to, { level: solSocket, name: soPassCredentials, value: int32(1) });
  const read = createDatagramReader({ dataBytes: 16, count: 2 });
  send('who');
  const [message, ...others] = read(to)[0]?.control ?? [];
  t.match(message, { level: solSocket, type: scmCredentials });
  t.equal(message?.data.readInt32LE(0), process.pid);
  t.same(others, []);
});

t.test('control messages that do not fit their memory end the list', async (t) => {
  const message = (length: number, ...data: readonly number[]): Buffer => {
    const header = Buffer.alloc(16);
    header.writeBigUInt64LE(BigInt(length), 0);
    header.writeInt32LE(270, 8);
    header.writeInt32LE(8, 12);
    return Buffer.concat([header, Buffer.from(data)]);
  };
  const good = message(20, 1, 0, 0, 0, 9, 9, 9, 9);
  t.match(decodeControl(Buffer.concat([good, good])), [{ level: 270, type: 8, data: Buffer.from([1, 0, 0, 0]) }, { level: 270, type: 8 }]);
  for (const [what, bad] of [['less than a header', message(15)], ['nothing', message(0)], ['more than there is', message(17)], ['cut in its header', good.subarray(0, 15)]] as const) {
    t.equal(decodeControl(Buffer.concat([good, bad])).length, 1, what);
  }
  t.same(decodeControl(Buffer.alloc(0)), []);
});

t.test('a descriptor that is no socket', async (t) => {
  t.throws(() => createDatagramReader({ dataBytes: 16, count: 2 })(-1), { code: 'EBADF', message: /^recvmmsg: / });
});
