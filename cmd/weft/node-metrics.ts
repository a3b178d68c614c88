/** The daemon's part in metrics: they are counted and told for as long as the configuration asks for them, and loaded only then. */
import { verbs, type CallNote } from '../../pkg/daemon/call-log.ts';
import { formatListen, type MetricsConf } from '../../pkg/config/metrics-conf.ts';
import type { NodeConf } from '../../pkg/config/node-model.ts';
import { describeError } from '../../pkg/errors/weft-error.ts';
import type { Log } from '../../pkg/log/log.ts';
import type { Metrics } from '../../pkg/metrics/metrics.ts';
import type { MigrationNote } from '../../pkg/migration/course.ts';
import { elsewhereReasons } from '../../pkg/protocol/protocol.ts';
import { startTimer } from '../../pkg/sys/timer.ts';
import { lookAtNode, type NodeLookParts } from './node-look.ts';

/** A port that somebody else has, such as the daemon before this one, is tried again. */
const againMs = 1000;

/** One for a daemon. Without `metrics` in the configuration it does nothing, and its note methods cost a comparison. */
export class NodeMetrics {
  readonly #parts: NodeLookParts;
  readonly #log: Log;
  #conf: MetricsConf | undefined;
  #metrics: Metrics | undefined;
  #fault: string | undefined;
  #following: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(parts: NodeLookParts) {
    this.#parts = parts;
    this.#log = parts.log;
  }

  /** Does what the configuration says from now on; fulfilled when it is done, or has a fault. Never rejects. */
  follow({ metrics }: NodeConf): Promise<void> {
    return this.#queue(() => this.#change(metrics));
  }

  noteCall(call: CallNote): void {
    this.#metrics?.noteCall(call);
  }

  noteDeclined(reason: string): void {
    this.#metrics?.noteDeclined(reason);
  }

  noteMigration(note: MigrationNote): void {
    this.#metrics?.noteMigration(note);
  }

  /** Why they cannot be fetched, in words. */
  get faults(): readonly string[] {
    return this.#fault === undefined ? [] : [this.#fault];
  }

  /** Ends it. */
  stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    return this.#queue(() => this.#close());
  }

  #queue(work: () => Promise<void>): Promise<void> {
    this.#following = this.#following.then(work).catch((error: unknown) => this.#log.error({ code: 'metrics-fault', error: describeError(error) }, 'the metrics have a fault'));
    return this.#following;
  }

  async #change(conf: MetricsConf | undefined): Promise<void> {
    if (this.#isStopped) return;
    const isSamePlace = conf !== undefined && this.#conf !== undefined && formatListen(conf.listen) === formatListen(this.#conf.listen);
    this.#conf = conf;
    if (conf === undefined) return this.#close();
    if (isSamePlace && this.#metrics?.isListening === true) return;
    this.#metrics ??= await this.#begin();
    await this.#listen(this.#metrics, conf);
  }

  async #begin(): Promise<Metrics> {
    const { Metrics: Loaded } = await import('../../pkg/metrics/metrics.ts');
    return new Loaded({
      look: () => lookAtNode(this.#parts), endpointsMax: () => this.#conf?.endpointsMax ?? 0, log: this.#log, now: this.#parts.engine.now,
      verbs, declineReasons: Object.keys(elsewhereReasons),
    });
  }

  async #listen(metrics: Metrics, { listen }: MetricsConf): Promise<void> {
    this.#cancel();
    try {
      await metrics.listen(listen);
      this.#fault = undefined;
      this.#log.info({ listen: formatListen(listen) }, 'metrics can be fetched');
    } catch (error) {
      const fault = `metrics cannot be fetched: ${formatListen(listen)} (metrics.listen) cannot be had: ${describeError(error)}`;
      if (fault !== this.#fault) this.#log.error({ code: 'metrics-port', listen: formatListen(listen), error: describeError(error) }, 'metrics cannot be fetched');
      this.#fault = fault;
      this.#cancel = startTimer(againMs, () => void this.#queue(() => this.#again()));
    }
  }

  async #again(): Promise<void> {
    const [conf, metrics] = [this.#conf, this.#metrics];
    if (!this.#isStopped && conf !== undefined && metrics?.isListening === false) await this.#listen(metrics, conf);
  }

  async #close(): Promise<void> {
    this.#cancel();
    const metrics = this.#metrics;
    [this.#metrics, this.#fault] = [undefined, undefined];
    await metrics?.stop();
  }
}
