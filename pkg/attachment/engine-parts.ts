import type { DelegateExecutor } from '../cni/delegate-executor.ts';
import type { NodeConf } from '../config/node-model.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { Kernel } from '../datapath/kernel.ts';
import type { UnderlayFinder } from '../datapath/underlay.ts';
import type { Worker } from '../ledger/boot.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LogCode } from '../log/codes.ts';
import type { PathKnowledge } from '../mtu/path-knowledge.ts';
import type { Vni } from '../netaddr/netaddr.ts';
import type { Background } from './background.ts';
import type { Claims } from './claims.ts';
import type { EndpointMoves } from './moves.ts';

/** What the engine works with; the composition root builds it. */
export interface EngineParts {
  readonly kernel: Kernel;
  readonly datapath: Datapath;
  /** Where the tunnel ends on this node. @throws WeftError invalidConfiguration */
  readonly underlay: UnderlayFinder;
  /** What is known of the ways to other nodes beyond that; absent: nothing. */
  readonly path?: PathKnowledge;
  /** Told when a tenant's containers may have another MTU than they should by now; absent: nobody follows, and they keep it. */
  readonly noteMtuChange?: (vni: Vni) => void;
  /** The open ledger, the same one at every call. @throws WeftError when it cannot be opened */
  readonly ledger: () => Ledger;
  /** The node configuration. @throws WeftError invalidConfiguration */
  readonly nodeConf: () => Promise<NodeConf>;
  /** Why this node hears of no other that has the tenant, where the control plane is to tell of them, in words; undefined while it does. Absent: nobody listens. */
  readonly findDeafness?: (vni: Vni) => string | undefined;
  /** Follows endpoints that move between nodes; absent: none does. */
  readonly moves?: EndpointMoves;
  readonly executor: DelegateExecutor;
  /** This process, as the ledger names it. */
  readonly worker: Worker;
  /** What this process is working on at the moment. */
  readonly claims: Claims;
  /** Where work is left that no answer waits for; absent: the call waits for it. */
  readonly background?: Background;
  /** Where DELs that cannot be done now are written down; the first that can be written to is used. */
  readonly pendingDirectories: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Says what did not stop the call but should be known: one line. */
  readonly warn: (code: LogCode, message: string) => void;
}
