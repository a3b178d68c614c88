/** Questions and answers through real VXLAN devices: lengths on the wire, checksums that are left and finished, loss, and garbage. */
import { closeSync } from 'node:fs';
import t from 'tap';
import { findRouteMtu } from '../../datapath/route-mtu.ts';
import { macFromAddress, parseAddress, type Address } from '../../netaddr/netaddr.ts';
import { openNetlink } from '../../netlink/netlink-socket.ts';
import type { ProbeTunnel } from '../../overlay/probe.ts';
import { insideNetns, openNetns } from '../../sys/netns.ts';
import { openPacketChannel } from '../../sys/packet-channel.ts';
import { startCapture } from '../../testing/capture.ts';
import { run, runIn } from '../../testing/command.ts';
import { createNetns, netnsPath, type TeardownScope } from '../../testing/netns.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { kernelOffloads } from './offload-remedy.ts';
import { etherTypeIp4, questionFrame } from './frame.ts';
import { testOffloads } from './offload-test.ts';
import { Station } from './station.ts';
import { probeBytesMin, TunnelProber } from './tunnel-prober.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'ethtool', 'tcpdump'] });
const deadlineMs = 10_000;
/** For what is to stay without an answer. */
const shortMs = 300;

interface End {
  readonly netns: string;
  readonly fd: number;
  readonly tunnel: ProbeTunnel;
  readonly index: number;
  station: Station;
}

const addresses = { 4: ['10.200.0.1', '10.200.0.2'], 6: ['fd00:200::1', 'fd00:200::2'] } as const;

/** Two nodes joined by a pair of veths, with a VXLAN device and a station each. */
function createEnds(scope: TeardownScope, { family = 4, mtu = 1500 }: { readonly family?: 4 | 6; readonly mtu?: number } = {}): readonly [End, End] {
  const names = ['near', 'far'].map((label) => createNetns(scope, label));
  run('ip', ['-n', names[0] as string, 'link', 'add', 'u0', 'mtu', `${mtu}`, 'type', 'veth', 'peer', 'name', 'u0', 'mtu', `${mtu}`, 'netns', names[1] as string]);
  const [near, far] = names.map((netns, at) => createEnd(scope, netns, { own: addresses[family][at] as string, other: addresses[family][1 - at] as string, mtu }));
  return [near as End, far as End];
}

function createEnd(scope: TeardownScope, netns: string, { own, other, mtu }: { readonly own: string; readonly other: string; readonly mtu: number }): End {
  const [address, peer] = [parseAddress(own), parseAddress(other)];
  const lines = [
    `address add ${own}/${own.includes(':') ? '64 dev u0 nodad' : '24 dev u0'}`, 'link set u0 up',
    `link add st mtu ${mtu} address ${macFromAddress(address)} type vxlan id 16777215 local ${own} dstport 4789 nolearning df set ${own.includes(':') ? '' : 'noudpcsum'}`,
    'link set st addrgenmode none arp off up',
  ];
  for (const line of lines) run('ip', ['-n', netns, ...line.trim().split(' ')]);
  run('bridge', ['-n', netns, 'fdb', 'add', macFromAddress(peer), 'dev', 'st', 'dst', other, 'static']);
  const fd = openNetns(netnsPath(netns));
  scope.teardown(() => closeSync(fd));
  const [{ ifindex: index }] = JSON.parse(run('ip', ['-n', netns, '-j', 'link', 'show', 'st'])) as [{ readonly ifindex: number }];
  const tunnel = { name: 'st', vtepAddress: address, vtepPort: 4789, underlayMtu: mtu, peers: [peer] };
  return { netns, fd, tunnel, index, station: openStation(scope, { netns, fd, tunnel, index }) };
}

function openStation(scope: TeardownScope, { netns, fd, tunnel, index }: Pick<End, 'netns' | 'fd' | 'tunnel' | 'index'>, onFailure: (error: unknown) => void = () => undefined): Station {
  const station = insideNetns(fd, () => new Station({ device: { tunnel, index }, node: netns, onFailure }));
  scope.teardown(() => station.close());
  return station;
}

function peerOf({ tunnel }: End): Address {
  return tunnel.peers[0] as Address;
}

for (const family of [4, 6] as const) {
  void t.test(`over IPv${family}: an outer packet has exactly the length that is asked about`, { skip }, async (t) => {
    const [near, far] = createEnds(t, { family });
    const capture = await startCapture(t, far.netns, 'u0');
    const prober = proberOf(t, near);
    for (const packetBytes of [probeBytesMin(family), 1279, 1500]) {
      t.match(await prober.probe({ peer: peerOf(near), packetBytes, deadlineMs }), { kind: 'answered', milliseconds: Number });
    }
    t.same(await prober.probe({ peer: peerOf(near), packetBytes: 1501, deadlineMs }), { kind: 'tooBig', mtuBytes: 1500 });
    run('ip', ['-n', near.netns, ...(family === 4 ? ['route', 'replace', '10.200.0.2', 'dev', 'u0', 'mtu', '1400'] : ['-6', 'route', 'replace', 'fd00:200::2', 'dev', 'u0', 'mtu', '1400'])]);
    t.same(await prober.probe({ peer: peerOf(near), packetBytes: 1401, deadlineMs }), { kind: 'tooBig', mtuBytes: 1400 }, 'by its route');
    await t.rejects(prober.probe({ peer: peerOf(near), packetBytes: probeBytesMin(family) - 1, deadlineMs }), { name: 'RangeError' });
    await capture.drain();
    const tunnelled = capture.frames.filter((frame) => frame.includes(Buffer.from('ffffff00', 'hex')) && frame.includes(macHex(near)));
    const lengths = tunnelled.map((frame) => frame.length - 14);
    for (const packetBytes of [probeBytesMin(family), 1279, 1500]) t.ok(lengths.includes(packetBytes), `${packetBytes} of ${lengths.join(' ')}`);
    if (family === 4) t.ok(tunnelled.every((frame) => (frame.readUInt16BE(20) & 0x4000) !== 0), 'nobody may fragment it');
  });

  void t.test(`over IPv${family}: checksums and segmentation are left to the devices, and none is spoiled`, { skip }, async (t) => {
    const [near, far] = createEnds(t, { family });
    const test = (): ReturnType<typeof testOffloads> => testOffloads((question) => near.station.ask(peerOf(near), question, deadlineMs));
    t.same(await test(), { verdict: 'sound', node: far.netns }, 'unfinished from memory to memory');
    for (const remedy of ['segmentation', 'checksum'] as const) {
      t.ok(insideNetns(near.fd, () => kernelOffloads.apply('st', remedy)));
      t.notOk(insideNetns(near.fd, () => kernelOffloads.apply('st', remedy)), 'it is off');
      t.same(await test(), { verdict: 'sound', node: far.netns }, `finished by the VXLAN device: ${remedy}`);
    }
    for (const remedy of ['checksum', 'segmentation'] as const) insideNetns(near.fd, () => kernelOffloads.revert('st', remedy));
    runIn(near.netns, 'ethtool', '-K', 'u0', 'tx', 'off', 'tso', 'off');
    t.same(await test(), { verdict: 'sound', node: far.netns }, 'finished by the underlay’s device');
  });
}

function macHex({ tunnel }: End): Buffer {
  return Buffer.from(macFromAddress(tunnel.vtepAddress).replaceAll(':', ''), 'hex');
}

/** Over the station that there is. */
function proberOf(scope: TeardownScope, end: End): TunnelProber {
  const { station, tunnel, index } = end;
  station.close();
  const route = insideNetns(end.fd, () => openNetlink('route'));
  scope.teardown(() => route.close());
  const tunnels = { ensure: () => ({ tunnel, index }), removeOthers: () => Promise.resolve(), namesOf: () => [] };
  const prober = new TunnelProber({ tunnels, node: () => 'near', routeMtu: (peer) => findRouteMtu(route, peer), onLoss: () => undefined });
  // Its sockets are opened at once, in the thread's namespace.
  void insideNetns(end.fd, () => prober.follow([tunnel]));
  scope.teardown(() => prober.close());
  return prober;
}

void t.test('a peer that is silent, one that is none, and one that goes', { skip }, async (t) => {
  const [near, far] = createEnds(t);
  const question = { kind: 'whole', packetBytes: 424, isLeft: false } as const;
  await t.rejects(near.station.ask(parseAddress('10.200.0.9'), question, shortMs), { name: 'RangeError', message: /10\.200\.0\.9 is none/ });
  far.station.close();
  t.equal(await near.station.ask(peerOf(near), question, shortMs), undefined);
  far.station = openStation(t, far);
  t.match(await near.station.ask(peerOf(near), question, deadlineMs), { integrity: 'intact', node: far.netns });
  const failed = new Promise((resolve) => {
    near.station.close();
    near.station = openStation(t, near, resolve);
  });
  run('ip', ['-n', near.netns, 'link', 'del', 'st']);
  t.match(await failed, { code: 'ENETDOWN' });
  t.notOk(near.station.isOpen);
  t.equal(await near.station.ask(peerOf(near), question, shortMs), undefined);
});

void t.test('garbage, and questions of nobody who is known, get no answer', { skip }, async (t) => {
  const [near, far] = createEnds(t);
  const heard: Buffer[] = [];
  const channel = insideNetns(near.fd, () => openPacketChannel({ index: near.index, etherType: etherTypeIp4, onFrame: ({ data }) => void heard.push(Buffer.from(data)), onFailure: () => undefined }));
  t.teardown(() => channel.close());
  const to = Buffer.from(macFromAddress(far.tunnel.vtepAddress).replaceAll(':', ''), 'hex');
  const ethernet = (from: string): Buffer => Buffer.concat([to, Buffer.from(from, 'hex'), Buffer.from('0800', 'hex')]);
  channel.send(Buffer.concat([ethernet('0277c0000201'), Buffer.alloc(60, 0x45)]));
  channel.send(ethernet('0277c0000201'));
  const question = questionFrame({ from: macFromAddress(parseAddress('10.200.0.77')), to: macFromAddress(far.tunnel.vtepAddress), nonce: Buffer.alloc(8, 1) }, { packetBytes: 424, isLeft: false });
  channel.send(question.frame);
  t.match(await near.station.ask(peerOf(near), { kind: 'whole', packetBytes: 424, isLeft: false }, deadlineMs), { integrity: 'intact' }, 'it still answers who is known');
  t.equal(heard.length, 1, 'and nobody else');
});
