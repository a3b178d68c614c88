/** What is counted when it happens: calls, migrations, how late the event loop is. Between two scrapes it costs a few microseconds for each call. */
import { Counter, Histogram, Registry } from 'prom-client';
import { startInterval } from '../sys/timer.ts';
import { definitionOf, type MetricName } from './catalogue.ts';
import { MigrationClock, migrationOutcomes, migrationRoles, type MigrationStep } from './migration-clock.ts';

/** A CNI call that is over. */
export interface CallNote {
  readonly verb: string;
  readonly isOk: boolean;
  readonly code?: number;
  readonly milliseconds: number;
}

export interface RecorderOptions {
  /** The verbs that there are: each has its series from the start, so that the first call is an increase. */
  readonly verbs: readonly string[];
  /** Why calls may be given back. */
  readonly declineReasons: readonly string[];
}

/** CNI's codes and weft's own; a delegated plugin may say any number, and must not fill the memory with them. */
const codeMax = 999;
const lagEveryMs = 500;

/** One for as long as the configuration asks for metrics. */
export class Recorder {
  readonly #registry = new Registry();
  readonly #calls = this.#counter('weft_cni_calls_total');
  readonly #durations = this.#histogram('weft_cni_call_duration_seconds');
  readonly #declined = this.#counter('weft_cni_calls_declined_total');
  readonly #migrations = this.#counter('weft_migrations_total');
  readonly #activations = this.#histogram('weft_migration_activation_seconds');
  readonly #migrationTimes = this.#histogram('weft_migration_duration_seconds');
  readonly #lag = this.#histogram('weft_event_loop_lag_seconds');
  readonly #clock = new MigrationClock();
  readonly #stopLag: () => void;

  constructor({ verbs, declineReasons }: RecorderOptions) {
    for (const verb of verbs) {
      this.#calls.inc({ verb, outcome: 'ok' }, 0);
      this.#durations.zero({ verb, outcome: 'ok' });
    }
    for (const reason of declineReasons) this.#declined.inc({ reason }, 0);
    for (const role of migrationRoles) {
      this.#migrationTimes.zero({ role });
      for (const outcome of migrationOutcomes) this.#migrations.inc({ role, outcome }, 0);
    }
    this.#stopLag = this.#watchLag();
  }

  noteCall({ verb, isOk, code, milliseconds }: CallNote): void {
    const outcome = isOk ? 'ok' : 'failed';
    this.#calls.inc(isOk ? { verb, outcome } : { verb, outcome, code: codeText(code) });
    this.#durations.observe({ verb, outcome }, milliseconds / 1000);
  }

  noteDeclined(reason: string): void {
    this.#declined.inc({ reason });
  }

  noteMigration(step: MigrationStep): void {
    for (const result of this.#clock.note(step, performance.now())) {
      if (result.kind === 'activated') {
        this.#activations.observe(result.milliseconds / 1000);
        continue;
      }
      const { role, outcome, milliseconds } = result;
      this.#migrations.inc({ role, outcome });
      if (outcome === 'moved' && milliseconds !== undefined) this.#migrationTimes.observe({ role }, milliseconds / 1000);
    }
  }

  /** All of it, as Prometheus reads it. */
  toText(): Promise<string> {
    return this.#registry.metrics();
  }

  stop(): void {
    this.#stopLag();
  }

  #watchLag(): () => void {
    let due = performance.now() + lagEveryMs;
    return startInterval(lagEveryMs, () => {
      const now = performance.now();
      this.#lag.observe(Math.max(0, now - due) / 1000);
      due = now + lagEveryMs;
    });
  }

  #counter(name: MetricName): Counter {
    const { help, labels } = definitionOf(name);
    return new Counter({ name, help, labelNames: [...labels], registers: [this.#registry] });
  }

  #histogram(name: MetricName): Histogram {
    const { help, labels, buckets = [] } = definitionOf(name);
    return new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers: [this.#registry] });
  }
}

function codeText(code: number | undefined): string {
  return code !== undefined && Number.isInteger(code) && code >= 0 && code <= codeMax ? String(code) : 'other';
}
