/** Whether a tenant's endpoints can be migrated on this node. Pure. */
import { WeftError } from '../../errors/weft-error.ts';
import { parseVni } from '../../netaddr/netaddr.ts';
import type { Segment } from '../../overlay/model.ts';
import { spareVni } from '../../overlay/spare.ts';
import { localPorts } from './rows.ts';
import type { SwitchPort } from './switch/rows.ts';

/** Refuses where relayed frames could not be told from another tenant's, by the rows of the switch. @throws WeftError invalidConfiguration */
export function requireSpareVni({ tenant, vni }: Pick<Segment, 'tenant' | 'vni'>, ports: ReadonlyMap<string, SwitchPort>): void {
  const spare = spareVni(vni);
  const isTaken = spare !== 0 && localPorts(ports, parseVni(spare)).length > 0;
  if (spare !== 0 && !isTaken) return;
  const because = isTaken ? `the frames that are relayed need VNI ${spare}, which is another tenant's on this node` : 'no VNI is left for the frames that are relayed';
  throw new WeftError('invalidConfiguration', `Endpoints of tenant ${tenant} cannot be migrated: ${because}`, { details: `give the tenant another vni than ${vni}` });
}
