/** What is wrong with the guard. */
import type { NetlinkMessage, NetlinkRequest } from '../../netlink/codec.ts';
import { NetlinkError } from '../../netlink/netlink-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { describedChain, describedRule, getTable, isDormantTable, listChains, listRules, type Listed, type TableName } from '../../nftables/nftables.ts';
import { gatewayTable, gatewayTables } from './gateway-rules.ts';
import { baseTables } from './guard.ts';
import type { GuardElement } from './guard-elements.ts';
import { guardTables } from './guard-rules.ts';
import { findMissing, setName } from './guard-state.ts';

/** The damage, apart by what it takes to mend it. */
export interface GuardDamage {
  /** Of tables, chains and rules, in words: weft never changes them, so the tables are made anew. */
  readonly structure: readonly string[];
  /** What can simply be added. */
  readonly missing: readonly GuardElement[];
}

/** Tables, rules and elements that attachments with these elements need and the kernel does not have. */
export function findGuardDamage(netfilter: Netlink, elements: readonly GuardElement[]): GuardDamage {
  const hasGateway = elements.some((element) => element.table === gatewayTable);
  const tables = hasGateway ? [...baseTables, gatewayTable] : baseTables;
  const found = netfilter.tryRequest(tables.map(getTable));
  const missing = new Set(tables.filter((_table, index) => isMissing(found[index])));
  const dormant = tables.filter((_table, index) => readsAs(found[index], isDormantTable));
  const chains = damagedChains(netfilter, { present: tables.filter((table) => !missing.has(table)), made: hasGateway ? [...guardTables(), ...gatewayTables()] : guardTables() });
  return {
    structure: [
      ...[...missing].map(({ family, table }) => `the guard lacks the nft table ${family} ${table}`),
      ...dormant.map(({ family, table }) => `the guard's nft table ${family} ${table} is dormant`),
      ...chains.map((chain) => `the guard's nft chain ${chain} does not have the rules it was made with`),
    ],
    missing: findMissing(netfilter, elements.filter((element) => !missing.has(element.table))),
  };
}

/** All of the damage in words; empty when the guard is whole. */
export function describeGuardDamage(netfilter: Netlink, elements: readonly GuardElement[]): string[] {
  const { structure, missing } = findGuardDamage(netfilter, elements);
  return [...structure, ...missingInWords(missing)];
}

/** Each set once. */
export function missingInWords(elements: readonly GuardElement[]): string[] {
  return [...new Set(elements.map(setName))].map((set) => `the guard lacks an element of the nft set ${set}`);
}

function isMissing(outcome: NetlinkMessage[] | NetlinkError | undefined): boolean {
  if (!(outcome instanceof NetlinkError)) return false;
  if (outcome.errnoCode === 'ENOENT') return true;
  throw outcome;
}

function readsAs(outcome: NetlinkMessage[] | NetlinkError | undefined, is: (message: NetlinkMessage) => boolean): boolean {
  return Array.isArray(outcome) && outcome.some(is);
}

/** Chains of the tables that are there, as they are listed, whose hook, policy or rules are not those they were made with, in that order. */
export function damagedChains(netfilter: Netlink, { present, made }: { present: readonly TableName[]; made: readonly NetlinkRequest[] }): string[] {
  const families = [...new Set(present.map(({ family }) => family))];
  const listed = [...families.flatMap((family) => netfilter.dump(listChains(family))), ...present.flatMap((table) => netfilter.dump(listRules(table)))];
  const [wanted, found] = [marksOf(made), marksOf(listed)];
  const isOfPresent = (chain: string): boolean => present.some(({ family, table }) => chain.startsWith(`${family} ${table} `));
  return [...new Set([...wanted.keys(), ...found.keys()])].filter((chain) => isOfPresent(chain) && wanted.get(chain) !== found.get(chain));
}

/** What each chain is, and its rules in their order. */
function marksOf(messages: readonly (NetlinkMessage | NetlinkRequest)[]): Map<string, string> {
  const marks = new Map<string, string>();
  const note = (listed: Listed | undefined): void => {
    if (listed !== undefined) marks.set(listed.chain, `${marks.get(listed.chain) ?? ''}${listed.mark};`);
  };
  for (const message of messages) note(describedChain(message));
  for (const message of messages) note(describedRule(message));
  return marks;
}
