/** FRR ends again and again: what is tried and measured each time. */
import type { Test } from 'tap';
import { startCapture } from '../../pkg/testing/capture.ts';
import type { FrrProgram } from '../../pkg/testing/frr.ts';
import { ping } from '../harness/container.ts';
import { renderTable } from '../harness/text-table.ts';
import type { MeterReport } from '../meter/meter.ts';
import { agreed, attachResident, knownEverywhere, tenants, type OutageScene, type Resident } from './outage-scene.ts';
import type { EvpnNode } from './scene.ts';

const frameDeadlineMs = 5000;

/** A program that ends. */
export interface Victim {
  /** Of its node, from 1. */
  readonly number: number;
  readonly program: FrrProgram;
  readonly signal: 'SIGKILL' | 'SIGTERM';
}

interface Outage {
  readonly what: string;
  /** Milliseconds since the epoch: the end of the program, its start, and when everybody agreed. */
  readonly endedAt: number;
  readonly startedAt: number;
  readonly agreedAt: number;
  /** From its end until every node knew everybody. */
  readonly knownMs: number;
}

/** The outages one after the other. */
export class Course {
  readonly #t: Test;
  readonly #scene: OutageScene;
  readonly #outages: Outage[] = [];
  #newcomer: Resident | undefined;
  #count = 0;

  constructor(t: Test, scene: OutageScene) {
    this.#t = t;
    this.#scene = scene;
  }

  /** One program after the other ends, is away while containers come and go, and is started; then all must agree. */
  async round(victims: readonly Victim[]): Promise<void> {
    const outages: Omit<Outage, 'agreedAt'>[] = [];
    for (const victim of victims) outages.push(await this.#end(victim));
    await agreed(this.#scene.nodes);
    this.#outages.push(...outages.map((outage) => ({ ...outage, agreedAt: Date.now() })));
  }

  /** Detaches the last newcomer. */
  async leave(): Promise<void> {
    if (this.#newcomer !== undefined) await this.#scene.lab.detach(this.#newcomer);
    this.#newcomer = undefined;
    await agreed(this.#scene.nodes);
  }

  async #end({ number, program, signal }: Victim): Promise<Omit<Outage, 'agreedAt'>> {
    const what = `${program} of node${number} ${signal}`;
    const { frr } = this.#scene.nodes[number - 1] as EvpnNode;
    const endedAt = Date.now();
    await frr.kill(program, signal);
    const knownMs = await knownEverywhere(this.#scene);
    await this.#exchange(number, what);
    const startedAt = Date.now();
    await frr.start(program);
    return { what, endedAt, startedAt, knownMs };
  }

  /** A new container and an old one, one of them on the node whose FRR is away, reach each other, and broadcasts come through. */
  async #exchange(number: number, what: string): Promise<void> {
    const { lab, nodes, residents } = this.#scene;
    const count = (this.#count += 1);
    const tenant = tenants[count % 2] as (typeof tenants)[number];
    const other = (number % nodes.length) + 1;
    const [home, far] = count % 4 < 2 ? [other, number] : [number, other];
    const newcomer = await attachResident(this.#scene, tenant, home, `new-${count}`);
    if (this.#newcomer !== undefined) await lab.detach(this.#newcomer);
    this.#newcomer = newcomer;
    const old = residents.find((resident) => resident.tenant === tenant && resident.number === far) as Resident;
    const where = `${what}: a new container on node${home} and an old one on node${far}`;
    this.#t.ok((await ping(newcomer.netns, old.participant.ipv4, { count: 3 })) > 0, `${where} reach each other`);
    for (const [from, to] of [[newcomer, old], [old, newcomer]] as const) this.#t.ok(await this.#isHeard(from, to), `${where}: a broadcast from ${from.participant.name} comes through`);
  }

  async #isHeard(from: Resident, to: Resident): Promise<boolean> {
    const marker = `to all ${from.participant.name}`.slice(0, 16);
    const capture = await startCapture(this.#t, to.netns, 'eth0');
    await ping(from.netns, from.participant.broadcast, { broadcast: true, marker });
    const isHeard = await capture.waitFor((seen) => seen.count(marker) > 0, frameDeadlineMs);
    await capture.stop();
    return isHeard;
  }

  /** The outages as a table; what was lost is what was sent from the program's end on. */
  render({ flows }: MeterReport): string {
    const gaps = flows.flatMap(({ gaps: of }) => of);
    const lostIn = ({ endedAt, agreedAt }: Outage): number => gaps.filter(({ at }) => at >= endedAt && at <= agreedAt).reduce((sum, { count }) => sum + count, 0);
    const rows = this.#outages.map((outage) => [outage.what, ...[lostIn(outage), outage.knownMs, outage.agreedAt - outage.startedAt].map((value) => value.toFixed(0))]);
    return renderTable([['what ended', 'lost', 'all known after (ms)', 'agreed after its start (ms)'], ...rows]);
  }
}
