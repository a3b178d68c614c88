/** What a tenant's segment should be by today's configuration: it may have changed since the segment's last ADD. */
import type { NodeConf } from '../config/node-model.ts';
import { noEndpointArgs, type EndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf } from '../config/net-conf.ts';
import { describeConflict, describeGatewayConflict, keepFoundPeers, planSegment, vtepFamilyOf } from '../attachment/segment-plan.ts';
import { parseConf } from '../attachment/ipam.ts';
import type { Kernel } from '../datapath/kernel.ts';
import { findUnderlay } from '../datapath/underlay.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { formatAddress, formatInterfaceAddress } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';

/** Either the segment as it should be, which may be the one there is, or why it stays as it is. */
export type Replanned = { readonly segment: Segment } | { readonly fault: string };

export interface ReplanQuestion {
  readonly present: Segment;
  /** The tenant's newest attachment: its configuration is the one that counts. */
  readonly newest: AttachmentRecord;
  readonly others: readonly Segment[];
}

/**
 * Peers and gateway follow the configuration while containers run. Where the tunnel ends, and the containers' MTU, do not: a change
 * of them takes effect with the tenant's next first container.
 */
export function replanSegment(kernel: Kernel, node: NodeConf, { present, newest, others }: ReplanQuestion): Replanned {
  let wanted: Segment;
  try {
    const conf = parseNetConf(parseConf(newest.conf), { node, args: argsOf(newest) });
    wanted = keepFoundPeers(planSegment(conf, findUnderlay(kernel.route, conf.vtep, vtepFamilyOf(conf))), present);
  } catch (error) {
    return { fault: `tenant ${present.tenant} stays as it is, since its configuration has a fault by now: ${describeError(error)}` };
  }
  const conflict = describeConflict(wanted, present) ?? describeGatewayConflict(wanted, others);
  if (conflict !== undefined) return { fault: `tenant ${present.tenant} stays as it is while it has containers here: ${conflict}` };
  return { segment: { ...wanted, underlayMtu: present.underlayMtu, overlayMtu: present.overlayMtu } };
}

/** The pod's namespace may choose the tenant. */
function argsOf({ pod }: AttachmentRecord): EndpointArgs {
  const [namespace, name] = pod?.split('/') ?? [];
  if (namespace === undefined || namespace === '') return noEndpointArgs;
  return { ...noEndpointArgs, pod: { namespace, ...(name === undefined ? {} : { name }) } };
}

/** What differs between two plans of a segment, in words; empty where nothing does. */
export function describeChange(from: Segment, to: Segment): string[] {
  const peers = (segment: Segment): string => segment.peers.map(formatAddress).join(', ');
  const gateway = ({ gateway: own }: Segment): string => (own === undefined ? 'none' : `${own.addresses.map(formatInterfaceAddress).join(', ')}${own.masquerade ? ', masqueraded' : ''}`);
  return [
    ...(peers(from) === peers(to) ? [] : [`the peers of tenant ${to.tenant} are now ${peers(to) || 'none'}`]),
    ...(gateway(from) === gateway(to) ? [] : [`the gateway of tenant ${to.tenant} is now ${gateway(to)}`]),
  ];
}
