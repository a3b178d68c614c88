import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { bridgeJson } from '../testing/observe.ts';
import { frrRequirements } from '../testing/frr.ts';
import { skipUnless } from '../testing/requirements.ts';
import type { EvpnRoute } from './bgp-tables.ts';
import { tableCommands } from './table-commands.ts';
import { readMacs, readNeighbours, readRoutes, readSessions, readVnis } from './tables.ts';
import { addEndpoint, addVni, bridgeFdb, eventually, soon, speak, startLab, type LabNode } from './test-lab.ts';
import { testNeighbor } from './test-speakers.ts';

const skip = skipUnless({ ...frrRequirements, tools: [...(frrRequirements.tools ?? []), 'bridge'] });

t.test('without a router the tables are empty', { skip }, async (t) => {
  const [node] = await startLab(t, 1);
  if (node === undefined) throw new Error('a node');
  for (const read of [readSessions, readRoutes]) t.same(await read(node.bgpd, soon), []);
  for (const read of [readVnis, readMacs, readNeighbours]) t.same(await read(node.zebra, soon), []);
  await speak(node, 1, [testNeighbor('192.0.2.2')]);
  const [vni] = await eventually('its VNI', async () => {
    const vnis = await readVnis(node.zebra, soon);
    return vnis.length > 0 ? vnis : undefined;
  });
  t.match(vni, { vni: 1001, vxlanInterface: 'vx1001', bridge: 'br1001', remoteVteps: [] });
  t.match(await readSessions(node.bgpd, soon), [{ name: '192.0.2.2', isUp: false, establishedCount: 0, sinceMs: undefined }]);
});

/** As node 2 knows them, whose session is with node 1 alone. */
const routesOfSecond = [
  '1001 02:00:00:00:00:01 10.1.1.1 via 192.0.2.1 192.0.2.1',
  '1001 02:00:00:00:00:01 fd00::1 via 192.0.2.1 192.0.2.1',
  '1001 02:00:00:00:00:01 via 192.0.2.1 192.0.2.1',
  '1001 02:00:00:00:00:02 10.1.1.2 via 192.0.2.2 own',
  '1001 02:00:00:00:00:02 via 192.0.2.2 own',
  '1001 02:00:00:00:00:03 10.1.1.3 via 192.0.2.3 192.0.2.1',
  '1001 02:00:00:00:00:03 via 192.0.2.3 192.0.2.1',
  '1001 vtep 192.0.2.1 via 192.0.2.1 192.0.2.1',
  '1001 vtep 192.0.2.2 via 192.0.2.2 own',
  '1001 vtep 192.0.2.3 via 192.0.2.3 192.0.2.1',
  '1002 vtep 192.0.2.1 via 192.0.2.1 192.0.2.1',
  '1002 vtep 192.0.2.2 via 192.0.2.2 own',
];

t.test('two nodes, a third with another AS, and a VNI of two of them', { skip }, async (t) => {
  const [first, second, third] = await startLab(t, 3);
  if (first === undefined || second === undefined || third === undefined) throw new Error('three nodes');
  addVni(first.frr.netns, { vni: 1002, vtep: '192.0.2.1' });
  addVni(second.frr.netns, { vni: 1002, vtep: '192.0.2.2' });
  await speak(first, 1, [testNeighbor('192.0.2.2', { routeReflectorClient: true, password: 'sec!ret' }), testNeighbor('192.0.2.3', { as: 65003 }), testNeighbor('192.0.2.99')]);
  await speak(second, 2, [testNeighbor('192.0.2.1', { password: 'sec!ret' })]);
  await speak(third, 3, [testNeighbor('192.0.2.1')], { as: 65003 });
  addEndpoint(first, { mac: '02:00:00:00:00:01', addresses: ['10.1.1.1', 'fd00::1'] });
  addEndpoint(second, { mac: '02:00:00:00:00:02', addresses: ['10.1.1.2'] });
  addEndpoint(third, { mac: '02:00:00:00:00:03', addresses: ['10.1.1.3'] });
  // bgpd chooses the best 50 ms behind the arrival.
  const routes = await eventually('the endpoints of all', async () => {
    const found = await readRoutes(second.bgpd, soon);
    return found.filter((route) => route.kind === 'endpoint' && route.address !== undefined && route.isBest).length === 4 ? found : undefined;
  });

  const shown = routes.filter((route) => route.kind === 'vtep' || route.mac.startsWith('02:00:00:00:00')).map(describe);
  t.same(shown.toSorted(), routesOfSecond);

  const sessions = await readSessions(first.bgpd, soon);
  t.match(sessions.find(({ name }) => name === '192.0.2.2'), { as: 65000, peerGroup: 'weft', state: 'Established', isUp: true, establishedCount: 1, reason: undefined });
  t.match(sessions.find(({ name }) => name === '192.0.2.3'), { as: 65003, peerGroup: 'weft-ebgp', isUp: true, address: parseAddress('192.0.2.3') });
  t.match(sessions.find(({ name }) => name === '192.0.2.99'), { isUp: false, reason: /./, prefixesReceived: 0 });

  await t.test('zebra knows the same', (t) => checkZebra(t, first));
  await t.test('an endpoint moves', async (t) => {
    bridgeFdb(first.frr.netns, 'del', '02:00:00:00:00:01', 'ep1001');
    addEndpoint(second, { mac: '02:00:00:00:00:01', addresses: [] });
    const moved = await eventually('the move', async () => (await readRoutes(first.bgpd, soon)).find((route) => route.kind === 'endpoint' && route.mac === '02:00:00:00:00:01' && route.isBest && route.origin.kind === 'received'));
    t.match(moved, { sequence: 1, nextHop: parseAddress('192.0.2.2') });
  });

  await record(first);
});

function describe(route: EvpnRoute): string {
  const what = route.kind === 'vtep' ? `vtep ${formatAddress(route.originator)}` : [route.mac, ...(route.address === undefined ? [] : [formatAddress(route.address)])].join(' ');
  return `${route.vni} ${what} via ${formatAddress(route.nextHop)} ${route.origin.kind === 'own' ? 'own' : route.origin.from}${route.isBest ? '' : ' spare'}`;
}

async function checkZebra(t: Test, { frr, zebra }: LabNode): Promise<void> {
  const vnis = await readVnis(zebra, soon);
  const vteps = Object.fromEntries(vnis.map(({ vni, remoteVteps }) => [vni, remoteVteps.map(formatAddress).toSorted()]));
  t.same(vteps, { 1001: ['192.0.2.2', '192.0.2.3'], 1002: ['192.0.2.2'] });
  const kernel = bridgeJson<readonly { mac: string; dst?: string }[]>(frr.netns, 'fdb', 'show', 'dev', 'vx1001').filter(({ dst }) => dst !== undefined);
  t.same(kernel.filter(({ mac }) => mac === '00:00:00:00:00:00').map(({ dst }) => dst).toSorted(), vteps[1001], 'as the kernel has them');
  const macs = (await readMacs(zebra, soon)).filter(({ vni, mac }) => vni === 1001 && mac.startsWith('02:00:00:00:00'));
  t.match(macs.find(({ mac }) => mac.endsWith('01')), { origin: { kind: 'own', interface: 'ep1001' }, isDuplicate: false });
  t.match(macs.find(({ mac }) => mac.endsWith('03')), { origin: { kind: 'remote', vtep: parseAddress('192.0.2.3') } });
  const neighbours = await readNeighbours(zebra, soon);
  t.same(neighbours.map(({ address, mac, origin, isActive }) => `${formatAddress(address)} ${mac} ${origin.kind} ${isActive}`).toSorted(), [
    '10.1.1.1 02:00:00:00:00:01 own true', '10.1.1.2 02:00:00:00:00:02 remote true', '10.1.1.3 02:00:00:00:00:03 remote true', 'fd00::1 02:00:00:00:00:01 own true',
  ]);
}

/** What the node answers now, for tables.test.ts, where that was asked for. */
async function record({ bgpd, zebra }: LabNode): Promise<void> {
  if (process.env['WEFT_RECORD'] !== '1') return;
  for (const [name, command] of Object.entries(tableCommands)) {
    const daemon = command.startsWith('show bgp') ? bgpd : zebra;
    writeFileSync(new URL(`testdata/${name}.json`, import.meta.url), (await daemon.ask(command, soon)).replaceAll(/"(hostname|advHostName|rcvHostName)":"[^"]*"/g, '"$1":"node"'));
  }
}

t.test('why a session is down', { skip }, async (t) => {
  const [first, second] = await startLab(t, 2);
  if (first === undefined || second === undefined) throw new Error('two nodes');
  await speak(first, 1, [testNeighbor('192.0.2.2')]);
  await speak(second, 2, [testNeighbor('192.0.2.1', { as: 65000 })], { as: 65002 });
  const reason = (pattern: RegExp): Promise<string> => eventually(String(pattern), async () => (await readSessions(first.bgpd, soon)).map((session) => session.reason ?? '').find((text) => pattern.test(text)));
  t.equal(await reason(/AS/), 'BGP Notification send: OPEN Message Error/Bad Peer AS');
  await second.bgpd.configure(['no router bgp 65002'], soon);
  await speak(second, 2, [testNeighbor('192.0.2.1')]);
  await eventually('the session', async () => (await readSessions(first.bgpd, soon)).find(({ isUp }) => isUp));
  await second.frr.kill('bgpd');
  t.equal(await reason(/closed/), 'Peer closed the session');
  t.match((await readSessions(first.bgpd, soon))[0], { isUp: false, prefixesReceived: 0, establishedCount: 1 });
  await second.frr.start('bgpd');
  await first.bgpd.configure(['router bgp 65000', 'neighbor 192.0.2.2 shutdown'], soon);
  t.equal(await reason(/shut/), 'shut down by configuration');
});
