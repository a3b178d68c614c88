import t from 'tap';
import { formatAddress, parseAddress, parseMac } from '../netaddr/netaddr.ts';
import { run } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { findLink, readFdb } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { appendFlood, decodeFdb, delFlood, floodMac, listFdb, replacePortFdb } from './neighbour.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { openNetlinkIn } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge'] });
const mac = parseMac('02:00:00:00:00:05');

interface Lab {
  readonly netns: string;
  readonly socket: NetlinkSocket;
  readonly indexOf: (name: string) => number;
}

/** A bridge br0 with the ports p1 and p2 (veths) and vx0 (VXLAN over the family), all up. */
function makeLab(scope: TeardownScope, local: readonly string[] = ['local', '192.0.2.1']): Lab {
  const netns = createNetns(scope, 'neighbour');
  const lines = [
    'link add br0 type bridge', 'link add p1 type veth peer name q1', 'link add p2 type veth peer name q2',
    `link add vx0 type vxlan id 5 ${local.join(' ')} dstport 4789`,
    ...['p1', 'p2', 'vx0'].map((port) => `link set ${port} master br0`), ...['br0', 'p1', 'q1', 'p2', 'q2', 'vx0'].map((link) => `link set ${link} up`),
  ];
  run('ip', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
  return { netns, socket: openNetlinkIn(scope, netns), indexOf: (name) => findLink(netns, name)?.ifindex ?? 0 };
}

function portsOf(netns: string): readonly string[] {
  return ['p1', 'p2'].filter((port) => readFdb(netns, port).some((entry) => entry.mac === mac));
}

function floodListOf(netns: string): readonly (string | undefined)[] {
  return readFdb(netns, 'vx0').filter((entry) => entry.mac === floodMac).map((entry) => entry.dst).sort();
}

void t.test('replacePortFdb() says where a MAC is, and moves it', { skip }, async (t) => {
  const { netns, socket, indexOf } = makeLab(t);
  socket.request([replacePortFdb(indexOf('p1'), mac)]);
  t.match(readFdb(netns, 'p1').filter((entry) => entry.mac === mac), [{ mac, master: 'br0', state: 'static' }]);
  socket.request([replacePortFdb(indexOf('p1'), mac)]);
  t.same(portsOf(netns), ['p1'], 'a second time changes nothing');
  socket.request([replacePortFdb(indexOf('p2'), mac)]);
  t.same(portsOf(netns), ['p2']);
  const entries = socket.dump(listFdb(indexOf('p2'))).map(decodeFdb);
  t.match(entries.filter((entry) => entry?.mac === mac), [{ index: indexOf('p2'), master: indexOf('br0'), isStatic: true }]);
  t.ok(entries.every((entry) => entry?.index === indexOf('p2')), 'of the one port only');
  run('ip', ['-n', netns, 'link', 'set', 'p1', 'nomaster']);
  t.throws(() => socket.request([replacePortFdb(indexOf('p1'), mac)]), { code: 'kernelRefused', message: /^Cannot add FDB entry 02:00:00:00:00:05: / }, 'a link that is no port');
});

for (const [family, local, vteps] of [[4, '192.0.2.1', ['192.0.2.2', '192.0.2.3']], [6, '2001:db8::1', ['2001:db8::2', '2001:db8::3']]] as const) {
  void t.test(`the flood list over IPv${family}`, { skip }, async (t) => {
    const { netns, socket, indexOf } = makeLab(t, ['local', local]);
    const index = indexOf('vx0');
    const [first, second] = [parseAddress(vteps[0]), parseAddress(vteps[1])];
    socket.request([appendFlood(index, first), appendFlood(index, second)]);
    t.same(floodListOf(netns), vteps);
    socket.request([appendFlood(index, first)]);
    t.same(floodListOf(netns), vteps, 'a second time changes nothing');
    const listed = socket.dump(listFdb(index)).map(decodeFdb).filter((entry) => entry?.vtep !== undefined);
    t.same(listed.map((entry) => entry?.vtep && formatAddress(entry.vtep)).sort(), vteps);
    t.ok(listed.every((entry) => entry?.mac === floodMac && entry.isStatic && entry.index === index));
    socket.request([delFlood(index, first)]);
    t.same(floodListOf(netns), [vteps[1]]);
    socket.request([delFlood(index, first)]);
    t.same(floodListOf(netns), [vteps[1]], 'a second time changes nothing');
    socket.request([delFlood(index, second)]);
    t.same(floodListOf(netns), []);
    t.throws(() => socket.request([delFlood(index, second)]), { errnoCode: 'ENOENT', message: `Cannot take VTEP ${vteps[1]} off the flood list: ` }, 'from an empty list');
  });
}

void t.test('a VTEP of the other family is refused', { skip }, async (t) => {
  const { socket, indexOf } = makeLab(t);
  t.throws(() => socket.request([appendFlood(indexOf('vx0'), parseAddress('2001:db8::2'))]), { code: 'kernelRefused', message: /^Cannot add VTEP 2001:db8::2 / });
});
