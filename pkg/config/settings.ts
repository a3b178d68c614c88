/** The keys that a plugin configuration and a tenant of the node configuration share. */
import { identifierRule, isIdentifier } from '../cni/identifier.ts';
import { showValue } from '../cni/json-value.ts';
import { ipv4MinimumMtuBytes } from '../mtu/overhead.ts';
import { parseVni, type Address, type Vni } from '../netaddr/netaddr.ts';
import { vtepAddress } from './addresses.ts';
import { wiringKeys, wordOf, type WiringSettings } from './datapath-conf.ts';
import { interfaceName } from './interface-name.ts';
import { ipam, type IpamConf } from './ipam-conf.ts';
import { boolean, key, listOf, objectOf, scalar, text, wholeNumber, withoutAbsent, type Keys, type Reader } from './readers.ts';

/** This node's tunnel end point as it is written; what is missing is found on the node. */
export interface VtepConf {
  readonly interface?: string;
  readonly address?: Address;
  /** UDP. */
  readonly port?: number;
}

/** What may be said of a whole node. */
export interface NodeSettings extends WiringSettings {
  readonly vtep?: VtepConf;
  /** The other VTEPs, perhaps this node's own among them. */
  readonly peers?: readonly Address[];
  /** Bytes, of the endpoints' interfaces. */
  readonly mtu?: number;
  /** What becomes of an mtu that does not fit through the tunnel. */
  readonly mtuPolicy?: MtuPolicy;
}

/** Whether an mtu that is too large is refused, or warned about while the largest that fits is used in its place. */
export type MtuPolicy = 'refuse' | 'warn';

/** What may be said of a tenant, by a plugin configuration or by the node configuration. */
export interface TenantSettings extends NodeSettings {
  readonly vni?: Vni;
  readonly isGateway?: boolean;
  readonly ipMasq?: boolean;
  readonly ipam?: IpamConf;
}

/** RFC 768. */
const portMax = 65535;
/** RFC 7348 §4: 24 bits; 0 is none. */
const vniMax = 2 ** 24 - 1;
/** The largest IPv4 packet (RFC 791 §3.1), bytes; the kernel takes no larger MTU of a veth or a bridge either. */
const mtuMax = 65535;

/** The specification's rule for names of networks, which tenants follow as well. */
export const identifier: Reader<string> = text('a string', (value, name) => {
  if (isIdentifier(value)) return value;
  throw new SyntaxError(`${name} ${identifierRule}: current value is ${showValue(value)}`);
}, { kind: 'text', noun: 'a name: letters, digits, `_`, `.` and `-`, a letter or digit first', pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]*$' });

const vtep: Reader<VtepConf> = objectOf<Required<VtepConf>>({
  interface: key(interfaceName, 'The interface with the address at which the tunnel ends; with `address` the one that has it.', { otherwise: 'that of the default route' }),
  address: key(vtepAddress, 'The address at which the tunnel ends, one of this node.', { otherwise: 'the first one of `interface`' }),
  port: key(wholeNumber(1, portMax), 'UDP, the same on all nodes of a tenant.', { otherwise: '4789 for VXLAN, 6081 for Geneve' }),
});

/** The keys of NodeSettings. */
export const nodeKeys: Keys<Required<NodeSettings>> = {
  ...wiringKeys,
  vtep: key(vtep, "This node's tunnel end point.", { otherwise: 'the address of the interface that the default route leaves by' }),
  peers: key(listOf("addresses of other nodes' VTEPs", vtepAddress), "The tunnel end points of the other nodes; this node's own may be among them, so that all nodes can have one list. Not with `controlPlane.type: evpn`.", { default: [] }),
  mtu: key(wholeNumber(ipv4MinimumMtuBytes, mtuMax), "Of the containers' interfaces ([mtu.md](../mtu.md)); at least 1280 where there are IPv6 ranges.", { unit: 'bytes', otherwise: "what the ways to the peers leave, less 50 (IPv4) or 70 (IPv6), and follows them" }),
  mtuPolicy: key(wordOf<MtuPolicy>('refuse', 'warn'), 'What becomes of an `mtu` that does not fit through the tunnel: the call is refused, or the largest that fits is used.', { default: 'refuse' }),
};

/** The keys of TenantSettings. */
export const tenantKeys: Keys<Required<TenantSettings>> = {
  ...nodeKeys,
  vni: key(scalar({ kind: 'integer', min: 1, max: vniMax }, parseVni), "The tenant's VXLAN network identifier, the same on all nodes, and no other tenant's.", { otherwise: 'it must be given in the plugin configuration or in the entry of the tenant' }),
  isGateway: key(boolean, "The node has the tenant's gateway addresses.", { default: false }),
  ipMasq: key(boolean, 'What leaves the tenant by the gateway is masqueraded; only with `isGateway`.', { default: false }),
  ipam: key(ipam, 'Who gives addresses, and which.', { otherwise: 'no addresses: layer 2 only' }),
};

/**
 * One set of settings out of several, the first ones winning key by key. A VTEP's place is interface and address
 * together: an address from one file and an interface from another would contradict each other.
 */
export function mergeSettings(layers: readonly TenantSettings[]): TenantSettings {
  const merged = layers.toReversed().reduce<TenantSettings>((settings, layer) => ({ ...settings, ...layer }), {});
  const vteps = layers.flatMap(({ vtep }) => vtep ?? []);
  const place = vteps.find((candidate) => candidate.interface !== undefined || candidate.address !== undefined);
  const port = vteps.find((candidate) => candidate.port !== undefined)?.port;
  return { ...merged, vtep: { ...place, ...withoutAbsent({ port }) } };
}
