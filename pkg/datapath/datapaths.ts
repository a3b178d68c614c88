/**
 * Several datapaths on one node as one: each tenant is wired by the one that its segment names. What they share, the veth pairs by their
 * names and the guard of the host, is looked after by the Linux bridges', which every node has.
 */
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import type { KnownState, NodeDatapath } from './datapath.ts';

/** Open vSwitch is opened when it is first needed, and for whatever it may have left when it is asked for from the start. */
export interface DatapathChoice {
  readonly bridge: NodeDatapath;
  readonly ovs: LazyDatapath;
}

/** A datapath that a node may never use. */
export class LazyDatapath {
  readonly #open: () => NodeDatapath;
  readonly #isExpected: boolean;
  #opened: NodeDatapath | undefined;

  /** @param isExpected whether the node is known to have had, or to be about to have, tenants of it */
  constructor(open: () => NodeDatapath, isExpected = false) {
    this.#open = open;
    this.#isExpected = isExpected;
  }

  /** The datapath, opened by the first call. */
  get(): NodeDatapath {
    return (this.#opened ??= this.#open());
  }

  /** As get() where it may have left something; else undefined. */
  findLeftOf(wired: readonly { readonly datapath?: 'ovs' }[]): NodeDatapath | undefined {
    return this.#isExpected ? this.get() : this.findFor(wired);
  }

  /** As get() where somebody needs it, or has needed it; else undefined. */
  findFor(wired: readonly { readonly datapath?: 'ovs' }[]): NodeDatapath | undefined {
    return wired.some(isOvs) ? this.get() : this.#opened;
  }
}

function isOvs({ datapath }: { readonly datapath?: 'ovs' }): boolean {
  return datapath === 'ovs';
}

/** The datapaths as one. */
export function datapathsAsOne({ bridge, ovs }: DatapathChoice): NodeDatapath {
  const of = (wired: { readonly datapath?: 'ovs' }): NodeDatapath => (isOvs(wired) ? ovs.get() : bridge);
  return {
    portsMaxOf: (segment) => of(segment).portsMaxOf(segment),
    attach: (request) => of(request.segment).attach(request),
    prepareRemoval: (wired) => of(wired).prepareRemoval(wired),
    detach: (port, segment) => of(port).detach(port, segment),
    detachSoon: (port, segment) => of(port).detachSoon(port, segment),
    updateSegment: (change) => of(change.segment).updateSegment(change),
    removeSegment: (removal) => of(removal.segment).removeSegment(removal),
    async trimGuard(segments) {
      await Promise.all([ovs.findFor(segments)?.trimGuard(segments.filter(isOvs)), bridge.trimGuard(segments)]);
    },
    check: (request) => of(request.segment).check(request),
    async collect(known) {
      const found = await Promise.all([bridge.collect(known), ovs.findLeftOf(known.segments)?.collect(ovsPartOf(known))]);
      return found.flatMap((words) => words ?? []);
    },
    mendGuard: (settled, all) => [...bridge.mendGuard(settled, all), ...(ovs.findFor(settled.segments)?.mendGuard(ovsPartOf(settled), all === undefined ? undefined : ovsPartOf(all)) ?? [])],
    findObstacle: (segment) => of(segment).findObstacle(segment),
    observe: (segments) => (ovs.findFor(segments) ?? bridge).observe(segments),
    repairSegment: (segment, seen) => of(segment).repairSegment(segment, seen),
    repairPort: (request, seen) => of(request.segment).repairPort(request, seen),
    repairContainer: (request) => of(request.segment).repairContainer(request),
    resizeSegment: (segment) => of(segment).resizeSegment(segment),
    resizePort: (request, mtu) => of(request.port).resizePort(request, mtu),
    inspectSegment: (segment, seen) => of(segment).inspectSegment(segment, seen),
    inspectPort: (request, seen) => of(request.segment).inspectPort(request, seen),
    inspectGuard: (settled) => bridge.inspectGuard(settled),
    observeRemotes: (segment) => of(segment).observeRemotes(segment),
    holdRemotes: (segment, endpoints) => of(segment).holdRemotes(segment, endpoints),
    restoreRemotes: (segment, endpoints) => of(segment).restoreRemotes(segment, endpoints),
    dropRemotes: (segment, endpoints) => of(segment).dropRemotes(segment, endpoints),
    startRelay: (moving) => of(moving.segment).startRelay(moving),
    depart: (moving) => of(moving.segment).depart(moving),
    leave: (moving) => of(moving.segment).leave(moving),
    takeBack: (moving) => of(moving.segment).takeBack(moving),
    countRelayed: (moving) => of(moving.segment).countRelayed(moving),
    open: (moving) => of(moving.segment).open(moving),
    armActivation: (moving) => of(moving.segment).armActivation(moving),
    armOpening: (moving) => of(moving.segment).armOpening(moving),
    hasOpened: (moving) => of(moving.segment).hasOpened(moving),
    watchOpening: (moving, onOpened) => of(moving.segment).watchOpening(moving, onOpened),
    settle: (moving) => of(moving.segment).settle(moving),
    announce: (moving) => of(moving.segment).announce(moving),
  };
}

function ovsPartOf({ segments, ports }: KnownState): { segments: readonly Segment[]; ports: readonly AttachmentPort[] } {
  return { segments: segments.filter(isOvs), ports: ports.filter(isOvs) };
}
