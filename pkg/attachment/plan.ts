/** The segment that a configuration asks for on this node as it is by now. */
import type { NetConf } from '../config/net-conf.ts';
import type { Address, Vni } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import type { EngineParts } from './engine-parts.ts';
import { describeMtuMisfit, planSegment, vtepFamilyOf } from './segment-plan.ts';

/** Plans it; says by `warn` what the administrator wants to be warned about. @throws WeftError invalidConfiguration */
export function planOnNode(parts: EngineParts, conf: NetConf): Segment {
  const peers = conf.controlPlane === 'evpn' ? foundPeers(parts, conf.vni) : conf.peers;
  const underlay = parts.underlay(conf.vtep, vtepFamilyOf(conf), peers);
  const segment = planSegment(conf, underlay, { peers, ...(parts.path === undefined ? {} : { path: parts.path }) });
  const misfit = describeMtuMisfit(conf, underlay);
  if (misfit !== undefined) parts.warn('mtu-misfit', `tenant ${conf.tenant}: ${misfit}; ${segment.overlayMtu} is used`);
  return segment;
}

/** The other VTEPs that BGP tells of. */
function foundPeers({ ledger }: Pick<EngineParts, 'ledger'>, vni: Vni): readonly Address[] {
  return ledger().read((tx) => tx.findSegment(vni))?.segment.peers ?? [];
}
