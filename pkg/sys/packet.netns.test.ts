/** Frames out of a VXLAN device whose VTEPs answer no ARP: they stay in the node for seconds, and nobody may wait for them. */
import { closeSync, openSync } from 'node:fs';
import t from 'tap';
import { run } from '../testing/command.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { insideNetns } from './netns.ts';
import { openPacketSender, type PacketSender } from './packet.ts';

t.setTimeout(60_000);
const skip = skipUnless({ root: true, tools: ['ip', 'bridge'] });

const living = '10.200.0.2';
const deadVteps = Array.from({ length: 64 }, (_, index) => `10.200.0.${index + 10}`);
const frameBytes = 60;

interface Pair {
  readonly sender: PacketSender;
  /** Of the VXLAN device in the sender's namespace. */
  readonly index: number;
  readonly near: string;
  readonly far: string;
}

/** Two nodes with a VXLAN device each; what is sent out of the near one is flooded to a dead VTEP and to the far one. */
function createPair(scope: TeardownScope): Pair {
  const [near, far] = [createNetns(scope, 'near'), createNetns(scope, 'far')];
  run('ip', ['-n', near, 'link', 'add', 'u0', 'type', 'veth', 'peer', 'name', 'u0', 'netns', far]);
  for (const [netns, address] of [[near, '10.200.0.1'], [far, living]] as const) {
    run('ip', ['-n', netns, 'address', 'add', `${address}/24`, 'dev', 'u0']);
    run('ip', ['-n', netns, 'link', 'set', 'u0', 'up']);
    run('ip', ['-n', netns, 'link', 'add', 'vx', 'type', 'vxlan', 'id', '7', 'local', address, 'dstport', '4789', 'nolearning']);
    // Of its own accord it must not send anything: in one request with the other the kernel sets it up first (rtnetlink.c, do_setlink), and it announces an address.
    run('ip', ['-n', netns, 'link', 'set', 'vx', 'addrgenmode', 'none']);
    run('ip', ['-n', netns, 'link', 'set', 'vx', 'up']);
  }
  for (const vtep of [deadVteps[0] as string, living]) run('bridge', ['-n', near, 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'vx', 'dst', vtep]);
  const fd = openSync(netnsPath(near), 'r');
  scope.teardown(() => closeSync(fd));
  const sender = insideNetns(fd, openPacketSender);
  scope.teardown(() => sender.close());
  return { sender, index: readLink(near).ifindex, near, far };
}

function readLink(netns: string): { readonly ifindex: number; readonly stats64: { readonly rx: { readonly packets: number } } } {
  return JSON.parse(run('ip', ['-n', netns, '-s', '-j', 'link', 'show', 'vx']))[0];
}

function frameTo(mac: readonly number[]): Buffer {
  const frame = Buffer.alloc(frameBytes);
  frame.set(mac, 0);
  frame.set([2, 0, 0, 0, 0, 1], 6);
  frame.writeUInt16BE(0x8035, 12);
  return frame;
}

void t.test('a VTEP that does not answer keeps no frame from the others', { skip }, async (t) => {
  const { sender, index, far } = createPair(t);
  const before = readLink(far).stats64.rx.packets;
  // Several times what the queue for an address without an answer holds.
  const frames = 2000;
  for (let sent = 0; sent < frames; sent += 1) sender.send(index, frameTo([2, 0, 0, 0, 0xff, 0xff]));
  t.equal(readLink(far).stats64.rx.packets - before, frames);
});

void t.test('more than can be kept is refused at once', { skip }, async (t) => {
  const { sender, index, near } = createPair(t);
  for (const [number, vtep] of deadVteps.entries()) run('bridge', ['-n', near, 'fdb', 'add', `02:00:00:00:01:${number.toString(16).padStart(2, '0')}`, 'dev', 'vx', 'dst', vtep]);
  t.throws(() => {
    for (const number of deadVteps.keys()) for (let sent = 0; sent < 300; sent += 1) sender.send(index, frameTo([2, 0, 0, 0, 1, number]));
  }, { name: 'SystemCallError', code: 'EAGAIN' });
});
