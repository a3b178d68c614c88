/**
 * The Linux bridge datapath. A tenant's segment is one bridge and one VXLAN device; a container is a veth pair.
 *
 *     container        │ host
 *     eth0 ────────────┼── weft-p… ─┐                       guard: nft table bridge weft, at the bridge's prerouting
 *     eth0 ────────────┼── weft-p… ─┤ weft-br<VNI> ── weft-vx<VNI> ══ VXLAN over the underlay, guard: inet weft, input
 *                      │            └ gateway address, where the host is the tenant's gateway
 *
 * Growth on a node: links 2 per tenant + 1 per attachment; FDB 1 entry per attachment + 1 per tenant and peer; nft elements
 * 2–5 per attachment and 1 + peers per tenant; rules none.
 *
 * A segment with a control plane has two links more, for when its entries are gone: see spare.ts; and for each address of an attachment a
 * neighbour of the bridge: see local-neighbours.ts.
 *
 * While endpoints move, a tenant has one link more, for what is relayed, and each of them at its source an nft table of two rules: see migration.ts.
 *
 * The VXLAN device learns (the static control plane distributes no MACs, and one that does is slower than the frames of an endpoint that has moved) and its MTU is the underlay's, above the
 * containers': at or above it the kernel answers a packet that is too big, below it the bridge drops it without a word.
 */
import { decodeLink, listLinks } from '../../netlink/link.ts';
import { isRefusal } from '../../netlink/netlink-error.ts';
import { getTable } from '../../nftables/nftables.ts';
import type { NodeDatapath } from '../datapath.ts';
import type { Kernel } from '../kernel.ts';
import type { DatapathMigration } from '../migration.ts';
import { resizeLinks, resizePort } from '../resize.ts';
import { checkPort } from './check.ts';
import { collectGarbage } from './collect.ts';
import { linuxBridgeInspection } from './inspect.ts';
import { trimGuard } from '../guard/guard.ts';
import { mendGuard } from '../guard/guard-mending.ts';
import { GuardQueue } from '../guard/guard-queue.ts';
import { attachPortAside, containersMax, detachPort, detachPortSoon, refreshPortGuard } from './port.ts';
import { linuxBridgeMigration } from './migration.ts';
import { linuxBridgeRemotes } from './remotes.ts';
import { linuxBridgeRepair } from './repair.ts';
import { makeTenantShapers } from '../tenant-bandwidth.ts';
import { sizesOf } from './segment-links.ts';
import { removeSegment, updateSegment } from './segment.ts';
import { bridgeTable } from '../guard/guard-rules.ts';

/** The datapath over a kernel. The caller closes the kernel. */
export function linuxBridgeDatapath(kernel: Kernel): NodeDatapath & DatapathMigration {
  const guard = new GuardQueue(kernel);
  return {
    ...linuxBridgeRepair(kernel),
    ...linuxBridgeInspection(kernel),
    ...linuxBridgeRemotes(kernel),
    ...linuxBridgeMigration(kernel),
    portsMaxOf: () => containersMax,
    attach: (request) => attachPortAside(kernel, guard, request),
    prepareRemoval: () => Promise.resolve(),
    detach: (port, segment) => detachPort(kernel, port, segment),
    detachSoon: (port, segment) => detachPortSoon(kernel, guard, { port, segment }),
    updateSegment(change) {
      updateSegment(kernel, change);
      for (const port of change.ports) refreshPortGuard(kernel, port, change.segment);
      return Promise.resolve();
    },
    resizeSegment(segment) {
      makeTenantShapers(kernel.route, segment);
      resizeLinks(kernel.route, sizesOf(segment));
      return Promise.resolve();
    },
    resizePort: (request, mtu) => resizePort(kernel, request, mtu),
    removeSegment: (removal) => removeSegment(kernel, removal),
    trimGuard(segments) {
      trimGuard(kernel.netfilter, segments);
      return Promise.resolve();
    },
    check: async (request) => checkPort(kernel, request),
    collect: (known) => collectGarbage(kernel, known),
    mendGuard: (settled, all) => mendGuard(kernel.netfilter, settled, all),
    findObstacle: async () => findObstacle(kernel),
  };
}

/** Privilege and nf_tables' bridge family are what a node may lack. */
function findObstacle(kernel: Kernel): string | undefined {
  try {
    kernel.route.dump(listLinks()).map(decodeLink);
    kernel.netfilter.request([getTable(bridgeTable)]);
    return undefined;
  } catch (error) {
    if (isRefusal(error, 'ENOENT')) return undefined;
    if (isRefusal(error, 'EPERM')) return 'weft needs CAP_NET_ADMIN: run it as root';
    if (isRefusal(error, 'EOPNOTSUPP', 'EAFNOSUPPORT', 'EPROTONOSUPPORT')) return 'the kernel lacks nf_tables for bridges: CONFIG_NF_TABLES_BRIDGE must be set';
    throw error;
  }
}
