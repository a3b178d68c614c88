/** A node for the tests of this folder: a healthy one, of which each test changes what it is about. */
import { parseAddress, parseInterfaceAddress, parseMac, formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import type { GuardElement } from '../datapath/guard/guard-elements.ts';
import { knownElements } from '../datapath/guard/guard-elements.ts';
import { keyOf } from '../nftables/nftables.ts';
import { gatewayMac } from '../overlay/gateway-mac.ts';
import type { Segment } from '../overlay/model.ts';
import { testAttachment, testSegment } from '../ledger/test-records.ts';
import type { NamespaceSight, NodeSight, SeenLink, SeenNeighbour, SeenRoute } from './sight.ts';

export const segment: Segment = testSegment();
/** The n-th endpoint of this node: 10.1.1.<n>. */
function endpoint(n: number, name: string): AttachmentRecord {
  const { bandwidth: _limits, ...port } = testAttachment(n).port;
  return { seq: n, ...testAttachment(n, { state: 'attached', endpoint: name }), port: { ...port, addresses: [parseInterfaceAddress(`10.1.1.${n}/24`)] } };
}
export const sender: AttachmentRecord = endpoint(10, 'sender');
export const near: AttachmentRecord = endpoint(11, 'near');
export const farMac: Mac = parseMac('02:00:00:00:00:20');
export const farAddress: Address = parseAddress('10.1.1.20');
export const outsideAddress: Address = parseAddress('198.51.100.7');
export const vtep: Address = parseAddress('192.0.2.2');

/** A link that is up. */
export function link(index: number, name: string, more: Partial<SeenLink> = {}): SeenLink {
  return { index, name, isUp: true, hasCarrier: true, mtu: 1450, ...more };
}
const onBridge = { master: 2, kind: 'veth', isArpOff: true, port: { unicastFlood: false } } as const;

/** What a test may change. Links, addresses, neighbours and entries are lists; of routes the first that fits is taken. */
export interface Facts {
  readonly links: readonly SeenLink[];
  /** By index of the link. */
  readonly addresses: Readonly<Record<number, readonly string[]>>;
  readonly neighbours: Readonly<Record<string, SeenNeighbour>>;
  /** By destination; `*` for all others. */
  readonly routes: Readonly<Record<string, SeenRoute>>;
}

function route(index: number, more: { gateway?: string; source?: string; mtu?: number; type?: 'local' | 'unreachable' } = {}): SeenRoute {
  const gateway = more.gateway === undefined ? {} : { gateway: parseAddress(more.gateway) };
  const source = more.source === undefined ? {} : { source: parseAddress(more.source) };
  return { route: { dst: { family: 4, base: 0n, length: 0 }, table: 254, isUnicast: more.type === undefined, priority: 0, index, ...gateway, ...(more.mtu === undefined ? {} : { mtu: more.mtu }) }, type: more.type ?? 'unicast', ...source };
}
export { route as routeBy };

/** Inside the n-th endpoint. */
export function containerFacts({ port: { mac, addresses } }: AttachmentRecord, hostIndex: number): Facts {
  const own = formatAddress(addresses[0]?.address ?? parseAddress('10.1.1.10'));
  return {
    links: [link(2, 'eth0', { mac, kind: 'veth', lower: hostIndex })], addresses: { 2: [`${own}/24`] }, neighbours: {},
    routes: { [formatAddress(outsideAddress)]: route(2, { gateway: '10.1.1.1', source: own }), '192.0.2.1': route(2, { gateway: '10.1.1.1', source: own }), '*': route(2, { source: own }) },
  };
}

export const nodeFacts: Facts = {
  links: [
    link(1, 'eth0', { mtu: 1500, mac: parseMac('02:aa:00:00:00:01') }), link(2, 'weft-br1001', { kind: 'bridge', mac: gatewayMac(segment.vni) }),
    link(3, 'weft-vx1001', { kind: 'vxlan', mtu: 1500, master: 2, vxlan: { vni: 1001, local: segment.vtepAddress, port: 4789, learning: true }, port: { unicastFlood: true } }),
    link(10, sender.hostIf, onBridge), link(11, near.hostIf, onBridge),
  ],
  addresses: { 1: ['192.0.2.1/24'], 2: ['10.1.1.1/24'] },
  neighbours: { '1 192.0.2.2': { state: 'reachable', mac: parseMac('02:aa:00:00:00:02') }, '1 192.0.2.254': { state: 'stale', mac: parseMac('02:aa:00:00:00:fe') } },
  routes: { '192.0.2.1': route(1, { type: 'local' }), '192.0.2.2': route(1, { source: '192.0.2.1' }), '10.1.1.1': route(2, { type: 'local' }), '*': route(1, { gateway: '192.0.2.254', source: '192.0.2.1' }) },
};

/** A namespace of these facts. */
export function sightOf({ links, addresses, neighbours, routes }: Facts): NamespaceSight {
  return {
    findLink: (name) => links.find((one) => one.name === name),
    findLinkByIndex: (index) => links.find((one) => one.index === index),
    addressesOf: (index) => (addresses[index] ?? []).map((text) => ({ index, address: parseInterfaceAddress(text), scope: 'global' })),
    routeTo: (address) => routes[formatAddress(address)] ?? routes['*'] ?? { refusal: 'ENETUNREACH' },
    neighbour: (index, address) => neighbours[`${index} ${formatAddress(address)}`],
  };
}

/** What a test changes of the healthy node. */
export interface Changes {
  readonly node?: Partial<Facts>;
  /** Of the sender's inside, and of the other endpoint's. */
  readonly inside?: Partial<Facts>;
  readonly nearInside?: Partial<Facts>;
  readonly isSenderGone?: boolean;
  /** Elements that the guard has lost, by their set. */
  readonly lost?: readonly string[];
  readonly sight?: Partial<NodeSight>;
  readonly records?: readonly AttachmentRecord[];
  readonly segment?: Partial<Segment>;
}

/** The healthy node, but for these. */
export function nodeWith(changes: Changes = {}): NodeSight {
  const records = changes.records ?? [sender, near];
  const present = knownElements({ segments: [{ ...segment, ...changes.segment }], ports: records.map(({ port }) => port) }).filter(({ set }) => !(changes.lost ?? []).includes(set));
  const nameOf = ({ table, set, key }: GuardElement): string => `${table.family} ${table.table} ${set} ${Buffer.from(keyOf({ set, key })).toString('hex')}`;
  const names = new Set(present.map(nameOf));
  const facts = { ...nodeFacts, ...changes.node };
  return {
    ...sightOf(facts),
    inContainer: (record, fn) => (record.seq === sender.seq ? (changes.isSenderGone === true ? undefined : fn(sightOf({ ...containerFacts(sender, 10), ...changes.inside }))) : fn(sightOf({ ...containerFacts(near, 11), ...changes.nearInside }))),
    bridgeEntry: (_bridge, mac) => (mac === near.mac ? { index: 11, mac, master: 2, isStatic: true } : mac === farMac ? { index: 3, mac, master: 2, isStatic: false } : undefined),
    portsOf: (bridge) => facts.links.filter(({ master }) => master === bridge),
    tunnelEntries: () => [{ index: 3, mac: farMac, vtep, isStatic: false }, { index: 3, mac: parseMac('00:00:00:00:00:00'), vtep, isStatic: true }],
    redirectsOf: () => [], ratesOf: () => [], sysctl: () => '1',
    hasElement: (element) => names.has(nameOf(element)),
    guardFaults: [], forwardDrops: [], paths: undefined, switch: undefined,
    ...changes.sight,
  };
}
