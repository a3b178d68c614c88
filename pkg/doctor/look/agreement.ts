/** Asks configuration and ledger for what they say of each tenant. */
import { findUnderlay } from '../../datapath/underlay.ts';
import { formatAddress } from '../../netaddr/netaddr.ts';
import { decodeAddress, listAddresses } from '../../netlink/address.ts';
import { describeChange, replanSegment } from '../../reconcile/replan.ts';
import { contentOf } from '../../report/node-state.ts';
import type { AgreementFacts, TenantPlan, VniClaim } from '../agreement.ts';
import { confOf } from './configuration.ts';
import { readNetworks } from './networks.ts';
import type { Surroundings } from './surroundings.ts';

/** What they say. @throws NetlinkError */
export function lookAtAgreement(surroundings: Surroundings): AgreementFacts {
  const { node, networkDirectory } = surroundings;
  const conf = confOf(node);
  const claims: VniClaim[] = [
    ...(conf?.tenants ?? []).flatMap(({ name, vni }) => (vni === undefined ? [] : [{ tenant: name, vni, source: node.configurationPath }])),
    ...readNetworks(networkDirectory, conf).flatMap(({ file, confs }) => confs.map(({ tenant, vni }) => ({ tenant, vni, source: file.path }))),
    ...contentOf(node).segments.map(({ segment }) => ({ tenant: segment.tenant, vni: segment.vni, source: 'the ledger' })),
  ];
  return { claims, plans: planTenants(surroundings) };
}

/** As a pass would plan them; of a tenant whose VTEP is gone, or while the configuration is invalid, that is what is said instead. */
function planTenants({ node, kernel }: Surroundings): readonly TenantPlan[] {
  const conf = confOf(node);
  if (conf === undefined) return [];
  const { segments, attachments } = contentOf(node);
  const present = new Set(kernel.route.dump(listAddresses()).map(decodeAddress).flatMap((entry) => (entry === undefined ? [] : [formatAddress(entry.address.address)])));
  return segments.flatMap(({ segment }): TenantPlan[] => {
    const newest = attachments.findLast((record) => record.vni === segment.vni && record.state === 'attached');
    if (newest === undefined || !present.has(formatAddress(segment.vtepAddress))) return [];
    const others = segments.map((entry) => entry.segment).filter(({ vni }) => vni !== segment.vni);
    const plan = replanSegment({ underlay: (...question) => findUnderlay(kernel.route, ...question) }, conf, { present: segment, newest, others });
    return ['fault' in plan ? { tenant: segment.tenant, refusal: plan.fault, changes: [] } : { tenant: segment.tenant, changes: describeChange(segment, plan.segment) }];
  });
}
