/** A shaper on a real link, read back with `tc`: each flow keeps to one class of the queue, and flows are spread over them. */
import t from 'tap';
import { decodeLink, getLink } from '../netlink/link.ts';
import type { NetlinkMessage } from '../netlink/codec.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { openNetlinkIn } from '../netlink/test-socket.ts';
import { run, runIn } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { observeNow } from './observation.ts';
import { isShaped, reshape, shape, type Limited } from './shaper.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'tc', 'python3'] });
const limit = { rateBits: 20_000_000 };

interface Scene {
  readonly netns: string;
  readonly route: Netlink;
  readonly limited: Limited;
}

/** A link e0 whose other end is up and answers nothing, with static neighbours. */
function createScene(scope: TeardownScope): Scene {
  const netns = createNetns(scope, 'shaper');
  const commands = [
    'link add e0 type veth peer name e1', 'link set e0 up', 'link set e1 up', 'address add 192.0.2.1/24 dev e0', 'address add 2001:db8::1/64 dev e0 nodad',
    'neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev e0', 'neigh add 2001:db8::9 lladdr 02:00:00:00:00:09 dev e0',
  ];
  run('ip', ['-n', netns, '-batch', '-'], commands.map((line) => `${line}\n`).join(''));
  const route = openNetlinkIn(scope, netns);
  const { index } = decodeLink(route.request([getLink('e0')])[0]?.[0] as NetlinkMessage);
  return { netns, route, limited: { name: 'e0', index, mtu: 1500, limit } };
}

function isWhole({ route, limited }: Scene, wanted = limit): boolean {
  return isShaped(observeNow({ route, readSysctl: () => undefined }), limited.index, wanted);
}

/** Packets by class. Of classes tc(8) writes no JSON. */
function readClasses(netns: string): Map<string, number> {
  const text = runIn(netns, 'tc', '-s', 'class', 'show', 'dev', 'e0');
  const classes = [...text.matchAll(/^class htb (2:[0-9a-f]+) .*\n Sent \d+ bytes (\d+) pkt/gm)];
  return new Map(classes.map(([, handle = '', packets]) => [handle, Number(packets)] as const).filter(([, packets]) => packets > 0));
}

/** Sends 10 packets each from `count` source ports. */
function sendFlows(netns: string, { to, count, family }: { readonly to: string; readonly count: number; readonly family: 'AF_INET' | 'AF_INET6' }): void {
  runIn(netns, 'python3', '-c', `import socket
for port in range(20000, 20000 + ${count}):
    s = socket.socket(socket.${family}, socket.SOCK_DGRAM); s.bind(('', port))
    for _ in range(10): s.sendto(bytes(64), ('${to}', 9))`);
}

const qdiscsOf = (netns: string): readonly Record<string, unknown>[] => JSON.parse(runIn(netns, 'tc', '-j', 'qdisc', 'show', 'dev', 'e0')) as readonly Record<string, unknown>[];

void t.test('a flow keeps to one class, and flows are spread', { skip }, async (t) => {
  const scene = createScene(t);
  const { netns, route, limited } = scene;
  shape(route, limited);
  t.ok(isWhole(scene));
  t.match(qdiscsOf(netns)[0], { kind: 'tbf', root: true, options: { rate: 2_500_000, burst: 62_500 } });
  if (qdiscsOf(netns)[1]?.['kind'] === 'fq_codel') return t.comment('the kernel has fq_codel, which does the rest');
  for (const [family, to] of [['AF_INET', '192.0.2.9'], ['AF_INET6', '2001:db8::9']] as const) {
    const before = readClasses(netns);
    sendFlows(netns, { to, count: 1, family });
    const grown = [...readClasses(netns)].filter(([handle, packets]) => packets - (before.get(handle) ?? 0) >= 10);
    t.equal(grown.length, 1, `${family}: all of a flow's packets are in one class`);
    reshape(route, limited);
    sendFlows(netns, { to, count: 64, family });
    // 64 flows at random in 128 classes are in 50 of them on average; fewer than 30 has a chance of less than 10^-9.
    t.ok(readClasses(netns).size >= 30, `${family}: ${readClasses(netns).size} classes for 64 flows`);
  }
});

void t.test('a second time changes only numbers; what somebody took away is seen, and made anew', { skip }, async (t) => {
  const scene = createScene(t);
  const { netns, route, limited } = scene;
  shape(route, limited);
  const queue = qdiscsOf(netns)[1]?.['kind'];
  sendFlows(netns, { to: '192.0.2.9', count: 1, family: 'AF_INET' });
  const packets = readClasses(netns);
  const slower = { rateBits: 8_000_000 };
  shape(route, { ...limited, limit: slower });
  t.ok(isWhole(scene, slower));
  t.notOk(isWhole(scene), 'and no longer as it was');
  if (queue === 'htb') t.same(readClasses(netns), packets, 'the queue below has stayed');
  shape(route, limited);
  const damages = [['qdisc', 'del', 'dev', 'e0', 'root'], ['qdisc', 'replace', 'dev', 'e0', 'root', 'pfifo'], ['qdisc', 'replace', 'dev', 'e0', 'parent', '1:1', 'pfifo'], ...(queue === 'htb' ? [['filter', 'del', 'dev', 'e0', 'parent', '2:']] : [])];
  for (const damage of damages) {
    runIn(netns, 'tc', ...damage);
    t.notOk(isWhole(scene), `tc ${damage.join(' ')}`);
    reshape(route, limited);
    t.ok(isWhole(scene), 'made anew');
  }
});

void t.test('packets of 64 KiB are cut, and none is dropped for its size', { skip }, async (t) => {
  const { netns, route, limited } = createScene(t);
  shape(route, limited);
  // UDP with segmentation offload: 40 packets of 1400 bytes in one call (UDP_SEGMENT, include/uapi/linux/udp.h).
  runIn(netns, 'python3', '-c', "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.setsockopt(17, 103, 1400)\ns.sendto(bytes(56000), ('192.0.2.9', 9))");
  const [bucket] = JSON.parse(runIn(netns, 'tc', '-s', '-j', 'qdisc', 'show', 'dev', 'e0')) as readonly { readonly packets: number; readonly drops: number; readonly qlen: number }[];
  t.ok((bucket?.packets ?? 0) + (bucket?.qlen ?? 0) >= 40, `${bucket?.packets} packets are sent and ${bucket?.qlen} wait`);
  t.equal(bucket?.drops, 0);
});
