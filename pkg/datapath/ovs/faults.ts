/** What can be wrong with the switch's part of a tenant's network and of a port. Pure, but for the network's numbers, which it is given. */
import { flowKey, type Flow, type FlowName } from '../../openflow/flow.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { bridgeName, detourNames } from '../../overlay/names.ts';
import { hasStandIn } from '../../overlay/spare.ts';
import { baseFlows, cookieOf, floodFlows, flowsOfPort, openedFlows, remoteFlows, remotesIn, segmentFlows, type FlowOwner, type TenantNetwork } from './flows/flows.ts';
import { isRelayedTo } from '../phases.ts';
import { hasDetour } from './detour.ts';
import { gateKey, gateMarkOf, receivingPorts, tunnelOf, type OpenPort } from './rows.ts';
import { missingFlows, surplusFlows, type SwitchSnapshot } from './snapshot.ts';
import type { SwitchPort } from './switch/rows.ts';
import { hasOptions, tunnelName, tunnelOptions, type TunnelSettings } from './switch/tunnel.ts';

/** The tenant's network as the switch's rows have it; what is wrong with them, in words. */
export function findNetwork(segment: Segment, { ports, isUserspace }: Pick<SwitchSnapshot, 'ports' | 'isUserspace'>): TenantNetwork | readonly string[] {
  const settings = tunnelOf(segment);
  const tunnel = ports.get(tunnelName(settings));
  const gateway = ports.get(bridgeName(segment.vni));
  const { into, outOf } = detourNames(segment.vni);
  const pair = hasDetour(segment, isUserspace) ? [into, outOf].map((name) => ({ name, row: ports.get(name) })) : [];
  const faults = [
    ...rowFaults(`the tunnel ${tunnelName(settings)}`, tunnel),
    ...(tunnel === undefined ? [] : tunnelFaults(settings, tunnel)),
    ...(segment.gateway === undefined ? [] : rowFaults(`the gateway's interface ${bridgeName(segment.vni)}`, gateway)),
    ...pair.flatMap(({ name, row }) => rowFaults(`the link ${name} to the tenant's limit`, row)),
  ];
  const [first, second] = pair.map(({ row }) => row?.ofport);
  if (faults.length > 0 || tunnel?.ofport === undefined) return faults;
  return { segment, tunnel: tunnel.ofport, ...(segment.gateway === undefined || gateway?.ofport === undefined ? {} : { gateway: gateway.ofport }), ...(first === undefined || second === undefined ? {} : { detour: { into: first, outOf: second } }) };
}

/** What is wrong with a row of the switch's database, in words. */
function rowFaults(what: string, row: SwitchPort | undefined): string[] {
  if (row === undefined) return [`${what} is no port of Open vSwitch`];
  if (row.ofport === undefined) return [`Open vSwitch cannot open ${what}${row.error === undefined ? '' : `: ${row.error}`}`];
  // The userspace datapath shows a port whose device is gone as whole in everything but this; a tunnel has no device.
  return row.ifIndex === 0 && (row.type === '' || row.type === 'internal') ? [`Open vSwitch has lost ${what}`] : [];
}

function tunnelFaults(settings: TunnelSettings, { type, options }: SwitchPort): string[] {
  const wanted = tunnelOptions(settings);
  if (type !== settings.type) return [`the tunnel ${tunnelName(settings)} is of the type "${type}" and not "${settings.type}"`];
  return hasOptions(options, wanted) ? [] : [`the tunnel ${tunnelName(settings)} has other options than ${Object.entries(wanted).map(([key, value]) => `${key}=${value}`).join(', ')}`];
}

/** What is wrong with the switch's part of a port, in words. */
export function describePort(segment: Segment, port: AttachmentPort, snapshot: SwitchSnapshot): string[] {
  const row = snapshot.ports.get(port.hostIf);
  const faults = rowFaults(`the host interface ${port.hostIf}`, row);
  if (row?.ofport === undefined || faults.length > 0) return faults;
  if (snapshot.bridgeFault !== undefined) return [snapshot.bridgeFault];
  const network = findNetwork(segment, snapshot);
  // What a port without a part in a migration has does not depend on it.
  if (!('segment' in network) && port.migration !== undefined) return [];
  const local = { ofport: row.ofport, port };
  const wanted = flowsOfPort('segment' in network ? network : { segment, tunnel: 0, ...(hasDetour(segment, snapshot.isUserspace) ? { detour: { into: 0, outOf: 0 } } : {}) }, local);
  // What the switch has learned from the machine may stay a little, and may come back.
  const tolerated = isRelayedTo(port) ? openedFlows(local) : [];
  return [...gateFaults(port, row), ...flowFaults(snapshot, { wanted, tolerated, owner: { kind: 'port', vni: port.vni, ofport: row.ofport }, what: port.hostIf })];
}

function gateFaults(port: AttachmentPort, { externalIds }: SwitchPort): string[] {
  const [found, wanted] = [externalIds.get(gateKey), gateMarkOf(port)];
  if (found === wanted) return [];
  return [wanted === undefined ? `${port.hostIf} gets no broadcast: Open vSwitch has it as a port that waits` : `Open vSwitch does not have ${port.hostIf} as a port that waits`];
}

/** What is wrong with the switch's part of a tenant's network, in words. */
export function describeSegment(segment: Segment, snapshot: SwitchSnapshot): readonly string[] {
  const network = findNetwork(segment, snapshot);
  if (!('segment' in network)) return network;
  const { vni, tenant, vtepPort } = segment;
  const wanted = [...segmentFlows(network), ...floodFlows(network, floodedPorts(network, snapshot))];
  const shared = missingFlows(snapshot, baseFlows([vtepPort])).length;
  return [
    ...(snapshot.bridgeFault === undefined ? [] : [snapshot.bridgeFault]),
    ...flowFaults(snapshot, { wanted, owner: { kind: 'segment', vni }, what: `tenant ${tenant}` }),
    ...flowFaults(snapshot, { ...wantedRemotes(segment, network, snapshot), what: `endpoints elsewhere of tenant ${tenant}` }),
    ...(shared === 0 ? [] : [`the switch lacks ${countOf(shared)} of every tenant`]),
  ];
}

/** What the flows of endpoints elsewhere, those that are there, should be: which endpoints there are a control plane says. */
export function wantedRemotes(segment: Segment, network: TenantNetwork, { flows }: SwitchSnapshot): Pick<WantedFlows, 'wanted' | 'owner'> {
  const owner = { kind: 'remotes', vni: segment.vni } as const;
  const cookie = cookieOf(owner);
  const present = hasStandIn(segment) ? remotesIn([...flows.values()].filter((flow) => flow.cookie === cookie).map(({ name, instructions }) => ({ ...name, instructions }))) : [];
  return { owner, wanted: present.flatMap((endpoint) => remoteFlows(network, endpoint)) };
}

/**
 * The ports that the tenant's broadcast should go to. One that is being attached or detached has a row and no flows of its own: broadcast
 * may go there or not.
 */
function floodedPorts(network: TenantNetwork, { ports, flows }: SwitchSnapshot): readonly OpenPort[] {
  const { vni } = network.segment;
  const owners = new Set([...flows.values()].map(({ cookie }) => cookie));
  const [flood] = floodFlows(network, []);
  const present = flood === undefined ? [] : flows.get(flowKey(flood))?.instructions.apply ?? [];
  const outputs = new Set(present.map((action) => (action.kind === 'output' ? action.port : undefined)));
  return receivingPorts(ports, vni).filter(({ ofport }) => outputs.has(ofport) || owners.has(cookieOf({ kind: 'port', vni, ofport })));
}

interface WantedFlows {
  readonly wanted: readonly Flow[];
  /** What may be there too. */
  readonly tolerated?: readonly FlowName[];
  readonly owner: FlowOwner;
  readonly what: string;
}

function flowFaults(snapshot: SwitchSnapshot, { wanted, tolerated = [], owner, what }: WantedFlows): string[] {
  const [missing, surplus] = [missingFlows(snapshot, wanted).length, surplusFlows(snapshot, { wanted: [...wanted, ...tolerated], cookie: cookieOf(owner) }).length];
  return [
    ...(missing === 0 ? [] : [`the switch lacks ${countOf(missing)} of ${what}`]),
    ...(surplus === 0 ? [] : [`the switch has ${countOf(surplus)} of ${what} that weft did not send`]),
  ];
}

function countOf(flows: number): string {
  return flows === 1 ? 'a flow' : `${flows} flows`;
}
