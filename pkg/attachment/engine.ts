/**
 * The engine: what ADD, DEL, CHECK, GC and STATUS mean. The same code serves a plugin process of its own and a daemon.
 *
 * The order of an ADD is what makes it all or nothing: the attachment's row is in the ledger before the first kernel object
 * is made, and goes after the last one is gone. So at any instant the ledger names everything that may exist, whoever finds an
 * interrupted row can finish its deletion, and "no row of the VNI is left" is the reference count of the tenant's segment.
 */
import type { CniPlugin, CniRequest } from '../cni/dispatch.ts';
import type { DelegateExecutor } from '../cni/delegate-executor.ts';
import type { NodeConf } from '../config/node-model.ts';
import type { Datapath } from '../datapath/datapath.ts';
import type { Kernel } from '../datapath/kernel.ts';
import type { Worker } from '../ledger/boot.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { del } from './del.ts';
import { collect } from './gc.ts';
import { reportStatus } from './status.ts';

/** What the engine works with; the composition root builds it. */
export interface EngineParts {
  readonly kernel: Kernel;
  readonly datapath: Datapath;
  /** The open ledger, the same one at every call. @throws WeftError when it cannot be opened */
  readonly ledger: () => Ledger;
  /** The node configuration. @throws WeftError invalidConfiguration */
  readonly nodeConf: () => Promise<NodeConf>;
  readonly executor: DelegateExecutor;
  /** This process, as the ledger names it. */
  readonly worker: Worker;
  /** Where DELs that cannot be done now are written down; the first that can be written to is used. */
  readonly pendingDirectories: readonly string[];
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Says what did not stop the call but should be known: one line. */
  readonly warn: (message: string) => void;
}

/** The CNI verbs over the parts. */
export function createEngine(parts: EngineParts): CniPlugin {
  return {
    add: (request: CniRequest) => add(parts, request),
    del: (request: CniRequest) => del(parts, request),
    check: (request: CniRequest) => check(parts, request),
    gc: (request: CniRequest) => collect(parts, request),
    status: (request: CniRequest) => reportStatus(parts, request),
  };
}
