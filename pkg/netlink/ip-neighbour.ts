/** Neighbours, which say what MAC an address has: the requests of `ip neigh`. Pure. */
import { addressBytes, addressFromBytes, formatAddress, macBytes, macFromBytes, type Address, type Mac } from '../netaddr/netaddr.ts';
import { familyNumbers } from './address.ts';
import { attribute, attributeU32, decodeAttributes, type NetlinkMessage, type NetlinkRequest } from './codec.ts';

// include/uapi/linux/rtnetlink.h, neighbour.h
const rtmNewNeigh = 28;
const rtmDelNeigh = 29;
const rtmGetNeigh = 30;
const nda = { dst: 1, linkAddress: 2, ifIndex: 8 } as const;
const headerBytes = 12;
/** NTF_EXT_LEARNED: a control plane's. */
const flagExternal = 0x10;
const stateNoArp = 0x40;
const statePermanent = 0x80;
/** NUD_VALID: states in which the MAC is known. */
const statesValid = 0x02 | 0x04 | 0x08 | 0x10 | stateNoArp | statePermanent;
const createReplace = 0x400 | 0x100;

/** What is said of an address. */
export interface NeighbourSettings {
  readonly address: Address;
  readonly mac: Mac;
}

/** A neighbour as the kernel describes it. */
export interface Neighbour {
  /** Index of the link. */
  readonly index: number;
  readonly address: Address;
  /** Absent while it is asked for, and where nobody answered. */
  readonly mac?: Mac;
  /** Somebody has written it down for good; it is never asked for. */
  readonly isPermanent: boolean;
  /** A control plane programmed it. */
  readonly isExternal: boolean;
}

/** struct ndmsg. */
function neighbourHeader({ family, index = 0, state = 0, flags = 0 }: { family: number; index?: number; state?: number; flags?: number }): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(family, 0);
  bytes.writeInt32LE(index, 4);
  bytes.writeUInt16LE(state, 8);
  bytes.writeUInt8(flags, 10);
  return bytes;
}

function newNeighbour(index: number, { address, mac }: NeighbourSettings, kind: { state: number; flags?: number }): NetlinkRequest {
  const header = neighbourHeader({ family: familyNumbers[address.family], index, ...kind });
  const payload = Buffer.concat([header, attribute(nda.dst, addressBytes(address)), attribute(nda.linkAddress, macBytes(mac))]);
  return { type: rtmNewNeigh, flags: createReplace, payload, what: `add neighbour ${formatAddress(address)}` };
}

/** Equivalent to: `ip neigh replace ADDRESS lladdr MAC dev LINK nud permanent`. */
export function putNeighbour(index: number, settings: NeighbourSettings): NetlinkRequest {
  return newNeighbour(index, settings, { state: statePermanent });
}

/** Equivalent to: `ip neigh replace ADDRESS lladdr MAC dev LINK nud noarp extern_learn`, as zebra writes them. */
export function putExternalNeighbour(index: number, settings: NeighbourSettings): NetlinkRequest {
  return newNeighbour(index, settings, { state: stateNoArp, flags: flagExternal });
}

function aboutNeighbour(index: number, address: Address): Uint8Array {
  return Buffer.concat([neighbourHeader({ family: familyNumbers[address.family], index }), attribute(nda.dst, addressBytes(address))]);
}

/** Equivalent to: `ip neigh get ADDRESS dev LINK`; ENOENT where there is none. */
export function getNeighbour(index: number, address: Address): NetlinkRequest {
  return { type: rtmGetNeigh, flags: 0, payload: aboutNeighbour(index, address), what: `read neighbour ${formatAddress(address)}` };
}

/** Equivalent to: `ip neigh del ADDRESS dev LINK`; ENOENT where there is none. */
export function delNeighbour(index: number, address: Address): NetlinkRequest {
  return { type: rtmDelNeigh, flags: 0, payload: aboutNeighbour(index, address), what: `delete neighbour ${formatAddress(address)}` };
}

/** Equivalent to: `ip neigh show [dev LINK]`, with all states. A dump, of both families. */
export function listNeighbours(index?: number): NetlinkRequest {
  const parts = [neighbourHeader({ family: 0 }), ...(index === undefined ? [] : [attributeU32(nda.ifIndex, index)])];
  return { type: rtmGetNeigh, flags: 0, payload: Buffer.concat(parts), what: 'list neighbours' };
}

/** NUD_*, by their bit. */
const stateNames = ['incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed', 'noarp', 'permanent'] as const;
/** What the kernel has made of asking; `none` before it has begun. */
export type NeighbourState = (typeof stateNames)[number] | 'none';

/** The state of the neighbour that a RTM_NEWNEIGH message describes. */
export function neighbourStateOf({ payload }: Pick<NetlinkMessage, 'payload'>): NeighbourState {
  const state = payload.readUInt16LE(8);
  return stateNames.find((_name, bit) => (state & (1 << bit)) !== 0) ?? 'none';
}

/** The neighbour a RTM_NEWNEIGH message describes; undefined for families other than IPv4 and IPv6. */
export function decodeNeighbour({ payload }: NetlinkMessage): Neighbour | undefined {
  const attributes = decodeAttributes(payload, headerBytes);
  const address = attributes.get(nda.dst);
  if (address?.length !== 4 && address?.length !== 16) return undefined;
  const state = payload.readUInt16LE(8);
  const mac = attributes.get(nda.linkAddress);
  return {
    index: payload.readInt32LE(4),
    address: addressFromBytes(address),
    isPermanent: (state & statePermanent) !== 0,
    isExternal: (payload.readUInt8(10) & flagExternal) !== 0,
    ...(mac?.length === 6 && (state & statesValid) !== 0 ? { mac: macFromBytes(mac) } : {}),
  };
}
