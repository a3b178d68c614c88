/** For tests: every tenant with a control plane, and what zebra would write and take away, by the system's tools. */
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import { run } from '../../testing/command.ts';
import { bridgeJson, ipJson, type ObservedFdbEntry } from '../../testing/observe.ts';
import type { Datapath } from '../datapath.ts';
import type { Kernel } from '../kernel.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';

/** The segment with a control plane. */
export function withEvpn(segment: Segment): Segment {
  return { ...segment, controlPlane: 'evpn' };
}

/** The datapath of Linux bridges, to which every segment is one with a control plane. */
export function evpnDatapath(kernel: Kernel): Datapath {
  const datapath = linuxBridgeDatapath(kernel);
  const inOne = <T extends { readonly segment: Segment }>(request: T): T => ({ ...request, segment: withEvpn(request.segment) });
  return {
    ...datapath,
    attach: (request) => datapath.attach(inOne(request)),
    detach: (port, segment) => datapath.detach(port, segment === undefined ? undefined : withEvpn(segment)),
    detachSoon: (port, segment) => datapath.detachSoon(port, segment === undefined ? undefined : withEvpn(segment)),
    updateSegment: ({ segment, previous, others, ports }) => datapath.updateSegment({ segment: withEvpn(segment), previous: withEvpn(previous), others: others.map(withEvpn), ports }),
    removeSegment: ({ segment, remaining, ...rest }) => datapath.removeSegment({ ...rest, segment: withEvpn(segment), remaining: remaining.map(withEvpn) }),
    check: (request) => datapath.check(inOne(request)),
    collect: ({ segments, ports }) => datapath.collect({ segments: segments.map(withEvpn), ports }),
    mendGuard: (settled, all = settled) => datapath.mendGuard({ ...settled, segments: settled.segments.map(withEvpn) }, { ...all, segments: all.segments.map(withEvpn) }),
    repairSegment: (segment, seen) => datapath.repairSegment(withEvpn(segment), seen),
    repairPort: (request, seen) => datapath.repairPort(inOne(request), seen),
    resizeSegment: (segment) => datapath.resizeSegment(withEvpn(segment)),
    repairContainer: (request) => datapath.repairContainer(inOne(request)),
  };
}

/** An endpoint as zebra writes it: at the VXLAN device and in the bridge in one message, and as a neighbour. */
export function writeAsZebra(netns: string, { vni }: Segment, { mac, vtep, addresses }: { readonly mac: string; readonly vtep: string; readonly addresses: readonly string[] }): void {
  run('bridge', ['-n', netns, 'fdb', 'replace', mac, 'dev', vxlanName(vni), 'dst', vtep, 'self', 'master', 'extern_learn', 'dynamic']);
  for (const address of addresses) run('ip', ['-n', netns, 'neigh', 'replace', address, 'lladdr', mac, 'dev', bridgeName(vni), 'nud', 'noarp', 'extern_learn', 'proto', 'zebra']);
}

/** Takes away all that zebra would when it ends, the flood list last. */
export function wipeAsZebra(netns: string, { vni }: Segment): void {
  const device = vxlanName(vni);
  const [neighbours, entries] = [readNeighbours(netns, bridgeName(vni)), bridgeJson<readonly ObservedFdbEntry[]>(netns, 'fdb', 'show', 'dev', device)];
  const external = neighbours.filter(({ extern_learn: isExternal }) => isExternal !== undefined).map(({ dst, dev }) => `neigh del ${dst} dev ${dev}`);
  run('ip', ['-n', netns, '-force', '-batch', '-'], `${external.join('\n')}\n`);
  const remote = entries.filter(({ dst, mac }) => dst !== undefined && mac !== floodText).map(({ mac, dst = '' }) => `fdb del ${mac} dev ${device} dst ${dst} self master`);
  const flood = entries.filter(({ dst, mac }) => dst !== undefined && mac === floodText).map(({ mac, dst = '' }) => `fdb del ${mac} dev ${device} dst ${dst} self`);
  run('bridge', ['-n', netns, '-force', '-batch', '-'], `${[...remote, ...flood].join('\n')}\n`);
}

const floodText = '00:00:00:00:00:00';

/** A neighbour as `ip -j neigh` shows it. */
export interface ObservedNeighbour {
  readonly dst: string;
  readonly dev: string;
  readonly lladdr?: string;
  readonly state: readonly string[];
  readonly extern_learn?: null;
}

/** All neighbours of a link. */
export function readNeighbours(netns: string, dev: string): readonly ObservedNeighbour[] {
  const args = ['neigh', 'show', 'dev', dev, 'nud', 'all'];
  return [...ipJson<readonly ObservedNeighbour[]>(netns, '-4', ...args), ...ipJson<readonly ObservedNeighbour[]>(netns, '-6', ...args)].map((neighbour) => ({ ...neighbour, dev }));
}

/** The neighbours that are written down for good: address and MAC. */
export function readPermanent(netns: string, dev: string): readonly string[] {
  return readNeighbours(netns, dev).filter(({ state }) => state.includes('PERMANENT')).map(({ dst, lladdr }) => `${dst} ${lladdr ?? ''}`).sort();
}
