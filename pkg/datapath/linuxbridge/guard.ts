/** Putting the guard into the kernel and taking it out. */
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import { addElement, commitBatch, deleteElement, deleteTable, type TableName } from '../../nftables/nftables.ts';
import { gatewayTable, gatewayTables } from './gateway-rules.ts';
import type { GuardElement } from './guard-elements.ts';
import { bridgeTable, guardTables, inetTable } from './guard-rules.ts';

/**
 * Adds elements, and the tables first where they are missing. The order is try, then make: on all but the node's first
 * ADD the tables are there, and asking would cost a request each time.
 */
export function addGuard(netfilter: Netlink, elements: readonly GuardElement[]): void {
  const requests = elements.map((element) => addElement(element.table, element));
  try {
    commitBatch(netfilter, requests);
    return;
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
  }
  installTables(netfilter, guardTables());
  if (elements.some((element) => element.table === gatewayTable)) installTables(netfilter, gatewayTables());
  commitBatch(netfilter, requests);
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
  const requests = elements.map((element) => deleteElement(element.table, element));
  try {
    commitBatch(netfilter, requests);
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
    // One that is missing undid the whole batch: kernels before 6.3 cannot delete without complaint.
    for (const request of requests) tolerateMissing(() => commitBatch(netfilter, [request]));
  }
}

/** Removes tables with all that is in them, whichever of them are there. */
export function removeTables(netfilter: Netlink, tables: readonly TableName[]): void {
  for (const table of tables) tolerateMissing(() => commitBatch(netfilter, [deleteTable(table)]));
}

/** The tables every node with an attachment has. */
export const baseTables: readonly TableName[] = [bridgeTable, inetTable];

function tolerateMissing(fn: () => void): void {
  try {
    fn();
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
  }
}
