/** The flows as ovs-ofctl(8) writes them, against a golden file; UPDATE_GOLDEN=1 writes it anew. And what is true of all of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseInterfaceAddress, parseMac, parseVni } from '../../../netaddr/netaddr.ts';
import { output, ports, setField } from '../../../openflow/action.ts';
import { flowKey, type Flow } from '../../../openflow/flow.ts';
import { formatFlow } from '../../../openflow/format.ts';
import { gatewayMac } from '../../../overlay/gateway-mac.ts';
import { locationFrame, neighbourFrame } from '../../announcement.ts';
import { announcementPackets, floodFlows, ownerOf, portFlows, segmentFlows, tables } from './flows.ts';
import { blue, blueNetwork, bluePort, redNetwork, redPort, sections } from './test-tenants.ts';

const golden = join(import.meta.dirname, 'testdata', 'flows.txt');
const all: readonly Flow[] = Object.values(sections).flat();

t.test('the flows are as they are written down', async (t) => {
  const text = Object.entries(sections).map(([title, flows]) => `# ${title}\n${flows.map((flow) => `${formatFlow(flow)}\n`).join('')}`).join('\n');
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, text);
  t.equal(text, readFileSync(golden, 'utf8'));
});

t.test('no flow has the name of another, whatever addresses tenants have', async (t) => {
  t.equal(new Set(all.map(flowKey)).size, all.length);
});

t.test('a flow is its owner\'s, and of its tenant only', async (t) => {
  const owners: Readonly<Record<string, unknown>> = {
    'before any tenant': { kind: 'node' }, 'a tenant over IPv4 with a gateway': { kind: 'segment', vni: blue }, 'its broadcast, with one port': { kind: 'segment', vni: blue },
    'a container': { kind: 'port', vni: blue, ofport: 101 }, 'an endpoint elsewhere': { kind: 'remotes', vni: blue },
    'what a limit of what its containers send adds to a tenant': { kind: 'segment', vni: blue }, 'and to a container': { kind: 'port', vni: blue, ofport: 101 },
  };
  for (const [title, owner] of Object.entries(owners)) {
    for (const flow of sections[title] ?? []) t.same(ownerOf(flow.cookie ?? 0n), owner, formatFlow(flow));
  }
  for (const flow of all) {
    const owner = ownerOf(flow.cookie ?? 0n);
    if (owner === undefined || owner.kind === 'node') continue;
    // In the first two tables it is known by its port; behind them by its VNI, which only table 0 writes.
    if (flow.table <= tables.discovery) t.type(flow.match.inPort, 'number', formatFlow(flow));
    else t.equal(flow.match.metadata, BigInt(owner.vni), formatFlow(flow));
    t.equal(flow.instructions.writeMetadata, flow.table === tables.source && flow.instructions.gotoTable !== undefined ? BigInt(owner.vni) : undefined);
  }
});

t.test('a flow goes forward, and outputs to ports it names', async (t) => {
  for (const { table, instructions } of all) {
    if (instructions.gotoTable !== undefined) t.ok(instructions.gotoTable > table);
    for (const action of instructions.apply ?? []) if (action.kind === 'output') t.ok(action.port < 0xff00 || action.port === ports.inPort);
  }
});

t.test('the flows of a port do not depend on the others; the one that lists them does', async (t) => {
  const [{ instructions: none }, { instructions: both }] = [...floodFlows(redNetwork, []), ...floodFlows(redNetwork, [bluePort, redPort])] as [Flow, Flow];
  t.same([none.apply, both.apply], [[], [output(101), output(102)]]);
  t.same(portFlows({ ...bluePort, port: { ...bluePort.port, addresses: [...bluePort.port.addresses, parseInterfaceAddress('10.0.0.2/24')] } }).filter((flow) => !portFlows(bluePort).some((other) => flowKey(other) === flowKey(flow))).map(({ table }) => table), [
    tables.source, tables.source, tables.neighbours, tables.neighbours, tables.arrivals,
  ], 'another IPv4 address is two flows in the guard, and three for questions');
});

t.test('a gateway needs its addresses and its interface', async (t) => {
  const { gateway, ...withoutInterface } = blueNetwork;
  const { gateway: addresses, ...segment } = blueNetwork.segment;
  t.same([typeof gateway, typeof addresses], ['number', 'object']);
  const without = segmentFlows({ segment, tunnel: 1 });
  t.same(segmentFlows(withoutInterface), without);
  t.same(segmentFlows({ ...blueNetwork, segment }), without);
  t.equal(without.length, 2 + 4 + 2, 'peers, learning, replication');
});

t.test('a new container is announced', async (t) => {
  const location = {
    data: locationFrame(bluePort.port.mac, gatewayMac(blue)),
    actions: [setField('tunnelId', 1001n), ...blueNetwork.segment.peers.flatMap((peer) => [setField('tunnelIpv4Dst', peer), output(1)])],
  };
  t.same(announcementPackets(blueNetwork, bluePort), [location], 'its MAC is made from its address: only its location');

  const mac = parseMac('02:00:00:00:00:01');
  const neighbours = bluePort.port.addresses.map(({ address }) => ({ data: neighbourFrame(mac, address), inPort: 101, actions: [output(ports.table)] }));
  const chosen = { ...bluePort, port: { ...bluePort.port, mac } };
  t.same(announcementPackets(blueNetwork, chosen), [{ ...location, data: locationFrame(mac, gatewayMac(blue)) }, ...neighbours], 'another MAC');
  t.same(announcementPackets({ ...blueNetwork, segment: { ...blueNetwork.segment, peers: [] } }, chosen), neighbours, 'without peers only those of this node are told');
  t.same(announcementPackets(redNetwork, redPort).map(({ data }) => Buffer.from(data).toString('hex', 0, 14)), [`${gatewayMac(parseVni(16777215)).replaceAll(':', '')}02770a0000018035`], 'without addresses');
});
