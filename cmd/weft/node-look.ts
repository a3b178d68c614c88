/** Looking at a node from inside of its daemon, for a scrape: the ledger by names, the links' counters in one dump, and what the parts know of their work. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeConf } from '../../pkg/config/node-model.ts';
import type { OvsSwitch } from '../../pkg/datapath/ovs/switch/switch.ts';
import { describeError } from '../../pkg/errors/weft-error.ts';
import type { Evpn } from '../../pkg/evpn/evpn.ts';
import type { AttachmentName, LedgerReader } from '../../pkg/ledger/ledger.ts';
import { listPendingDels } from '../../pkg/ledger/pending.ts';
import type { Log } from '../../pkg/log/log.ts';
import type { DeviceSample, EndpointSample, LedgerSample, NodeSnapshot, TenantSample } from '../../pkg/metrics/snapshot.ts';
import { seenFromPeer, type Traffic } from '../../pkg/metrics/traffic.ts';
import { formatAddress } from '../../pkg/netaddr/netaddr.ts';
import { decodeLinkCounters, listLinkCounters, type LinkCounters } from '../../pkg/netlink/link-counters.ts';
import type { Segment } from '../../pkg/overlay/model.ts';
import { vxlanName } from '../../pkg/overlay/names.ts';
import type { Paths } from '../../pkg/path/paths.ts';
import type { Reconciler } from '../../pkg/reconcile/reconciler.ts';
import type { DaemonStatus } from '../../pkg/report/daemon-status.ts';
import type { LedgerContent } from '../../pkg/report/node-state.ts';
import { reportPools } from '../../pkg/report/pools.ts';
import { nextTurn } from '../../pkg/sys/timer.ts';
import { endpointsMaxOf } from './build-datapath.ts';
import type { NodeParts } from './build-engine.ts';
import type { Places } from './places.ts';

/** What is looked at. */
export interface NodeLookParts {
  readonly engine: NodeParts;
  readonly places: Places;
  readonly conf: () => NodeConf;
  readonly status: () => DaemonStatus;
  readonly reconciler: Pick<Reconciler, 'indexOf' | 'repairCounts'>;
  readonly evpn: Pick<Evpn, 'sessions'>;
  readonly paths: Pick<Paths, 'measurements'>;
  readonly ovs: Pick<OvsSwitch, 'readTunnelCounters'>;
  readonly log: Log;
}

/** Open vSwitch answers at once, or is left out. */
const switchDeadlineMs = 1000;

/** The node as it is now. Whatever else waits has its turn in between. */
export async function lookAtNode(parts: NodeLookParts): Promise<NodeSnapshot> {
  const { engine, places, status, reconciler, evpn, paths } = parts;
  const counters = new Map(readCounters(parts).map((link) => [link.index, link]));
  await nextTurn();
  const content = readLedger(parts);
  await nextTurn();
  const ledger = content === undefined ? undefined : await sampleLedger(parts, content, counters);
  const segments = content?.segments.map(({ segment }) => segment) ?? [];
  const { user, system } = process.cpuUsage();
  return {
    status: status(),
    cpuSeconds: (user + system) / 1e6,
    repairs: reconciler.repairCounts,
    ...(ledger === undefined ? {} : { ledger }),
    ledgerFiles: new Map([['database', 'ledger.db'], ['wal', 'ledger.db-wal']].map(([file = '', name = '']) => [file, sizeOf(join(places.stateDirectory, name))])),
    pendingDels: listPendingDels(engine.pendingDirectories).entries.length,
    sessions: (evpn.sessions ?? []).map(({ name, isUp, prefixesReceived }) => ({ neighbor: name, isUp, prefixesReceived })),
    measurements: paths.measurements,
    tunnels: [...tunnelsOf(parts, segments, counters), ...(segments.some(({ datapath }) => datapath === 'ovs') ? await switchTunnels(parts) : [])],
    underlays: underlaysOf(parts, segments, counters),
  };
}

/** By index. */
type Counters = ReadonlyMap<number, LinkCounters>;

interface Content extends Omit<LedgerContent, 'attachments'> {
  readonly names: readonly AttachmentName[];
  /** The latest of each tenant and network: their configurations say which pools there are. */
  readonly attachments: LedgerContent['attachments'];
}

function readCounters({ engine, log }: NodeLookParts): readonly LinkCounters[] {
  try {
    return engine.kernel.route.dump(listLinkCounters()).flatMap((message) => decodeLinkCounters(message) ?? []);
  } catch (error) {
    log.warn({ code: 'metrics-blind', error: describeError(error) }, "the links' counters could not be read");
    return [];
  }
}

function readLedger({ engine, log }: NodeLookParts): Content | undefined {
  try {
    return engine.ledger().read(readContent);
  } catch (error) {
    log.warn({ code: 'metrics-blind', error: describeError(error) }, 'the ledger could not be read for the metrics');
    return undefined;
  }
}

function readContent(reader: LedgerReader): Content {
  const [segments, names] = [reader.listSegments(), reader.listAttachmentNames()];
  const latest = new Map(names.map(({ seq, tenant, key }) => [JSON.stringify([tenant, key.network]), seq]));
  return {
    segments, names,
    attachments: [...latest.values()].flatMap((seq) => reader.findAttachmentBySeq(seq) ?? []),
    allocations: segments.flatMap(({ vni }) => reader.listAllocations({ vni })),
    identities: reader.listIdentities(),
  };
}

async function sampleLedger(parts: NodeLookParts, content: Content, counters: Counters): Promise<LedgerSample> {
  const tenants: TenantSample[] = [];
  for (const { segment } of content.segments) {
    tenants.push(sampleTenant(parts, segment, content));
    await nextTurn();
  }
  const migrating = new Map<string, number>();
  for (const { phase } of content.names) if (phase !== undefined) migrating.set(phase, (migrating.get(phase) ?? 0) + 1);
  return { endpoints: content.names.map((name) => sampleEndpoint(parts, name, counters)), tenants, migrating };
}

function sampleTenant({ conf }: NodeLookParts, segment: Segment, content: Content): TenantSample {
  const { tenant, vni, datapath = 'bridge', encapsulation = 'vxlan', controlPlane = 'static', overlayMtu, underlayMtu } = segment;
  return { tenant, vni, datapath, encapsulation, controlPlane, overlayMtu, underlayMtu, endpointsMax: endpointsMaxOf(segment), pools: reportPools(content, { tenant, vni, node: conf() }) };
}

function sampleEndpoint({ reconciler }: NodeLookParts, { tenant, key, hostIf, pod, state, createdAt }: AttachmentName, counters: Counters): EndpointSample {
  const linkIndex = reconciler.indexOf(hostIf);
  const link = linkIndex === undefined ? undefined : counters.get(linkIndex);
  return {
    tenant, network: key.network, containerId: key.containerId, interface: key.ifName, ...(pod === undefined ? {} : { pod }), state, createdAt, linkName: hostIf,
    ...(link === undefined ? {} : { linkIndex: link.index, traffic: seenFromPeer(trafficOf(link)) }),
  };
}

function tunnelsOf({ reconciler }: NodeLookParts, segments: readonly Segment[], counters: Counters): readonly DeviceSample[] {
  return segments.filter(({ datapath }) => datapath !== 'ovs').flatMap(({ tenant, vni }) => {
    const device = vxlanName(vni);
    const link = counters.get(reconciler.indexOf(device) ?? 0);
    return link === undefined ? [] : [{ device, tenant, traffic: trafficOf(link) }];
  });
}

async function switchTunnels({ ovs, log }: NodeLookParts): Promise<readonly DeviceSample[]> {
  try {
    return (await ovs.readTunnelCounters(switchDeadlineMs)).map((counters) => ({ device: counters.name, traffic: trafficOf(counters) }));
  } catch (error) {
    log.debug({ error: describeError(error) }, "the counters of the switch's tunnels could not be read");
    return [];
  }
}

/** Every interface by which a tenant's peers are reached, once. */
function underlaysOf({ engine }: NodeLookParts, segments: readonly Segment[], counters: Counters): readonly DeviceSample[] {
  const links = new Map<number, string>();
  for (const { vtepAddress, peers } of new Map(segments.map((segment) => [`${formatAddress(segment.vtepAddress)} ${segment.peers.map(formatAddress).join(' ')}`, segment])).values()) {
    try {
      for (const { index, name } of engine.underlay({ address: vtepAddress }, vtepAddress.family, peers).links) links.set(index, name);
    } catch {
      // The VTEP's address is away for now, which the reconciler says.
    }
  }
  return [...links].flatMap(([index, device]) => {
    const link = counters.get(index);
    return link === undefined ? [] : [{ device, traffic: trafficOf(link) }];
  });
}

/** As the node sees it. */
function trafficOf({ receivedBytes, receivedPackets, receivedDropped, sentBytes, sentPackets, sentDropped }: Omit<LinkCounters, 'index'>): Traffic {
  return { receiveBytes: receivedBytes, receivePackets: receivedPackets, receiveDrops: receivedDropped, transmitBytes: sentBytes, transmitPackets: sentPackets, transmitDrops: sentDropped };
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
