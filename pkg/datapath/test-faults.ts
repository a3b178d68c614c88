/** For tests: a kernel that refuses one of the requests made to it. */
import type { NetlinkRequest } from '../netlink/codec.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import { requireAnswers, type Netlink } from '../netlink/netlink-socket.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { Kernel } from './kernel.ts';
import { removeLinksNow } from './link-removal.ts';

/** `refused`: the request is not carried out; `executed`: it is, and is then reported as refused. */
export type FaultKind = 'refused' | 'executed';

const inputOutputError = 5;

/** Counts the requests of one kernel, and lets the one whose turn it is fail. */
export class FaultPlan {
  readonly #at: number;
  readonly kind: FaultKind;
  #count = 0;
  /** What failed; absent as long as nothing has. */
  failed?: string;

  /** Makes the request number `at`, counted from 1, fail. */
  constructor(kind: FaultKind, at: number) {
    this.kind = kind;
    this.#at = at;
  }

  /** How many requests there were. */
  get count(): number {
    return this.#count;
  }

  /** Counts a request; true where it is the one to fail. */
  isDue(what: string): boolean {
    this.#count += 1;
    if (this.#count !== this.#at) return false;
    this.failed = what;
    return true;
  }
}

/** The kernel with the fault: netlink requests one by one, nft batches and dumps as a whole, sysctls of the node. */
export function faultyKernel(kernel: Kernel, plan: FaultPlan): Kernel {
  return {
    get route(): Netlink {
      return faultyNetlink(kernel.route, plan);
    },
    get netfilter(): Netlink {
      return faultyNetlink(kernel.netfilter, plan);
    },
    withRouteIn: (netnsFd, fn, sysctls) => kernel.withRouteIn(netnsFd, (route) => fn(faultyNetlink(route, plan)), sysctls),
    requestAside: async (requests) => faultyNetlink(kernel.route, plan).request(requests),
    requestAsideIn: async (netnsFd, requests, sysctls) => kernel.withRouteIn(netnsFd, (route) => faultyNetlink(route, plan).request(requests), sysctls),
    company: kernel.company,
    setTxChecksumIn: (netnsFd, name, isOffloaded) => kernel.setTxChecksumIn(netnsFd, name, isOffloaded),
    readSysctl: (parts) => kernel.readSysctl(parts),
    setSysctl(parts, value) {
      const isDue = plan.isDue(`set sysctl ${parts.join('.')}`);
      if (!isDue || plan.kind === 'executed') kernel.setSysctl(parts, value);
      if (isDue) throw new WeftError('ioFailure', 'the sysctl that the test makes fail');
    },
    removeLinks: (names) => removeLinksNow(faultyNetlink(kernel.route, plan), names),
    removeLinksSoon: (names) => removeLinksNow(faultyNetlink(kernel.route, plan), names),
    sendFrame: (index, frame) => kernel.sendFrame(index, frame),
    sendDatagram: (from, to, data) => kernel.sendDatagram(from, to, data),
    close: () => kernel.close(),
  };
}

function faultyNetlink(netlink: Netlink, plan: FaultPlan): Netlink {
  const tryRequest: Netlink['tryRequest'] = (requests) => (isBatch(requests) ? netlink.tryRequest(requests) : tryOneByOne(netlink, requests, plan));
  return {
    request(requests) {
      if (isBatch(requests)) return wholly(plan, requests.map(({ what }) => what).join(', '), () => netlink.request(requests));
      return requireAnswers(tryRequest(requests));
    },
    tryRequest,
    dump: (request) => wholly(plan, request.what, () => netlink.dump(request)),
    close: () => netlink.close(),
  };
}

function isBatch(requests: readonly NetlinkRequest[]): boolean {
  return requests.some((request) => request.isUnacknowledged === true);
}

/** As the kernel does it: a request that is refused does not stop the ones behind it. */
function tryOneByOne(netlink: Netlink, requests: readonly NetlinkRequest[], plan: FaultPlan): ReturnType<Netlink['tryRequest']> {
  return requests.flatMap((request) => {
    if (!plan.isDue(request.what)) return netlink.tryRequest([request]);
    if (plan.kind === 'executed') netlink.tryRequest([request]);
    return [new NetlinkError(request.what, inputOutputError)];
  });
}

function wholly<T>(plan: FaultPlan, what: string, fn: () => T): T {
  if (!plan.isDue(what)) return fn();
  if (plan.kind === 'executed') fn();
  throw new NetlinkError(what, inputOutputError);
}
