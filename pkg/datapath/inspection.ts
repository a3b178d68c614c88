/** Looking at what a pass of the reconciler would compare, without its hands: nothing is put right, whatever is found. */
import type { Segment } from '../overlay/model.ts';
import type { KnownState } from './datapath.ts';
import type { Aspect, Fault } from './fault.ts';
import type { Observation } from './observation.ts';
import type { PortToRepair } from './repair.ts';

/** A fault as whoever only looks is told of it. */
export interface SeenFault {
  /** In words: `the host interface weft-p… is down`. */
  readonly what: string;
  readonly aspect: Aspect;
  /** Containers' networks work all the same. */
  readonly isMinor: boolean;
  /** Whether a daemon would put it right; otherwise it is somebody else's to decide. */
  readonly isMendable: boolean;
}

/** What is wrong with the two ends of a port. */
export interface InspectedPort {
  readonly host: readonly SeenFault[];
  /** 'gone': the container's namespace is no longer there. */
  readonly container: readonly SeenFault[] | 'gone';
}

/** What is wrong with the guard. */
export interface InspectedGuard {
  /** Of tables, chains and rules, in words. */
  readonly structure: readonly string[];
  /** Sets that lack an element, as nft(8) names them: `bridge weft ports`. */
  readonly missing: readonly string[];
}

/** Every datapath can be looked at. The observation is one of observe(); requests of the kernel beside it only read. */
export interface DatapathInspection {
  /** The tenant's segment, as repairSegment() would find it. @throws NetlinkError */
  inspectSegment(segment: Segment, seen: Observation): readonly SeenFault[];
  /** A port, as repairPort() and repairContainer() would find it. @throws NetlinkError; SystemCallError EPERM where the namespace may not be entered */
  inspectPort(request: PortToRepair, seen: Observation): InspectedPort;
  /** The guard of everything that is attached, as mendGuard() would find it. @throws NetlinkError EPERM without CAP_NET_ADMIN */
  inspectGuard(settled: KnownState): InspectedGuard;
}

/** Faults without their remedies. */
export function withoutHands(faults: readonly Fault<never>[]): SeenFault[] {
  return faults.map(({ what, aspect = 'link', isMinor, remedy }) => ({ what, aspect, isMinor: isMinor === true, isMendable: remedy !== undefined }));
}

/** Words of the switch as faults, which a daemon puts right by sending it everything again. */
export function ofSwitch(words: readonly string[]): SeenFault[] {
  return words.map((what) => ({ what, aspect: 'switch', isMinor: false, isMendable: true }));
}
