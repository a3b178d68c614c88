/** Chains of other programs that drop what is forwarded. */
import { NetlinkError } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeBaseChain, ipFamilies, listBaseChains } from '../nftables/base-chains.ts';

/** Chains at the hook `forward` that drop what no rule decides, as `nft list chain` names them; none where the kernel does not say. */
export function findForwardDrops(netfilter: Netlink): readonly string[] {
  return ipFamilies.flatMap((family) => {
    try {
      const chains = netfilter.dump(listBaseChains(family)).flatMap((message) => decodeBaseChain(message) ?? []);
      return chains.filter(({ hook, dropsByDefault }) => hook === 'forward' && dropsByDefault).map(({ name }) => name);
    } catch (error) {
      if (error instanceof NetlinkError) return [];
      throw error;
    }
  });
}
