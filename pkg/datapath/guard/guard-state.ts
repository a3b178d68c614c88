/** Reading the guard back from the kernel. */
import { decodeAttributeList, decodeAttributes } from '../../netlink/codec.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { keyOf, listElements, type TableName } from '../../nftables/nftables.ts';
import type { GuardElement } from './guard-elements.ts';

/** struct nfgenmsg. */
const headerBytes = 4;

/** The keys of a set's elements, in hexadecimal; undefined where table or set is missing. */
export function readSet(netfilter: Netlink, table: TableName, set: string): Set<string> | undefined {
  try {
    return new Set(netfilter.dump(listElements(table, set)).flatMap((message) => decodeElementKeys(message.payload)));
  } catch (error) {
    if (isRefusal(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** NFTA_SET_ELEM_LIST_ELEMENTS holds NFTA_LIST_ELEM, each with NFTA_SET_ELEM_KEY, whose NFTA_DATA_VALUE is the key. */
function decodeElementKeys(payload: Buffer): string[] {
  const elements = decodeAttributes(payload, headerBytes).get(3);
  if (elements === undefined) return [];
  const keys: string[] = [];
  for (const { value } of decodeAttributeList(elements)) {
    const key = decodeAttributes(value).get(1);
    const bytes = key === undefined ? undefined : decodeAttributes(key).get(1);
    if (bytes !== undefined) keys.push(bytes.toString('hex'));
  }
  return keys;
}

/** Which of the elements are not in the kernel. Each set is read once. */
export function findMissing(netfilter: Netlink, elements: readonly GuardElement[]): GuardElement[] {
  const sets = new Map<string, Set<string> | undefined>();
  return elements.filter((element) => {
    const name = setName(element);
    if (!sets.has(name)) sets.set(name, readSet(netfilter, element.table, element.set));
    return sets.get(name)?.has(Buffer.from(keyOf(element)).toString('hex')) !== true;
  });
}

/** The set an element belongs in, as `nft list set` names it. */
export function setName({ table, set }: GuardElement): string {
  return `${table.family} ${table.table} ${set}`;
}
