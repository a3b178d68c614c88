/** The flows of one endpoint, on this node or elsewhere; how many others there are makes no difference. Pure. */
import { output } from '../../../openflow/action.ts';
import type { Flow } from '../../../openflow/flow.ts';
import { cookieOf } from './cookies.ts';
import { guardFlows } from './guard.ts';
import { localNeighbourFlows, remoteNeighbourFlows, type Relays } from './neighbours.ts';
import type { RemoteEndpoint } from '../../../overlay/model.ts';
import { ofTenant, toVtep, type LocalPort, type TenantNetwork } from './network.ts';
import { priorities, tables } from './tables.ts';

/** A container's: the guard at the source, what is for its MAC, and questions for its addresses. @throws RangeError when the port is none that an interface can have */
export function portFlows(local: LocalPort): Flow[] {
  return [...guardFlows(local), ...localFlows(local)];
}

/** What is done for an endpoint of this node beside giving it what is its own. */
export interface Copies {
  readonly fromHere: Relays['fromHere'];
  readonly questions: Relays;
}

/** What is for a container: for its MAC, and questions for its addresses. @throws RangeError as portFlows() */
export function localFlows({ ofport, port: { vni, mac, addresses } }: LocalPort, copies?: Copies): Flow[] {
  const cookie = cookieOf({ kind: 'port', vni, ofport });
  return [
    ...localNeighbourFlows({ vni, ofport, mac, addresses: addresses.map(({ address }) => address), cookie, ...(copies === undefined ? {} : { also: copies.questions }) }),
    { table: tables.local, priority: priorities.local.known, match: { ...ofTenant(vni), ethDst: mac }, instructions: { apply: [output(ofport), ...(copies?.fromHere ?? [])] }, cookie },
  ];
}

/** An endpoint's elsewhere: read back by remotesIn(). They win over what the switch has learned of its MAC, and give way to an endpoint of this node. */
export function remoteFlows(network: TenantNetwork, endpoint: RemoteEndpoint): Flow[] {
  const { vni } = network.segment;
  const cookie = cookieOf({ kind: 'remotes', vni });
  return [
    ...remoteNeighbourFlows(network, endpoint, cookie),
    { table: tables.remote, priority: priorities.remote.programmed, match: { ...ofTenant(vni), ethDst: endpoint.mac }, instructions: { apply: toVtep(network.tunnel, endpoint.vtep) }, cookie },
  ];
}
