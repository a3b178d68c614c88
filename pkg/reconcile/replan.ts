/** What a tenant's segment should be by today's configuration: it may have changed since the segment's last ADD. */
import type { NodeConf } from '../config/node-model.ts';
import { noEndpointArgs, type EndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf, type NetConf } from '../config/net-conf.ts';
import { describeConflict, describeGatewayConflict, describeMtuMisfit, keepFoundPeers, keepMtus, planSegment, vtepFamilyOf } from '../attachment/segment-plan.ts';
import { parseConf } from '../attachment/ipam.ts';
import type { Underlay, UnderlayFinder } from '../datapath/underlay.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { noPathKnowledge, type PathKnowledge } from '../mtu/path-knowledge.ts';
import { formatAddress, formatInterfaceAddress } from '../netaddr/netaddr.ts';
import type { Bandwidth, Segment } from '../overlay/model.ts';

/** Either the segment as it should be, which may be the one there is, with the MTUs that it has; or why it stays as it is. */
export type Replanned = (PlannedMtus & { readonly segment: Segment }) | { readonly fault: string };

/** What the tenant's MTU should be. */
export interface PlannedMtus {
  readonly fitting: Pick<Segment, 'underlayMtu' | 'overlayMtu'>;
  /** What decides it, in words: `the MTU of eth0 is 1500`. */
  readonly because: string;
  /** The configured one does not fit, in words. */
  readonly misfit?: string;
}

/** What a plan is made from, beside the configuration. */
export interface Surroundings {
  readonly underlay: UnderlayFinder;
  readonly path?: PathKnowledge;
}

export interface ReplanQuestion {
  readonly present: Segment;
  /** The tenant's newest attachment: its configuration is the one that counts. */
  readonly newest: AttachmentRecord;
  readonly others: readonly Segment[];
}

/**
 * Peers, gateway, limits and MTU follow the configuration and the underlay while containers run. Where the tunnel ends does not: a change of that takes
 * effect with the tenant's next first container. An MTU that is configured and does not fit is no reason to leave running containers with one by
 * which nothing large arrives: they get the largest that does, whatever becomes of ADDs.
 */
export function replanSegment({ underlay: find, path = noPathKnowledge }: Surroundings, node: NodeConf, { present, newest, others }: ReplanQuestion): Replanned {
  try {
    const conf = parseNetConf(parseConf(newest.conf), { node, args: argsOf(newest) });
    const peers = conf.controlPlane === 'evpn' ? present.peers : conf.peers;
    const underlay = find(conf.vtep, vtepFamilyOf(conf), peers);
    const wanted = keepFoundPeers(planSegment({ ...conf, mtuPolicy: 'warn' }, underlay, { peers, path }), present);
    const conflict = describeConflict(wanted, present) ?? describeGatewayConflict(wanted, others);
    if (conflict !== undefined) return { fault: `tenant ${present.tenant} stays as it is while it has containers here: ${conflict}` };
    return { segment: keepMtus(wanted, present).segment, ...planMtus(conf, wanted, { underlay, passing: path.narrowest(peers) }) };
  } catch (error) {
    return { fault: `tenant ${present.tenant} stays as it is, since its configuration has a fault by now: ${describeError(error)}` };
  }
}

function planMtus(conf: NetConf, { underlayMtu, overlayMtu }: Segment, { underlay, passing }: { readonly underlay: Underlay; readonly passing: number | undefined }): PlannedMtus {
  const misfit = describeMtuMisfit(conf, underlay);
  const answer = conf.mtuPolicy === 'refuse' ? 'further containers are refused' : 'mtuPolicy is warn';
  return {
    fitting: { underlayMtu, overlayMtu },
    because: conf.mtu === overlayMtu ? `mtu is ${conf.mtu}` : passing !== undefined && passing < underlay.mtu ? `no more than ${passing} bytes reach all other nodes` : `${underlay.limit} is ${underlay.mtu}`,
    ...(misfit === undefined ? {} : { misfit: `tenant ${conf.tenant} has MTU ${overlayMtu}, since ${misfit}; ${answer}` }),
  };
}

/** The pod's namespace may choose the tenant. */
function argsOf({ pod }: AttachmentRecord): EndpointArgs {
  const [namespace, name] = pod?.split('/') ?? [];
  if (namespace === undefined || namespace === '') return noEndpointArgs;
  return { ...noEndpointArgs, pod: { namespace, ...(name === undefined ? {} : { name }) } };
}

/** What differs between two plans of a segment but for its MTUs, in words; empty where nothing does. */
export function describeChange(from: Segment, to: Segment): string[] {
  const peers = (segment: Segment): string => segment.peers.map(formatAddress).join(', ');
  const gateway = ({ gateway: own }: Segment): string => (own === undefined ? 'none' : `${own.addresses.map(formatInterfaceAddress).join(', ')}${own.masquerade ? ', masqueraded' : ''}`);
  const limit = ({ bandwidth }: Segment, direction: keyof Bandwidth): string => {
    const { rateBits, burstBits } = bandwidth?.[direction] ?? {};
    return rateBits === undefined ? 'none' : `${rateBits} bit/s${burstBits === undefined ? '' : `, burst ${burstBits} bit`}`;
  };
  return [
    ...(peers(from) === peers(to) ? [] : [`the peers of tenant ${to.tenant} are now ${peers(to) || 'none'}`]),
    ...(['ingress', 'egress'] as const).filter((direction) => limit(from, direction) !== limit(to, direction)).map((direction) => `what all containers of tenant ${to.tenant} ${direction === 'ingress' ? 'receive' : 'send'} has the limit ${limit(to, direction)}`),
    ...(gateway(from) === gateway(to) ? [] : [`the gateway of tenant ${to.tenant} is now ${gateway(to)}`]),
  ];
}
