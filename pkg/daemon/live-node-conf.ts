/**
 * The node configuration of a daemon: read at the start, again on SIGHUP and when the file changes. One that has a fault is
 * refused and the one before stays in force.
 */
import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { NodeConf } from '../config/node-model.ts';
import { describeError, isWeftError } from '../errors/weft-error.ts';
import { startTimer } from '../sys/timer.ts';
import type { Log } from '../log/log.ts';

/** An editor writes a file in several steps; Kubernetes exchanges links. */
const settleMs = 100;

export interface LiveNodeConfOptions {
  /** Of the file. */
  readonly path: string;
  /** Reads and parses the file; rejects where it has a fault. */
  readonly read: () => Promise<NodeConf>;
  readonly log: Log;
  /** Called after another configuration has come into force. */
  readonly onChange: () => void;
}

/** The node configuration that is in force. */
export class LiveNodeConf {
  readonly #options: LiveNodeConfOptions;
  #current: NodeConf;
  /** Why the file on the disk is not in force. */
  #fault: string | undefined;
  #watcher?: FSWatcher;
  #cancel: () => void = () => undefined;

  private constructor(options: LiveNodeConfOptions, current: NodeConf) {
    this.#options = options;
    this.#current = current;
  }

  /** Reads the configuration for the first time. @throws WeftError where it has a fault */
  static async open(options: LiveNodeConfOptions): Promise<LiveNodeConf> {
    return new LiveNodeConf(options, await options.read());
  }

  get current(): NodeConf {
    return this.#current;
  }

  /** Why the file on the disk was refused, in words; undefined where it is in force. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Reads the file again. Never rejects. */
  async reload(): Promise<void> {
    const { path, read, log, onChange } = this.#options;
    try {
      const next = await read();
      const isSame = toText(next) === toText(this.#current);
      const hadFault = this.#fault !== undefined;
      this.#current = next;
      this.#fault = undefined;
      if (isSame && hadFault) return log.info({ path }, 'the node configuration is mended, and is the one in force');
      if (isSame) return log.debug({ path }, 'the node configuration is as it was');
      log.info({ path }, 'another node configuration is in force');
      return onChange();
    } catch (error) {
      this.#fault = describeError(error);
      const details = isWeftError(error) && error.details !== '' ? { details: error.details } : {};
      return log.error({ code: 'daemon-configuration', path, error: this.#fault, ...details }, 'the node configuration was refused: the one before stays in force');
    }
  }

  /** Reloads when the file changes, from now on. The directory is watched: a file that is replaced is another file. */
  watch(): void {
    const { path, log } = this.#options;
    try {
      this.#watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
        // Kubernetes exchanges the link `..data`, which the file is behind.
        if (name === null || name === basename(path) || name.startsWith('..')) this.#settle();
      });
      // What changed since the first reading was not seen.
      this.#settle();
      this.#watcher.on('error', (error) => log.warn({ code: 'config-unwatched', path, error: describeError(error) }, 'the node configuration is no longer watched: send SIGHUP after a change'));
    } catch (error) {
      log.debug({ path, error: describeError(error) }, 'the node configuration is not watched: its directory is not there');
    }
  }

  close(): void {
    this.#cancel();
    this.#watcher?.close();
  }

  #settle(): void {
    this.#cancel();
    this.#cancel = startTimer(settleMs, () => void this.reload());
  }
}

/** Addresses are bigints, which JSON does not know. */
function toText(conf: NodeConf): string {
  return JSON.stringify(conf, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
}
