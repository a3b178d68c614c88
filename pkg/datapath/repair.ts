/** What every datapath repairs for the reconciler, one segment or attachment at a time. */
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import type { Repair } from './fault.ts';
import type { Observation } from './observation.ts';

/** An attachment with its tenant's segment and the container's namespace as the ledger knows it. */
export interface PortToRepair {
  readonly segment: Segment;
  readonly port: AttachmentPort;
  /** Path of the namespace. */
  readonly netns: string;
  /** Its id when the attachment was made (netnsId()): another namespace may have the path by now. */
  readonly netnsId: string;
}

/**
 * Each method compares and writes only where something is wrong. With an observation, what looks whole in it is taken for
 * whole and costs no request; what does not is looked at again before anything is written, so that an observation may be as
 * old as it takes to go through a node. Whoever calls makes sure that what is repaired is still wanted: a port that is being
 * removed would be made anew. All but observe() are called in a transaction, and have done their work when they return.
 */
export interface DatapathRepair {
  /** The node as it is now, for a pass over many segments and ports; these are the segments it is to have. */
  observe(segments: readonly Segment[]): Promise<Observation>;
  /** The tenant's segment: links, settings, flood list, gateway. Ports of a bridge that was made anew are put back by repairPort(). */
  repairSegment(segment: Segment, seen?: Observation): Repair;
  /** The host's end of a port; where that is missing, the port as a whole. */
  repairPort(request: PortToRepair, seen?: Observation): Repair;
  /** The container's end: it cannot be observed from outside, and costs a fraction of a millisecond. */
  repairContainer(request: PortToRepair): Repair;
}
