/**
 * The migrations of a node. What is on its way, and how far, is in the ledger, with the attachment itself: a daemon that starts knows what one
 * before it knew, and asks the other nodes for the rest.
 *
 * Packets come first: what the datapath does is done before the other node is told, and it is told before anything is written down. What is not
 * written down when the daemon dies is found out again by asking.
 */
import type { EngineParts } from '../attachment/engine-parts.ts';
import { requireRelay } from '../attachment/segment-plan.ts';
import { findEndpoint, type EndpointMoves, type EndpointQuestion, type FoundEndpoint } from '../attachment/moves.ts';
import type { DatapathMigration } from '../datapath/migration.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import type { Log } from '../log/log.ts';
import { formatAddress, type Address, type Vni } from '../netaddr/netaddr.ts';
import type { PortMigration } from '../overlay/model.ts';
import { pause, startTimer } from '../sys/timer.ts';
import { Attention, type Traveller } from './attention.ts';
import { isSource, stepFrom, type MigrationEvent, type MigrationNote, type Phase, type Step } from './course.ts';
import { findElsewhere, type Correspondent } from './elsewhere.ts';
import { decodeMessage, encodeBody, type EndpointName, type FindAnswer, type Message, type PhaseAnswer, type Saying } from './messages.ts';
import { describe, Messenger, type Told } from './messenger.ts';
import { answerFind } from './here.ts';
import { Readiness } from './readiness.ts';
import { Turns } from './turns.ts';

export interface MigrationParts {
  readonly engine: EngineParts;
  readonly datapath: DatapathMigration;
  /** Speaks with the daemons of other nodes; undefined while the configuration has no `migration`. */
  readonly correspondent: () => Correspondent | undefined;
  /** How long a migration may be prepared without being activated, in milliseconds. */
  readonly timeoutMs: () => number;
  /** VTEPs that have a tenant, which the control plane knows beside those in the tenant's segment. */
  readonly vtepsOf: (vni: Vni) => Promise<readonly Address[]>;
  /** Says that a machine may stop, or speak, at any moment, and that packets will wait for this process then; or that none will. */
  readonly setUrgent: (isUrgent: boolean) => void;
  readonly log: Log;
  /** Called after each step, with the phase before it. */
  readonly onStep?: (step: MigrationNote) => void;
}

/** After the first announcement, as QEMU repeats its own: a frame may be lost; and a switch may learn once more, half a second late, from that of a move before. */
const announcementsMs = [50, 250, 1000] as const;
/** A DEL at the source waits so long for the others to send to the target by themselves. */
const leavingMs = 1500;
const leavingLookMs = 50;
/** Between `weft migrate prepare` and the ADD. */
const expectMs = 600_000;

/** What came of an event. */
export interface Outcome {
  readonly phase: Phase;
  /** Undefined where nothing followed from it. */
  readonly step: Step | undefined;
  /** Where the other node was to be told. */
  readonly told?: Promise<Told>;
}

/** One for a daemon. */
export class Migrations implements EndpointMoves {
  readonly #parts: MigrationParts;
  readonly #attention: Attention;
  readonly #messenger: Messenger;
  readonly #turns = new Turns();
  /** Attachments that are known to be at the target by now. */
  readonly #there = new Set<number>();
  /** What ends keeping a connection to the other node, of each migration. */
  readonly #connected = new Map<number, () => void>();
  /** What is done at once when a migration is activated: at the source by its name, at the target by its id. */
  readonly #ready: Readiness<Promise<Told> | void>;
  /** What was said to the target of a source before anything else was done. */
  readonly #hurried = new Map<number, Promise<Told>>();
  readonly #expected = new Map<string, { readonly vtep: Address; readonly until: number }>();
  #isStopped = false;

  constructor(parts: MigrationParts) {
    this.#parts = parts;
    const { datapath, timeoutMs, engine: { now } } = parts;
    this.#messenger = new Messenger(parts);
    this.#ready = new Readiness(parts.setUrgent);
    this.#attention = new Attention({ datapath, timeoutMs, now, happen: (seq, event) => this.happen(seq, event).catch((error: unknown) => this.#warn(seq, event, error)), probe: (seq) => this.isThere(seq) });
  }

  /** Goes on with what a daemon before this one has begun; fulfilled when it is known how far that is, or cannot be known now. */
  async resume(): Promise<void> {
    const records = this.#list();
    await Promise.all(records.map(async ({ seq, port: { migration } }) => {
      if (migration?.phase === 'relaying' || migration?.phase === 'departed') await this.isThere(seq);
      else if (migration?.phase === 'waiting') await this.#noticeOpened(seq);
    }));
    for (const { seq } of records) this.#attend(seq);
  }

  async #noticeOpened(seq: number): Promise<void> {
    const found = this.#find(seq);
    if (found === undefined) return;
    try {
      if (await this.#parts.datapath.hasOpened(found.traveller)) await this.happen(seq, 'spoke');
    } catch (error) {
      this.#warn(seq, 'spoke', error);
    }
  }

  /** Waits for nothing any more. What is under way is the next daemon's. */
  stop(): void {
    this.#isStopped = true;
    this.#attention.stop();
    this.#messenger.stop();
    for (const seq of [...this.#connected.keys()]) this.#disconnect(seq);
  }

  find(question: EndpointQuestion): Promise<FoundEndpoint | undefined> {
    const { engine, correspondent, vtepsOf, log } = this.#parts;
    const expected = this.#expected.get(keyOf({ vni: question.segment.vni, endpoint: question.endpoint }));
    return findElsewhere({ engine, correspondent: correspondent(), vtepsOf, log, expected: expected !== undefined && expected.until > engine.now() ? [expected.vtep] : [] }, question);
  }

  /**
   * Asks a VTEP for an endpoint, and remembers it as the place that the endpoint's next ADD asks, whatever the control plane knows.
   * @throws WeftError where it is not there
   */
  async expect(name: EndpointName, vtep: Address): Promise<void> {
    const { engine, log } = this.#parts;
    const answer = await this.#messenger.find(vtep, name);
    if (answer.kind === 'moving') throw new WeftError('tryAgainLater', `The endpoint ${name.endpoint} at VTEP ${formatAddress(vtep)} cannot come here now: ${answer.words}`);
    if (answer.kind !== 'attached') throw new WeftError('unknownContainer', `No container of VTEP ${formatAddress(vtep)} is the endpoint ${name.endpoint} of VNI ${name.vni}`);
    this.#expected.set(keyOf(name), { vtep, until: engine.now() + expectMs });
    log.info({ ...name, other: formatAddress(vtep) }, 'the next container of this endpoint is taken for one that comes from there');
  }

  async begin(record: AttachmentRecord): Promise<void> {
    const { migration } = record.port;
    if (migration === undefined) return;
    const told = await this.#messenger.say(record, migration, 'begin');
    if (!('phase' in told) || told.phase !== 'relaying') {
      const why = 'phase' in told ? `the endpoint is ${told.phase} there` : told.words;
      throw new WeftError('tryAgainLater', `VTEP ${formatAddress(migration.other)} does not let the endpoint ${record.endpoint} go: ${why}`);
    }
    this.#parts.onStep?.({ seq: record.seq, event: 'begin', from: 'none', to: migration.phase });
    this.#parts.log.info(describe(record), 'an endpoint is expected from another node');
    this.#attend(record.seq);
  }

  async remove(record: AttachmentRecord): Promise<void> {
    const { migration } = record.port;
    if (migration === undefined) return;
    if (migration.phase === 'departed') await this.#awaitQuiet(record);
    this.#attention.forget(record.seq);
    this.#disconnect(record.seq);
    this.#hurried.delete(record.seq);
    this.#there.delete(record.seq);
    if (migration.phase === 'left' || migration.phase === 'arrived') return;
    const told = await this.#messenger.say(record, migration, isSource(migration.phase) ? 'gone' : 'abandoned');
    if (!('phase' in told)) this.#parts.log.warn({ code: 'migration-silent', ...describe(record), error: told.words }, 'the other node of a migration could not be told that the container goes');
  }

  /** Answers another node's daemon. @throws WeftError, whose words the other node gets */
  async handle(body: unknown): Promise<unknown> {
    return encodeBody(await this.#answer(decodeMessage(body)));
  }

  async #answer(message: Message): Promise<FindAnswer | PhaseAnswer> {
    // First of all: packets are lost until it is done.
    if (message.kind === 'say' && message.saying === 'open') this.#ready.run(message.id);
    const record = this.#read((tx) => findEndpoint(tx, message.vni, message.endpoint));
    if (message.kind === 'find') return answerFind(record, this.#read((tx) => tx.findIdentity(message.vni, message.endpoint)));
    const present = record?.port.migration;
    if (record === undefined || (present !== undefined && present.id !== message.id && present.phase !== 'left')) return { phase: 'unknown' };
    if (message.kind === 'ask') return { phase: present?.phase ?? 'none' };
    const about = { id: message.id, other: message.vtep };
    const { phase } = await this.happen(record.seq, message.saying, about);
    return { phase };
  }

  /**
   * Lets something happen to an attachment. `about` names a migration that is new to it. What the datapath does is done when this is fulfilled.
   * @throws WeftError where the datapath refuses; then the phase is as it was
   */
  happen(seq: number, event: MigrationEvent, about?: Pick<PortMigration, 'id' | 'other'>): Promise<Outcome> {
    return this.#turns.run(seq, async () => {
      const found = this.#isStopped ? undefined : this.#find(seq);
      if (found === undefined) return { phase: 'none', step: undefined };
      const { record, traveller } = found;
      const present = record.port.migration;
      const phase = present?.phase ?? 'none';
      const step = stepFrom(phase, event);
      const names = about ?? present;
      if (step === undefined || names === undefined) return { phase, step: undefined };
      const migration = { id: names.id, other: names.other, since: this.#parts.engine.now() };
      const next: PortMigration | undefined = step.to === 'none' ? undefined : { ...migration, phase: step.to };
      if (step.work === 'startRelay') requireRelay(traveller.segment, this.#read((tx) => tx.listSegments()).map((entry) => entry.segment));
      const working = step.work === undefined ? undefined : this.#parts.datapath[step.work]({ ...traveller, port: withMigration(record, next) });
      // What the work is made of is on its way by now, or done: it need not be waited for.
      const told = step.tell === undefined ? undefined : this.#tell(record, migration, step.tell);
      await working;
      if (step.to !== phase) this.#write(record, next);
      this.#noteStep(record, { event, phase, step });
      return { phase: step.to, step, ...(told === undefined ? {} : { told }) };
    });
  }

  #noteStep(record: AttachmentRecord, { event, phase, step }: { readonly event: MigrationEvent; readonly phase: Phase; readonly step: Step }): void {
    if (event === 'opened') this.#there.add(record.seq);
    this.#parts.onStep?.({ seq: record.seq, event, from: phase, to: step.to });
    if (step.to === phase) return;
    if (step.to !== 'departed') this.#there.delete(record.seq);
    this.#parts.log.info({ ...describe(record), from: phase, to: step.to, event }, 'a migration has come further');
    this.#attend(record.seq);
    if (step.announces === true) this.#announce(record.seq);
  }

  /** Whether the endpoint of a source is known to be at the target; asks where that is not known. */
  async #probe(seq: number): Promise<boolean> {
    const record = this.#read((tx) => tx.findAttachmentBySeq(seq));
    const migration = record?.port.migration;
    if (record === undefined || migration === undefined) return false;
    if (this.#there.has(seq)) return true;
    const answer = await this.#messenger.ask(record, migration);
    if (!('phase' in answer)) return false;
    if (answer.phase === 'arrived' || answer.phase === 'none') await this.happen(seq, 'opened');
    else if (answer.phase === 'unknown') await this.happen(seq, 'abandoned');
    else if (migration.phase === 'departed') await this.#messenger.say(record, migration, 'open').then((told) => ('phase' in told && told.phase === 'arrived' ? this.happen(seq, 'opened') : undefined));
    return this.#there.has(seq);
  }

  /** Asks the target of a source whether the endpoint is there, and does what follows from the answer; before something is taken back. */
  async isThere(seq: number): Promise<boolean> {
    return this.#probe(seq).catch((error: unknown) => {
      this.#warn(seq, 'opened', error);
      return false;
    });
  }

  /** The answer to `open` is that it is open. */
  async #tell(record: AttachmentRecord, parties: Pick<PortMigration, 'id' | 'other'>, saying: Saying): Promise<Told> {
    const first = saying === 'open' ? this.#hurried.get(record.seq) : undefined;
    this.#hurried.delete(record.seq);
    const told = await this.#messenger.tell(record, parties, { saying, first });
    if (saying === 'open' && 'phase' in told && told.phase === 'arrived' && !this.#isStopped) await this.happen(record.seq, 'opened').catch((error: unknown) => this.#warn(record.seq, 'opened', error));
    return told;
  }

  async #awaitQuiet({ seq }: AttachmentRecord): Promise<void> {
    const isGone = (): boolean => this.#find(seq)?.record.port.migration?.phase !== 'departed';
    for (const deadline = performance.now() + leavingMs; performance.now() < deadline && !isGone(); await pause(leavingLookMs));
  }

  #announce(seq: number): void {
    const announce = (): void => {
      const found = this.#isStopped ? undefined : this.#find(seq);
      // It may have gone on meanwhile.
      if (found === undefined || !isHere(found.record)) return;
      void Promise.resolve(this.#parts.datapath.announce(found.traveller)).catch((error: unknown) => this.#warn(seq, 'opened', error));
    };
    announce();
    for (const ms of announcementsMs) startTimer(ms, announce);
  }

  #attend(seq: number): void {
    const found = this.#isStopped ? undefined : this.#find(seq);
    const migration = found?.record.port.migration;
    this.#disconnect(seq);
    if (found === undefined || migration === undefined) return this.#attention.forget(seq);
    this.#attention.attend(found.traveller);
    try {
      this.#getReady(found.record, found.traveller);
    } catch (error) {
      // It takes longer then.
      this.#warn(seq, 'activate', error);
    }
    const stop = migration.phase === 'left' ? undefined : this.#parts.correspondent()?.keepOpen(migration.other);
    if (stop !== undefined) this.#connected.set(seq, stop);
  }

  #disconnect(seq: number): void {
    this.#connected.get(seq)?.();
    this.#connected.delete(seq);
    this.#ready.forget(seq);
  }

  /** Gets at hand what the moment of the activation needs, at either end, and lets it run once through the code that it will take. */
  #getReady(record: AttachmentRecord, traveller: Traveller): void {
    const { seq, tenant, vni, endpoint = '', port: { migration } } = record;
    if (migration?.phase === 'waiting') this.#ready.note(seq, [migration.id], this.#parts.datapath.armOpening(traveller));
    if (migration?.phase !== 'relaying') return;
    const [activate, say] = [this.#parts.datapath.armActivation(traveller), this.#messenger.prepare(record, migration, 'open')];
    this.#ready.note(seq, [tenant, String(vni)].map((name) => commandKey(name, endpoint)), () => {
      // Without a daemon there, who is to say later whether it was the machine that has opened it?
      if (this.#parts.correspondent()?.isConnected(migration.other) === true) activate();
      const told = say();
      this.#hurried.set(seq, told);
      return told;
    });
    void rehearse(() => this.#messenger.ask(record, migration));
  }

  /** The machine of an endpoint has stopped: tells its target, where one is prepared, before anybody looks at what else there is to do. */
  hurry(tenant: string, endpoint: string): void {
    this.#ready.run(commandKey(tenant, endpoint));
  }

  #write(record: AttachmentRecord, migration: PortMigration | undefined): void {
    this.#parts.engine.ledger().write((tx) => {
      // A DEL may have come in between.
      const present = tx.findAttachmentBySeq(record.seq);
      if (present !== undefined) tx.updateAttachment(record.seq, { port: withMigration(present, migration) });
    });
  }

  #list(): readonly AttachmentRecord[] {
    return this.#read((tx) => tx.listAttachments({ state: 'attached' })).filter(({ port }) => port.migration !== undefined);
  }

  #find(seq: number): { readonly record: AttachmentRecord; readonly traveller: Traveller } | undefined {
    return this.#read((tx) => {
      const record = tx.findAttachmentBySeq(seq);
      const segment = record === undefined ? undefined : tx.findSegment(record.vni)?.segment;
      if (record?.state !== 'attached' || segment === undefined) return undefined;
      const others = tx.listAttachments({ vni: record.vni }).filter((other) => other.seq !== seq).map(({ port }) => port);
      return { record, traveller: { seq, segment, port: record.port, others } };
    });
  }

  #read<T>(look: Parameters<ReturnType<EngineParts['ledger']>['read']>[0] extends (reader: infer Reader) => unknown ? (reader: Reader) => T : never): T {
    return this.#parts.engine.ledger().read(look);
  }

  #warn(seq: number, event: MigrationEvent, error: unknown): void {
    this.#parts.log.warn({ code: 'migration-stuck', attachment: seq, event, error: describeError(error) }, 'a migration cannot go on');
  }
}

function withMigration({ port: { migration: _, ...port } }: AttachmentRecord, migration: PortMigration | undefined): AttachmentRecord['port'] {
  return migration === undefined ? port : { ...port, migration };
}

/** Of a command: the tenant by its name or its VNI. */
function commandKey(tenant: string, endpoint: string): string {
  return `${tenant} ${endpoint}`;
}

/** How often: what has not run yet takes V8 milliseconds. */
const rehearsals = 5;

async function rehearse(work: () => Promise<unknown>): Promise<void> {
  for (let time = 0; time < rehearsals; time += 1) await work();
}

function keyOf({ vni, endpoint }: EndpointName): string {
  return `${vni} ${endpoint}`;
}

function isHere({ port: { migration } }: AttachmentRecord): boolean {
  return migration === undefined || migration.phase === 'arrived';
}
