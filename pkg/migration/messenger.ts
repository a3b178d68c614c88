/** Telling the other node of a migration what has happened, and asking it how far it is. */
import type { EngineParts } from '../attachment/engine-parts.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import type { Log } from '../log/log.ts';
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import type { PortMigration } from '../overlay/model.ts';
import { pause } from '../sys/timer.ts';
import type { Correspondent } from './elsewhere.ts';
import { decodeFound, decodePhase, encodeBody, type EndpointName, type FindAnswer, type Message, type PhaseAnswer, type Saying } from './messages.ts';

/** What came of telling or asking the other node: how far it is, or why that is not known. */
export type Told = { readonly phase: PhaseAnswer['phase'] } | { readonly words: string };

export interface MessengerParts {
  readonly engine: Pick<EngineParts, 'ledger'>;
  /** Undefined while the configuration has no `migration`. */
  readonly correspondent: () => Correspondent | undefined;
  readonly log: Log;
}

/** How long the other node may take to answer. It is on the same network, and what it does takes milliseconds. */
const answerMs = 1000;
/** How often it is told the same, when it does not answer, and after which pauses. */
const tellPausesMs = [100, 300, 1000] as const;

/** What of a migration a message is about. */
type Parties = Pick<PortMigration, 'id' | 'other'>;

/** Never rejects: what the other node does not hear is tried again, or found out later. */
export class Messenger {
  readonly #parts: MessengerParts;
  #isStopped = false;

  constructor(parts: MessengerParts) {
    this.#parts = parts;
  }

  /** Says nothing again that was not heard. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Says it once. */
  async say(record: AttachmentRecord, { id, other }: Parties, saying: Saying): Promise<Told> {
    const vtep = this.#vtepOf(record);
    if (vtep === undefined) return { words: 'the tenant is gone from this node' };
    return this.#ask(other, { kind: 'say', id, saying, vtep, ...nameOf(record) });
  }

  /** As say(), with all that it takes at hand: what the returned function says is on its way when it returns. */
  prepare(record: AttachmentRecord, { id, other }: Parties, saying: Saying): () => Promise<Told> {
    const vtep = this.#vtepOf(record);
    if (vtep === undefined) return () => this.say(record, { id, other }, saying);
    const message: Message = { kind: 'say', id, saying, vtep, ...nameOf(record) };
    return () => this.#ask(other, message);
  }

  /** Says it until it is heard, or for some seconds. @param first what came of having said it already */
  async tell(record: AttachmentRecord, parties: Parties, { saying, first }: { readonly saying: Saying; readonly first?: Promise<Told> | undefined }): Promise<Told> {
    let told = await (first ?? this.say(record, parties, saying));
    for (const ms of tellPausesMs) {
      if ('phase' in told) return told;
      await pause(ms);
      if (this.#isStopped) return told;
      told = await this.say(record, parties, saying);
    }
    if (!('phase' in told)) this.#parts.log.warn({ code: 'migration-silent', ...describe(record), error: told.words, said: saying }, 'the other node of a migration does not answer');
    return told;
  }

  #vtepOf({ vni }: AttachmentRecord): Address | undefined {
    return this.#parts.engine.ledger().read((tx) => tx.findSegment(vni))?.segment.vtepAddress;
  }

  /** Asks how far the other node is. */
  ask(record: AttachmentRecord, { id, other }: Parties): Promise<Told> {
    return this.#ask(other, { kind: 'ask', id, ...nameOf(record) });
  }

  async #ask(other: Address, message: Message): Promise<Told> {
    try {
      return decodePhase(await this.#require().ask(other, encodeBody(message), { deadlineMs: answerMs }));
    } catch (error) {
      return { words: describeError(error) };
    }
  }

  /** Asks a node for an endpoint; unlike the others it rejects. @throws WeftError */
  async find(vtep: Address, name: EndpointName): Promise<FindAnswer> {
    return decodeFound(await this.#require().ask(vtep, encodeBody({ kind: 'find', ...name }), { deadlineMs: answerMs }));
  }

  #require(): Correspondent {
    const correspondent = this.#parts.correspondent();
    if (correspondent !== undefined) return correspondent;
    throw new WeftError('invalidConfiguration', 'the node configuration must have a migration section: without one no endpoint comes or goes', { details: 'add it on every node of the tenant, with the same key' });
  }
}

function nameOf({ vni, endpoint = '' }: AttachmentRecord): EndpointName {
  return { vni, endpoint };
}

/** An attachment and its migration, for the log. */
export function describe({ tenant, endpoint, key: { containerId }, port: { migration } }: AttachmentRecord): Record<string, unknown> {
  return { tenant, endpoint, containerId, ...(migration === undefined ? {} : { migration: migration.id, other: formatAddress(migration.other) }) };
}
