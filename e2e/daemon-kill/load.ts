/** Runtimes that attach, check and detach containers without a pause, and what comes of their calls. */
import { describeOutcome, type CniOutcome, type CniResult, type Verb } from '../harness/cni-call.ts';
import type { Attach, LabNode } from '../harness/lab-node.ts';
import type { NetConf } from '../harness/net-conf.ts';

/** A runtime with one container at a time. */
export interface Worker {
  readonly name: string;
  readonly conf: NetConf;
  /** The container's namespace. */
  readonly netns: string;
  /** WEFT_ENDPOINT; absent: the container is nobody in particular. */
  readonly endpoint?: string;
}

/** A container whose ADD has succeeded, and whose DEL has not been called. */
export interface Held {
  readonly worker: Worker;
  readonly attach: Attach & { readonly netns: string };
  readonly result: CniResult;
}

/** What a runtime does when an ADD fails: DEL, and ADD again. More often than so it gives up. */
const attemptsMax = 4;
/** Every so many cycles there is a CHECK too. */
const checkEvery = 3;

/** Starts all workers at once; they go on until stop(). */
export class Load {
  readonly #node: LabNode;
  readonly #workers: readonly Worker[];
  readonly #held = new Map<string, Held>();
  readonly #owners = new Map<string, string>();
  readonly #identities = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #faults: string[] = [];
  #isStopping = false;
  #running: readonly Promise<void>[] = [];
  #parked = 0;
  #onParked: () => void = () => undefined;
  #resume: (() => void) | undefined;
  #resumed: Promise<void> | undefined;

  constructor(node: LabNode, workers: readonly Worker[]) {
    this.#node = node;
    this.#workers = workers;
  }

  start(): void {
    this.#running = this.#workers.map((worker) => this.#work(worker));
  }

  /** Lets every worker finish what it is at and then wait; containers that are attached stay. */
  async hold(): Promise<readonly Held[]> {
    this.#resumed = new Promise((resolve) => (this.#resume = resolve));
    await new Promise<void>((resolve) => {
      this.#onParked = () => {
        if (this.#parked === this.#workers.length) resolve();
      };
      this.#onParked();
    });
    return [...this.#held.values()];
  }

  resume(): void {
    this.#resumed = undefined;
    this.#resume?.();
  }

  /** Every worker detaches what it has. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.resume();
    await Promise.all(this.#running);
  }

  /** What must never happen, in words; what has been taken is not given again. */
  takeFaults(): readonly string[] {
    return this.#faults.splice(0);
  }

  /** How many calls there were by verb and outcome, such as `ADD ok`. */
  get counts(): ReadonlyMap<string, number> {
    return new Map([...this.#counts].sort(([one], [other]) => one.localeCompare(other)));
  }

  countOf(isMeant: (call: string) => boolean): number {
    return [...this.#counts].reduce((sum, [call, count]) => (isMeant(call) ? sum + count : sum), 0);
  }

  /** The counts, for a person. */
  describe(): string {
    return [...this.counts].map(([call, count]) => `${call}: ${count}`).join('; ');
  }

  async #work(worker: Worker): Promise<void> {
    for (let cycle = 1; !this.#isStopping; cycle += 1) {
      await this.#park();
      const held = await this.#attach(worker, cycle);
      if (held === undefined) continue;
      await this.#park();
      if (cycle % checkEvery === 0) await this.#check(held);
      this.#release(held);
      await this.#detach(held.attach);
    }
  }

  /** Waits while the load is held. */
  async #park(): Promise<void> {
    while (this.#resumed !== undefined) {
      this.#parked += 1;
      this.#onParked();
      await this.#resumed;
      this.#parked -= 1;
    }
  }

  /** Attaches as a runtime does, with its retries. */
  async #attach(worker: Worker, cycle: number): Promise<Held | undefined> {
    const { name, conf, netns, endpoint } = worker;
    const attach = { conf, netns, containerId: `${name}-${cycle}`, ...(endpoint === undefined ? {} : { args: `IgnoreUnknown=1;WEFT_ENDPOINT=${endpoint}` }) };
    const said: string[] = [];
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const outcome = this.#count('ADD', await this.#node.add(attach));
      if (outcome.exitCode === 0 && outcome.result !== undefined) {
        const held = { worker, attach, result: outcome.result };
        this.#take(held);
        return held;
      }
      said.push(describeOutcome(outcome));
      await this.#detach(attach);
    }
    this.#note(`ADD of ${attach.containerId} failed ${attemptsMax} times: ${said.join(' | ')}`);
    return undefined;
  }

  async #check({ attach, result }: Held): Promise<void> {
    const outcome = this.#count('CHECK', await this.#node.check(attach, result));
    if (outcome.exitCode !== 0) this.#note(`CHECK of ${attach.containerId} failed: ${describeOutcome(outcome)}`);
  }

  async #detach(attach: Attach): Promise<void> {
    const outcome = this.#count('DEL', await this.#node.del(attach));
    if (outcome.exitCode !== 0) this.#note(`DEL of ${attach.containerId} failed: ${describeOutcome(outcome)}`);
  }

  #take(held: Held): void {
    const { attach, worker, result } = held;
    this.#held.set(attach.containerId, held);
    const addresses = (result.ips ?? []).map(({ address }) => address);
    for (const address of addresses) {
      const key = `${String(worker.conf['name'])} ${address}`;
      const other = this.#owners.get(key);
      if (other !== undefined) this.#note(`${key} was given to ${attach.containerId} while ${other} had it`);
      this.#owners.set(key, attach.containerId);
    }
    if (worker.endpoint !== undefined) this.#noteIdentity(worker, `${addresses.join(' ')} ${result.interfaces?.find(({ sandbox }) => sandbox !== undefined)?.mac}`);
  }

  #noteIdentity({ name }: Worker, identity: string): void {
    const known = this.#identities.get(name) ?? identity;
    if (known !== identity) this.#note(`the endpoint of ${name} had ${known}, and now has ${identity}`);
    this.#identities.set(name, identity);
  }

  #release({ attach, worker, result }: Held): void {
    this.#held.delete(attach.containerId);
    for (const { address } of result.ips ?? []) this.#owners.delete(`${String(worker.conf['name'])} ${address}`);
  }

  #note(fault: string): void {
    this.#faults.push(`${new Date().toISOString()} ${fault}`);
  }

  #count(verb: Verb, outcome: CniOutcome): CniOutcome {
    const call = `${verb} ${classify(outcome)}`;
    this.#counts.set(call, (this.#counts.get(call) ?? 0) + 1);
    if (outcome.exitCode !== 0 && outcome.error === undefined) this.#note(`${verb} ended without a CNI error object: ${describeOutcome(outcome)}`);
    return outcome;
  }
}

function classify({ exitCode, error, stderr }: CniOutcome): string {
  const path = describePath(stderr);
  return exitCode === 0 ? `ok${path}` : `error ${error?.code ?? 'without code'}${path}`;
}

/** What the launcher said of its way. Of a daemon that is not there it says nothing: that is nothing out of the ordinary. */
function describePath(stderr: string): string {
  if (/it ended while it worked on the call/.test(stderr)) return ' by weft alone, after the daemon ended in the middle';
  if (/weft does it alone|leaves the call to weft alone/.test(stderr)) return ' by weft alone';
  if (/written down/.test(stderr)) return ', written down';
  return '';
}
