/** Chains of everybody that hang at a hook: where a packet may meet a policy that is not weft's. Pure. */
import { decodeAttributes, decodeString, type NetlinkMessage, type NetlinkRequest } from '../netlink/codec.ts';

// include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h
const subsystem = 10;
const [newChain, getChain] = [3, 4] as const;
const nfgenmsgBytes = 4;
/** NFPROTO_*, include/uapi/linux/netfilter.h: those whose chains see IP packets. */
const families = { inet: 1, ip: 2, ip6: 10 } as const;
/** enum nf_inet_hooks. */
const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
/** NF_DROP, include/uapi/linux/netfilter.h. */
const verdictDrop = 0;

/** A family of tables whose chains see IP packets. */
export type IpFamily = keyof typeof families;
export const ipFamilies = Object.keys(families) as readonly IpFamily[];

/** A chain at a hook. */
export interface BaseChain {
  /** As `nft list chain` names it: family, table, chain. */
  readonly name: string;
  readonly hook: (typeof hooks)[number] | undefined;
  /** Whether what no rule decides is dropped. */
  readonly dropsByDefault: boolean;
}

/** Equivalent to: `nft list chains FAMILY`. A dump. */
export function listBaseChains(family: IpFamily): NetlinkRequest {
  return { type: (subsystem << 8) | getChain, flags: 0, payload: Buffer.from([families[family], 0, 0, 0]), what: `list the nft chains of family ${family}` };
}

/** The chain a message describes; undefined for other messages and for chains that hang at no hook. */
export function decodeBaseChain({ type, payload }: Pick<NetlinkMessage, 'type' | 'payload'>): BaseChain | undefined {
  if (type !== ((subsystem << 8) | newChain)) return undefined;
  // NFTA_CHAIN_TABLE 1, NFTA_CHAIN_NAME 3, NFTA_CHAIN_HOOK 4, NFTA_CHAIN_POLICY 5; in the hook NFTA_HOOK_HOOKNUM 1.
  const attributes = decodeAttributes(payload, nfgenmsgBytes);
  const hook = attributes.get(4);
  if (hook === undefined) return undefined;
  const family = ipFamilies.find((name) => families[name] === payload[0]);
  return {
    name: `${family ?? 'unknown'} ${decodeString(attributes.get(1))} ${decodeString(attributes.get(3))}`,
    hook: hooks[decodeAttributes(hook).get(1)?.readUInt32BE(0) ?? -1],
    dropsByDefault: attributes.get(5)?.readUInt32BE(0) === verdictDrop,
  };
}
