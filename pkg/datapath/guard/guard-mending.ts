import { isRefusal } from '../../netlink/netlink-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { addElement, commitBatch, deleteTable } from '../../nftables/nftables.ts';
import type { KnownState } from '../datapath.ts';
import { probeTunnels } from '../../overlay/probe.ts';
import { gatewayTable, gatewayTables } from './gateway-rules.ts';
import { findGuardDamage, missingInWords } from './guard-damage.ts';
import { knownElements, openedElements, probeElements, type GuardElement } from './guard-elements.ts';
import { guardTables } from './guard-rules.ts';
import { findMissing } from './guard-state.ts';
import { baseTables, elementsPerBatch, missingTables } from './guard.ts';

/**
 * Puts the guard right where somebody has damaged it: missing elements are added; where tables, chains or rules are not as
 * they were made, everything is made anew. Returns what was wrong, in words.
 */
export function mendGuard(netfilter: Netlink, settled: KnownState, all: KnownState = settled): string[] {
  if (settled.segments.length === 0) return [];
  const { structure, missing } = findGuardDamage(netfilter, knownElements(settled));
  if (structure.length > 0) remakeGuard(netfilter, all);
  else if (missing.length > 0) addMissing(netfilter, all, missing);
  return [...structure, ...missingInWords(missing)];
}

/** Without its set an element has no place. */
function addMissing(netfilter: Netlink, all: KnownState, missing: readonly GuardElement[]): void {
  try {
    addInBatches(netfilter, missing);
  } catch (error) {
    if (!isRefusal(error, 'ENOENT')) throw error;
    remakeGuard(netfilter, all);
  }
}

/**
 * Old tables out and new ones in is one transaction: at no moment is a port open. On a node with more elements than a batch
 * takes, the ports of the rest are closed until the next batch. What machines have opened stays so: they say only once where they are; and so does what a daemon's probes need.
 */
function remakeGuard(netfilter: Netlink, known: KnownState): void {
  const all = [...baseTables, gatewayTable];
  const missing = new Set(missingTables(netfilter, all));
  const lost = [...openedElements(known), ...probeTunnels(known.segments).flatMap(probeElements)];
  const closed = new Set(lost.length === 0 ? [] : findMissing(netfilter, lost));
  const elements = [...lost.filter((element) => !closed.has(element)), ...knownElements(known)];
  const hasGateway = elements.some((element) => element.table === gatewayTable);
  const tables = [...all.filter((table) => !missing.has(table)).map(deleteTable), ...guardTables(), ...(hasGateway ? gatewayTables() : [])];
  const first = elements.slice(0, elementsPerBatch).map((element) => addElement(element.table, element));
  commitBatch(netfilter, [...tables, ...first]);
  addInBatches(netfilter, elements.slice(elementsPerBatch));
}

function addInBatches(netfilter: Netlink, elements: readonly GuardElement[]): void {
  for (let at = 0; at < elements.length; at += elementsPerBatch) {
    commitBatch(netfilter, elements.slice(at, at + elementsPerBatch).map((element) => addElement(element.table, element)));
  }
}
