/** Options of bridges and of their ports, those that are on or off: `ip link set … type bridge`, `… type bridge_slave`. Pure. */
import { attributeU32, attributeU8, decodeAttributes } from './codec.ts';

/** include/uapi/linux/if_link.h, IFLA_BR_*: number, and size in bytes. */
const bridgeAttributes = { stp: [5, 4], multicastSnooping: [23, 1] } as const;
/** include/uapi/linux/if_link.h, IFLA_BRPORT_*; one byte each. */
const portAttributes = {
  hairpin: [4, 1], learning: [8, 1], unicastFlood: [9, 1], proxyArp: [10, 1], multicastFlood: [27, 1], broadcastFlood: [30, 1],
  neighbourSuppression: [32, 1], isolated: [33, 1], locked: [39, 1],
} as const;
type Attributes = Readonly<Record<string, readonly [number: number, bytes: 1 | 4]>>;

export type BridgeOption = keyof typeof bridgeAttributes;
/** Options of a bridge; absent: not asked for, or not known to the kernel. */
export type BridgeOptions = Readonly<Partial<Record<BridgeOption, boolean>>>;

export type BridgePortOption = keyof typeof portAttributes;
/** Options of a bridge's port; absent: not asked for, or not known to the kernel. */
export type BridgePortOptions = Readonly<Partial<Record<BridgePortOption, boolean>>>;

/** IFLA_INFO_DATA of a bridge. */
export function encodeBridgeOptions(options: BridgeOptions): Uint8Array[] {
  return encode(bridgeAttributes, options);
}

/** The options in IFLA_INFO_DATA of a bridge. */
export function decodeBridgeOptions(data: Buffer): BridgeOptions {
  return decode(bridgeAttributes, data);
}

/** IFLA_INFO_SLAVE_DATA of a bridge's port. */
export function encodePortOptions(options: BridgePortOptions): Uint8Array[] {
  return encode(portAttributes, options);
}

/** The options in IFLA_INFO_SLAVE_DATA of a bridge's port. */
export function decodePortOptions(data: Buffer): BridgePortOptions {
  return decode(portAttributes, data);
}

function encode(attributes: Attributes, options: Readonly<Record<string, boolean | undefined>>): Uint8Array[] {
  return Object.entries(attributes).flatMap(([name, [number, bytes]]) => {
    const option = options[name];
    if (option === undefined) return [];
    return [bytes === 1 ? attributeU8(number, option ? 1 : 0) : attributeU32(number, option ? 1 : 0)];
  });
}

function decode(attributes: Attributes, data: Buffer): Readonly<Record<string, boolean>> {
  const found = decodeAttributes(data);
  const options: Record<string, boolean> = {};
  for (const [name, [number, bytes]] of Object.entries(attributes)) {
    const value = found.get(number);
    if (value?.length === bytes) options[name] = value.readUIntLE(0, bytes) !== 0;
  }
  return options;
}
