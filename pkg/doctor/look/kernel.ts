/** Looks at the kernel, its sysctls, and the places weft keeps things in. */
import { accessSync, constants, existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { findForwardDrops } from '../../datapath/forward-drops.ts';
import { formatAddress } from '../../netaddr/netaddr.ts';
import { decodeLink, listLinks } from '../../netlink/link.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { getTable, type TableFamily } from '../../nftables/nftables.ts';
import { contentOf } from '../../report/node-state.ts';
import { describeError } from '../../errors/weft-error.ts';
import type { KernelFacts, StateDirectory } from '../kernel.ts';
import { findFeatures } from './kernel-features.ts';
import type { Surroundings } from './surroundings.ts';

/** What is known of the kernel. @throws NetlinkError */
export function lookAtKernel({ kernel, node, stateDirectory, isRoot }: Surroundings): KernelFacts {
  const { segments, attachments } = contentOf(node);
  const kinds = new Set(kernel.route.dump(listLinks()).map(decodeLink).flatMap(({ kind }) => kind ?? []));
  const withIpv6 = attachments.filter(({ port }) => port.addresses.some(({ address }) => address.family === 6)).map(({ tenant }) => `tenant ${tenant}`);
  const vteps = segments.filter(({ segment }) => segment.vtepAddress.family === 6).map(({ segment }) => `the VTEP ${formatAddress(segment.vtepAddress)}`);
  return {
    features: findFeatures(kinds),
    // Of several requests the kernel answers whoever lacks CAP_NET_ADMIN only the first.
    missingFamilies: isRoot ? findMissingFamilies(kernel.netfilter) : undefined,
    bridgeCalls: ['bridge-nf-call-iptables', 'bridge-nf-call-ip6tables'].filter((name) => kernel.readSysctl(['bridge', name]) === '1'),
    forwardDrops: isRoot ? findForwardDrops(kernel.netfilter) : [],
    isIpv6Disabled: kernel.readSysctl(['ipv6', 'conf', 'all', 'disable_ipv6']) === '1',
    ipv6Users: [...new Set([...withIpv6, ...vteps])],
    state: lookAtDirectory(stateDirectory, isRoot),
    // Without root that is nobody's fault.
    ledgerProblem: node.ledger.kind === 'unreadable' && isRoot ? node.ledger.problem : undefined,
    ledgerPath: node.ledgerPath,
  };
}

const guardFamilies: readonly TableFamily[] = ['bridge', 'inet', 'netdev'];

function findMissingFamilies(netfilter: Netlink): readonly string[] {
  const outcomes = netfilter.tryRequest(guardFamilies.map((family) => getTable({ family, table: 'weft' })));
  return guardFamilies.filter((_family, index) => isRefusal(outcomes[index], 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'));
}

/** A directory that is not there yet is made by the first call: the one above it counts. */
function lookAtDirectory(path: string, isRoot: boolean): StateDirectory {
  let present = path;
  while (!existsSync(present) && dirname(present) !== present) present = dirname(present);
  try {
    // Also for root: access(2) tells of a file system that is mounted read-only.
    accessSync(present, constants.W_OK);
    return { path, obstacle: undefined };
  } catch (error) {
    return { path, obstacle: isRoot ? describeError(error) : undefined };
  }
}
