import { spawnSync } from 'node:child_process';
import t from 'tap';
import { parseAddress, parseInterfaceAddress, type InterfaceAddress } from '../netaddr/netaddr.ts';
import { netnsId, ownNetns } from '../sys/netns.ts';
import { inNetns, run, runIn } from '../testing/command.ts';
import { createNetns } from '../testing/netns.ts';
import { findLink, readAddresses, readLinks } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { addAddress, decodeAddress, listAddresses } from './address.ts';
import { encodeMessage, type NetlinkRequest } from './codec.ts';
import { addVxlan, decodeLink, delLink, getLink, listLinks, setLink } from './link.ts';
import { isRefusal, NetlinkError } from './netlink-error.ts';
import { openNetlink, requestTolerating } from './netlink-socket.ts';
import { openNetlinkIn, withNetns } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'cat'] });
const loopback = 1;

/** The n-th of many addresses. */
function manyAddress(n: number): InterfaceAddress {
  return parseInterfaceAddress(`10.${n >> 16}.${(n >> 8) & 0xff}.${n & 0xff}/32`);
}

void t.test('a refusal has the errno, the object, and what the kernel says about it', { skip }, async (t) => {
  const socket = openNetlinkIn(t, createNetns(t));
  const vxlan = addVxlan({ name: 'weft-vx1', vni: 1, local: parseAddress('192.0.2.1'), port: 4789, mtu: 70_000, learning: true, master: 0 });
  t.throws(() => socket.request([vxlan]), {
    name: 'WeftError', code: 'kernelRefused', cniCode: 101, errno: 22, errnoCode: 'EINVAL',
    message: /^Cannot add VXLAN device weft-vx1: invalid argument \(EINVAL\): .*mtu/i,
  });
  t.throws(() => socket.request([delLink('none')]), { errno: 19, errnoCode: 'ENODEV', message: 'Cannot delete link none: No such device (ENODEV)' }, 'without an explanation of the kernel');
});

void t.test('requests that travel together: one that is refused does not stop the others', { skip }, async (t) => {
  const netns = createNetns(t);
  const socket = openNetlinkIn(t, netns);
  run('ip', ['-n', netns, 'link', 'add', 'br0', 'type', 'bridge']);
  const requests = [setLink('br0', { mtu: 1400 }), setLink('none', { mtu: 1 }), setLink('br0', { alias: 'x' }), getLink('none'), getLink('br0')];
  const outcomes = socket.tryRequest(requests);
  t.same(outcomes.map((outcome) => (outcome instanceof NetlinkError ? outcome.errnoCode : outcome.length)), [0, 'ENODEV', 0, 'ENODEV', 1]);
  t.match(findLink(netns, 'br0'), { mtu: 1400, ifalias: 'x' });
  t.throws(() => socket.request(requests), { message: /^Cannot set link none: / }, 'request() throws the first refusal');
  t.equal(findLink(netns, 'br0')?.mtu, 1400);
  t.same(socket.tryRequest([]), [], 'nothing is asked of nobody');
  const [answer] = socket.request([getLink('br0')]);
  t.equal(answer?.[0] && decodeLink(answer[0]).name, 'br0', 'answers left over from a refusal are not taken for later ones');
});

void t.test('requestTolerating() takes the named refusals only', { skip }, async (t) => {
  const socket = openNetlinkIn(t, createNetns(t));
  requestTolerating(socket, [delLink('none'), delLink('nil')], 'ENODEV');
  t.throws(() => requestTolerating(socket, [delLink('none')], 'EEXIST', 'ENOENT'), { code: 'kernelRefused', errnoCode: 'ENODEV' });
  t.throws(() => requestTolerating(socket, [delLink('none')]), { code: 'kernelRefused', errnoCode: 'ENODEV' });
  t.ok(isRefusal(new NetlinkError('x', 19), 'EEXIST', 'ENODEV'));
  t.notOk(isRefusal(new NetlinkError('x', 19)));
  t.notOk(isRefusal(new Error('ENODEV'), 'ENODEV'));
});

void t.test('a thousand requests at once, and a dump of many datagrams', { skip }, async (t) => {
  const netns = createNetns(t);
  const socket = openNetlinkIn(t, netns);
  const addresses = Array.from({ length: 1000 }, (_, index) => manyAddress(index + 1));
  socket.request(addresses.map((address) => addAddress(loopback, address)));
  t.equal(readAddresses(netns, 'lo').length, addresses.length);
  const again = socket.tryRequest(addresses.map((address) => addAddress(loopback, address)));
  t.ok(again.every((outcome) => isRefusal(outcome, 'EEXIST')), 'each of a thousand refusals arrives');
  const dumped = socket.dump(listAddresses(loopback)).map(decodeAddress);
  t.same(new Set(dumped.map((entry) => entry?.address.address.value)), new Set(addresses.map(({ address }) => address.value)));
});

void t.test('a dump that is refused', { skip }, async (t) => {
  const socket = openNetlinkIn(t, createNetns(t));
  t.throws(() => socket.dump(listAddresses(9999)), { code: 'kernelRefused', errnoCode: 'ENODEV', message: /^Cannot list addresses: / });
  t.equal(socket.dump(listLinks()).length, 1, 'the socket goes on working');
});

void t.test('a socket works on the namespace it was opened in', { skip }, async (t) => {
  const netns = createNetns(t);
  const home = netnsId(ownNetns);
  const socket = openNetlinkIn(t, netns);
  t.equal(netnsId(ownNetns), home, 'opening it has not moved the thread');
  t.same(socket.dump(listLinks()).map((message) => decodeLink(message).name), readLinks(netns).map((link) => link.ifname));
});

void t.test('a closed socket refuses', { skip }, async (t) => {
  const socket = withNetns(createNetns(t), (fd) => openNetlink('route', fd));
  socket.close();
  t.throws(() => socket.dump(listLinks()), { code: 'EBADF' });
});

/** Port ids of the sockets in a namespace, the kernel's own (0) aside: the third column of /proc/net/netlink. */
function portIds(netns: string): readonly number[] {
  const lines = runIn(netns, 'cat', '/proc/net/netlink').split('\n').slice(1);
  return lines.map((line) => Number(line.trim().split(/\s+/)[2])).filter((portId) => portId > 0);
}

/** Has another process send a datagram to a netlink port of the namespace. */
function sendFromElsewhere(netns: string, portId: number, datagram: Buffer): void {
  const script = `
    import { openSocket, sendTo } from ${JSON.stringify(new URL('../sys/libc.ts', import.meta.url).href)};
    const address = Buffer.alloc(12);
    address.writeUInt16LE(16, 0);
    address.writeUInt32LE(${portId}, 4);
    sendTo(openSocket(16, 3, 0), Buffer.from('${datagram.toString('hex')}', 'hex'), address);`;
  const child = spawnSync('ip', inNetns(netns, process.execPath, '--input-type=module', '-e', script), { encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`the other process could not send: ${child.stderr}`);
}

void t.test('what another process sends to our port is not taken for the kernel’s answer', { skip }, async (t) => {
  const netns = createNetns(t);
  const socket = openNetlinkIn(t, netns);
  const [portId] = portIds(netns);
  if (portId === undefined) throw new Error('the socket is not in /proc/net/netlink');

  // The forgery says of the socket's first request, before it is made, that it was refused.
  const [noSuchProcess, nlmsgError, firstSequence] = [Buffer.alloc(20), 2, 1];
  noSuchProcess.writeInt32LE(-3, 0);
  const forged = encodeMessage({ type: nlmsgError, flags: 0, payload: noSuchProcess }, firstSequence);
  forged.writeUInt32LE(portId, 12);
  sendFromElsewhere(netns, portId, forged);

  const [answer] = socket.request([getLink('lo')]);
  t.equal(answer?.length, 1, "the kernel's answer came behind the forged one");
  t.equal(answer?.[0] && decodeLink(answer[0]).name, 'lo');
});

void t.test('a refused bracket of a batch is the refusal of all of it, not an answer that never comes', { skip }, async (t) => {
  const socket = openNetlinkIn(t, createNetns(t), 'netfilter');
  // NFNL_MSG_BATCH_BEGIN for subsystem 99, which does not exist; struct nfgenmsg carries it in network byte order.
  const begin: NetlinkRequest = { type: 0x10, flags: 0, payload: Uint8Array.of(0, 0, 0, 99), what: 'begin a batch', isUnacknowledged: true };
  const inside: NetlinkRequest = { type: 10 << 8, flags: 0, payload: Uint8Array.of(1, 0, 0, 0), what: 'add a table' };
  t.throws(() => socket.request([begin, inside]), { code: 'kernelRefused', message: /^Cannot begin a batch: / });
});
