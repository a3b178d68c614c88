/**
 * The copies that a source relays: of each frame for an endpoint on its way one goes to the relay, whoever sent it.
 *
 * An nft table of family netdev for each endpoint, named after its host interface: what weft-vx receives for its MAC, and what its host interface is
 * about to send. What has been copied as it came in is marked, and not copied again; the mark is set behind the copy, whose route to the target it
 * would otherwise have a say in.
 */
import { WeftError } from '../../errors/weft-error.ts';
import { macBytes } from '../../netaddr/netaddr.ts';
import type { NetlinkRequest } from '../../netlink/codec.ts';
import { isRefusal, NetlinkError } from '../../netlink/netlink-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { compare, counter, duplicateTo, loadMeta, loadPayload, setMark, type Expression } from '../../nftables/expression.ts';
import { addChain, addRule, commitBatch, countedPackets, createTable, deleteTable, describedTable, getChain, getTable, listRules, listTables, type TableName } from '../../nftables/nftables.ts';
import type { AttachmentPort } from '../../overlay/model.ts';
import { isPortName, vxlanName } from '../../overlay/names.ts';
import { isRelayed } from '../phases.ts';
import { damagedChains } from '../guard/guard-damage.ts';

/** An endpoint whose frames are copied. */
export type Copied = Pick<AttachmentPort, 'hostIf' | 'mac' | 'vni'>;

/** Where the copies go, and what there is to copy from. */
export interface CopyLinks {
  /** Number of the relay. */
  readonly relay: number;
  /** Whether the host interface is there: it goes with the machine's namespace, and nothing is sent to it then. Default: it is. */
  readonly hasHost?: boolean;
}

/** None of the bits by which Kubernetes' kube-proxy and others know packets. */
const copiedMark = Uint8Array.of(0x77, 0, 0, 0);

function tableOf({ hostIf }: Pick<Copied, 'hostIf'>): TableName {
  return { family: 'netdev', table: hostIf };
}

function tableRequests(copied: Copied, { relay, hasHost = true }: CopyLinks): NetlinkRequest[] {
  const table = tableOf(copied);
  const isForIt: Expression[] = [loadPayload({ base: 'link', offset: 0, length: 6 }), compare('equal', macBytes(copied.mac))];
  const copy = [counter(), ...duplicateTo(relay)];
  return [
    createTable(table),
    addChain(table, { name: 'received', hook: { point: 'ingress', priority: 0, type: 'filter', link: vxlanName(copied.vni) } }),
    addRule(table, 'received', [...isForIt, ...copy, ...setMark(copiedMark)]),
    ...(hasHost ? [
      addChain(table, { name: 'sent', hook: { point: 'egress', priority: 0, type: 'filter', link: copied.hostIf } }),
      addRule(table, 'sent', [...isForIt, loadMeta('mark'), compare('notEqual', copiedMark), ...copy]),
    ] : []),
  ];
}

/** Makes the copies, where their table is missing or has lost a chain. @throws WeftError kernelRefused */
export function ensureCopies(netfilter: Netlink, copied: Copied, links: CopyLinks): void {
  const chains = links.hasHost === false ? ['received'] : ['received', 'sent'];
  const table = tableOf(copied);
  const [isThere, ...hasChains] = netfilter.tryRequest([getTable(table), ...chains.map((chain) => getChain(table, chain))]).map(isFound);
  if (isThere === true && hasChains.every((isPresent) => isPresent)) return;
  remakeCopies(netfilter, { copied, links, isThere: isThere === true });
}

function isFound(outcome: unknown): boolean {
  if (!(outcome instanceof NetlinkError)) return true;
  if (outcome.errnoCode === 'ENOENT') return false;
  throw outcome;
}

function remakeCopies(netfilter: Netlink, { copied, links, isThere }: { readonly copied: Copied; readonly links: CopyLinks; readonly isThere: boolean }): void {
  try {
    commitBatch(netfilter, [...(isThere ? [deleteTable(tableOf(copied))] : []), ...tableRequests(copied, links)]);
  } catch (error) {
    if (!isRefusal(error, 'EOPNOTSUPP', 'EPROTONOSUPPORT')) throw error;
    throw new WeftError('kernelRefused', 'Cannot relay frames: the kernel needs nf_tables for single links, in and out: CONFIG_NF_TABLES_NETDEV, CONFIG_NETFILTER_EGRESS and CONFIG_NFT_DUP_NETDEV must be set', { cause: error });
  }
}

/** Ends the copies; no error where there are none. */
export function removeCopies(netfilter: Netlink, copied: Pick<Copied, 'hostIf'>): void {
  const table = tableOf(copied);
  if (netfilter.tryRequest([getTable(table)]).every(isFound)) commitBatch(netfilter, [deleteTable(table)]);
}

/** How many frames have been copied. */
export function countCopies(netfilter: Netlink, copied: Pick<Copied, 'hostIf'>): number {
  return netfilter.dump(listRules(tableOf(copied))).map(countedPackets).reduce((sum, count) => sum + count, 0);
}

/** Whether frames are not copied as they were to be. @param relay number of the link they go to */
export function areCopiesDamaged(netfilter: Netlink, copied: Copied, relay: number): boolean {
  const table = tableOf(copied);
  const isThere = netfilter.tryRequest([getTable(table)]).every(isFound);
  return !isThere || damagedChains(netfilter, { present: [table], made: tableRequests(copied, { relay }) }).length > 0;
}

/** Makes the copies anew, whatever there is. @throws WeftError kernelRefused */
export function repairCopies(netfilter: Netlink, copied: Copied, relay: number): void {
  remakeCopies(netfilter, { copied, links: { relay }, isThere: netfilter.tryRequest([getTable(tableOf(copied))]).every(isFound) });
}

/** Ends the copies that none of the attachments needs; what went, in words. */
export function collectCopies(netfilter: Netlink, ports: readonly AttachmentPort[]): string[] {
  const known = new Set(ports.filter(isRelayed).map(({ hostIf }) => hostIf));
  const garbage = netfilter.dump(listTables('netdev')).map(describedTable).filter((name) => name !== undefined && isPortName(name) && !known.has(name)) as string[];
  for (const hostIf of garbage) removeCopies(netfilter, { hostIf });
  return garbage.map((hostIf) => `nft table netdev ${hostIf}`);
}
