/** What is known of a node when it is looked at from outside. Whoever collects it does the input; reports are made of it. */
import type { NodeConf } from '../config/node-model.ts';
import type { AllocationRecord, AttachmentRecord, Identity, SegmentRecord } from '../ledger/records.ts';
import type { PendingDels } from '../ledger/pending.ts';
import type { Segment } from '../overlay/model.ts';
import type { DaemonStatus } from './daemon-status.ts';

/** The ledger as of one moment. */
export interface LedgerContent {
  readonly segments: readonly SegmentRecord[];
  readonly attachments: readonly AttachmentRecord[];
  readonly allocations: readonly AllocationRecord[];
  readonly identities: readonly Identity[];
}

export const emptyLedgerContent: LedgerContent = { segments: [], attachments: [], allocations: [], identities: [] };

/** What became of reading the ledger. */
export type LedgerState =
  /** No container was ever attached here. */
  | { readonly kind: 'absent' }
  /** `leftByLastBoot`: attachments that ended with the last boot, and that the next call clears away; they are not in the content. */
  | { readonly kind: 'readable'; readonly content: LedgerContent; readonly leftByLastBoot: number }
  | { readonly kind: 'unreadable'; readonly problem: string };

/** What became of reading the node configuration. */
export type ConfigurationState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'valid'; readonly conf: NodeConf }
  | { readonly kind: 'invalid'; readonly problem: string };

/** What became of asking the daemon. */
export type DaemonState =
  /** Nobody listens: every call is done by a process of its own. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'running'; readonly status: DaemonStatus }
  /** Somebody listens who did not answer, or not as a daemon does. */
  | { readonly kind: 'faulty'; readonly problem: string };

/** A node. */
export interface NodeState {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly ledgerPath: string;
  readonly ledger: LedgerState;
  readonly configurationPath: string;
  readonly configuration: ConfigurationState;
  readonly pendingDels: PendingDels;
  /** Attachments (seq) whose ADD or DEL was begun by a process that has ended. */
  readonly interrupted: ReadonlySet<number>;
  /** How many endpoints a tenant can have on a node. */
  endpointsMaxOf(segment: Pick<Segment, 'datapath'>): number;
}

/** What the ledger has; nothing where it cannot be read. */
export function contentOf({ ledger }: NodeState): LedgerContent {
  return ledger.kind === 'readable' ? ledger.content : emptyLedgerContent;
}
