/**
 * The tunnels by which the daemons of two nodes ask each other what reaches the other as the tenants' frames do: for each VTEP and UDP port
 * that tenants on Linux bridges use, one VXLAN device of a VNI that is kept for it. Pure.
 *
 * The VNI is the highest there is. Spare tunnels and relays have the highest minus a tenant's (spare.ts), and so never this one.
 */
import { compareAddresses, formatAddress, vniMax, type Address } from '../netaddr/netaddr.ts';
import type { Segment } from './model.ts';
import { probeName } from './names.ts';

/** The VNI of probe tunnels, the same on every node. */
export const probeVni: number = vniMax;

/** What of a segment decides where probe tunnels are. */
export type ProbeParty = Pick<Segment, 'tenant' | 'vni' | 'datapath' | 'encapsulation' | 'vtepAddress' | 'vtepPort' | 'underlayMtu' | 'peers'>;

export interface ProbeTunnel {
  readonly name: string;
  readonly vtepAddress: Address;
  /** UDP port. */
  readonly vtepPort: number;
  /** Bytes; the MTU of the link that carries the VTEP's address. */
  readonly underlayMtu: number;
  /** The VTEPs at its other ends, each once. */
  readonly peers: readonly Address[];
}

/** The probe tunnels of a node with these segments; none where a tenant has the VNI for itself. */
export function probeTunnels(segments: readonly ProbeParty[]): ProbeTunnel[] {
  return plan(segments).tunnels;
}

/** Why there are VTEPs without a probe tunnel, in words. */
export function describeUnprobed(segments: readonly ProbeParty[]): string[] {
  return plan(segments).obstacles;
}

interface Plan {
  readonly tunnels: ProbeTunnel[];
  readonly obstacles: string[];
}

function plan(segments: readonly ProbeParty[]): Plan {
  const probed = segments.filter(({ datapath, encapsulation, peers }) => datapath !== 'ovs' && encapsulation !== 'geneve' && peers.length > 0);
  const owner = segments.find(({ vni }) => vni === probeVni);
  if (owner !== undefined) return { tunnels: [], obstacles: probed.length === 0 ? [] : [`no packet is probed inside the tunnel: tenant ${owner.tenant} has VNI ${probeVni}, which probes need: give it another one`] };
  const [tunnels, obstacles] = [new Map<string, ProbeTunnel>(), new Set<string>()];
  for (const part of [...probed].sort(bySocket)) {
    const { vtepAddress, vtepPort } = part;
    // The kernel has one device of a VNI for a port and a family, whatever its address (drivers/net/vxlan, vxlan_vni_in_use).
    const socket = `${vtepAddress.family} ${vtepPort}`;
    const present = tunnels.get(socket);
    if (present === undefined || compareAddresses(present.vtepAddress, vtepAddress) === 0) tunnels.set(socket, joined(present, part));
    else obstacles.add(`no packet is probed inside the tunnels of VTEP ${formatAddress(vtepAddress)}: VTEP ${formatAddress(present.vtepAddress)} of this node has UDP port ${vtepPort} too, which only one can probe on`);
  }
  return { tunnels: [...tunnels.values()], obstacles: [...obstacles] };
}

/** The same whatever the order of the segments. */
function bySocket(a: ProbeParty, b: ProbeParty): number {
  return a.vtepPort - b.vtepPort || a.vtepAddress.family - b.vtepAddress.family || compareAddresses(a.vtepAddress, b.vtepAddress);
}

function joined(present: ProbeTunnel | undefined, { vtepAddress, vtepPort, underlayMtu, peers }: ProbeParty): ProbeTunnel {
  const all = new Map([...(present?.peers ?? []), ...peers].map((peer) => [formatAddress(peer), peer]));
  return { name: probeName(vtepAddress, vtepPort), vtepAddress, vtepPort, underlayMtu: Math.max(present?.underlayMtu ?? 0, underlayMtu), peers: [...all.values()].sort(compareAddresses) };
}
