/** Asking the other nodes of a tenant where an endpoint is. */
import { randomUUID } from 'node:crypto';
import type { EngineParts } from '../attachment/engine-parts.ts';
import type { EndpointQuestion, FoundEndpoint } from '../attachment/moves.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import type { Log } from '../log/log.ts';
import { addressesEqual, formatAddress, type Address, type Vni } from '../netaddr/netaddr.ts';
import { decodeFound, encodeBody, type FindAnswer } from './messages.ts';

/** Speaks with the daemons of other nodes. */
export interface Correspondent {
  /** @throws WeftError the other node's, or tryAgainLater where it does not answer in time */
  ask(peer: Address, body: unknown, options: { readonly deadlineMs: number }): Promise<unknown>;
  /** Sees to it that a question to the peer need not wait for a connection, until the returned function is called. */
  keepOpen(peer: Address): () => void;
  /** Whether the peer's daemon has been there until now. */
  isConnected(peer: Address): boolean;
}

export interface ElsewhereParts {
  readonly engine: Pick<EngineParts, 'ledger'>;
  /** Undefined: nobody can be asked. */
  readonly correspondent: Correspondent | undefined;
  readonly vtepsOf: (vni: Vni) => Promise<readonly Address[]>;
  /** VTEPs that are asked beside those that are known. */
  readonly expected: readonly Address[];
  readonly log: Log;
}

/** A node that does not answer in this time does not keep an ADD waiting. */
const answerMs = 1000;

interface Answered {
  readonly vtep: Address;
  readonly answer: FindAnswer;
}

/**
 * What the other nodes have of the endpoint; undefined where none has anything that this one does not know better.
 * @throws WeftError tryAgainLater while it is on its way already, or two nodes say that they have it
 */
export async function findElsewhere(parts: ElsewhereParts, { segment, endpoint }: EndpointQuestion): Promise<FoundEndpoint | undefined> {
  const { correspondent, engine } = parts;
  if (correspondent === undefined) return undefined;
  const { vni } = segment;
  const known = engine.ledger().read((tx) => ({ peers: tx.findSegment(vni)?.segment.peers ?? [], identity: tx.findIdentity(vni, endpoint) }));
  const vteps = [...segment.peers, ...known.peers, ...parts.expected, ...(await parts.vtepsOf(vni))].filter((vtep, at, all) => !addressesEqual(vtep, segment.vtepAddress) && all.findIndex((other) => addressesEqual(other, vtep)) === at);
  const body = encodeBody({ kind: 'find', vni, endpoint });
  const answers = (await Promise.all(vteps.map((vtep) => ask(parts, correspondent, { vtep, body })))).filter((answered) => answered !== undefined);
  return chooseAnswer(endpoint, answers, known.identity?.updatedAt);
}

async function ask({ log }: ElsewhereParts, correspondent: Correspondent, { vtep, body }: { readonly vtep: Address; readonly body: unknown }): Promise<Answered | undefined> {
  try {
    return { vtep, answer: decodeFound(await correspondent.ask(vtep, body, { deadlineMs: answerMs })) };
  } catch (error) {
    log.warn({ code: 'migration-unasked', vtep: formatAddress(vtep), error: describeError(error) }, 'a node could not be asked for an endpoint: where it has it, it will be at two');
    return undefined;
  }
}

/** Pure. @param ownSince since when this node keeps something for the endpoint; undefined: it does not */
export function chooseAnswer(endpoint: string, answers: readonly Answered[], ownSince: number | undefined): FoundEndpoint | undefined {
  const moving = answers.find(({ answer }) => answer.kind === 'moving');
  if (moving?.answer.kind === 'moving') throw new WeftError('tryAgainLater', `The endpoint ${endpoint} at VTEP ${formatAddress(moving.vtep)} cannot come here now: ${moving.answer.words}`);
  const attached = answers.flatMap(({ vtep, answer }) => (answer.kind === 'attached' ? [{ vtep, answer }] : []));
  const [first, second] = attached;
  if (first !== undefined && second !== undefined) {
    throw new WeftError('addressTaken', `The endpoint ${endpoint} is attached at two VTEPs, ${formatAddress(first.vtep)} and ${formatAddress(second.vtep)}: delete one of the containers`);
  }
  if (first !== undefined) return { mac: first.answer.mac, addresses: first.answer.addresses, migration: { id: randomUUID(), other: first.vtep } };
  const kept = answers.flatMap(({ answer }) => (answer.kind === 'kept' ? [answer] : [])).sort((one, other) => other.updatedAt - one.updatedAt)[0];
  return kept === undefined || (ownSince !== undefined && ownSince >= kept.updatedAt) ? undefined : { mac: kept.mac, addresses: kept.addresses };
}
