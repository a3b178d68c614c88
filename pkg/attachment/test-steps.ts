/** For tests: the engine's parts with every kernel and ledger step counted, and one of them made to fail or to kill the process. */
import type { Kernel } from '../datapath/kernel.ts';
import { removeLinksNow } from '../datapath/link-removal.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';

/** What happens at the chosen step: refused, done and then reported as failed, the process killed before or after it, or somebody else's DEL before it. */
export type Mishap = 'fail-before' | 'fail-after' | 'kill-before' | 'kill-after' | 'deleted-meanwhile';

export interface StepPlan {
  /** Counted from 1; 0 for none. */
  readonly at: number;
  readonly mishap: Mishap;
}

/** Counts steps and lets the mishap happen at its step, once. */
export class Stepper {
  readonly #plan: StepPlan;
  /** What each step was, in order. */
  readonly steps: string[] = [];

  readonly #deleteNow: () => void;

  constructor(plan: StepPlan, deleteNow: () => void) {
    this.#plan = plan;
    this.#deleteNow = deleteNow;
  }

  /** Runs a step. @throws what `failure` makes, when this is the step that is to fail */
  run<T>(what: string, options: { fn: () => T; failure: () => Error }): T {
    this.steps.push(what);
    if (this.steps.length !== this.#plan.at) return options.fn();
    if (this.#plan.mishap === 'kill-before') process.kill(process.pid, 'SIGKILL');
    if (this.#plan.mishap === 'deleted-meanwhile') {
      this.#deleteNow();
      return options.fn();
    }
    if (this.#plan.mishap === 'fail-before') throw options.failure();
    options.fn();
    if (this.#plan.mishap === 'kill-after') process.kill(process.pid, 'SIGKILL');
    throw options.failure();
  }
}

const inputOutputError = 5;

function steppingNetlink(netlink: Netlink, stepper: Stepper): Netlink {
  const failure = (): Error => new NetlinkError('do the step that the test makes fail', inputOutputError);
  return {
    request: (requests) => stepper.run(requests.map((request) => request.what).join(', '), { fn: () => netlink.request(requests), failure }),
    tryRequest: (requests) => stepper.run(requests.map((request) => request.what).join(', '), { fn: () => netlink.tryRequest(requests), failure }),
    dump: (request) => stepper.run(request.what, { fn: () => netlink.dump(request), failure }),
    close: () => netlink.close(),
  };
}

/** A kernel whose every request and sysctl is a step. */
export function steppingKernel(kernel: Kernel, stepper: Stepper): Kernel {
  const failure = (): Error => new WeftError('ioFailure', 'the step that the test makes fail');
  return {
    get route(): Netlink {
      return steppingNetlink(kernel.route, stepper);
    },
    get netfilter(): Netlink {
      return steppingNetlink(kernel.netfilter, stepper);
    },
    withRouteIn: (netnsFd, fn, sysctls) => kernel.withRouteIn(netnsFd, (route) => fn(steppingNetlink(route, stepper)), sysctls),
    requestAside: async (requests) => steppingNetlink(kernel.route, stepper).request(requests),
    requestAsideIn: async (netnsFd, requests, sysctls) => kernel.withRouteIn(netnsFd, (route) => steppingNetlink(route, stepper).request(requests), sysctls),
    company: kernel.company,
    setTxChecksumIn: (netnsFd, name, isOffloaded) => kernel.setTxChecksumIn(netnsFd, name, isOffloaded),
    readSysctl: (parts) => kernel.readSysctl(parts),
    setSysctl: (parts, value) => stepper.run(`sysctl ${parts.join('.')}`, { fn: () => kernel.setSysctl(parts, value), failure }),
    removeLinks: (names) => removeLinksNow(steppingNetlink(kernel.route, stepper), names),
    removeLinksSoon: (names) => removeLinksNow(steppingNetlink(kernel.route, stepper), names),
    sendFrame: (index, frame) => kernel.sendFrame(index, frame),
    sendDatagram: (from, to, data) => kernel.sendDatagram(from, to, data),
    close: () => kernel.close(),
  };
}

/** A ledger whose every transaction is a step. */
export function steppingLedger(ledger: Ledger, stepper: Stepper): Ledger {
  const failure = (): Error => new WeftError('ioFailure', 'the transaction that the test makes fail');
  return new Proxy(ledger, {
    get(target, key): unknown {
      if (key === 'write') return (fn: Parameters<Ledger['write']>[0]) => stepper.run('ledger write', { fn: () => target.write(fn), failure });
      // In a process that answers one call nothing else comes together with it.
      if (key === 'writeTogether') return async (fn: Parameters<Ledger['write']>[0]) => stepper.run('ledger write', { fn: () => target.write(fn), failure });
      if (key === 'read') return (fn: Parameters<Ledger['read']>[0]) => stepper.run('ledger read', { fn: () => target.read(fn), failure });
      if (key === 'close') return () => target.close();
      if (key === 'takeDroppedFromLastBoot') return () => target.takeDroppedFromLastBoot();
      return Reflect.get(target, key, target);
    },
  });
}
