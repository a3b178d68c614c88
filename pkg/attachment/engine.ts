/**
 * The engine: what ADD, DEL, CHECK, GC and STATUS mean. The same code serves a plugin process of its own and a daemon.
 *
 * The order of an ADD is what makes it all or nothing: the attachment's row is in the ledger before the first kernel object
 * is made, and goes after the last one is gone. So at any instant the ledger names everything that may exist, whoever finds an
 * interrupted row can finish its deletion, and "no row of the VNI is left" is the reference count of the tenant's segment.
 */
import type { CniPlugin, CniRequest } from '../cni/dispatch.ts';
import { add } from './add.ts';
import { check } from './check.ts';
import { del } from './del.ts';
import type { EngineParts } from './engine-parts.ts';
import { collect } from './gc.ts';
import { reportStatus } from './status.ts';

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
