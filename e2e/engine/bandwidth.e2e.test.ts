/**
 * Limits that the runtime asks for (capability `bandwidth`), read back with `tc`. No rate is timed: packets of a burst far larger
 * than the bucket must have had to wait.
 */
import { runIn } from '../../pkg/testing/command.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { ping } from '../harness/container.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { Attached } from '../harness/lab.ts';
import { done, refused } from './outcomes.ts';
import { addressesOf, createSite, hostIfOf } from './site.ts';

const tools = ['tc', 'python3'];

interface ObservedQdisc {
  readonly kind: string;
  readonly root?: boolean;
  /** How often a packet had to wait. */
  readonly overlimits?: number;
  /** `rate` is in bytes per second, `burst` in bytes. */
  readonly options?: { readonly rate?: number; readonly burst?: number };
}

function readQdiscs(netns: string, dev: string): readonly ObservedQdisc[] {
  return JSON.parse(runIn(netns, 'tc', '-s', '-j', 'qdisc', 'show', 'dev', dev)) as ObservedQdisc[];
}

function bucketOf(netns: string, dev: string): ObservedQdisc | undefined {
  return readQdiscs(netns, dev).find(({ kind, root }) => kind === 'tbf' && root === true);
}

/** Where the limit of what a container sends stands: the userspace datapath takes frames before the host's queues, so there it is inside. */
interface Shaper {
  readonly netns: string;
  readonly dev: string;
}

function shaperOf(attached: Attached): Shaper {
  if (attached.node.datapath === 'ovs') return { netns: attached.netns, dev: 'eth0' };
  return { netns: attached.node.netns, dev: hostIfOf(attached).replace('weft-p', 'weft-i') };
}

/** Sends 1.4 MB of UDP as fast as it goes: ten times what the buckets hold. */
function sendBurst(netns: string, address: string): void {
  runIn(netns, 'python3', '-c', `import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nfor _ in range(1000): s.sendto(bytes(1400), ("${address}", 9))`);
}

testEachDatapath('limits in both directions', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const { node, lab, conf } = site;
  const before = node.snapshot();
  const bandwidth = { ingressRate: 8_000_000, ingressBurst: 1_048_576, egressRate: 4_000_000, egressBurst: 2_147_483_647 };
  const limited = await lab.attach(node, { label: 'limited', conf: { ...conf, runtimeConfig: { bandwidth } } });
  const free = await lab.attach(node, { label: 'free', conf });
  const [hostIf, shaper] = [hostIfOf(limited), shaperOf(limited)];

  t.match(bucketOf(node.netns, hostIf), { options: { rate: 1_000_000, burst: 131_072 } }, 'to the container: the burst that was asked for');
  t.match(bucketOf(shaper.netns, shaper.dev), { options: { rate: 500_000, burst: 32_768 } }, 'from the container: "no burst" is not 256 MiB');
  t.equal(bucketOf(node.netns, hostIfOf(free)), undefined, 'the other one has no limit');
  const [to, from] = [addressesOf(limited)[0] ?? '', addressesOf(free)[0] ?? ''];
  t.equal(await ping(free.netns, to), 1, 'the limited container is reached');
  sendBurst(free.netns, to);
  t.ok((bucketOf(node.netns, hostIf)?.overlimits ?? 0) > 0, 'a burst to it meets the limit');
  sendBurst(limited.netns, from);
  t.ok((bucketOf(shaper.netns, shaper.dev)?.overlimits ?? 0) > 0, 'so does one from it');
  t.match(await node.check(limited.attach, limited.result), done, 'CHECK');
  await lab.detach(free);
  t.ok(bucketOf(shaper.netns, shaper.dev), 'the neighbour’s DEL leaves the shaper');

  const damages: readonly (readonly [string, readonly string[], RegExp])[] = [
    [node.netns, ['qdisc', 'del', 'dev', hostIf, 'root'], /8000000 bit\/s to the container/],
    datapath === 'ovs' ? [shaper.netns, ['qdisc', 'del', 'dev', shaper.dev, 'root'], /4000000 bit\/s from the container/] : [node.netns, ['qdisc', 'del', 'dev', hostIf, 'ingress'], /4000000 bit\/s from the container/],
  ];
  for (const [where, damage, words] of damages) {
    runIn(where, 'tc', ...damage);
    t.match(await node.check(limited.attach, limited.result), refused(108, words), `CHECK after tc ${damage.join(' ')}`);
  }
  await lab.detach(limited);
  t.same(node.snapshot(), before, 'nothing is left');
}, { tools });

testEachDatapath('a shaped container is guarded like any other, and GC knows its shaper', async (t, datapath) => {
  const site = await createSite(t, { datapath });
  const { node, lab, conf } = site;
  const limited = await lab.attach(node, { label: 'limited', conf: { ...conf, runtimeConfig: { bandwidth: { egressRate: 8_000_000 } } } });
  const free = await lab.attach(node, { label: 'free', conf });
  runIn(limited.netns, 'ip', 'address', 'add', '10.1.1.77/24', 'dev', 'eth0');
  t.equal(await ping(free.netns, '10.1.1.77'), 0, 'an address that it gives itself does not answer');
  t.equal(await ping(free.netns, addressesOf(limited)[0] ?? ''), 1, 'its own does');

  runIn(node.netns, 'ip', 'link', 'add', 'weft-iaaaaaaaaa', 'type', 'ifb');
  runIn(node.netns, 'ip', 'link', 'add', 'weft-ifoo', 'type', 'ifb');
  t.match(await node.gc(conf, [limited, free].map(({ attach }) => ({ containerID: attach.containerId, ifname: 'eth0' }))), done, 'GC');
  const { netns, dev } = shaperOf(limited);
  t.ok(bucketOf(netns, dev));
  const names = readLinks(node.netns).map(({ ifname }) => ifname);
  t.same(['weft-iaaaaaaaaa', 'weft-ifoo'].map((name) => names.includes(name)), [false, true], 'garbage goes, what is used or somebody else’s stays');
}, { tools });
