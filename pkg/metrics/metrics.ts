/** The metrics of a daemon: what is counted, what is looked at, and where both are told. */
import type { MetricsListen } from '../config/metrics-conf.ts';
import type { Log } from '../log/log.ts';
import { nextTurn } from '../sys/timer.ts';
import { describeNode } from './describe.ts';
import { Recorder, type CallNote, type RecorderOptions } from './recorder.ts';
import { MetricsServer } from './server.ts';
import type { EndpointSample, NodeSnapshot } from './snapshot.ts';
import type { MigrationStep } from './migration-clock.ts';
import { TrafficSums, type LinkTraffic } from './traffic.ts';

export interface MetricsParts extends RecorderOptions {
  /** Looks at the node. @throws Error where it cannot be looked at */
  readonly look: () => Promise<NodeSnapshot>;
  readonly endpointsMax: () => number;
  readonly log: Log;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** One for as long as the configuration asks for metrics, wherever they are told. */
export class Metrics {
  readonly #parts: MetricsParts;
  readonly #recorder: Recorder;
  readonly #sums: TrafficSums;
  #server: MetricsServer | undefined;
  #lastScrapeSeconds = 0;

  constructor(parts: MetricsParts) {
    this.#parts = parts;
    this.#recorder = new Recorder(parts);
    this.#sums = new TrafficSums(parts.now());
  }

  get isListening(): boolean {
    return this.#server !== undefined;
  }

  /** Tells them there, and nowhere else. @throws Error such as EADDRINUSE; then nowhere */
  async listen(at: MetricsListen): Promise<void> {
    await this.unlisten();
    this.#server = await MetricsServer.open(at, { body: () => this.toText(), log: this.#parts.log });
  }

  /** Tells them nowhere. */
  async unlisten(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.close();
  }

  noteCall(call: CallNote): void {
    this.#recorder.noteCall(call);
  }

  noteDeclined(reason: string): void {
    this.#recorder.noteDeclined(reason);
  }

  noteMigration(step: MigrationStep): void {
    this.#recorder.noteMigration(step);
  }

  /** A scrape. @throws Error where the node cannot be looked at */
  async toText(): Promise<string> {
    const startedAt = performance.now();
    const snapshot = await this.#parts.look();
    // Calls come first.
    await nextTurn();
    // Where the ledger cannot be read nothing is known of any endpoint, which is not the same as that all have gone.
    if (snapshot.ledger !== undefined) this.#sums.note(linksOf(snapshot.ledger.endpoints));
    const looked = describeNode(snapshot, { endpointsMax: this.#parts.endpointsMax(), tenantTraffic: this.#sums.sums, lastScrapeSeconds: this.#lastScrapeSeconds });
    await nextTurn();
    const text = `${await this.#recorder.toText()}${looked}`;
    this.#lastScrapeSeconds = (performance.now() - startedAt) / 1000;
    return text;
  }

  /** Ends it. */
  async stop(): Promise<void> {
    this.#recorder.stop();
    await this.unlisten();
  }
}

function linksOf(endpoints: readonly EndpointSample[]): readonly LinkTraffic[] {
  return endpoints.flatMap(({ tenant, linkName, linkIndex = 0, createdAt, traffic }) => (traffic === undefined ? [] : [{ key: `${linkName} ${linkIndex}`, group: tenant, createdAt, traffic }]));
}
