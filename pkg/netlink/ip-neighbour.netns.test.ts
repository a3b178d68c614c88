import t from 'tap';
import { formatAddress, parseAddress, parseMac } from '../netaddr/netaddr.ts';
import { run } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { findLink, ipJson, readFdb } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { tolerating } from './codec.ts';
import { decodeNeighbour, delNeighbour, getNeighbour, listNeighbours, putExternalNeighbour, putNeighbour, type Neighbour } from './ip-neighbour.ts';
import { decodeFdb, delVxlanFdb, getBridgeFdb, getVxlanFdb, listBridgeFdb, putPortFdb, putVxlanFdb, replacePortFdb } from './neighbour.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { openNetlinkIn } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge'] });
const mac = parseMac('02:00:00:00:00:05');
const vtep = parseAddress('192.0.2.2');

interface Lab {
  readonly netns: string;
  readonly socket: NetlinkSocket;
  readonly indexOf: (name: string) => number;
}

/** A bridge br0 with the ports p1 (a veth) and vx0 (VXLAN), and another bridge br1, all up. */
function makeLab(scope: TeardownScope): Lab {
  const netns = createNetns(scope, 'neighbour');
  const lines = [
    'link add br0 type bridge', 'link add br1 type bridge', 'link add p1 type veth peer name q1', 'link add vx0 type vxlan id 5 local 192.0.2.1 dstport 4789',
    'link set p1 master br0', 'link set vx0 master br0', ...['br0', 'br1', 'p1', 'q1', 'vx0'].map((link) => `link set ${link} up`),
  ];
  run('ip', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
  return { netns, socket: openNetlinkIn(scope, netns), indexOf: (name) => findLink(netns, name)?.ifindex ?? 0 };
}

/** What a dump of a link's neighbours says, but for multicast. */
function listed(socket: NetlinkSocket, index?: number): readonly string[] {
  const entries = socket.dump(listNeighbours(index)).map(decodeNeighbour).filter((entry) => entry !== undefined && !/^(ff|224)/.test(formatAddress(entry.address))) as Neighbour[];
  return entries.map(({ address, mac: is, isPermanent, isExternal }) => [formatAddress(address), is ?? '-', isPermanent ? 'permanent' : '', isExternal ? 'external' : ''].join(' ').trim()).sort();
}

void t.test('neighbours of both families are put, replaced, read and deleted', { skip }, async (t) => {
  const { netns, socket, indexOf } = makeLab(t);
  const [index, other] = [indexOf('br0'), indexOf('br1')];
  for (const text of ['10.1.1.5', 'fd00:1::5']) {
    const address = parseAddress(text);
    const shown = (): unknown => ipJson<readonly unknown[]>(netns, text.includes(':') ? '-6' : '-4', 'neigh', 'show', text, 'dev', 'br0', 'nud', 'all')[0];
    socket.request([putExternalNeighbour(index, { address, mac: parseMac('02:00:00:00:00:06') }), putExternalNeighbour(other, { address, mac })]);
    t.match(shown(), { lladdr: '02:00:00:00:00:06', state: ['NOARP'], extern_learn: null });
    t.same(listed(socket, index), [`${text} 02:00:00:00:00:06  external`], 'of the one link');
    socket.request([putNeighbour(index, { address, mac })]);
    t.match(shown(), { lladdr: mac, state: ['PERMANENT'] });
    t.same(listed(socket, index), [`${text} ${mac} permanent`]);
    t.match(socket.request([getNeighbour(index, address)]).flat().map(decodeNeighbour), [{ index, address, mac, isPermanent: true, isExternal: false }]);
    t.ok(listed(socket).length >= 2, 'of all links');
    socket.request([delNeighbour(index, address), delNeighbour(other, address)]);
    t.same(listed(socket, index), []);
    for (const request of [getNeighbour(index, address), delNeighbour(index, address)]) {
      t.throws(() => socket.request([request]), { errnoCode: 'ENOENT', message: new RegExp(`neighbour ${text}`) });
      t.same(socket.request([tolerating(request, 'ENOENT'), putNeighbour(index, { address, mac })]), [[], []], 'a refusal that is tolerated');
      t.throws(() => socket.request([tolerating(getNeighbour(9999, address), 'ENOENT')]), { errnoCode: 'ENODEV', message: /^Cannot read neighbour/ });
      socket.request([delNeighbour(index, address)]);
    }
  }
});

void t.test('remote MACs at a VXLAN device and in its bridge', { skip }, async (t) => {
  const { netns, socket, indexOf } = makeLab(t);
  const [bridge, vxlan, port] = [indexOf('br0'), indexOf('vx0'), indexOf('p1')];
  const shown = (): readonly string[] => readFdb(netns, 'vx0').filter((entry) => entry.mac === mac).map(({ dst, master, flags = [], ...rest }) => [dst ?? master, ...flags, JSON.stringify([(rest as Record<string, unknown>)['port'] ?? null, (rest as Record<string, unknown>)['vni'] ?? null])].join(' ')).sort();
  const elsewhere = { mac, vtep: parseAddress('192.0.2.3'), other: { port: 4790, vni: 7 } };
  socket.request([putVxlanFdb(vxlan, { mac, vtep })]);
  t.same(shown(), ['192.0.2.2 self extern_learn [null,null]']);
  socket.request([putVxlanFdb(vxlan, elsewhere, { isKept: true })]);
  t.same(shown(), ['192.0.2.2 self extern_learn [null,null]'], 'kept');
  socket.request([delVxlanFdb(vxlan, elsewhere)]);
  t.same(shown(), ['192.0.2.2 self extern_learn [null,null]'], 'of another VTEP nothing is deleted');
  socket.request([putVxlanFdb(vxlan, elsewhere)]);
  t.same(shown(), ['192.0.2.3 self extern_learn [4790,7]'], 'replaced');
  t.match(socket.request([getVxlanFdb(vxlan, mac)]).flat().map(decodeFdb), [{ index: vxlan, mac, isExternal: true }]);
  socket.request([putPortFdb(vxlan, mac)]);
  t.match(socket.request([getBridgeFdb(bridge, mac)]).flat().map(decodeFdb), [{ index: vxlan, mac, master: bridge, isStatic: false, isExternal: true }]);
  socket.request([replacePortFdb(port, mac)]);
  t.match(socket.request([getBridgeFdb(bridge, mac)]).flat().map(decodeFdb), [{ index: port, isStatic: true }], 'it has come here');
  t.same(socket.dump(listBridgeFdb(bridge)).map(decodeFdb).filter((entry) => entry?.mac === mac && entry.master === bridge).map((entry) => entry?.index), [port]);
  socket.request([delVxlanFdb(vxlan, elsewhere)]);
  t.throws(() => socket.request([delVxlanFdb(vxlan, elsewhere)]), { errnoCode: 'ENOENT', message: /02:00:00:00:00:05 at VTEP 192\.0\.2\.3/ });
  for (const request of [getVxlanFdb(vxlan, mac), getBridgeFdb(indexOf('br1'), mac)]) t.same(socket.request([tolerating(request, 'ENOENT')]), [[]]);
});
