/**
 * Remote endpoints on the switch, for a control plane: flows of their own, which no outage of FRR touches. So what is held and what is in use are
 * the same. See ../remotes.ts.
 */
import { WeftError } from '../../errors/weft-error.ts';
import { addressesEqual, type Vni } from '../../netaddr/netaddr.ts';
import { flowKey, type FlowMod, type ListedFlow } from '../../openflow/flow.ts';
import type { RemoteEndpoint, Segment } from '../../overlay/model.ts';
import { hasStandIn } from '../../overlay/spare.ts';
import type { NodeRemotes } from '../remotes.ts';
import { findNetwork, wantedRemotes } from './faults.ts';
import { cookieOf, flowsByMac, flowsOf, remoteFlows, remotesIn, type TenantNetwork } from './flows/flows.ts';
import type { OvsParts } from './port.ts';
import { findStandIn } from './stand-in-links.ts';
import { missingFlows, surplusFlows, takeSnapshot } from './snapshot.ts';
import type { OvsSwitch } from './switch/switch.ts';
import { added } from './tenants.ts';

/** The tables of remote endpoints of tenants on the switch. */
export function ovsRemotes(parts: OvsParts): NodeRemotes {
  const { kernel, ovs } = parts;
  const isInPlace = (segment: Segment): boolean => hasStandIn(segment) && findStandIn(kernel.route, segment.vni) !== undefined;
  const change = async (segment: Segment, endpoints: readonly RemoteEndpoint[], plan: (endpoints: readonly RemoteEndpoint[], flows: readonly ListedFlow[]) => readonly FlowMod[]): Promise<void> => {
    if (endpoints.length === 0 || !isInPlace(segment)) return;
    const mods = plan(endpoints, await listRemotes(ovs, segment.vni));
    // A segment that was removed meanwhile has sent the removal of its flows by then.
    if (isInPlace(segment)) await ovs.apply(mods);
  };
  return {
    async observeRemotes(segment) {
      const endpoints = isInPlace(segment) ? remotesIn(await listRemotes(ovs, segment.vni)) : [];
      return { held: endpoints, present: endpoints };
    },
    holdRemotes: (segment, endpoints) => change(segment, endpoints, (wanted, flows) => planHolding(requireNetwork(ovs, segment), wanted, flows)),
    restoreRemotes: () => undefined,
    dropRemotes: (segment, endpoints) => change(segment, endpoints, planDropping),
  };
}

/** Reads the flows, and makes no bridge where there is none. @throws WeftError tryAgainLater where the switch cannot be asked */
async function listRemotes(ovs: OvsSwitch, vni: Vni): Promise<readonly ListedFlow[]> {
  const obstacle = await ovs.findObstacle();
  if (obstacle !== undefined) throw new WeftError('tryAgainLater', obstacle);
  return ovs.ports().size === 0 ? [] : ovs.listFlows(flowsOf({ kind: 'remotes', vni }));
}

/** By the switch's rows, whoever has sent the tenant's other flows. @throws WeftError tryAgainLater while it is not whole */
export function requireNetwork(ovs: OvsSwitch, segment: Segment): TenantNetwork {
  const network = findNetwork(segment, { ports: ovs.ports(), isUserspace: ovs.isUserspace });
  if ('segment' in network) return network;
  throw new WeftError('tryAgainLater', `The network of tenant ${segment.tenant} is not whole: ${network.join('; ')}`);
}

/** Of an endpoint that has moved, or has other addresses, what no longer holds goes. */
function planHolding(network: TenantNetwork, endpoints: readonly RemoteEndpoint[], flows: readonly ListedFlow[]): FlowMod[] {
  const present = flowsByMac(flows);
  return endpoints.flatMap((endpoint) => {
    const wanted = remoteFlows(network, endpoint);
    const keys = new Set(wanted.map(flowKey));
    return [...removals((present.get(endpoint.mac) ?? []).filter((flow) => !keys.has(flowKey(flow)))), ...wanted.map(added)];
  });
}

/** What is at another VTEP by now stays, and so does an address that is another MAC's. */
function planDropping(endpoints: readonly RemoteEndpoint[], flows: readonly ListedFlow[]): FlowMod[] {
  const own = flowsByMac(flows);
  const vteps = new Map(remotesIn(flows).map(({ mac, vtep }) => [mac, vtep]));
  return endpoints.flatMap(({ mac, vtep }) => {
    const present = vteps.get(mac);
    return present !== undefined && !addressesEqual(present, vtep) ? [] : removals(own.get(mac) ?? []);
  });
}

function removals(flows: readonly ListedFlow[]): FlowMod[] {
  return flows.map((flow) => ({ kind: 'deleteStrict', flow }));
}

/** Makes the flows of a tenant's remote endpoints what those that are there say they should be. @throws as OvsSwitch.apply(); WeftError tryAgainLater */
export async function mendRemotes(ovs: OvsSwitch, segment: Segment, network: TenantNetwork): Promise<void> {
  const snapshot = await takeSnapshot(ovs);
  if (typeof snapshot === 'string') throw new WeftError('tryAgainLater', snapshot);
  const { wanted, owner } = wantedRemotes(segment, network, snapshot);
  const cookie = cookieOf(owner);
  const surplus = surplusFlows(snapshot, { wanted, cookie }).map((flow): FlowMod => ({ kind: 'deleteStrict', flow: { ...flow, cookie } }));
  await ovs.apply([...surplus, ...missingFlows(snapshot, wanted).map(added)]);
}
