/** Garbage: what is weft's by name and belongs to no attachment and no segment. The slow path: it reads whole tables. */
import type { KnownState } from '../datapath.ts';
import { shapersOf } from '../bandwidth.ts';
import type { Kernel } from '../kernel.ts';
import { decodeLink, listLinks, type Link } from '../../netlink/link.ts';
import { bridgePrefix, isPortName, isProbeName, isSegmentName, relayName, relayPrefix, shaperPrefix, sparePortPrefix, sparePrefix, tenantShaperPrefixes, vxlanPrefix } from '../../overlay/names.ts';
import { probeTunnels, type ProbeTunnel } from '../../overlay/probe.ts';
import { bridgeTable, inetTable, bridgeSets, inetSets } from '../guard/guard-rules.ts';
import { gatewaySets, gatewayTable } from '../guard/gateway-rules.ts';
import { isProbeKey, knownElements, openedElements, probeElements } from '../guard/guard-elements.ts';
import { readSet } from '../guard/guard-state.ts';
import { baseTables, elementsPerBatch, removeTables } from '../guard/guard.ts';
import { tenantShapersOf } from '../tenant-bandwidth.ts';
import { commitBatch, deleteElement, keyOf, type TableName } from '../../nftables/nftables.ts';
import { isRelayed, isRelayedTo } from '../phases.ts';
import { collectCopies } from './copies.ts';
import { collectRelay } from './relay.ts';
import { collectNeighbours } from './local-neighbours.ts';
import { linksOf } from './segment-links.ts';

/**
 * Removes the garbage; returns what was removed, in words. What probes no longer need is none of it: a pass may come before the daemon itself has taken
 * that away, and then nothing was wrong.
 */
export async function collectGarbage(kernel: Kernel, known: KnownState): Promise<string[]> {
  const present = kernel.route.dump(listLinks()).map(decodeLink);
  const probes = probeTunnels(known.segments);
  const links = findGarbage(present, known, probes);
  const gone = kernel.removeLinks(links.map((link) => link.name));
  // What the guard has for a probe tunnel comes after its link.
  const elements = collectGuard(kernel, known, probes.filter(({ name }) => present.some((link) => link.name === name)));
  const moves = [...collectCopies(kernel.netfilter, known.ports), ...known.segments.flatMap((segment) => collectRelay(kernel.route, segment, known.ports))];
  const neighbours = collectNeighbours(kernel.route, known);
  await gone;
  return [...links.filter(({ name }) => !isProbeName(name)).map((link) => `${link.kind} ${link.name}`), ...elements, ...moves, ...neighbours];
}

/** weft's links by kind and by the form of their names, in full: `weft-proxy0` is somebody else's. */
function isOwn({ kind, name }: Link): boolean {
  switch (kind) {
    case 'veth':
      return isPortName(name);
    case 'ifb':
      return isPortName(name, shaperPrefix) || isSegmentName(name, sparePortPrefix) || Object.values(tenantShaperPrefixes).some((prefix) => isSegmentName(name, prefix));
    case 'bridge':
      return isSegmentName(name, bridgePrefix);
    case 'vxlan':
      return isSegmentName(name, vxlanPrefix) || isSegmentName(name, sparePrefix) || isSegmentName(name, relayPrefix) || isProbeName(name);
    default:
      return false;
  }
}

function findGarbage(present: readonly Link[], known: KnownState, probes: readonly ProbeTunnel[]): Link[] {
  const names = new Set([
    ...known.ports.flatMap((port) => [port.hostIf, ...shapersOf(port)]),
    ...known.ports.filter((port) => isRelayed(port) || isRelayedTo(port)).map(({ vni }) => relayName(vni)),
    ...known.segments.flatMap((segment) => [...linksOf(segment).map(({ name }) => name), ...tenantShapersOf(segment)]),
    // Of no attachment's own: a daemon has made them for all that use the VTEP.
    ...probes.map(({ name }) => name),
  ]);
  return present.filter((link) => isOwn(link) && !names.has(link.name));
}

const allSets: readonly (readonly [TableName, string])[] = [
  ...Object.keys(bridgeSets).map((set) => [bridgeTable, set] as const),
  ...Object.keys(inetSets).map((set) => [inetTable, set] as const),
  ...Object.keys(gatewaySets).map((set) => [gatewayTable, set] as const),
];

function collectGuard(kernel: Kernel, known: KnownState, probes: readonly ProbeTunnel[]): string[] {
  if (known.segments.length === 0) {
    const present = baseTables.filter((table) => readSet(kernel.netfilter, table, table === bridgeTable ? 'ports' : 'segments') !== undefined);
    removeTables(kernel.netfilter, [...baseTables, gatewayTable]);
    return present.map((table) => `nft table ${table.family} ${table.table}`);
  }
  const wanted = new Set(
    [...knownElements(known), ...openedElements(known), ...probes.flatMap(probeElements)].map((element) => `${element.table.family}/${element.table.table}/${element.set}/${Buffer.from(keyOf(element)).toString('hex')}`),
  );
  return allSets.flatMap(([table, set]) => collectElements(kernel, { table, set }, wanted));
}

function collectElements(kernel: Kernel, from: { table: TableName; set: string }, wanted: ReadonlySet<string>): string[] {
  const { table, set } = from;
  const name = `${table.family}/${table.table}/${set}`;
  const garbage = [...(readSet(kernel.netfilter, table, set) ?? [])].filter((key) => !wanted.has(`${name}/${key}`));
  if (garbage.length === 0) return [];
  for (let at = 0; at < garbage.length; at += elementsPerBatch) {
    commitBatch(kernel.netfilter, garbage.slice(at, at + elementsPerBatch).map((key) => deleteElement(table, { set, key: [Buffer.from(key, 'hex')] })));
  }
  const told = garbage.filter((key) => !isProbeKey(from, key));
  return told.length === 0 ? [] : [`${told.length} elements of the nft set ${table.family} ${table.table} ${set}`];
}
