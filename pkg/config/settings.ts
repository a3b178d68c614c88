/** The keys that a plugin configuration and a tenant of the node configuration share. */
import { identifierRule, isIdentifier } from '../cni/identifier.ts';
import { showValue } from '../cni/json-value.ts';
import { ipv4MinimumMtuBytes } from '../mtu/overhead.ts';
import { parseVni, type Address, type Vni } from '../netaddr/netaddr.ts';
import { vtepAddress } from './addresses.ts';
import { wiringReaders, wordOf, type WiringSettings } from './datapath-conf.ts';
import { interfaceName } from './interface-name.ts';
import { ipam, type IpamConf } from './ipam-conf.ts';
import { boolean, listOf, objectOf, scalar, text, wholeNumber, withoutAbsent, type Reader, type Readers } from './readers.ts';

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
/** The largest IPv4 packet (RFC 791 §3.1), bytes; the kernel takes no larger MTU of a veth or a bridge either. */
const mtuMax = 65535;

/** The specification's rule for names of networks, which tenants follow as well. */
export const identifier: Reader<string> = text('a string', (value, name) => {
  if (isIdentifier(value)) return value;
  throw new SyntaxError(`${name} ${identifierRule}: current value is ${showValue(value)}`);
});

const vtep: Reader<VtepConf> = objectOf<Required<VtepConf>>({ interface: interfaceName, address: vtepAddress, port: wholeNumber(1, portMax) });

export const nodeReaders: Readers<Required<NodeSettings>> = {
  ...wiringReaders,
  vtep,
  peers: listOf("addresses of other nodes' VTEPs", vtepAddress),
  mtu: wholeNumber(ipv4MinimumMtuBytes, mtuMax),
  mtuPolicy: wordOf<MtuPolicy>('refuse', 'warn'),
};

export const tenantReaders: Readers<Required<TenantSettings>> = {
  ...nodeReaders,
  vni: scalar(parseVni),
  isGateway: boolean,
  ipMasq: boolean,
  ipam,
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
