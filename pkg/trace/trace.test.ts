/** Ways over a node that is healthy but for one thing, and the step at which they end. */
import t from 'tap';
import { parseAddress, type Mac } from '../netaddr/netaddr.ts';
import type { PathStatus } from '../report/paths.ts';
import { containerFacts, farAddress, farMac, link, near, nodeFacts, nodeWith, outsideAddress, routeBy, segment, sender, vtep, type Changes, type Facts } from './test-sight.ts';
import { renderTrace, reportTrace } from './report.ts';
import { traceArriving, traceSent, type Trace } from './trace.ts';

const [nearAddress] = near.port.addresses.map(({ address }) => address);
const destinations = { near: nearAddress ?? farAddress, far: farAddress, outside: outsideAddress, gateway: parseAddress('10.1.1.1'), nobody: parseAddress('10.1.1.99'), node: segment.vtepAddress } as const;
type Destination = keyof typeof destinations;
const known = (to: Destination, mac: Mac): Pick<Changes, 'inside'> => ({ inside: { neighbours: { [`2 ${['10.1.1.11', '10.1.1.20', '', '10.1.1.1', '10.1.1.99', ''][Object.keys(destinations).indexOf(to)] ?? ''}`]: { state: 'reachable', mac } } } });
const toFar = known('far', farMac);

interface Options {
  readonly protocol?: 'icmp' | 'tcp' | 'udp';
  readonly port?: number;
  readonly size?: number;
  readonly mac?: Mac;
}

function trace(to: Destination, changes: Changes = {}, { protocol = 'icmp', port, size = 84, mac }: Options = {}): Trace {
  const packet = { destination: destinations[to], protocol, size, ...(port === undefined ? {} : { port }) };
  return traceSent({ node: nodeWith(changes), tenant: { segment: { ...segment, ...changes.segment }, records: changes.records ?? [sender, near] }, packet, record: sender, ...(mac === undefined ? {} : { mac }) });
}

/** `stops guard`, `leaves`. */
function endOf({ verdict: { kind }, steps }: Trace): string {
  return kind === 'stops' || kind === 'unknown' ? `${kind} ${steps.at(-1)?.id ?? ''}` : kind;
}

const changedLink = (name: string, more: Parameters<typeof link>[2]): Partial<Facts> => ({ links: nodeFacts.links.map((one) => (one.name === name ? { ...one, ...more } : one)) });
const withoutLink = (name: string): Partial<Facts> => ({ links: nodeFacts.links.filter((one) => one.name !== name) });
const changedRoute = (to: string, by: ReturnType<typeof routeBy>): Partial<Facts> => ({ routes: { ...nodeFacts.routes, [to]: by } });
const inside = containerFacts(sender, 10);
const [eth0] = inside.links;
const innerLink = (more: Parameters<typeof link>[2]): Partial<Facts> => ({ links: [{ ...(eth0 ?? link(2, 'eth0')), ...more }] });
const narrow: PathStatus = { vtep: '192.0.2.1', peer: '192.0.2.2', state: 'narrow', fullBytes: 1500, narrow: { packetBytes: 1400, way: 'underlay', since: 0, isActedOn: false } };

void t.test('a healthy node', (t) => {
  t.equal(endOf(trace('near')), 'reaches');
  t.equal(endOf(trace('gateway')), 'reaches');
  t.equal(endOf(trace('node')), 'reaches', 'by the gateway');
  t.equal(endOf(trace('outside')), 'leaves');
  const far = trace('far', toFar, { size: 1450 });
  t.match(far.verdict, { kind: 'leaves', vteps: ['192.0.2.2'], next: 'weft trace --arriving --from-vtep 192.0.2.1 --tenant blue --mac 02:00:00:00:00:20 --size 1450 10.1.1.20' });
  t.match(far.steps.find(({ id }) => id === 'underlay-mtu')?.what, 'inner packet 1450 + inner Ethernet 14 + VXLAN 8 + UDP 8 + outer IPv4 20 = 1500 bytes fit the MTU of eth0, 1500');
  t.match(trace('far').verdict, { kind: 'leaves', what: /the question for its address/, vteps: ['192.0.2.2'] }, 'who does not know the neighbour asks first');
  t.match(trace('far', {}, { mac: farMac }).verdict, { kind: 'leaves', what: 'the packet leaves for VTEP 192.0.2.2' }, 'or is told');
  t.ok([...far.steps, ...trace('outside').steps].every(({ show, what }) => show !== '' && what !== ''), 'every step has a fact and a command');
  t.end();
});

/** A tenant with a control plane whose entry is gone: its tunnel takes nothing unknown. */
function spare(tunnel: Partial<ReturnType<typeof link>>): Changes {
  const links = [
    ...nodeFacts.links.map((one) => (one.name === 'weft-vx1001' ? { ...one, port: { unicastFlood: false } } : one)),
    link(20, 'weft-sf1001', { kind: 'ifb', master: 2, port: { unicastFlood: true } }), link(21, 'weft-sp1001', { kind: 'vxlan', mtu: 1500, vxlan: { vni: 16776214, local: segment.vtepAddress, port: 24789, learning: false }, ...tunnel }),
  ];
  return { node: { links }, sight: { bridgeEntry: () => undefined, redirectsOf: (index, point) => (index === 20 && point === 'egress' ? [21] : []) } };
}

const rows: readonly (readonly [string, string, Destination, Changes, Options?])[] = [
  ['the container has ended', 'stops container-gone', 'near', { isSenderGone: true }],
  ['its interface is missing', 'stops container-link', 'near', { inside: { links: [] } }],
  ['its interface is down', 'stops container-link', 'near', { inside: innerLink({ isUp: false }) }],
  ['its address is gone', 'stops container-address', 'near', { inside: { addresses: {} } }],
  ['no route', 'stops container-route', 'near', { inside: { routes: {} } }],
  ['a route of another kind', 'stops container-route', 'near', { inside: { routes: { '*': routeBy(2, { type: 'unreachable' }) } } }],
  ['its own address', 'unknown container-route', 'near', { inside: { routes: { '*': routeBy(2, { type: 'local' }) } } }],
  ['another interface', 'stops container-route', 'near', { inside: { routes: { '*': routeBy(7, { source: '10.1.1.10' }) } } }],
  ['too large', 'stops container-mtu', 'near', {}, { size: 1451 }],
  ['too large for its route', 'stops container-mtu', 'near', { inside: { routes: { '*': routeBy(2, { source: '10.1.1.10', mtu: 1400 }) } } }, { size: 1401 }],
  ['a wrong MAC of an endpoint here', 'stops container-neighbour', 'near', known('near', farMac)],
  ['the host interface is missing', 'stops host-link', 'near', { node: withoutLink(sender.hostIf) }],
  ['the host interface is down', 'stops host-link', 'near', { node: changedLink(sender.hostIf, { isUp: false }) }],
  ['the host interface is the end of another', 'stops host-link', 'near', { inside: innerLink({ lower: 99 }) }],
  ['the host interface is too narrow', 'stops host-link', 'near', { node: changedLink(sender.hostIf, { mtu: 1395 }) }, { size: 1400 }],
  ['the host interface is four bytes too narrow, which is as good', 'reaches', 'near', { node: changedLink(sender.hostIf, { mtu: 1396 }) }, { size: 1400 }],
  ['the shaper is gone', 'stops bandwidth', 'near', { sight: { redirectsOf: (index) => (index === 10 ? [77] : []) } }],
  ['the port is closed', 'stops guard', 'near', { lost: ['ports'] }],
  ['the address is not its own', 'stops guard', 'near', { lost: ['addresses4'] }],
  ['the guard is not as it was made', 'unknown guard', 'near', { sight: { guardFaults: ['a chain is empty'] } }],
  ['no bridge', 'stops bridge-port', 'near', { node: withoutLink('weft-br1001') }],
  ['in no bridge', 'stops bridge-port', 'near', { node: { links: nodeFacts.links.map((one) => (one.name === sender.hostIf ? link(10, one.name, { kind: 'veth' }) : one)) } }],
  ['in another bridge', 'stops bridge-port', 'near', { node: { links: [...nodeFacts.links.map((one) => (one.name === sender.hostIf ? { ...one, master: 50 } : one)), link(50, 'foreign0', { kind: 'bridge' })] } }],
  ['the bridge is down', 'stops bridge-port', 'near', { node: changedLink('weft-br1001', { isUp: false }) }],
  ['nobody has answered', 'stops answer', 'nobody', { inside: { neighbours: { '2 10.1.1.99': { state: 'failed' } } } }],
  ['nobody to ask', 'stops answer', 'nobody', { segment: { peers: [] }, sight: { tunnelEntries: () => [] } }],
  ['who should answer is down', 'stops delivery-container', 'near', { nearInside: { links: [link(2, 'eth0', { mac: near.mac, isUp: false })] } }],
  ['who should answer has lost the address', 'stops delivery-address', 'near', { nearInside: { addresses: {} } }],
  ['who is known has lost the address', 'stops delivery-address', 'near', { ...known('near', near.mac), nearInside: { addresses: {} } }],
  ['who is known has another MAC', 'stops delivery-container', 'near', { ...known('near', near.mac), nearInside: { links: [link(2, 'eth0', { mac: farMac })] } }],
  ['no entry of an endpoint here', 'stops fdb', 'near', { ...known('near', near.mac), sight: { bridgeEntry: () => undefined } }],
  ['an entry elsewhere', 'stops fdb', 'near', { ...known('near', near.mac), sight: { bridgeEntry: (_bridge, mac) => ({ index: 3, mac, isStatic: true }) } }],
  ['an entry at the sender', 'stops fdb', 'far', { ...toFar, sight: { bridgeEntry: (_bridge, mac) => ({ index: 10, mac, isStatic: true }) } }],
  ['an entry at a port that is nobody’s', 'unknown fdb', 'far', { ...toFar, node: { links: [...nodeFacts.links, link(60, 'foreign1', { master: 2, kind: 'veth' })] }, sight: { bridgeEntry: (_bridge, mac) => ({ index: 60, mac, isStatic: true }) } }],
  ['an unknown place is flooded', 'leaves', 'far', { ...toFar, sight: { bridgeEntry: () => undefined } }],
  ['no tunnel', 'stops tunnel', 'far', { ...toFar, node: withoutLink('weft-vx1001'), sight: { bridgeEntry: () => undefined } }],
  ['the tunnel is down', 'stops tunnel', 'far', { ...toFar, node: changedLink('weft-vx1001', { isUp: false }) }],
  ['the tunnel has another VNI', 'stops tunnel', 'far', { ...toFar, node: changedLink('weft-vx1001', { vxlan: { vni: 1002, local: segment.vtepAddress, port: 4789, learning: true } }) }],
  ['the tunnel is in no bridge', 'stops tunnel', 'far', { ...toFar, node: changedLink('weft-vx1001', { master: 50 }) }],
  ['no VTEP', 'stops tunnel-fdb', 'far', { ...toFar, sight: { tunnelEntries: () => [] } }],
  ['its own VTEP', 'stops tunnel-fdb', 'far', { ...toFar, sight: { tunnelEntries: () => [{ index: 3, mac: farMac, vtep: segment.vtepAddress, isStatic: true }] } }],
  ['a VTEP that is nobody’s', 'stops tunnel-peer', 'far', { ...toFar, sight: { tunnelEntries: () => [{ index: 3, mac: farMac, vtep: parseAddress('192.0.2.99'), isStatic: true }] } }],
  ['the guard has lost the peer: it goes there, and no answer comes', 'leaves', 'far', { ...toFar, lost: ['vteps4'] }],
  ['the VTEP is gone', 'stops underlay-vtep', 'far', { ...toFar, node: changedRoute('192.0.2.1', { refusal: 'ENETUNREACH' }) }],
  ['no route to the VTEP', 'stops underlay-route', 'far', { ...toFar, node: changedRoute('192.0.2.2', { refusal: 'EHOSTUNREACH' }) }],
  ['the underlay is down', 'stops underlay-link', 'far', { ...toFar, node: changedLink('eth0', { hasCarrier: false }) }],
  ['the underlay is a byte too narrow', 'stops underlay-mtu', 'far', { ...toFar, node: changedLink('eth0', { mtu: 1499 }) }, { size: 1450 }],
  ['the route is', 'stops underlay-mtu', 'far', { ...toFar, node: changedRoute('192.0.2.2', routeBy(1, { source: '192.0.2.1', mtu: 1499 })) }, { size: 1450 }],
  ['a narrow path', 'stops underlay-path', 'far', { ...toFar, sight: { paths: [narrow] } }, { size: 1351 }],
  ['a narrow path is wide enough', 'leaves', 'far', { ...toFar, sight: { paths: [narrow] } }, { size: 1350 }],
  ['the VTEP does not answer', 'stops underlay-neighbour', 'far', { ...toFar, node: { neighbours: { '1 192.0.2.2': { state: 'failed' } } } }],
  ['the guard keeps it from the gateway', 'stops gateway-guard', 'gateway', { ...known('gateway', nodeWith().findLink('weft-br1001')?.mac ?? farMac), lost: ['gateway_ports'] }],
  ['no service of the node', 'stops gateway-host', 'gateway', {}, { protocol: 'tcp', port: 22 }],
  ['the node does not forward', 'stops gateway-forwarding', 'outside', { sight: { sysctl: () => '0' } }],
  ['no way out', 'stops gateway-route', 'outside', { node: changedRoute('198.51.100.7', { refusal: 'ENETUNREACH' }) }],
  ['to another tenant', 'stops gateway-filter', 'outside', { node: { links: [...nodeFacts.links, link(70, 'weft-br1002', { kind: 'bridge' })], routes: { ...nodeFacts.routes, '198.51.100.7': routeBy(70) } } }],
  ['to the port of VTEPs', 'stops gateway-filter', 'outside', {}, { protocol: 'udp', port: 4789 }],
  ['a chain of others sees what is bridged', 'unknown bridge-port', 'near', { ...known('near', near.mac), sight: { forwardDrops: ['ip filter FORWARD'] } }],
  ['a chain of others does not see it', 'reaches', 'near', { ...known('near', near.mac), sight: { forwardDrops: ['ip filter FORWARD'], sysctl: () => '0' } }],
  ['the endpoint has left for another node', 'stops guard', 'near', { records: [{ ...sender, port: { ...sender.port, migration: { id: 'm', phase: 'departed', other: vtep, since: 0 } } }, near] }],
  ['the spare tunnel takes over', 'leaves', 'far', { ...toFar, ...spare({}) }],
  ['the spare tunnel is down', 'stops tunnel', 'far', { ...toFar, ...spare({ isUp: false }) }],
  ['the spare tunnel is not behind its port', 'stops tunnel', 'far', { ...toFar, ...spare({ index: 999 }) }],
  ['a chain of others', 'unknown gateway-filter', 'outside', { sight: { forwardDrops: ['ip filter FORWARD'] } }],
  ['too large to get out', 'stops gateway-mtu', 'outside', { node: changedLink('eth0', { mtu: 1400 }) }, { size: 1450 }],
  ['the way out is down', 'stops gateway-link', 'outside', { node: changedLink('eth0', { isUp: false }) }],
  ['the router does not answer', 'stops gateway-neighbour', 'outside', { node: { neighbours: { '1 192.0.2.254': { state: 'failed' } } } }],
];

void t.test('one thing is wrong', (t) => {
  for (const [what, end, to, changes, options] of rows) {
    const found = trace(to, changes, options);
    t.equal(endOf(found), end, `${what}: ${found.verdict.what}`);
    if (end.startsWith('stops')) t.ok((found.steps.at(-1)?.fix ?? '') !== '', 'with what to do');
  }
  t.end();
});

void t.test('one of two VTEPs is enough', (t) => {
  const other = parseAddress('192.0.2.3');
  const both = { tunnelEntries: () => [vtep, other].map((one) => ({ index: 3, mac: farMac, vtep: one, isStatic: true })) };
  const found = trace('far', { ...toFar, sight: both, node: changedRoute('192.0.2.3', { refusal: 'ENETUNREACH' }) });
  t.match([found.verdict.kind, found.verdict.vteps], ['leaves', ['192.0.2.2']]);
  t.equal(found.steps.find(({ what }) => what.includes('no route'))?.outcome, 'note', 'the other is noted');
  t.end();
});

void t.test('what arrives', (t) => {
  const arrive = (changes: Changes = {}, { to = 'near', mac, from = vtep }: { to?: Destination; mac?: Mac; from?: typeof vtep } = {}): Trace =>
    traceArriving({ node: nodeWith(changes), tenant: { segment, records: [sender, near] }, packet: { destination: destinations[to], protocol: 'icmp', size: 84 }, vtep: from, ...(mac === undefined ? {} : { mac }) });
  t.match(arrive().verdict, { kind: 'reaches', what: 'the packet reaches near' });
  t.equal(endOf(arrive({}, { from: parseAddress('192.0.2.99') })), 'stops arrival-guard', 'no peer');
  t.equal(endOf(arrive({ lost: ['vteps4'] })), 'stops arrival-guard');
  t.equal(endOf(arrive({ lost: ['segments', 'vteps4'] })), 'reaches', 'nobody asks');
  t.equal(endOf(arrive({ node: changedLink('weft-vx1001', { isUp: false }) })), 'stops tunnel');
  t.equal(endOf(arrive({}, { to: 'nobody' })), 'stops fdb', 'nobody has it');
  t.equal(endOf(arrive({}, { to: 'far', mac: farMac })), 'stops fdb', 'back where it came from');
  t.equal(endOf(arrive({ sight: { bridgeEntry: () => undefined } })), 'stops fdb');
  t.equal(endOf(arrive({ node: changedLink(near.hostIf, { isUp: false }) })), 'stops delivery-link');
  t.equal(endOf(arrive({ nearInside: { links: [link(2, 'eth0', { mac: near.mac, isUp: false })] } })), 'stops delivery-container');
  t.match(arrive({ lost: ['ports'] }).steps.at(-1), { id: 'delivery-guard', outcome: 'note' }, 'it arrives, and is not answered');
  t.end();
});

void t.test('what is printed', (t) => {
  const packet = { destination: farAddress, protocol: 'icmp', size: 84 } as const;
  const report = reportTrace({ tenant: 'blue', vni: 1001, endpoint: 'a\u001b[2J', fromVtep: null, packet }, trace('far', { ...toFar, lost: ['ports'] }));
  t.match(report.packet, { destination: '10.1.1.20', protocol: 'icmp', port: null, size: 84 });
  const text = renderTrace(report);
  t.match(text, /^a\?\[2J of tenant blue to 10\.1\.1\.20 \(icmp, 84 bytes\)\n/, 'nothing in it writes on a terminal');
  t.match(text, /STOPS +guard +the guard is closed/);
  t.match(text, /\n {28}\$ nft get element/);
  t.match(text, /\nSTOPS: the packet is lost at guard/);
  t.end();
});
