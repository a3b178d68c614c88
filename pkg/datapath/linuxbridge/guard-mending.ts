import type { Netlink } from '../../netlink/netlink-socket.ts';
import { addElement, commitBatch, deleteTable } from '../../nftables/nftables.ts';
import type { KnownState } from '../datapath.ts';
import { gatewayTable, gatewayTables } from './gateway-rules.ts';
import { describeGuardDamage } from './guard-damage.ts';
import { knownElements } from './guard-elements.ts';
import { guardTables } from './guard-rules.ts';
import { baseTables, elementsPerBatch, missingTables } from './guard.ts';

/**
 * Makes the whole guard anew where somebody has damaged it. Old tables out and new ones in is one transaction: at no moment
 * is a port open. On a node with more elements than a batch takes, the ports of the rest are closed until the next batch.
 */
export function mendGuard(netfilter: Netlink, known: KnownState): string[] {
  if (known.segments.length === 0) return [];
  const elements = knownElements(known);
  const damage = describeGuardDamage(netfilter, elements);
  if (damage.length === 0) return [];
  const all = [...baseTables, gatewayTable];
  const missing = new Set(missingTables(netfilter, all));
  const hasGateway = elements.some((element) => element.table === gatewayTable);
  const tables = [...all.filter((table) => !missing.has(table)).map(deleteTable), ...guardTables(), ...(hasGateway ? gatewayTables() : [])];
  const additions = elements.map((element) => addElement(element.table, element));
  commitBatch(netfilter, [...tables, ...additions.slice(0, elementsPerBatch)]);
  for (let at = elementsPerBatch; at < additions.length; at += elementsPerBatch) commitBatch(netfilter, additions.slice(at, at + elementsPerBatch));
  return damage;
}
