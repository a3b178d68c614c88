/** The steps of a way, as they are found. Pure, but that a walk remembers them. */

/** Where on the way: the same in every version; docs/trace.md has each. */
export const stepIds = [
  'container-gone', 'container-link', 'container-address', 'container-route', 'container-mtu', 'container-neighbour',
  'host-link', 'bandwidth', 'guard', 'bridge-port', 'answer', 'fdb', 'switch', 'switch-port', 'switch-flow',
  'gateway-guard', 'gateway-host', 'gateway-forwarding', 'gateway-route', 'gateway-filter', 'gateway-nat', 'gateway-mtu', 'gateway-link', 'gateway-neighbour',
  'tunnel', 'tunnel-fdb', 'tunnel-peer', 'underlay-vtep', 'underlay-route', 'underlay-link', 'underlay-mtu', 'underlay-path', 'underlay-neighbour',
  'arrival-guard', 'delivery-link', 'delivery-guard', 'delivery-container', 'delivery-address',
] as const;
export type StepId = (typeof stepIds)[number];

/** `stops`: the packet is lost here. `unknown`: it cannot be seen what becomes of it. `note`: it goes on, and this is to be known. */
export type Outcome = 'ok' | 'note' | 'unknown' | 'stops';

/** One step. */
export interface Step {
  readonly id: StepId;
  readonly outcome: Outcome;
  /** The fact, in words. */
  readonly what: string;
  /** The command that shows it, for `sh` on this node. */
  readonly show: string;
  /** What to do; of steps that stop. */
  readonly fix?: string;
}

/** What is particular to a step. */
export interface Fact {
  readonly what: string;
  readonly show: string;
  readonly fix?: string;
}

/** What becomes of most damages by themselves. */
export const daemonMends = 'a running daemon puts it right within seconds: weft status; where none runs, start it: systemctl start weft';

/** Thrown by a walk to end it; caught by whoever began it. */
export class EndOfWay extends Error {}

/** A way under foot. */
export class Walk {
  readonly steps: Step[] = [];

  /** It goes on. */
  ok(id: StepId, { what, show }: Fact): void {
    this.steps.push({ id, outcome: 'ok', what, show });
  }

  /** It goes on, and this is to be known. */
  note(id: StepId, { what, show }: Fact): void {
    this.steps.push({ id, outcome: 'note', what, show });
  }

  /** The packet is lost. @throws EndOfWay always */
  stop(id: StepId, { what, show, fix = daemonMends }: Fact): never {
    this.steps.push({ id, outcome: 'stops', what, show, fix });
    throw new EndOfWay();
  }

  /** It cannot be seen how it goes on. @throws EndOfWay always */
  lose(id: StepId, { what, show, fix = 'look by hand from here on' }: Fact): never {
    this.steps.push({ id, outcome: 'unknown', what, show, fix });
    throw new EndOfWay();
  }

  /** Says that it holds, or stops. */
  require(isSo: boolean, id: StepId, { good, bad, show, fix }: { readonly good: string; readonly bad: string; readonly show: string; readonly fix?: string }): void {
    if (isSo) this.ok(id, { what: good, show });
    else this.stop(id, { what: bad, show, ...(fix === undefined ? {} : { fix }) });
  }
}
