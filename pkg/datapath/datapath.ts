/**
 * What every datapath does for the engine. One attachment at a time on the fast path; the whole node when collecting.
 *
 * Some methods are called inside the ledger's transaction, which is over when they return. What the kernel does at once they have done by then,
 * and throw where it refuses; what takes longer (deleting a link, a switch daemon's part) they have put in train by then, in an order that
 * nothing which is asked for later can overtake, and the promise is for whoever wants to know how it ended.
 */
import { WeftError } from '../errors/weft-error.ts';
import type { Mac, Vni } from '../netaddr/netaddr.ts';
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import type { DatapathInspection } from './inspection.ts';
import type { DatapathMigration } from './migration.ts';
import type { NodeRemotes } from './remotes.ts';
import type { DatapathRepair } from './repair.ts';
import type { DatapathResize } from './resize.ts';

/** An attachment with the tenant's segment and the container's namespace. */
export interface PortRequest {
  readonly segment: Segment;
  readonly port: AttachmentPort;
  /** Descriptor of the container's network namespace; the caller closes it. */
  readonly netnsFd: number;
}

/** A segment whose settings changed while it has attachments. */
export interface SegmentChange {
  readonly segment: Segment;
  readonly previous: Segment;
  /** The node's other segments; what they share with this one stays. */
  readonly others: readonly Segment[];
  /** The segment's attachments. */
  readonly ports: readonly AttachmentPort[];
}

/** A segment that goes. */
export interface SegmentRemoval {
  readonly segment: Segment;
  /** The node's other segments; what they have in the guard too stays. */
  readonly remaining: readonly Segment[];
  /** The segment's last attachments: removed with it in one go, which saves the kernel's waiting for each link. */
  readonly ports?: readonly AttachmentPort[];
}

/** What the ledger says is on this node. */
export interface KnownState {
  readonly segments: readonly Segment[];
  readonly ports: readonly AttachmentPort[];
}

export interface AttachedLink {
  /** MAC of the host interface. */
  readonly hostMac: Mac;
}

/** The refusal of an attachment for which the tenant has no port left on this node. */
export function portsExhausted(vni: Vni, portsMax: number): WeftError {
  return new WeftError('bridgeFull', `VNI ${vni} has ${portsMax} containers on this node: there is no room for another one`, {
    details: 'place the container on another node, or remove others of this tenant from this one',
  });
}

export interface Datapath extends DatapathRepair, DatapathResize {
  /** How many attachments a tenant can have on a node. */
  portsMaxOf(segment: Pick<Segment, 'datapath'>): number;
  /**
   * Makes the tenant's segment where it is missing, and the attachment's port, guarded before it is up.
   * After a failure the caller undoes with detach(); nothing in here cleans up.
   * @throws WeftError when a step is refused
   */
  attach(request: PortRequest): Promise<AttachedLink>;
  /**
   * Gets at hand what removals need, so that detach() and removeSegment() have done their part when they return.
   * @throws WeftError where it cannot be reached
   */
  prepareRemoval(wired: Pick<AttachmentPort, 'datapath' | 'hostIf'>): Promise<void>;
  /**
   * Removes an attachment's port, wherever attach() got to; no error where parts are gone already. Quicker when the segment is
   * known. The port is closed when the call returns, and gone when the promise is fulfilled. In a transaction.
   */
  detach(port: AttachmentPort, segment?: Segment): Promise<void>;
  /** As detach(), together with whatever else is removed at this moment: the port is closed and gone when the promise is fulfilled. */
  detachSoon(port: AttachmentPort, segment?: Segment): Promise<void>;
  /** Brings a segment that is in place in line with changed settings: peers, gateway. In a transaction. */
  updateSegment(change: SegmentChange): Promise<void>;
  /** Removes a segment that has no attachment left but those that go with it. Its links are gone when the promise is fulfilled; from the call's return on nobody may use them. In a transaction. */
  removeSegment(removal: SegmentRemoval): Promise<void>;
  /** Removes what all attachments of the node share and these segments do not need. Links of the others must be gone by then. In a transaction. */
  trimGuard(segments: readonly Segment[]): Promise<void>;
  /** What is wrong with an attachment in the kernel, in words; empty when it is whole. */
  check(request: PortRequest): Promise<string[]>;
  /** Removes what is weft's by name and belongs to nothing in `known`; answers with what was removed, in words. What belongs to nothing is found within the call. In a transaction. */
  collect(known: KnownState): Promise<string[]>;
  /**
   * Makes the guard anew where its tables, rules or elements are not what `settled` needs; returns what was wrong, in words.
   * Where tables must be made anew they get what `all` needs: attachments that an ADD is making may have elements already. In a transaction.
   */
  mendGuard(settled: KnownState, all?: KnownState): string[];
  /** Why an ADD to the segment could not work on this node; undefined when it could. */
  findObstacle(segment: Segment): Promise<string | undefined>;
}

/** A node's datapaths for an engine whose tenants may have a control plane, and whose endpoints may move; and for whoever explains what is wrong. */
export interface NodeDatapath extends Datapath, NodeRemotes, DatapathMigration, DatapathInspection {}
