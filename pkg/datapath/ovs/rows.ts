/** Weft's ports on the switch, as tenants have them. Pure. */
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import type { Vni } from '../../netaddr/netaddr.ts';
import { isWaiting } from '../phases.ts';
import type { SwitchPort } from './switch/rows.ts';
import type { TunnelSettings } from './switch/tunnel.ts';

/** Keys of external_ids. */
const vniKey = 'vni';
/** What other tools look for (Open vSwitch's INTEGRATION.rst). */
const macKey = 'attached-mac';
/** Of a port that waits for its machine: nothing is flooded to it. */
export const gateKey = 'gate';
const gateClosed = 'closed';

/** What a container's port is known by. */
export function externalIdsOf(port: AttachmentPort): Readonly<Record<string, string>> {
  const gate = gateMarkOf(port);
  return { [vniKey]: String(port.vni), [macKey]: port.mac, description: port.alias, ...(gate === undefined ? {} : { [gateKey]: gate }) };
}

/** What its row says of the gate; undefined for ports without one. */
export function gateMarkOf(port: Pick<AttachmentPort, 'migration'>): string | undefined {
  return isWaiting(port) ? gateClosed : undefined;
}

/** A port that ovs-vswitchd has opened. */
export interface OpenPort {
  readonly name: string;
  readonly ofport: number;
}

/** The VNI of the tenant whose container's port it is; undefined for others of weft's. */
export function vniOf({ role, type, externalIds }: SwitchPort): number | undefined {
  const vni = role === 'port' && type === '' ? externalIds.get(vniKey) : undefined;
  return vni === undefined ? undefined : Number(vni);
}

/** Whether the port is of a container of the tenant with this MAC. */
export function isEndpointOf(port: SwitchPort, { vni, mac }: Pick<AttachmentPort, 'vni' | 'mac'>): boolean {
  return vniOf(port) === vni && port.externalIds.get(macKey) === mac;
}

/** The tenant's containers' ports, in the order of their numbers. */
export function localPorts(ports: ReadonlyMap<string, SwitchPort>, vni: Vni): readonly OpenPort[] {
  return [...ports]
    .filter(([, port]) => vniOf(port) === vni)
    .flatMap(([name, { ofport }]) => (ofport === undefined ? [] : [{ name, ofport }]))
    .sort((one, other) => one.ofport - other.ofport);
}

/** Those of the tenant's containers that receive broadcast. */
export function receivingPorts(ports: ReadonlyMap<string, SwitchPort>, vni: Vni): readonly OpenPort[] {
  return localPorts(ports, vni).filter(({ name }) => ports.get(name)?.externalIds.has(gateKey) !== true);
}

/** The tunnel that a segment's frames travel through. */
export function tunnelOf({ encapsulation, vtepAddress, vtepPort }: Pick<Segment, 'encapsulation' | 'vtepAddress' | 'vtepPort'>): TunnelSettings {
  return { type: encapsulation ?? 'vxlan', local: vtepAddress, port: vtepPort };
}
