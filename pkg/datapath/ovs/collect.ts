/** Garbage on the switch: ports, tunnels, rows and flows of weft's that belong to no attachment and no segment. */
import type { FlowMod } from '../../openflow/flow.ts';
import { bridgeName } from '../../overlay/names.ts';
import type { KnownState } from '../datapath.ts';
import { flowsOf, flowsOfTenant, ownerOf } from './flows/flows.ts';
import type { OvsParts } from './port.ts';
import { tunnelOf } from './rows.ts';
import { takeSnapshot } from './snapshot.ts';
import { tunnelName } from './switch/tunnel.ts';

async function removeBridge(ovs: OvsParts['ovs']): Promise<string[]> {
  await ovs.removeBridge();
  return ['the integration bridge'];
}

/** Removes the garbage; returns what was removed, in words. */
export async function collectGarbage({ ovs }: OvsParts, { segments, ports }: KnownState): Promise<string[]> {
  const names = new Set([...ports.map(({ hostIf }) => hostIf), ...segments.filter(({ gateway }) => gateway !== undefined).map(({ vni }) => bridgeName(vni))]);
  const tunnels = new Set(segments.map((segment) => tunnelName(tunnelOf(segment))));
  const snapshot = await takeSnapshot(ovs);
  // A switch that cannot be asked is said elsewhere, and looked through another time.
  if (typeof snapshot === 'string') return [];
  if (segments.length === 0 && snapshot.ports.size > 0) return [...(await ovs.collect({ ports: names, tunnels })), ...(await removeBridge(ovs))];
  const vnis = new Set<number>(segments.map(({ vni }) => vni));
  const ofports = new Set([...ovs.ports()].filter(([name]) => names.has(name)).map(([, { ofport }]) => ofport));
  const strays = new Map<string, FlowMod>();
  for (const { cookie } of snapshot.flows.values()) {
    const owner = ownerOf(cookie);
    if (owner === undefined || owner.kind === 'node') continue;
    if (!vnis.has(owner.vni)) strays.set(`flows of VNI ${owner.vni}`, { kind: 'delete', filter: flowsOfTenant(owner.vni) });
    else if (owner.kind === 'port' && !ofports.has(owner.ofport)) strays.set(`flows of port ${owner.ofport} of VNI ${owner.vni}`, { kind: 'delete', filter: flowsOf(owner) });
  }
  await ovs.send([...strays.values()]);
  return [...strays.keys(), ...(await ovs.collect({ ports: names, tunnels }))];
}
