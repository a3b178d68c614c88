import { fnv1a32 } from '../digest/fnv.ts';
import { addressBytes, addressFromBytes, type Address } from './address.ts';
import { currentValue } from './current-value.ts';

/** An Ethernet address as text: six pairs of lower-case hexadecimal digits with colons between them. */
export type Mac = string & { readonly __mac: unique symbol };

/** IEEE 802 §8.2: the I/G bit, set in multicast addresses. */
const groupBit = 0x01;
/** IEEE 802 §8.2: the U/L bit, set in locally administered addresses. */
const localBit = 0x02;

/**
 * Reads a MAC written as six pairs of hexadecimal digits with colons between them, in either case.
 *
 * @throws SyntaxError naming the value
 */
export function parseMac(text: string, name = 'mac'): Mac {
  if (isMacText(text)) return text.toLowerCase() as Mac;
  throw new SyntaxError(`${name} must be a MAC address like 02:00:5e:10:00:01: ${currentValue(text)}`);
}

/** The six bytes in the order they are sent. */
export function macBytes(mac: Mac): Uint8Array {
  return Uint8Array.from(mac.split(':'), (pair) => Number.parseInt(pair, 16));
}

/**
 * The MAC of six bytes.
 *
 * @throws RangeError for any other number of bytes
 */
export function macFromBytes(bytes: Uint8Array): Mac {
  if (bytes.length !== 6) throw new RangeError(`mac must be 6 bytes long: current value is ${bytes.length}`);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':') as Mac;
}

/** True for a MAC that an interface can have: neither multicast nor all zeros. */
export function isUnicastMac(mac: Mac): boolean {
  const bytes = macBytes(mac);
  return ((bytes[0] ?? 0) & groupBit) === 0 && bytes.some((byte) => byte !== 0);
}

/** The link-local address the kernel gives an interface with this MAC: fe80::/64 and the modified EUI-64 (RFC 4291 appendix A). */
export function eui64LinkLocal(mac: Mac): Address {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  return addressFromBytes(Uint8Array.of(0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ localBit, b, c, 0xff, 0xfe, d, e, f));
}

/**
 * A locally administered MAC that is the same for the same address, so that an endpoint which keeps its address keeps
 * its neighbours' caches right. Different IPv4 addresses never share one; IPv6 addresses may, with a chance of 2^-32.
 */
export function macFromAddress(address: Address): Mac {
  const bytes = addressBytes(address);
  if (address.family === 4) return macFromBytes(Uint8Array.of(0x02, 0x77, ...bytes));
  const hash = fnv1a32(bytes);
  return macFromBytes(Uint8Array.of(0x0a, 0x77, hash >>> 24, hash >>> 16, hash >>> 8, hash));
}

function isMacText(text: string): boolean {
  return /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/i.test(text);
}
