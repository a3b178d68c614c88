/** What can be wrong with the switch's part of a tenant's network and of a port. Pure, but for the network's numbers, which it is given. */
import type { Flow } from '../../openflow/flow.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { bridgeName } from '../../overlay/names.ts';
import { floodFlows, portFlows, segmentFlows, type TenantNetwork } from './flows/flows.ts';
import { localPorts, tunnelOf } from './rows.ts';
import { missingFlows, type SwitchSnapshot } from './snapshot.ts';
import type { SwitchPort } from './switch/rows.ts';
import { tunnelName } from './switch/tunnel.ts';

/** The tenant's network as the switch's rows have it; what is wrong with them, in words. */
export function findNetwork(segment: Segment, { ports }: Pick<SwitchSnapshot, 'ports'>): TenantNetwork | readonly string[] {
  const tunnel = ports.get(tunnelName(tunnelOf(segment)));
  const gateway = ports.get(bridgeName(segment.vni));
  const faults = [
    ...rowFaults(`the tunnel ${tunnelName(tunnelOf(segment))}`, tunnel),
    ...(segment.gateway === undefined ? [] : rowFaults(`the gateway's interface ${bridgeName(segment.vni)}`, gateway)),
  ];
  if (faults.length > 0 || tunnel?.ofport === undefined) return faults;
  return { segment, tunnel: tunnel.ofport, ...(segment.gateway === undefined || gateway?.ofport === undefined ? {} : { gateway: gateway.ofport }) };
}

/** What is wrong with a row of the switch's database, in words. */
function rowFaults(what: string, row: SwitchPort | undefined): string[] {
  if (row === undefined) return [`${what} is no port of Open vSwitch`];
  if (row.ofport === undefined) return [`Open vSwitch cannot open ${what}${row.error === undefined ? '' : `: ${row.error}`}`];
  return [];
}

/** Flows that the tenant lacks, whatever its ports. */
export function missingSegmentFlows(network: TenantNetwork, snapshot: SwitchSnapshot): readonly Flow[] {
  return missingFlows(snapshot, [...segmentFlows(network), ...floodFlows(network, localPorts(snapshot.ports, network.segment.vni))]);
}

/** What is wrong with the switch's part of a port, in words. */
export function describePort(port: AttachmentPort, snapshot: SwitchSnapshot): string[] {
  const row = snapshot.ports.get(port.hostIf);
  const faults = rowFaults(`the host interface ${port.hostIf}`, row);
  if (row?.ofport === undefined) return faults;
  // The userspace datapath shows a port whose device is gone as whole in everything but this.
  if (row.ifIndex === 0) return [`Open vSwitch has lost the host interface ${port.hostIf}`];
  const missing = missingFlows(snapshot, portFlows({ ofport: row.ofport, port })).length;
  return missing === 0 ? [] : [`the switch lacks ${countOf(missing)} of ${port.hostIf}`];
}

/** What is wrong with the switch's part of a tenant's network, in words. */
export function describeSegment(segment: Segment, snapshot: SwitchSnapshot): readonly string[] {
  const network = findNetwork(segment, snapshot);
  if (!('segment' in network)) return network;
  const missing = missingSegmentFlows(network, snapshot).length;
  return missing === 0 ? [] : [`the switch lacks ${countOf(missing)} of tenant ${segment.tenant}`];
}

function countOf(flows: number): string {
  return flows === 1 ? 'a flow' : `${flows} flows`;
}
