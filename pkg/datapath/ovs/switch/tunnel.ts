/** The one interface by which tenants' frames leave the node and come in; where to, and whose they are, flows say. Pure. */
import { fnv1a64 } from '../../../digest/fnv.ts';
import { formatAddress, type Address } from '../../../netaddr/netaddr.ts';

/** A tunnel as weft uses it. */
export interface TunnelSettings {
  readonly type: 'vxlan' | 'geneve';
  /** The VTEP's address. */
  readonly local: Address;
  /** The UDP port peers listen on. */
  readonly port: number;
}

const prefix = 'weft-t';
/** The name of an interface has at most 15 characters (IFNAMSIZ − 1). */
const digestDigits = 9;

/** The interface's name: prefix and digest of what it is for. */
export function tunnelName({ type, local, port }: TunnelSettings): string {
  const digest = fnv1a64(Buffer.from(JSON.stringify([type, formatAddress(local), port]))).toString(36);
  return `${prefix}${digest.padStart(digestDigits, '0').slice(-digestDigits)}`;
}

/**
 * The interface's options (ovs-vswitchd.conf.db(5), "Tunnel Options"). Over IPv4 the UDP checksum is left out, as RFC 7348 §5 would have it,
 * and nothing is lost by it: the inner packets have their own. Over IPv6 a receiver may drop packets without one (RFC 8200 §8.1).
 */
export function tunnelOptions({ local, port }: TunnelSettings): Readonly<Record<string, string>> {
  return { remote_ip: 'flow', key: 'flow', local_ip: formatAddress(local), dst_port: String(port), csum: String(local.family === 6) };
}

/** Whether a tunnel's row has these options and no others: a foreign one may send its frames elsewhere. */
export function hasOptions(present: ReadonlyMap<string, string>, wanted: Readonly<Record<string, string>>): boolean {
  return present.size === Object.keys(wanted).length && Object.entries(wanted).every(([key, value]) => present.get(key) === value);
}
