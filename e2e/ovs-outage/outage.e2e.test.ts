/** ovs-vswitchd and ovsdb-server are killed in turn while containers come and go, and started again, as a service manager does. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { randomFrom, testSeed, type RandomSource } from '../../pkg/testing/random.ts';
import type { OpenVSwitchProgram } from '../../pkg/testing/openvswitch.ts';
import { expectExactly, pendingDels, type Known } from '../daemon-kill/audit.ts';
import type { Held, Load } from '../daemon-kill/load.ts';
import { flowLines } from '../harness/switch-flows.ts';
import { red, type Guest } from '../harness/tenant.ts';
import { attachResidents, createLoad, createStations, gatedBlue, knownOn, pingAll, skip, type Scene, type Station } from './scene.ts';
import { allAnswered, type SteadyPing } from './steady-ping.ts';

t.setTimeout(300_000);

const outages = 20;
const checkpointEvery = 5;
/** A program is away for a random time, at most so long. */
const awayMs = 1500;
/** Between the end of one outage and the next: at random, at most so long. */
const restMs = 800;
/** For what depends on how busy the machine is, and on how long ovs-vswitchd waits before it connects to its database again: 8 s at most. */
const deadlineMs = 30_000;
/** What is promised, and what most of them must be within. */
const promisedMs = 2000;
/** A DEL waits a second, perhaps twice, for a switch that has gone. */
const delMs = 6000;

t.test(`${outages} outages while containers come and go`, { skip }, async (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const scene = await createStations(t, { nodes: 2 });
  const [station] = scene.stations;
  const residents = await attachResidents(scene);
  const atRest = flowLines(station.ovs);
  const pings = pingAll(t, residents);
  await allAnswered(pings, Date.now(), deadlineMs);
  const load = createLoad(scene);
  load.start();
  const course = new Course(t, { station, pings, load, residents, random: randomFrom(seed) });
  await course.run();
  await load.stop();
  t.comment(load.describe());
  t.same(load.takeFaults(), [], 'every call was done, or answered with an error that a retry has healed');
  t.ok(load.countOf((call) => call.startsWith('ADD ok')) > outages, 'there were more ADDs than outages');
  describeCalls(t, scene);
  await settled(station);
  await expectExactly(t, station.node, { when: 'after the last DEL', known: knownOn(station, residents), gateways: [gatedBlue.vni] });
  t.same(flowLines(station.ovs), atRest, 'the flows are those of before the load');
  t.same(pings.filter(({ duplicates }) => duplicates > 0).map(({ name }) => name), [], 'nothing was answered twice');
  await expectEmpty(t, scene, residents);
});

interface CourseParts {
  readonly station: Station;
  readonly pings: readonly SteadyPing[];
  readonly load: Load;
  readonly residents: readonly Guest[];
  readonly random: RandomSource;
}

/** The outages one after the other, and how long each took to be over. */
class Course {
  readonly #t: Test;
  readonly #parts: CourseParts;
  /** From the start of ovs-vswitchd until everybody was reached. */
  readonly #vswitchd: number[] = [];
  /** From the start of ovsdb-server until ovs-vswitchd had found it, and from then until everybody was reached, and until no DEL waited. */
  readonly #found: number[] = [];
  readonly #ovsdb: number[] = [];
  readonly #dels: number[] = [];

  constructor(t: Test, parts: CourseParts) {
    this.#t = t;
    this.#parts = parts;
  }

  async run(): Promise<void> {
    for (let count = 1; count <= outages; count += 1) {
      await this.#outage(count % 2 === 1 ? 'ovs-vswitchd' : 'ovsdb-server');
      if (count % checkpointEvery === 0) await this.#checkpoint(`after ${count} outages`);
      await delay(this.#parts.random(restMs));
    }
    this.#report();
  }

  async #outage(program: OpenVSwitchProgram): Promise<void> {
    const { station: { ovs, node, daemon }, pings, random } = this.#parts;
    const killedAt = Date.now();
    await ovs.kill(program);
    await delay(random(awayMs));
    const spawnedAt = Date.now();
    await ovs.start(program);
    const backAt = program === 'ovs-vswitchd' ? Date.now() : await this.#whenFound(killedAt);
    const reachedAt = await allAnswered(pings, backAt, deadlineMs);
    if (program === 'ovs-vswitchd') this.#vswitchd.push(reachedAt - spawnedAt);
    else {
      this.#found.push(backAt - spawnedAt);
      this.#ovsdb.push(reachedAt - backAt);
    }
    // Those of before are done when others may be under way already.
    const waiting = pendingDels(node);
    await daemon.eventually('does the DELs that were written down', () => !pendingDels(node).some((name) => waiting.includes(name)));
    if (waiting.length > 0) this.#dels.push(Date.now() - backAt);
  }

  /** When ovs-vswitchd was connected to its database again, as its log says. */
  async #whenFound(since: number): Promise<number> {
    const { ovs, daemon } = this.#parts.station;
    const find = (): number | undefined => [...ovs.log('ovs-vswitchd').matchAll(/^(\S+Z)\|.*\|reconnect\|INFO\|unix:.*: connected$/gm)].map(([, time = '']) => Date.parse(time)).find((time) => time > since);
    await daemon.eventually('has a switch that finds its database', () => find() !== undefined);
    return find() ?? 0;
  }

  /** Holds the load, compares everything with everything, and lets it go on. */
  async #checkpoint(when: string): Promise<void> {
    const { load, station, residents } = this.#parts;
    const held = await load.hold();
    await settled(station);
    await expectExactly(this.#t, station.node, { when, known: [...knownOn(station, residents), ...held.map(toKnown)], gateways: [gatedBlue.vni] });
    this.#t.same(load.takeFaults(), [], `${when}: every call was done, or answered with an error that a retry has healed`);
    load.resume();
  }

  #report(): void {
    const t = this.#t;
    t.comment(`ovs-vswitchd: from its start until everybody was reached: ${inWords(this.#vswitchd)}`);
    t.comment(`ovsdb-server: from its start until ovs-vswitchd had found it, by a back-off of its own: ${inWords(this.#found)}`);
    t.comment(`ovsdb-server: from then until everybody was reached: ${inWords(this.#ovsdb)}`);
    t.comment(`from then until no DEL waited, where any did: ${inWords(this.#dels)}`);
    for (const [what, times] of [['ovs-vswitchd', this.#vswitchd], ['ovsdb-server', this.#ovsdb]] as const) {
      t.ok(median(times) < promisedMs, `everybody is reached within ${promisedMs} ms of the return of ${what}, as a rule`);
    }
  }
}

function toKnown({ attach, worker, result }: Held): Known {
  return { containerId: attach.containerId, vni: worker.conf['vni'] === red.vni ? red.vni : gatedBlue.vni, netns: attach.netns, result };
}

/** What was written down is done, and nothing is under way. */
async function settled({ node, daemon }: Station): Promise<void> {
  await daemon.eventually('does the DELs that were written down', () => pendingDels(node).length === 0);
  await daemon.eventually('has nothing left to repair', async () => (await daemon.status()).reconciler.openFaults.length === 0);
}

/** How long DELs took: they never get in the way. */
function describeCalls(t: Test, { stations: [{ daemon }] }: Scene): void {
  const times = daemon.log.filter((line) => line['verb'] === 'DEL').map((line) => Number(line['ms']));
  t.comment(`DEL: ${inWords(times)}; ${daemon.linesOf(/is written down for later/).length} were written down for later`);
  t.ok(Math.max(...times) < delMs, 'no DEL waits long');
}

async function expectEmpty(t: Test, { lab, stations }: Scene, residents: readonly Guest[]): Promise<void> {
  for (const resident of residents) await lab.detach(resident);
  for (const station of stations) {
    await expectExactly(t, station.node, { when: `at the end, ${station.node.name}`, known: [], gateways: [] });
    t.same(station.ovs.vsctl('list-br').trim(), 'br-phy', 'the integration bridge is gone as well');
    t.equal(await station.daemon.stop(), 0, 'the daemon stops when told');
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] ?? 0;
}

function inWords(values: readonly number[]): string {
  return values.length === 0 ? 'never' : `p50 ${Math.round(median(values))} ms, longest ${Math.round(Math.max(...values))} ms, of ${values.length}`;
}
