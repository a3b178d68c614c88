/**
 * A sequence of exchanges with the kernel that can be carried out in two ways: within the call, as a repair inside the ledger's transaction
 * must be, and beside the event loop, as an ADD wants it that others are under way with. It is written once, as a generator that yields its
 * requests and is given the answers, or the refusal as an exception.
 */
import type { NetlinkMessage, NetlinkRequest } from '../netlink/codec.ts';
import type { Kernel, Sysctl } from './kernel.ts';

/** Requests that travel together. */
export interface Exchange {
  readonly requests: readonly NetlinkRequest[];
  /** Where they are made; absent: in the node's namespace. */
  readonly inside?: { readonly netnsFd: number; readonly sysctls: readonly Sysctl[] };
}

export type Exchanges<T> = Generator<Exchange, T, NetlinkMessage[][]>;

/** Carries the exchanges out within the call. @throws what the sequence throws; NetlinkError */
export function exchangeNow<T>(kernel: Kernel, exchanges: Exchanges<T>): T {
  let step = exchanges.next();
  while (step.done !== true) {
    let answers: NetlinkMessage[][];
    try {
      answers = request(kernel, step.value);
    } catch (error) {
      step = exchanges.throw(error);
      continue;
    }
    step = exchanges.next(answers);
  }
  return step.value;
}

/** As exchangeNow(), beside the event loop where other calls are under way. */
export async function exchangeAside<T>(kernel: Kernel, exchanges: Exchanges<T>): Promise<T> {
  let step = exchanges.next();
  while (step.done !== true) {
    let answers: NetlinkMessage[][];
    try {
      answers = await requestAside(kernel, step.value);
    } catch (error) {
      step = exchanges.throw(error);
      continue;
    }
    step = exchanges.next(answers);
  }
  return step.value;
}

function request(kernel: Kernel, { requests, inside }: Exchange): NetlinkMessage[][] {
  if (inside === undefined) return kernel.route.request(requests);
  return kernel.withRouteIn(inside.netnsFd, (route) => route.request(requests), inside.sysctls);
}

function requestAside(kernel: Kernel, { requests, inside }: Exchange): Promise<NetlinkMessage[][]> {
  if (inside === undefined) return kernel.requestAside(requests);
  return kernel.requestAsideIn(inside.netnsFd, requests, inside.sysctls);
}
