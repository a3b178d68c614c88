/** What is written down of offloads that are off, for the daemon after this one: the features of devices do not say who turned them off, or why. Pure. */
import { isJsonObject } from '../../cni/json-value.ts';
import { formatAddress, parseAddress, type Address } from '../../netaddr/netaddr.ts';
import { remedies, type Remedy } from './offload-remedy.ts';

/** A peer on whose account something is off. */
export interface AffectedPeer {
  readonly address: Address;
  /** Its name, where it said it. */
  readonly node?: string;
}

/** What is off on the VXLAN devices of a VTEP of this node. */
export interface RemedyRecord {
  readonly vtep: Address;
  readonly remedy: Remedy;
  readonly peers: readonly AffectedPeer[];
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** As text. */
export function formatRecords(records: readonly RemedyRecord[]): string {
  const off = records.map(({ vtep, remedy, since, peers }) => ({ vtep: formatAddress(vtep), remedy, since, peers: peers.map(({ address, node }) => ({ address: formatAddress(address), ...(node === undefined ? {} : { node }) })) }));
  return `${JSON.stringify({ off })}\n`;
}

/** What the text says. @throws SyntaxError */
export function parseRecords(text: string): RemedyRecord[] {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value) || !Array.isArray(value['off'])) throw new SyntaxError('it must be an object with a list "off"');
  return value['off'].map((item: unknown) => {
    if (!isJsonObject(item) || !Array.isArray(item['peers'])) throw new SyntaxError('an entry of "off" must be an object with a list "peers"');
    const remedy = remedies.find((one) => one === item['remedy']);
    if (remedy === undefined || typeof item['since'] !== 'number') throw new SyntaxError('an entry of "off" must have a remedy and a time');
    return { vtep: parseAddress(String(item['vtep']), 'vtep'), remedy, since: item['since'], peers: item['peers'].map(parsePeer) };
  });
}

function parsePeer(value: unknown): AffectedPeer {
  if (!isJsonObject(value)) throw new SyntaxError('a peer must be an object');
  const address = parseAddress(String(value['address']), 'address');
  return typeof value['node'] === 'string' ? { address, node: value['node'] } : { address };
}
