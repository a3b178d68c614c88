/** The daemon's part in migrations: a channel to other nodes for as long as the configuration asks for one, and who follows migrations over it. */
import { constants, getPriority, hostname, setPriority } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import type { EngineParts } from '../../pkg/attachment/engine-parts.ts';
import type { MigrationConf } from '../../pkg/config/migration-conf.ts';
import type { NodeConf } from '../../pkg/config/node-model.ts';
import type { DatapathMigration } from '../../pkg/datapath/migration.ts';
import { describeWithAdvice } from '../../pkg/errors/weft-error.ts';
import type { Log } from '../../pkg/log/log.ts';
import type { MigrationNote } from '../../pkg/migration/course.ts';
import { Migrations } from '../../pkg/migration/migrations.ts';
import type { Address, Vni } from '../../pkg/netaddr/netaddr.ts';
import type { JsonValue, PeerChannel } from '../../pkg/peers/peers.ts';
import { startTimer } from '../../pkg/sys/timer.ts';

/** What it works with. */
export interface NodeMigrationsParts {
  readonly engine: EngineParts;
  readonly datapath: DatapathMigration;
  /** VTEPs that have a tenant, as the control plane knows. */
  readonly vtepsOf: (vni: Vni) => Promise<readonly Address[]>;
  readonly log: Log;
  /** Called after each step of a migration. */
  readonly onStep: (step: MigrationNote) => void;
}

/** An address that is not there yet, or a file that is not whole, is tried again. */
const againMs = 2000;

/** What decides how the channel is opened. */
interface Opening {
  readonly conf: MigrationConf;
  readonly vtep: NodeConf['vtep'];
  readonly node: string;
}

/** What this thread of the event loop has beside others on a busy node (setpriority(2)); nothing else gets it. */
const ownPriority = getPriority();

/** A machine that stops is late by as much as this process waits for a processor. */
function setUrgent(isUrgent: boolean): void {
  try {
    setPriority(isUrgent ? constants.priority.PRIORITY_HIGHEST : ownPriority);
  } catch {
    // Without CAP_SYS_NICE it is as quick as it is.
  }
}

/** One for a daemon. */
export class NodeMigrations {
  readonly migrations: Migrations;
  readonly #parts: NodeMigrationsParts;
  #opening: Opening | undefined;
  #channel: PeerChannel | undefined;
  #fault: string | undefined;
  #following: Promise<void> = Promise.resolve();
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(parts: NodeMigrationsParts) {
    this.#parts = parts;
    const { engine, datapath, vtepsOf, log, onStep } = parts;
    this.migrations = new Migrations({
      engine, datapath, vtepsOf, log, onStep, setUrgent,
      timeoutMs: () => (this.#opening?.conf.timeoutSeconds ?? 0) * 1000,
      correspondent: () => {
        const channel = this.#channel;
        return channel === undefined ? undefined : { ask: (peer, body, options) => channel.ask(peer, body as JsonValue, options), keepOpen: (peer) => channel.keepOpen(peer), isConnected: (peer) => channel.isConnected(peer) };
      },
    });
  }

  /** As follow(), for the first time; fulfilled when what an earlier daemon has begun is gone on with, as far as the other nodes can be asked. */
  async start(conf: NodeConf): Promise<void> {
    await this.follow(conf);
    if (this.#channel === undefined) await this.migrations.resume();
  }

  /** Does what the configuration says from now on, after what it said before. */
  follow({ migration, vtep, node }: NodeConf): Promise<void> {
    const opening = migration === undefined ? undefined : { conf: migration, vtep, node: node ?? hostname() };
    this.#following = this.#following.then(() => this.#change(opening));
    return this.#following;
  }

  /** What is wrong, in words. */
  get faults(): readonly string[] {
    return this.#fault === undefined ? [] : [this.#fault];
  }

  /** Ends it. Migrations that are under way are the next daemon's. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.migrations.stop();
    await this.#following;
    await this.#change(undefined);
  }

  async #change(opening: Opening | undefined): Promise<void> {
    if (isDeepStrictEqual(opening, this.#opening) && (opening === undefined || this.#fault === undefined)) return;
    this.#cancel();
    const before = this.#channel;
    [this.#opening, this.#channel, this.#fault] = [opening, undefined, undefined];
    await before?.close();
    if (opening !== undefined && !this.#isStopped) await this.#open(opening);
  }

  async #open({ conf, vtep, node }: Opening): Promise<void> {
    const { engine, log } = this.#parts;
    // TLS is loaded only where it is needed.
    const { PeerChannel } = await import('../../pkg/peers/peers.ts');
    const channel = new PeerChannel({ conf, node, log, handler: async (body) => (await this.migrations.handle(body)) as JsonValue });
    try {
      await channel.listen(conf.listen ?? engine.underlay(vtep ?? {}, undefined).vtepAddress);
      this.#channel = channel;
      this.#fault = undefined;
      // What is under way keeps a connection, which went with the channel before.
      await this.migrations.resume();
    } catch (error) {
      await channel.close();
      const fault = `other nodes cannot send endpoints here: ${describeWithAdvice(error)}`;
      if (fault !== this.#fault) log.error({ code: 'migration-channel', error: describeWithAdvice(error) }, 'the channel to other nodes cannot be opened: no endpoint comes or goes');
      this.#fault = fault;
      this.#cancel = startTimer(againMs, () => void (this.#following = this.#following.then(() => this.#again())));
    }
  }

  async #again(): Promise<void> {
    const opening = this.#opening;
    if (opening !== undefined && this.#channel === undefined && !this.#isStopped) await this.#open(opening);
  }
}
