/** What is wrong with the guard, in words. */
import type { NetlinkMessage, NetlinkRequest } from '../../netlink/codec.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { listRules, ruleChain } from '../../nftables/nftables.ts';
import { gatewayTable, gatewayTables } from './gateway-rules.ts';
import { baseTables, missingTables } from './guard.ts';
import type { GuardElement } from './guard-elements.ts';
import { guardTables } from './guard-rules.ts';
import { findMissing, setName } from './guard-state.ts';

/** Tables, rules and elements that an attachment with these elements needs and the kernel does not have; empty when it is whole. */
export function describeGuardDamage(netfilter: Netlink, elements: readonly GuardElement[]): string[] {
  const hasGateway = elements.some((element) => element.table === gatewayTable);
  const tables = hasGateway ? [...baseTables, gatewayTable] : baseTables;
  const missing = new Set(missingTables(netfilter, tables));
  const present = tables.filter((table) => !missing.has(table));
  const made = countRules(hasGateway ? [...guardTables(), ...gatewayTables()] : guardTables());
  const found = countRules(present.flatMap((table) => netfilter.dump(listRules(table))));
  const prefixes = present.map(({ family, table }) => `${family} ${table} `);
  const chains = [...made].filter(([chain, count]) => prefixes.some((prefix) => chain.startsWith(prefix)) && found.get(chain) !== count).map(([chain]) => chain);
  const sets = new Set(findMissing(netfilter, elements.filter((element) => !missing.has(element.table))).map(setName));
  return [
    ...[...missing].map(({ family, table }) => `the guard lacks the nft table ${family} ${table}`),
    ...chains.map((chain) => `the guard's nft chain ${chain} does not have the rules it was made with`),
    ...[...sets].map((set) => `the guard lacks an element of the nft set ${set}`),
  ];
}

/** How many rules each chain has. Their number tells a chain that was flushed or added to; weft never changes one. */
function countRules(messages: readonly (NetlinkMessage | NetlinkRequest)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const chain of messages.map(ruleChain)) if (chain !== undefined) counts.set(chain, (counts.get(chain) ?? 0) + 1);
  return counts;
}
