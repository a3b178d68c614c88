/** Remote endpoints in the kernel's tables, and local ones as neighbours of the bridge. Read back with bridge(8) and ip(8). */
import t from 'tap';
import { formatAddress, parseAddress, parseMac } from '../../netaddr/netaddr.ts';
import type { RemoteEndpoint } from '../../overlay/model.ts';
import { bridgeName, spareName, vxlanName } from '../../overlay/names.ts';
import { companyOf } from '../../sys/company.ts';
import { run } from '../../testing/command.ts';
import { readFdb } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { blue, createContainer, createNode, red, testPort, type TestNode } from '../test-node.ts';
import { recordingKernel } from '../test-writes.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { linuxBridgeRemotes } from './remotes.ts';
import { readNeighbours, readPermanent, wipeAsZebra, withEvpn, writeAsZebra } from './test-evpn.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge'] });
const segment = withEvpn(blue);
const [bridge, vxlan, tunnel] = [bridgeName(blue.vni), vxlanName(blue.vni), spareName(blue.vni)];
const port = testPort(segment, 5);

function endpoint(n: number, vtep = '192.0.2.2'): RemoteEndpoint {
  return { mac: parseMac(`02:00:00:00:01:${n.toString(16).padStart(2, '0')}`), vtep: parseAddress(vtep), addresses: [parseAddress(`10.1.1.${n}`), parseAddress(`fd00:1::${n}`)] };
}

function inWords(endpoints: readonly RemoteEndpoint[]): readonly string[] {
  return endpoints.map(({ mac, vtep, addresses }) => `${mac} ${formatAddress(vtep)} ${addresses.map(formatAddress).sort().join(' ')}`).sort();
}

function asZebra(node: TestNode, { mac, vtep, addresses }: RemoteEndpoint): void {
  writeAsZebra(node.netns, segment, { mac, vtep: formatAddress(vtep), addresses: addresses.map(formatAddress) });
}

/** Where a VXLAN device and the bridge have MACs of remote endpoints. */
function remoteFdb({ netns }: TestNode, device: string): readonly string[] {
  return readFdb(netns, device).filter(({ mac }) => mac.startsWith('02:00:00:00:')).map(({ mac, dst, master, flags = [] }) => [mac, dst ?? master ?? '', ...flags].join(' ')).sort();
}

function externalNeighbours({ netns }: TestNode, dev: string): readonly string[] {
  return readNeighbours(netns, dev).filter((neighbour) => 'extern_learn' in neighbour).map(({ dst, lladdr }) => `${dst} ${lladdr ?? ''}`).sort();
}

async function createStage(scope: Parameters<typeof createNode>[0]): Promise<TestNode> {
  const node = await createNode(scope, linuxBridgeDatapath);
  await node.datapath.attach({ segment, port, netnsFd: createContainer(scope).fd });
  return node;
}

void t.test('what zebra wrote is seen, held, put back when it is gone, and dropped', { skip }, async (t) => {
  const node = await createStage(t);
  const remotes = linuxBridgeRemotes(node.kernel);
  const endpoints = [endpoint(6), endpoint(7, '192.0.2.3'), { ...endpoint(8), addresses: [] }];
  t.same(remotes.observeRemotes(segment), { held: [], present: [] });
  for (const each of endpoints) asZebra(node, each);
  const [atVxlan, atBridge] = [remoteFdb(node, vxlan), externalNeighbours(node, bridge)];
  t.same(inWords(remotes.observeRemotes(segment).present), inWords(endpoints));
  for (let round = 0; round < 2; round += 1) remotes.holdRemotes(segment, endpoints);
  t.same(inWords(remotes.observeRemotes(segment).held), inWords(endpoints), 'addresses as well');
  remotes.restoreRemotes(segment, endpoints);
  t.same([remoteFdb(node, vxlan), externalNeighbours(node, bridge)], [atVxlan, atBridge], 'what is there is left');
  wipeAsZebra(node.netns, segment);
  t.same(remotes.observeRemotes(segment).present, []);
  t.same(inWords(remotes.observeRemotes(segment).held), inWords(endpoints), 'no business of zebra');
  for (let round = 0; round < 2; round += 1) remotes.restoreRemotes(segment, endpoints);
  t.same([remoteFdb(node, vxlan), externalNeighbours(node, bridge)], [atVxlan, atBridge], 'as zebra had it');
  for (let round = 0; round < 2; round += 1) remotes.dropRemotes(segment, endpoints.slice(1));
  const { held, present } = remotes.observeRemotes(segment);
  t.same([inWords(held), inWords(present)], [inWords([endpoint(6)]), inWords([endpoint(6)])]);
  t.same(externalNeighbours(node, tunnel), ['10.1.1.6 02:00:00:00:01:06', 'fd00:1::6 02:00:00:00:01:06']);
  t.same(readPermanent(node.netns, bridge), ['10.1.1.5 02:00:00:00:00:05', 'fd00:1::5 02:00:00:00:00:05'], 'the local one is as it was');
});

void t.test('a thousand at once', { skip }, async (t) => {
  const node = await createStage(t);
  const remotes = linuxBridgeRemotes(node.kernel);
  const many = Array.from({ length: 1000 }, (_, n): RemoteEndpoint => ({ mac: parseMac(`02:00:00:01:${(n >> 8).toString(16).padStart(2, '0')}:${(n & 255).toString(16).padStart(2, '0')}`), vtep: parseAddress('192.0.2.2'), addresses: [parseAddress(`10.2.${n >> 8}.${n & 255}`)] }));
  const startedAt = performance.now();
  remotes.holdRemotes(segment, many);
  remotes.restoreRemotes(segment, many);
  const { held, present } = remotes.observeRemotes(segment);
  t.same([held.length, present.length], [1000, 1000]);
  remotes.dropRemotes(segment, many);
  t.comment(`held, restored, observed and dropped in ${Math.round(performance.now() - startedAt)} ms`);
  t.same(remotes.observeRemotes(segment), { held: [], present: [] });
});

void t.test('nothing goes over what is local, or newer', { skip }, async (t) => {
  const node = await createStage(t);
  const remotes = linuxBridgeRemotes(node.kernel);
  const local = { mac: port.mac, vtep: parseAddress('192.0.2.2'), addresses: [parseAddress('10.1.1.5')] };
  remotes.restoreRemotes(segment, [local]);
  t.same(remoteFdb(node, vxlan), []);
  t.match(readFdb(node.netns, port.hostIf).filter(({ mac }) => mac === port.mac), [{ state: 'static' }]);
  remotes.restoreRemotes(segment, [{ ...endpoint(6), addresses: [parseAddress('10.1.1.5')] }]);
  remotes.dropRemotes(segment, [local, { ...endpoint(6), addresses: [parseAddress('10.1.1.5')] }]);
  t.same(readPermanent(node.netns, bridge), ['10.1.1.5 02:00:00:00:00:05', 'fd00:1::5 02:00:00:00:00:05']);
  t.match(readFdb(node.netns, port.hostIf).filter(({ mac }) => mac === port.mac), [{ state: 'static' }]);
  asZebra(node, endpoint(7, '192.0.2.3'));
  remotes.restoreRemotes(segment, [endpoint(7)]);
  remotes.dropRemotes(segment, [{ ...endpoint(7), addresses: [] }]);
  t.same(remoteFdb(node, vxlan), [`${endpoint(7).mac} 192.0.2.3 self extern_learn`, `${endpoint(7).mac} ${bridge} extern_learn`], 'it has moved');
});

void t.test('segments without a control plane, or not in place, have no remotes', { skip }, async (t) => {
  const node = await createStage(t);
  const writes: string[] = [];
  const remotes = linuxBridgeRemotes(recordingKernel(node.kernel, writes));
  for (const other of [blue, withEvpn(red), { ...segment, datapath: 'ovs' as const }]) {
    t.same(remotes.observeRemotes(other), { held: [], present: [] });
    for (const method of ['holdRemotes', 'restoreRemotes', 'dropRemotes'] as const) remotes[method](other, [endpoint(6)]);
  }
  for (const method of ['holdRemotes', 'restoreRemotes', 'dropRemotes'] as const) remotes[method](segment, []);
  t.same(writes, []);
});

void t.test('detaching forgets a port’s addresses, and no successor’s', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath, { company: companyOf(() => 3) });
  const others = ['10.1.1.9 02:00:00:00:00:09', 'fd00:1::9 02:00:00:00:00:09'];
  await node.datapath.attach({ segment, port: testPort(segment, 9), netnsFd: createContainer(t).fd });
  const own = ['10.1.1.5 02:00:00:00:00:05', 'fd00:1::5 02:00:00:00:00:05'];
  const attach = (over: Partial<typeof port> = {}): Promise<unknown> => node.datapath.attach({ segment, port: { ...port, ...over }, netnsFd: createContainer(t).fd });
  for (const [what, detach] of [
    ['alone', () => node.datapath.detach(port, segment)], ['of a tenant that is not known', () => node.datapath.detach(port)], ['together', () => node.datapath.detachSoon(port, segment)],
    ['its link gone', () => node.datapath.detach(port, segment)],
  ] as const) {
    await attach();
    if (what === 'its link gone') run('ip', ['-n', node.netns, 'link', 'del', port.hostIf]);
    t.same(readPermanent(node.netns, bridge), [...own, ...others].sort(), what);
    await detach();
    await detach();
    t.same(readPermanent(node.netns, bridge), others, what);
  }
  for (const [what, successor] of [['with its MAC', {}], ['with another MAC', { mac: parseMac('02:00:00:00:00:55') }]] as const) {
    await attach({ ...successor, hostIf: 'weft-psuccessor' });
    const before = readPermanent(node.netns, bridge);
    t.equal(before.length, 4);
    await node.datapath.detach(port, segment);
    t.same(readPermanent(node.netns, bridge), before, `a successor ${what}`);
    await node.datapath.detach({ ...port, ...successor, hostIf: 'weft-psuccessor' }, segment);
    t.same(readPermanent(node.netns, bridge), others);
  }
  await attach();
  writeAsZebra(node.netns, segment, { mac: port.mac, vtep: '192.0.2.2', addresses: ['10.1.1.5'] });
  await node.datapath.detach(port, segment);
  t.same(externalNeighbours(node, bridge), ['10.1.1.5 02:00:00:00:00:05'], 'one that zebra says is elsewhere by now');
  t.same(await node.datapath.collect({ segments: [segment], ports: [] }).then((words) => words.filter((text) => text.includes('neighbours'))), [`2 neighbours of ${bridge}`]);
  t.same(readPermanent(node.netns, bridge), []);
});

/** How many requests an ADD makes, once the segment is there. */
async function writesOfAdd(scope: Parameters<typeof createNode>[0], tenant: typeof blue): Promise<readonly string[]> {
  const [node, writes] = [await createNode(scope, linuxBridgeDatapath), [] as string[]];
  await node.datapath.attach({ segment: tenant, port, netnsFd: createContainer(scope).fd });
  await node.withKernel((kernel) => recordingKernel(kernel, writes)).attach({ segment: tenant, port: testPort(tenant, 6), netnsFd: createContainer(scope).fd });
  return writes;
}

void t.test('an ADD writes one neighbour for each address more, and nothing else', { skip }, async (t) => {
  const [plain, evpn] = [await writesOfAdd(t, blue), await writesOfAdd(t, segment)];
  const more = [...evpn];
  for (const what of plain) more.splice(more.indexOf(what), 1);
  t.same(more.filter((what) => what !== 'send a frame'), ['add neighbour 10.1.1.6', 'add neighbour fd00:1::6']);
  t.comment(`${plain.length} requests that write without a control plane, ${evpn.length} with`);
});
