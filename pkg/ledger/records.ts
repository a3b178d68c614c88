/** What the ledger remembers. Plain values; columns and JSON are codec.ts's. */
import type { Address, InterfaceAddress, Mac, Vni } from '../netaddr/netaddr.ts';
import type { AttachmentKey, AttachmentPort, MigrationPhase, Segment } from '../overlay/model.ts';
import type { Worker } from './boot.ts';

/**
 * How far an attachment is:
 * ```
 *   (none) ──ADD──▶ adding ──▶ attached ──DEL, GC──▶ deleting ──▶ (none)
 *                      └────── ADD fails or dies ──────▲
 * ```
 * What is `adding` or `deleting` and whose worker is dead was interrupted; whoever meets it finishes the deletion.
 */
export type AttachmentState = 'adding' | 'attached' | 'deleting';

export interface AttachmentRecord {
  /** Never used again on this node, so that it tells an attachment from its successor under the same key. */
  readonly seq: number;
  /** Unique. */
  readonly key: AttachmentKey;
  readonly tenant: string;
  readonly vni: Vni;
  /** Path of the container's network namespace (CNI_NETNS) at the ADD. */
  readonly netns: string;
  /** `device:inode` of that namespace at the ADD: the path may name another one by the time of the DEL. */
  readonly netnsId: string;
  /** Unique on the node. */
  readonly hostIf: string;
  /** Unique among the attachments of the VNI. */
  readonly mac: Mac;
  readonly state: AttachmentState;
  /** The process that works, or last worked, on it. */
  readonly worker: Worker;
  /** WEFT_ENDPOINT, where the container has one. */
  readonly endpoint?: string;
  /** `namespace/name`, where there is a pod. */
  readonly pod?: string;
  /** `weft`, `none`, or the type of the delegated IPAM plugin. */
  readonly ipam: string;
  /** The plugin's stdin without prevResult, as JSON: what a delegate needs for its DEL when only GC is left to call it. */
  readonly conf: string;
  readonly port: AttachmentPort;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

/** Who an attachment is. */
export interface AttachmentName extends Pick<AttachmentRecord, 'seq' | 'key' | 'tenant' | 'vni' | 'hostIf' | 'state' | 'pod' | 'createdAt'> {
  /** How far its endpoint is on its way between two nodes; absent: it is not. */
  readonly phase?: MigrationPhase;
}

/** An attachment before the ledger has given it its seq. */
export type NewAttachment = Omit<AttachmentRecord, 'seq'>;

/** What may change while an attachment lives. */
export type AttachmentPatch = Partial<
  Pick<AttachmentRecord, 'netns' | 'netnsId' | 'mac' | 'state' | 'worker' | 'endpoint' | 'pod' | 'ipam' | 'conf' | 'port'>
>;

/** Which attachments to list; an absent key matches all. */
export interface AttachmentFilter {
  readonly network?: string;
  readonly vni?: Vni;
  readonly state?: AttachmentState;
  readonly endpoint?: string;
}

/** The segment of a tenant that has attachments on this node. VNI and tenant are unique. */
export interface SegmentRecord {
  readonly vni: Vni;
  readonly segment: Segment;
}

/** An address that an attachment holds; unique in the VNI. */
export interface AllocationRecord {
  readonly vni: Vni;
  readonly address: Address;
  /** The attachment that holds it; the allocation goes when the attachment goes. */
  readonly seq: number;
  /** Index of the pool's range set that it was taken from. */
  readonly rangeSet: number;
}

/** What an endpoint keeps across re-creation, migration and reboot. Unique by (VNI, endpoint), (VNI, mac) and (VNI, address). */
export interface Identity {
  readonly vni: Vni;
  readonly endpoint: string;
  readonly mac: Mac;
  readonly addresses: readonly InterfaceAddress[];
  /** Milliseconds since the epoch. */
  readonly updatedAt: number;
}
