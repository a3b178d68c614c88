/** Forwarding entries of bridges and VXLAN devices: the requests of `bridge fdb`. Pure. */
import { addressBytes, addressFromBytes, formatAddress, macBytes, macFromBytes, type Address, type Mac } from '../netaddr/netaddr.ts';
import { attribute, attributeBe16, attributeU32, decodeAttributes, type NetlinkMessage, type NetlinkRequest } from './codec.ts';

// include/uapi/linux/rtnetlink.h, neighbour.h
const rtmNewNeigh = 28;
const rtmDelNeigh = 29;
const rtmGetNeigh = 30;
const nda = { dst: 1, linkAddress: 2, port: 6, vni: 7, master: 9 } as const;
const afBridge = 7;
const headerBytes = 12;
const flagSelf = 0x02;
const flagMaster = 0x04;
/** NTF_EXT_LEARNED: a control plane's. */
const flagExternal = 0x10;
const stateReachable = 0x02;
const stateNoArp = 0x40;
const statePermanent = 0x80;
const create = 0x400;
const createReplace = create | 0x100;
const createAppend = 0x400 | 0x800;

/** The address under which a VXLAN device keeps its flood list. */
export const floodMac = '00:00:00:00:00:00' as Mac;

export interface FdbEntry {
  /** Index of the bridge port or VXLAN device. */
  readonly index: number;
  readonly mac: Mac;
  /** The remote VTEP, of a VXLAN device's own entries. */
  readonly vtep?: Address;
  /** The VNI by which it is sent there, where that is not the device's own. */
  readonly vni?: number;
  /** Index of the bridge, of a bridge's entries. */
  readonly master?: number;
  /** Neither learned nor ageing. */
  readonly isStatic: boolean;
  /** A control plane programmed it. */
  readonly isExternal?: true;
}

/** struct ndmsg. */
function neighbourHeader(options: { index: number; state?: number; flags?: number }): Uint8Array {
  const bytes = Buffer.alloc(headerBytes);
  bytes.writeUInt8(afBridge, 0);
  bytes.writeInt32LE(options.index, 4);
  bytes.writeUInt16LE(options.state ?? 0, 8);
  bytes.writeUInt8(options.flags ?? 0, 10);
  return bytes;
}

/** Equivalent to: `bridge fdb replace MAC dev PORT master static`: the bridge knows where a local endpoint is. */
export function replacePortFdb(index: number, mac: Mac): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, state: stateNoArp, flags: flagMaster }), attribute(nda.linkAddress, macBytes(mac))]);
  return { type: rtmNewNeigh, flags: createReplace, payload, what: `add FDB entry ${mac}` };
}

/** Equivalent to: `bridge fdb del MAC dev PORT master`; ENOENT where it is not there. */
export function delPortFdb(index: number, mac: Mac): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, flags: flagMaster }), attribute(nda.linkAddress, macBytes(mac))]);
  return { type: rtmDelNeigh, flags: 0, payload, what: `delete FDB entry ${mac}` };
}

/** Where a VXLAN device sends a MAC's frames. */
export interface VxlanDestination {
  readonly mac: Mac;
  readonly vtep: Address;
  /** Its UDP port and VNI there, where they are not the device's own. */
  readonly other?: { readonly port: number; readonly vni: number };
}

/** Equivalent to: `bridge fdb del MAC dev VXLAN dst VTEP [port PORT vni VNI] self`; ENOENT where the MAC is not there, and no error where it is at another VTEP, and stays. */
export function delVxlanFdb(index: number, destination: VxlanDestination): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, flags: flagSelf }), ...destinationAttributes(destination)]);
  return { type: rtmDelNeigh, flags: 0, payload, what: `delete FDB entry ${inWords(destination)}` };
}

/** Equivalent to: `bridge fdb del MAC dev VXLAN self`, wherever it leads; ENOENT where the MAC is not there. */
export function forgetVxlanFdb(index: number, mac: Mac): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, flags: flagSelf }), attribute(nda.linkAddress, macBytes(mac))]);
  return { type: rtmDelNeigh, flags: 0, payload, what: `delete FDB entry ${mac}` };
}

/** Equivalent to: `bridge fdb replace MAC dev VXLAN dst VTEP self dynamic`: as if it had been learned. */
export function putLearnedVxlanFdb(index: number, destination: Omit<VxlanDestination, 'other'>): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, state: stateReachable, flags: flagSelf }), ...destinationAttributes(destination)]);
  return { type: rtmNewNeigh, flags: createReplace, payload, what: `add FDB entry ${inWords(destination)}` };
}

/** Equivalent to: `bridge fdb replace MAC dev PORT master dynamic`: as if it had been learned; takes the MAC away from any other port of the bridge. */
export function putLearnedPortFdb(index: number, mac: Mac): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, state: stateReachable, flags: flagMaster }), attribute(nda.linkAddress, macBytes(mac))]);
  return { type: rtmNewNeigh, flags: createReplace, payload, what: `add FDB entry ${mac}` };
}

/**
 * Equivalent to: `bridge fdb replace MAC dev VXLAN dst VTEP [port PORT vni VNI] self extern_learn dynamic`: it does not age, and moves when the
 * device learns. With `isKept` an entry that is there already keeps its VTEP, and no longer ages (drivers/net/vxlan, vxlan_fdb_update_existing).
 */
export function putVxlanFdb(index: number, destination: VxlanDestination, { isKept = false }: { readonly isKept?: boolean } = {}): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, state: stateReachable, flags: flagSelf | flagExternal }), ...destinationAttributes(destination)]);
  return { type: rtmNewNeigh, flags: isKept ? create : createReplace, payload, what: `add FDB entry ${inWords(destination)}` };
}

/** Equivalent to: `bridge fdb replace MAC dev VXLAN dst VTEP self static`: it neither ages nor moves. */
export function putStaticVxlanFdb(index: number, destination: Omit<VxlanDestination, 'other'>): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, state: stateReachable | stateNoArp, flags: flagSelf }), ...destinationAttributes(destination)]);
  return { type: rtmNewNeigh, flags: createReplace, payload, what: `add FDB entry ${inWords(destination)}` };
}

function destinationAttributes({ mac, vtep, other }: VxlanDestination): Uint8Array[] {
  const parts = [attribute(nda.linkAddress, macBytes(mac)), attribute(nda.dst, addressBytes(vtep))];
  return other === undefined ? parts : [...parts, attributeBe16(nda.port, other.port), attributeU32(nda.vni, other.vni)];
}

function inWords({ mac, vtep }: VxlanDestination): string {
  return `${mac} at VTEP ${formatAddress(vtep)}`;
}

/** Equivalent to: `bridge fdb replace MAC dev PORT master extern_learn dynamic`: takes the MAC away from any other port of the bridge. */
export function putPortFdb(index: number, mac: Mac): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, state: stateReachable, flags: flagMaster | flagExternal }), attribute(nda.linkAddress, macBytes(mac))]);
  return { type: rtmNewNeigh, flags: createReplace, payload, what: `add FDB entry ${mac}` };
}

/** Equivalent to: `bridge fdb get MAC br BRIDGE`: at which port the bridge has it; ENOENT where it has not. */
export function getBridgeFdb(bridge: number, mac: Mac): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index: 0 }), attribute(nda.linkAddress, macBytes(mac)), attributeU32(nda.master, bridge)]);
  return { type: rtmGetNeigh, flags: 0, payload, what: `read FDB entry ${mac}` };
}

/** Equivalent to: `bridge fdb get MAC dev VXLAN self`; ENOENT where it is not there. */
export function getVxlanFdb(index: number, mac: Mac): NetlinkRequest {
  const payload = Buffer.concat([neighbourHeader({ index, flags: flagSelf }), attribute(nda.linkAddress, macBytes(mac))]);
  return { type: rtmGetNeigh, flags: 0, payload, what: `read FDB entry ${mac} of a VXLAN device` };
}

function floodEntry(index: number, vtep: Address, other: VxlanDestination['other']): Uint8Array {
  return Buffer.concat([neighbourHeader({ index, state: statePermanent | stateNoArp, flags: flagSelf }), ...destinationAttributes({ mac: floodMac, vtep, ...(other === undefined ? {} : { other }) })]);
}

/** Equivalent to: `bridge fdb append 00:00:00:00:00:00 dev VXLAN dst VTEP [port PORT vni VNI]`; no error where it is on the flood list already. */
export function appendFlood(index: number, vtep: Address, other?: VxlanDestination['other']): NetlinkRequest {
  return { type: rtmNewNeigh, flags: createAppend, payload: floodEntry(index, vtep, other), what: `add VTEP ${formatAddress(vtep)} to the flood list` };
}

/** Equivalent to: `bridge fdb del 00:00:00:00:00:00 dev VXLAN dst VTEP [port PORT vni VNI]`; ENOENT only where the flood list is empty. */
export function delFlood(index: number, vtep: Address, other?: VxlanDestination['other']): NetlinkRequest {
  return { type: rtmDelNeigh, flags: 0, payload: floodEntry(index, vtep, other), what: `take VTEP ${formatAddress(vtep)} off the flood list` };
}

/** Equivalent to: `bridge fdb show [brport LINK]`. A dump; without an index, of all bridges and VXLAN devices. */
export function listFdb(index = 0): NetlinkRequest {
  return { type: rtmGetNeigh, flags: 0, payload: neighbourHeader({ index }), what: 'list FDB entries' };
}

/** Equivalent to: `bridge fdb show br BRIDGE`. A dump, with the own entries of its ports and of itself. */
export function listBridgeFdb(bridge: number): NetlinkRequest {
  return { type: rtmGetNeigh, flags: 0, payload: Buffer.concat([neighbourHeader({ index: 0 }), attributeU32(nda.master, bridge)]), what: 'list FDB entries of a bridge' };
}

/** Whether the message says that an entry of a forwarding database has come or changed, or has gone; undefined where it is about something else. */
export function fdbChangeOf({ type, payload }: NetlinkMessage): { readonly index: number; readonly isGone: boolean } | undefined {
  if ((type !== rtmNewNeigh && type !== rtmDelNeigh) || payload[0] !== afBridge) return undefined;
  return { index: payload.readInt32LE(4), isGone: type === rtmDelNeigh };
}

/** The entry a RTM_NEWNEIGH message of the bridge family describes. */
export function decodeFdb(message: NetlinkMessage): FdbEntry | undefined {
  const { payload } = message;
  const attributes = decodeAttributes(payload, headerBytes);
  const mac = attributes.get(nda.linkAddress);
  if (mac?.length !== 6) return undefined;
  const vtep = attributes.get(nda.dst);
  const master = attributes.get(nda.master)?.readUInt32LE(0);
  const vni = attributes.get(nda.vni)?.readUInt32LE(0);
  return {
    index: payload.readInt32LE(4),
    mac: macFromBytes(mac),
    isStatic: (payload.readUInt16LE(8) & (stateNoArp | statePermanent)) !== 0,
    ...(vtep === undefined ? {} : { vtep: addressFromBytes(vtep) }),
    ...(vni === undefined ? {} : { vni }),
    ...(master === undefined ? {} : { master }),
    ...((payload.readUInt8(10) & flagExternal) === 0 ? {} : { isExternal: true }),
  };
}
