/** The elements of the guard that concern a tenant's gateway. Pure. */
import { gatewayTable } from '../datapath/guard/gateway-rules.ts';
import { portElements, segmentElements, type GuardElement } from '../datapath/guard/guard-elements.ts';
import { bigEndian16 } from '../datapath/guard/guard-rules.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import type { Address } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';

/** What lets a port's frames reach the gateway. */
export function gatewayPortElement({ port }: Pick<AttachmentRecord, 'port'>): GuardElement {
  return named(portElements(port, { hasGateway: true }), 'gateway_ports');
}

/** What keeps a tenant's UDP from the ports of VTEPs. */
export function vtepPortElement(port: number): GuardElement {
  return { table: gatewayTable, set: 'vtep_ports', key: [bigEndian16(port)] };
}

/** An element of the tenant's own by its set, as a tenant with a gateway that masquerades would have it. */
export function gatewayElement(segment: Segment, set: 'gateway_bridges' | 'same_tenant' | 'masqueraded' | 'gateways'): GuardElement {
  return named(segmentElements({ ...segment, gateway: { addresses: segment.gateway?.addresses ?? [], masquerade: true } }), set);
}

/** What has the guard ask who sends with the VNI, and what lets a VTEP in. */
export function vtepElements(segment: Segment, vtep: Address): { readonly asks: GuardElement; readonly lets: GuardElement } {
  const elements = segmentElements({ ...segment, peers: [vtep] });
  return { asks: named(elements, 'segments'), lets: named(elements, vtep.family === 4 ? 'vteps4' : 'vteps6') };
}

function named(elements: readonly GuardElement[], set: string): GuardElement {
  const found = elements.find((element) => element.set === set);
  if (found === undefined) throw new RangeError(`set must be one of the guard's: current value is ${set}`);
  return found;
}
