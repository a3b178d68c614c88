/** Garbage on the switch: ports, tunnels, rows and flows of weft's that belong to no attachment and no segment. */
import { isWeftError } from '../../errors/weft-error.ts';
import { flowKey, type FlowMod } from '../../openflow/flow.ts';
import { formatFlowName } from '../../openflow/format.ts';
import type { Vni } from '../../netaddr/netaddr.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName } from '../../overlay/names.ts';
import type { KnownState } from '../datapath.ts';
import { baseFlows, flowsOf, flowsOfTenant, ownerOf } from './flows/flows.ts';
import { collectDetours, detourLinks } from './detour.ts';
import { collectGates } from './gate.ts';
import type { OvsParts } from './port.ts';
import { tunnelOf, vniOf } from './rows.ts';
import { takeSnapshot, type SwitchSnapshot } from './snapshot.ts';
import { collectStandIns } from './stand-in-endpoints.ts';
import type { SwitchPort } from './switch/rows.ts';
import type { OvsSwitch } from './switch/switch.ts';
import { tunnelName } from './switch/tunnel.ts';

async function removeBridge(ovs: OvsSwitch): Promise<string[]> {
  return (await ovs.removeUnusedBridge()) ? ['the integration bridge'] : [];
}

/**
 * Removes the garbage; returns what was removed, in words. Ports are found within the call, where they are known. Flows are read behind it:
 * what an ADD has sent since is told by its port, which is there before them, and by what this process has sent.
 */
export async function collectGarbage(parts: OvsParts, known: KnownState): Promise<string[]> {
  const found = await Promise.all([collectStandIns(parts.kernel, known), collectDetours(parts.kernel, known), collectFromSwitch(parts, known)]);
  return [...found.flat(), ...collectGates(parts.kernel.netfilter, known.ports)];
}

async function collectFromSwitch({ ovs, tenants }: OvsParts, { segments, ports }: KnownState): Promise<string[]> {
  const names = new Set([...ports.map(({ hostIf }) => hostIf), ...segments.filter(({ gateway }) => gateway !== undefined).map(({ vni }) => bridgeName(vni)), ...segments.flatMap(detourLinks)]);
  const needed = { ports: names, tunnels: new Set(segments.map((segment) => tunnelName(tunnelOf(segment)))) };
  const known = tryPorts(ovs);
  const atOnce = known === undefined ? undefined : await ovs.collect(needed);
  const snapshot = await takeSnapshot(ovs);
  // A switch that cannot be asked is said elsewhere, and looked through another time.
  if (typeof snapshot === 'string') return [...(atOnce ?? [])];
  const collected = atOnce ?? (await ovs.collect(needed));
  if (segments.length === 0 && (known ?? snapshot.ports).size > 0) return [...collected, ...(await removeBridge(ovs))];
  const strays = findStrays(snapshot, { segments, ports: ovs.ports(), isSent: (vni) => tenants.find(vni) !== undefined });
  await ovs.send([...strays.values()]);
  return [...strays.keys(), ...collected];
}

/** Undefined while they are not known. */
function tryPorts(ovs: OvsSwitch): ReadonlyMap<string, SwitchPort> | undefined {
  try {
    return ovs.ports();
  } catch (error) {
    if (isWeftError(error)) return undefined;
    throw error;
  }
}

interface Owners {
  readonly segments: readonly Segment[];
  readonly ports: ReadonlyMap<string, SwitchPort>;
  readonly isSent: (vni: Vni) => boolean;
}

/** What deletes flows of nobody's, by what they are in words. */
function findStrays({ flows }: SwitchSnapshot, { segments, ports, isSent }: Owners): Map<string, FlowMod> {
  const vnis = new Set<Vni>(segments.map(({ vni }) => vni));
  // Behind a restart of ovs-vswitchd a number may be another tenant's port.
  const owners = new Set([...ports.values()].map((port) => `${vniOf(port)} ${port.ofport}`));
  const shared = new Set(baseFlows(segments.map(({ vtepPort }) => vtepPort)).map(flowKey));
  const strays = new Map<string, FlowMod>();
  for (const [key, { name, cookie }] of flows) {
    const owner = ownerOf(cookie);
    if (owner === undefined) strays.set(`flows with the cookie 0x${cookie.toString(16)}`, { kind: 'delete', filter: { cookie } });
    else if (owner.kind === 'node') {
      if (!shared.has(key)) strays.set(`the flow ${formatFlowName(name)}`, { kind: 'deleteStrict', flow: { ...name, cookie } });
    } else if (!vnis.has(owner.vni) && !isSent(owner.vni)) strays.set(`flows of VNI ${owner.vni}`, { kind: 'delete', filter: flowsOfTenant(owner.vni) });
    else if (owner.kind === 'port' && !owners.has(`${owner.vni} ${owner.ofport}`)) strays.set(`flows of port ${owner.ofport} of VNI ${owner.vni}`, { kind: 'delete', filter: flowsOf(owner) });
  }
  return strays;
}
