/** Looking at one path again and again, one way. */
import { startTimer } from '../sys/timer.ts';
import type { Path, PathFindings } from './findings.ts';
import { ProbeMeter } from './meter.ts';
import type { Prober, ProbeWay } from './prober.ts';
import { surveyPath } from './survey.ts';
import { newTrack, observed, resized, withdrawn, type Track } from './track.ts';

export interface RoundParts {
  readonly path: Path;
  readonly findings: PathFindings;
  readonly way: ProbeWay;
  /** Asks; undefined while this node has no end there. */
  readonly prober: () => Prober | undefined;
  /** Of a tunnel: has the underlay looked at anew, so that what is narrow there is not said of the tunnel. */
  readonly below?: () => Promise<void>;
  /** What this node's interfaces say now, bytes; undefined where there is no way to the peer. */
  readonly fullBytes: () => number | undefined;
  readonly floorBytes: () => number;
  /** Until the next look, where nothing speaks for another time. */
  readonly intervalMs: () => number;
  /** Waits until it may be looked at: not all peers at once. */
  readonly turn: (work: () => Promise<void>) => Promise<void>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

// Nodes are a millisecond or some tens from each other; a busy one takes longer than the wire.
const deadlineMsMin = 250;
const deadlineMsMax = 1000;
const deadlineMsFirst = 400;
/** How many times the usual time an answer may take. */
const patience = 4;
/** Of somebody who does not answer: the interval grows until this. He is looked at once he asks by himself. */
const unansweredMsMax = 30_000;
/** Of peers with the same interval none should be looked at in step with the others: a tenth more or less. */
const jitter = 0.2;

/** One for a path and a way; it keeps no process alive. */
export class Round {
  /** What the probes of this way have measured. */
  readonly meter: ProbeMeter = new ProbeMeter();
  readonly #parts: RoundParts;
  #cancel: () => void = () => undefined;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  #isDueAgain = false;
  #isStopped = false;
  #unanswered = 0;
  #usualMs = deadlineMsFirst / patience;

  constructor(parts: RoundParts) {
    this.#parts = parts;
  }

  /** Looks now, or once more when the look that is under way is over. */
  soon(): void {
    if (this.#isStopped) return;
    this.#cancel();
    this.#isDueAgain = this.#isRunning;
    if (!this.#isRunning) void this.#run();
  }

  /** Fulfilled when it has been looked at once more, from now on. */
  async fresh(): Promise<void> {
    await this.#running;
    if (!this.#isStopped) await this.#look();
  }

  /** The peer is there: where it was thought not to be, it is looked at now. */
  noteAlive(): void {
    if (this.#unanswered === 0 || this.#isRunning) return;
    this.#unanswered = 0;
    this.soon();
  }

  get way(): ProbeWay {
    return this.#parts.way;
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    this.#running = this.#parts.turn(() => this.#look());
    await this.#running;
    this.#isRunning = false;
    if (this.#isStopped) return;
    const isDueAgain = this.#isDueAgain;
    this.#isDueAgain = false;
    this.#cancel = startTimer(isDueAgain ? 0 : this.#waitMs(), () => void this.#run());
  }

  #waitMs(): number {
    const intervalMs = this.#parts.intervalMs();
    const patientMs = Math.min(intervalMs * 2 ** Math.min(this.#unanswered, 10), Math.max(intervalMs, unansweredMsMax));
    return patientMs * (1 - jitter / 2 + Math.random() * jitter);
  }

  async #look(): Promise<void> {
    const [prober, fullBytes] = [this.#parts.prober(), this.#parts.fullBytes()];
    if (!this.#isStopped && prober !== undefined && fullBytes !== undefined) await this.#survey(prober, fullBytes);
  }

  async #survey(prober: Prober, fullBytes: number): Promise<void> {
    const { path, findings, floorBytes, now, way, below } = this.#parts;
    const known = findings.trackOf(path, way);
    const before = known === undefined ? newTrack(fullBytes) : known.fullBytes === fullBytes ? known : resized(known, fullBytes);
    if (before !== known) findings.note(path, way, before);
    const passingBytes = before.narrow?.packetBytes ?? fullBytes;
    const survey = await surveyPath((packetBytes) => this.#ask(prober, { packetBytes, isMeasured: packetBytes <= passingBytes }), {
      fullBytes, floorBytes: floorBytes(), ...(before.narrow === undefined ? {} : { knownBytes: before.narrow.packetBytes }),
    });
    if (this.#isStopped) return;
    // An interface that was made narrower meanwhile is no finding.
    if (survey.kind === 'narrow' && this.#parts.fullBytes() !== fullBytes) return void (this.#isDueAgain = true);
    // What the kernel refuses to send through the tunnel, as while it remembers what a router has said, is the underlay's to say.
    if (way === 'tunnel' && survey.kind === 'narrow' && survey.isRefused) return this.#leaveToUnderlay(before);
    if (survey.kind === 'narrow') await below?.();
    this.#unanswered = survey.kind === 'unanswered' ? this.#unanswered + 1 : 0;
    findings.note(path, way, observed(before, survey, now()));
  }

  /** The kernel remembers for minutes what a router has said, and tells it to whoever sends more: nothing vanishes, and where the underlay is wide again it is no finding. */
  #leaveToUnderlay(track: Track): void {
    const { path, findings } = this.#parts;
    const below = findings.trackOf(path, 'underlay');
    if (track.narrow !== undefined && below?.state === 'whole' && below.narrow === undefined) findings.note(path, 'tunnel', withdrawn(track));
  }

  /** @param isMeasured whether it should be answered: that a larger one is not says nothing of loss */
  async #ask(prober: Prober, { packetBytes, isMeasured }: { readonly packetBytes: number; readonly isMeasured: boolean }): ReturnType<Prober['probe']> {
    // Whoever has not answered in time may be far away.
    const deadlineMs = this.#unanswered > 0 ? deadlineMsMax : Math.min(Math.max(this.#usualMs * patience, deadlineMsMin), deadlineMsMax);
    const outcome = await prober.probe({ peer: this.#parts.path.peer, packetBytes, deadlineMs });
    if (isMeasured) this.meter.note(outcome, performance.now());
    // As TCP smooths its round-trip time (RFC 6298 §2).
    if (outcome.kind === 'answered') this.#usualMs += (outcome.milliseconds - this.#usualMs) / 8;
    return outcome;
  }
}
