/** What the daemons of two nodes say to each other about endpoints: JSON objects out and in. Pure. */
import { isJsonObject, showValue, type JsonObject } from '../cni/json-value.ts';
import { WeftError } from '../errors/weft-error.ts';
import { formatAddress, formatInterfaceAddress, parseAddress, parseInterfaceAddress, parseMac, parseVni, type Address, type InterfaceAddress, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { MigrationEvent, Phase } from './course.ts';

/** Names an endpoint of any node. */
export interface EndpointName {
  readonly vni: Vni;
  /** WEFT_ENDPOINT. */
  readonly endpoint: string;
}

/** What one node may say to the other: what happens there follows from it. */
export type Saying = Extract<MigrationEvent, 'begin' | 'open' | 'opened' | 'left' | 'cancelled' | 'abandoned' | 'gone'>;
export const sayings: readonly Saying[] = ['begin', 'open', 'opened', 'left', 'cancelled', 'abandoned', 'gone'];

export type Message =
  /** Where is the endpoint? Answered by a FindAnswer. */
  | ({ readonly kind: 'find' } & EndpointName)
  /** Something has happened to the migration. `vtep` is the sender's. Answered by a PhaseAnswer. */
  | ({ readonly kind: 'say'; readonly id: string; readonly saying: Saying; readonly vtep: Address } & EndpointName)
  /** How far is the migration? Answered by a PhaseAnswer. */
  | ({ readonly kind: 'ask'; readonly id: string } & EndpointName);

export type FindAnswer =
  | { readonly kind: 'absent' }
  /** It is attached here. */
  | { readonly kind: 'attached'; readonly mac: Mac; readonly addresses: readonly InterfaceAddress[] }
  /** It is on its way from here to a VTEP, or has just come. */
  | { readonly kind: 'moving'; readonly words: string }
  /** It is attached nowhere here, and this is kept for it since `updatedAt` (milliseconds since the epoch). */
  | { readonly kind: 'kept'; readonly mac: Mac; readonly addresses: readonly InterfaceAddress[]; readonly updatedAt: number };

export interface PhaseAnswer {
  /** `unknown`: there is no such migration here. */
  readonly phase: Phase | 'unknown';
}

/** A message, or an answer, as it travels. */
export function encodeBody(body: Message | FindAnswer | PhaseAnswer): JsonObject {
  return {
    ...body,
    ...('vtep' in body ? { vtep: formatAddress(body.vtep) } : {}),
    ...('addresses' in body ? { addresses: body.addresses.map(formatInterfaceAddress) } : {}),
  };
}

/** @throws WeftError invalidConfiguration for what is no message: of a newer version, perhaps */
export function decodeMessage(body: unknown): Message {
  return decode(body, (fields): Message => {
    const name = { vni: parseVni(fields['vni']), endpoint: text(fields, 'endpoint') };
    switch (fields['kind']) {
      case 'find':
        return { kind: 'find', ...name };
      case 'ask':
        return { kind: 'ask', id: text(fields, 'id'), ...name };
      case 'say':
        return { kind: 'say', id: text(fields, 'id'), saying: oneOf(fields, 'saying', sayings), vtep: parseAddress(text(fields, 'vtep')), ...name };
      default:
        throw new RangeError(`kind must be find, ask or say: current value is ${showValue(fields['kind'])}`);
    }
  });
}

/** @throws as decodeMessage() */
export function decodeFound(body: unknown): FindAnswer {
  return decode(body, (fields): FindAnswer => {
    switch (fields['kind']) {
      case 'absent':
        return { kind: 'absent' };
      case 'moving':
        return { kind: 'moving', words: text(fields, 'words') };
      case 'attached':
        return { kind: 'attached', ...identity(fields) };
      case 'kept':
        return { kind: 'kept', ...identity(fields), updatedAt: Number(fields['updatedAt']) };
      default:
        throw new RangeError(`kind must be absent, moving, attached or kept: current value is ${showValue(fields['kind'])}`);
    }
  });
}

const phases: readonly PhaseAnswer['phase'][] = ['none', 'relaying', 'departed', 'left', 'waiting', 'arrived', 'unknown'];

/** @throws as decodeMessage() */
export function decodePhase(body: unknown): PhaseAnswer {
  return decode(body, (fields) => ({ phase: oneOf(fields, 'phase', phases) }));
}

function decode<T>(body: unknown, read: (fields: JsonObject) => T): T {
  try {
    if (!isJsonObject(body)) throw new TypeError(`it must be an object: it is ${showValue(body)}`);
    return read(body);
  } catch (error) {
    throw new WeftError('invalidConfiguration', 'another node says what this weft does not understand: use versions that fit each other', { cause: error });
  }
}

function identity(fields: JsonObject): { readonly mac: Mac; readonly addresses: readonly InterfaceAddress[] } {
  const addresses = fields['addresses'];
  if (!Array.isArray(addresses)) throw new TypeError('addresses must be a list');
  return { mac: parseMac(text(fields, 'mac')), addresses: addresses.map((address) => parseInterfaceAddress(String(address))) };
}

function text(fields: JsonObject, key: string): string {
  const value = fields[key];
  if (typeof value !== 'string' || value === '') throw new TypeError(`${key} must be text: current value is ${showValue(value)}`);
  return value;
}

function oneOf<T extends string>(fields: JsonObject, key: string, words: readonly T[]): T {
  const value = text(fields, key);
  const found = words.find((word) => word === value);
  if (found === undefined) throw new RangeError(`${key} must be one of ${words.join(', ')}: current value is ${showValue(value)}`);
  return found;
}
