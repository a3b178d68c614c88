/**
 * Hears what BGP says: keeps a connection to zebra and one to bgpd, sees that bgpd is configured as the node wants it, and asks both
 * what they know.
 */
import type { EvpnConf } from '../config/control-plane.ts';
import { describeWithAdvice } from '../errors/weft-error.ts';
import type { BgpSession } from '../frr/bgp-tables.ts';
import { describeGaps } from '../frr/gaps.ts';
import { planChanges, planRemoval } from '../frr/plan.ts';
import { isAdvertising, parseRunningConfig, type RunningConfig } from '../frr/running-config.ts';
import type { Speaker } from '../frr/speaker.ts';
import { readMacs, readNeighbours, readSessions, readVnis, readVtepRoutes } from '../frr/tables.ts';
import type { AskOptions, Vty } from '../frr/vty.ts';
import { VtyKeeper } from '../frr/vty-keeper.ts';
import type { ZebraMac, ZebraNeighbour } from '../frr/zebra-tables.ts';
import type { Log } from '../log/log.ts';
import { addressesEqual, type Address, type Vni } from '../netaddr/netaddr.ts';
import type { RemoteEndpoint } from '../overlay/model.ts';
import { startTimer } from '../sys/timer.ts';
import type { Ear } from './keeper.ts';
import { unheard, type Announced } from './retention.ts';
import { SessionWatch } from './session-watch.ts';
import { ZebraCheck, type EndpointLookup, type Programs, type ZebraKnowledge } from './zebra-check.ts';

const asking: AskOptions = { deadlineMs: 5000 };
/** FRR tells nobody of its sessions, nor who has changed its configuration: how often it is asked for them. */
const attendEveryMs = 5000;
/** The same, while something is wrong. */
const attendAgainMs = 1000;
/** A session that has just come up has not told everything yet. */
const settledMs = 5000;

/** What a listener works with. */
export interface ListenerParts {
  readonly conf: EvpnConf;
  /** This node's VTEP. @throws WeftError where it is not to be found */
  readonly vtep: () => Address;
  /** Those of the node's tenants that BGP is to tell of. */
  readonly vnis: () => readonly Vni[];
  readonly isHere: EndpointLookup;
  readonly log: Log;
  /** FRR, or a session, is there or is there no more. */
  readonly onChange: () => void;
}

/** For one configuration, from the beginning to close(). */
export class Listener implements Ear {
  readonly #parts: ListenerParts;
  readonly #zebra: VtyKeeper;
  readonly #bgpd: VtyKeeper;
  readonly #check: ZebraCheck;
  #cancel: () => void = () => undefined;
  #isClosed = false;
  #attending: Promise<void> | undefined;
  #isAttendingDue = false;
  #gaps: readonly string[] = [];
  #knowledge: ZebraKnowledge = { isComplete: false };
  readonly #watch = new SessionWatch();
  #isAdvertising = false;
  #said: ReadonlySet<string> = new Set();

  constructor(parts: ListenerParts) {
    this.#parts = parts;
    this.#check = new ZebraCheck(parts.log, parts.isHere);
    const { runDirectory } = parts.conf;
    const onChange = (): void => this.#attend();
    this.#zebra = new VtyKeeper({ daemon: 'zebra', runDirectory, onUp: onChange, onDown: onChange });
    this.#bgpd = new VtyKeeper({ daemon: 'bgpd', runDirectory, onUp: onChange, onDown: onChange });
  }

  /** Ends it; what FRR has been told stays. */
  close(): void {
    this.#isClosed = true;
    this.#cancel();
    this.#zebra.close();
    this.#bgpd.close();
  }

  /** Takes back what weft has configured, where it has, for a node that no longer wants EVPN; then ends. */
  async resign(): Promise<void> {
    const { conf, log } = this.#parts;
    const bgpd = this.#bgpd.vty;
    try {
      if (conf.managed && bgpd !== undefined) await bgpd.configure(planRemoval(await readRunning(bgpd)), asking);
    } catch (error) {
      log.warn({ code: 'frr-leftover', error: describeWithAdvice(error) }, 'what weft has configured in FRR could not be taken back');
    }
    this.close();
  }

  /** As they were heard of last: those of the configuration's neighbours. */
  get sessions(): readonly BgpSession[] {
    return this.#watch.sessions.filter(({ address }) => address !== undefined && this.#parts.conf.neighbors.some((neighbor) => addressesEqual(neighbor.address, address)));
  }

  /** Both programs, for whoever asks for more; undefined while one of them is away. */
  get programs(): Programs | undefined {
    const [zebra, bgpd] = [this.#zebra.vty, this.#bgpd.vty];
    return zebra === undefined || bgpd === undefined ? undefined : { zebra, bgpd };
  }

  /** The VTEPs that announce a VNI, whether or not this node has it; none while bgpd is away. @throws FrrError */
  async vtepsOf(vni: Vni): Promise<readonly Address[]> {
    const { vty } = this.#bgpd;
    const routes = vty === undefined ? [] : await readVtepRoutes(vty, asking);
    return routes.flatMap((route) => (route.kind === 'vtep' && route.vni === vni && route.origin.kind === 'received' ? [route.originator] : []));
  }

  /** What keeps a tenant of this node from hearing of any other, in words. */
  obstacleOf(vni: Vni): string | undefined {
    return this.#obstacle ?? this.#check.rivalOf(vni);
  }

  get #obstacle(): string | undefined {
    const [problem] = this.#problems;
    if (problem !== undefined || this.programs === undefined) return problem;
    const { sessions } = this;
    if (this.#isAdvertising && sessions.some(({ isUp }) => isUp)) return undefined;
    const [gap] = this.#gaps;
    if (gap !== undefined || sessions.length === 0 || sessions.some((session) => !this.#isMissed(session))) return gap;
    return `no session with any of controlPlane.neighbors: ${sessions.map(describeSession).join('; ')}`;
  }

  /** Everything that is wrong, in words. */
  get faults(): readonly string[] {
    const down = this.programs === undefined ? [] : this.sessions.filter((session) => this.#isMissed(session)).map((session) => `no session with the neighbour ${describeSession(session)}`);
    return [...this.#problems, ...this.#gaps, ...(this.#knowledge.fault === undefined ? [] : [this.#knowledge.fault]), ...down];
  }

  #isMissed(session: BgpSession): boolean {
    return this.#watch.isMissed(session, performance.now());
  }

  get #problems(): readonly string[] {
    return [this.#zebra.problem, this.#bgpd.problem].filter((problem) => problem !== undefined).map(describeWithAdvice);
  }

  async listen(vnis: readonly Vni[]): Promise<readonly Announced[]> {
    const { programs } = this;
    if (programs === undefined) return vnis.map(() => unheard);
    try {
      const sessions = await this.#readSessions(programs.bgpd);
      const isHearing = this.#knowledge.isComplete && sessions.some(({ isUp, sinceMs = 0 }) => isUp && sinceMs >= settledMs);
      const { zebra } = programs;
      const [tables, macs, neighbours] = [await readVnis(zebra, asking), await readMacs(zebra, asking), await readNeighbours(zebra, asking)];
      this.#check.noteMacs(macs);
      const vteps = new Map(tables.map(({ vni, remoteVteps }) => [vni, remoteVteps]));
      const endpoints = remoteEndpoints(macs, neighbours);
      // Of a tenant that zebra has not found (yet) it says nothing, whoever announces it.
      return vnis.map((vni) => ({ isHearing: isHearing && vteps.has(vni), vteps: vteps.get(vni) ?? [], endpoints: endpoints.get(vni) ?? [] }));
    } catch (error) {
      this.#parts.log.warn({ code: 'frr-unanswered', error: describeWithAdvice(error) }, 'FRR could not be asked what it knows');
      return vnis.map(() => unheard);
    }
  }

  /** One at a time; what is asked for meanwhile is done once more. */
  #attend(): void {
    this.#isAttendingDue = true;
    this.#attending ??= this.#attendNow().finally(() => (this.#attending = undefined));
  }

  async #attendNow(): Promise<void> {
    this.#cancel();
    while (this.#isAttendingDue && !this.#isClosed) {
      this.#isAttendingDue = false;
      await this.#attendOnce();
    }
    if (!this.#isClosed) this.#cancel = startTimer(this.#knowledge.isComplete && this.faults.length === 0 ? attendEveryMs : attendAgainMs, () => this.#attend());
  }

  async #attendOnce(): Promise<void> {
    const [bgpd, { programs }] = [this.#bgpd.vty, this];
    const before = { upCount: this.#upCount, isComplete: this.#knowledge.isComplete };
    this.#gaps = bgpd === undefined ? [] : await this.#configure(bgpd);
    if (bgpd === undefined) this.#watch.note([], performance.now());
    else await this.#readSessions(bgpd).catch(() => this.#watch.note([], performance.now()));
    this.#knowledge = programs === undefined ? { isComplete: false } : await this.#ask(programs);
    this.#say();
    if (programs === undefined || before.upCount !== this.#upCount || before.isComplete !== this.#knowledge.isComplete) this.#parts.onChange();
  }

  async #ask(programs: Programs): Promise<ZebraKnowledge> {
    const { conf, vtep, vnis } = this.#parts;
    try {
      return await this.#check.look(programs, { vnis: vnis(), ...(conf.managed ? { speaker: speakerOf(conf, vtep()) } : {}) }, asking);
    } catch (error) {
      return { isComplete: false, fault: describeWithAdvice(error) };
    }
  }

  get #upCount(): number {
    return this.#watch.sessions.filter(({ isUp }) => isUp).length;
  }

  /** Brings bgpd to what the node wants, or looks whether it is there; returns what is not as it should be, in words. */
  async #configure(bgpd: Vty): Promise<readonly string[]> {
    const { conf, vtep, log } = this.#parts;
    try {
      const speaker = speakerOf(conf, vtep());
      const running = await readRunning(bgpd);
      this.#isAdvertising = isAdvertising(running);
      if (!conf.managed) return describeGaps(speaker, running);
      const changes = planChanges(speaker, running);
      await bgpd.configure(changes, asking);
      this.#isAdvertising = true;
      if (changes.length > 0) log.info({ lines: changes.length }, 'configured bgpd of FRR');
      return [];
    } catch (error) {
      return [describeWithAdvice(error)];
    }
  }

  async #readSessions(bgpd: Vty): Promise<readonly BgpSession[]> {
    this.#watch.note(await readSessions(bgpd, asking), performance.now());
    return this.#watch.sessions;
  }

  /** Each fault once, and when it is over. */
  #say(): void {
    const faults = new Set(this.faults);
    for (const fault of faults) if (!this.#said.has(fault)) this.#parts.log.warn({ code: 'frr-fault', fault }, 'BGP EVPN does not work as it should');
    for (const fault of this.#said) if (!faults.has(fault)) this.#parts.log.info({ fault }, 'no longer wrong');
    this.#said = faults;
  }
}

async function readRunning(bgpd: Vty): Promise<RunningConfig> {
  return parseRunningConfig(await bgpd.ask('show running-config', asking));
}

/** The own address may stand among the neighbours, so that all nodes can have one list. */
function speakerOf({ as, routerId, neighbors, timers }: EvpnConf, vtep: Address): Speaker {
  return { as, ...(routerId === undefined ? {} : { routerId }), vtep, neighbors: neighbors.filter(({ address }) => !addressesEqual(address, vtep)), timers };
}

function describeSession({ name, as, state, reason }: BgpSession): string {
  return `${name} (AS ${as}): ${state}${reason === undefined ? '' : `, ${reason}`}`;
}

/** What zebra has of other nodes, by VNI. */
function remoteEndpoints(macs: readonly ZebraMac[], neighbours: readonly ZebraNeighbour[]): ReadonlyMap<Vni, RemoteEndpoint[]> {
  const addresses = new Map<string, Address[]>();
  const keyOf = ({ vni, mac }: ZebraMac | ZebraNeighbour): string => `${vni} ${mac}`;
  for (const neighbour of neighbours) {
    if (neighbour.origin.kind === 'remote') append(addresses, keyOf(neighbour), neighbour.address);
  }
  const endpoints = new Map<Vni, RemoteEndpoint[]>();
  for (const entry of macs) {
    const { vni, mac, origin } = entry;
    if (origin.kind === 'remote' && origin.vtep !== undefined) append(endpoints, vni, { mac, vtep: origin.vtep, addresses: addresses.get(keyOf(entry)) ?? [] });
  }
  return endpoints;
}

function append<K, T>(lists: Map<K, T[]>, key: K, item: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
