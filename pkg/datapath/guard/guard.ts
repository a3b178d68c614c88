/** Putting the guard into the kernel and taking it out. */
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { isRefusal, NetlinkError } from '../../netlink/netlink-error.ts';
import { addElement, commitBatch, deleteElement, deleteTable, getElement, getTable, type TableName } from '../../nftables/nftables.ts';
import type { Segment } from '../../overlay/model.ts';
import { gatewayTable, gatewayTables } from './gateway-rules.ts';
import type { GuardElement } from './guard-elements.ts';
import { bridgeTable, guardTables, inetTable } from './guard-rules.ts';
import { findMissing } from './guard-state.ts';

/**
 * Adds elements. The order is try, then look: on all but the node's first ADD the tables are there, and asking would cost
 * each ADD a request.
 */
export function addGuard(netfilter: Netlink, elements: readonly GuardElement[]): void {
  const requests = elements.map((element) => addElement(element.table, element));
  try {
    commitBatch(netfilter, requests);
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
    ensureTables(netfilter, elements);
    commitBatch(netfilter, requests);
  }
}

/**
 * Makes the tables that the elements need. It asks first: the kernel takes 7–15 ms to abort a batch (it waits for readers
 * of the old rules), and microseconds to say that a table is there.
 */
export function ensureTables(netfilter: Netlink, elements: readonly GuardElement[]): void {
  const isGatewayNeeded = elements.some((element) => element.table === gatewayTable);
  const missing = new Set(missingTables(netfilter, isGatewayNeeded ? [...baseTables, gatewayTable] : baseTables));
  if (baseTables.some((table) => missing.has(table))) installTables(netfilter, guardTables());
  if (missing.has(gatewayTable)) installTables(netfilter, gatewayTables());
}

/** Which of the tables are not in the kernel. */
export function missingTables(netfilter: Netlink, tables: readonly TableName[]): TableName[] {
  const outcomes = netfilter.tryRequest(tables.map(getTable));
  return tables.filter((_table, index) => {
    const outcome = outcomes[index];
    if (!(outcome instanceof NetlinkError)) return false;
    if (outcome.errnoCode === 'ENOENT') return true;
    throw outcome;
  });
}

/** Two processes may find the tables missing at once: the second one's batch is refused whole, and that is all right. */
function installTables(netfilter: Netlink, batch: ReturnType<typeof guardTables>): void {
  try {
    commitBatch(netfilter, batch);
  } catch (error) {
    if (!isRefusal(error, 'EEXIST')) throw error;
  }
}

/** Removes elements, whichever of them are there. */
export function removeGuard(netfilter: Netlink, elements: readonly GuardElement[]): void {
  try {
    commitBatch(netfilter, elements.map((element) => deleteElement(element.table, element)));
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
    // One that is missing undid the whole batch: kernels before 6.3 cannot delete without complaint.
    const missing = new Set(findMissing(netfilter, elements));
    commitBatch(netfilter, elements.filter((element) => !missing.has(element)).map((element) => deleteElement(element.table, element)));
  }
}

/** Removes elements of which nobody knows whether they are there, in one batch with the additions; a batch that asks for one too many would be aborted. */
export function exchangeGuard(netfilter: Netlink, { added = [], removed }: { readonly added?: readonly GuardElement[]; readonly removed: readonly GuardElement[] }): void {
  const gone = removed.flatMap((element) => [addElement(element.table, element), deleteElement(element.table, element)]);
  commitBatch(netfilter, [...added.map((element) => addElement(element.table, element)), ...gone]);
}

/** Which of the elements are in the kernel; quicker than findMissing() for a few of large sets. */
export function hasElements(netfilter: Netlink, elements: readonly GuardElement[]): boolean[] {
  return netfilter.tryRequest(elements.map((element) => getElement(element.table, element))).map((outcome) => {
    if (!(outcome instanceof NetlinkError)) return true;
    if (outcome.errnoCode === 'ENOENT') return false;
    throw outcome;
  });
}

/** Removes tables with all that is in them, whichever of them are there. */
export function removeTables(netfilter: Netlink, tables: readonly TableName[]): void {
  const missing = new Set(missingTables(netfilter, tables));
  commitBatch(netfilter, tables.filter((table) => !missing.has(table)).map(deleteTable));
}

/** Removes the tables that a node with only these segments does not need. Its ports must be gone: without tables they are open. */
export function trimGuard(netfilter: Netlink, segments: readonly Segment[]): void {
  const hasGateway = segments.some((segment) => segment.gateway !== undefined);
  const unused = [...(segments.length === 0 ? baseTables : []), ...(hasGateway ? [] : [gatewayTable])];
  if (unused.length > 0) removeTables(netfilter, unused);
}

/** A batch is one datagram, which a socket takes up to 208 KiB of (net.core.wmem_default): some 2000 elements. */
export const elementsPerBatch = 1000;

/** The tables every node with an attachment has. */
export const baseTables: readonly TableName[] = [bridgeTable, inetTable];
