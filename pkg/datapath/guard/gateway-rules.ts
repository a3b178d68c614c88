/**
 * The rules of tenants whose gateway is this host. A table of its own, made with the first such tenant, because its
 * connection tracking would otherwise burden every node. Pure.
 *
 * What a container may do to the host is what a gateway needs: neighbour discovery (ARP is below IP), ICMP, and answers to
 * connections that the host began (probes). What it may do through the host is reach the world, but neither another
 * tenant nor, with a VXLAN packet that masquerading would give this node's own address, another node's VTEP.
 */
import type { NetlinkRequest } from '../../netlink/codec.ts';
import { compare, loadConnectionState, loadMeta, loadPayload, lookup, mask, masquerade, verdict, type Expression } from '../../nftables/expression.ts';
import type { KeyType, TableName } from '../../nftables/nftables.ts';
import { bridgePrefix } from '../../overlay/names.ts';
import { accept, drop, filterPriority, fromInterfaces, isUdp, tableRequests, udpDestination, type Rules } from './guard-rules.ts';

export const gatewayTable: TableName = { family: 'inet', table: 'weft-gateway' };

/** The sets of `inet weft-gateway`, by name. */
export const gatewaySets: Readonly<Record<string, readonly KeyType[]>> = {
  /** UDP ports on which this node's VTEPs and its daemon, and so those of the others, listen. */
  vtep_ports: ['port'],
  /** Bridges of tenants with a gateway. */
  gateway_bridges: ['interfaceName'],
  /** Such a bridge, twice: what may be forwarded from one bridge to one bridge. */
  same_tenant: ['interfaceName', 'interfaceName'],
  /** Bridges whose traffic to the world is masqueraded. */
  masqueraded: ['interfaceName'],
};

/** NF_IP_PRI_NAT_SRC, include/uapi/linux/netfilter_ipv4.h. */
const sourceNatPriority = 100;
const protocolIcmp = 1;
const protocolIcmp6 = 58;
/** NF_CT_STATE_BIT of established and related, in the machine's (little-endian) byte order. */
const establishedOrRelated = Uint8Array.of(0x02 | 0x04, 0, 0, 0);

const input = (): Rules => [
  [...fromInterfaces(bridgePrefix), verdict('goto', 'to_host')],
];

const toHost = (): Rules => [
  [loadConnectionState(), mask(establishedOrRelated), compare('notEqual', new Uint8Array(4)), ...accept()],
  ...[protocolIcmp, protocolIcmp6].map((protocol) => [loadMeta('l4Protocol'), compare('equal', Uint8Array.of(protocol)), ...accept()]),
  drop(),
];

const toBridge = (): Expression[] => [loadMeta('outputInterface'), compare('equal', Buffer.from(bridgePrefix))];

const forward = (): Rules => [
  [...fromInterfaces(bridgePrefix), ...isUdp(), loadPayload(udpDestination), lookup('vtep_ports', { isIn: true }), ...drop()],
  // Bridged packets of tenants without a gateway come by here too, where br_netfilter is on: they are not routed, and pass.
  [
    loadMeta('inputInterface'), lookup('gateway_bridges', { isIn: true }), ...toBridge(),
    loadMeta('inputInterface'), loadMeta('outputInterface', { word: 4 }), lookup('same_tenant', { isIn: false }), ...drop(),
  ],
];

const postrouting = (): Rules => [
  [
    loadMeta('inputInterface'), lookup('masqueraded', { isIn: true }),
    loadMeta('outputInterface'), compare('notEqual', Buffer.from(bridgePrefix)), masquerade(),
  ],
];

/** The table, as one batch; EEXIST and nothing at all where it is there already. */
export function gatewayTables(): NetlinkRequest[] {
  return tableRequests(gatewayTable, {
    sets: gatewaySets,
    hooks: [
      { name: 'input', hook: { point: 'input', priority: filterPriority, type: 'filter' } },
      { name: 'forward', hook: { point: 'forward', priority: filterPriority, type: 'filter' } },
      { name: 'postrouting', hook: { point: 'postrouting', priority: sourceNatPriority, type: 'nat' } },
    ],
    chains: { input: input(), to_host: toHost(), forward: forward(), postrouting: postrouting() },
  });
}
