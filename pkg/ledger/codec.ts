/** Records to columns and back. Addresses inside JSON are text; addresses that are looked up are keys that sort. */
import type { SQLInputValue } from 'node:sqlite';
import {
  addressBytes, addressFromBytes, formatAddress, formatInterfaceAddress, formatPrefix, parseAddress, parseInterfaceAddress,
  parseMac, parsePrefix, parseVni, type Address, type InterfaceAddress,
} from '../netaddr/netaddr.ts';
import type { AttachmentPort, Bandwidth, Gateway, MigrationPhase, PortMigration, RateLimit, Route, Segment } from '../overlay/model.ts';
import {
  bytes, flag, integer, jsonObject, objects, optionalIntegers, optionalObject, optionalText, text, texts, type Fields,
} from './fields.ts';
import type { AllocationRecord, AttachmentName, AttachmentRecord, AttachmentState, Identity, NewAttachment, SegmentRecord } from './records.ts';
import type { attachmentColumns } from './schema.ts';

type AttachmentColumns = Readonly<Record<(typeof attachmentColumns)[number], SQLInputValue>>;

/** The columns of an attachment. */
export function encodeAttachment(record: NewAttachment): AttachmentColumns {
  return {
    network: record.key.network,
    container_id: record.key.containerId,
    if_name: record.key.ifName,
    tenant: record.tenant,
    vni: record.vni,
    netns: record.netns,
    netns_id: record.netnsId,
    host_if: record.hostIf,
    mac: record.mac,
    state: record.state,
    worker_pid: record.worker.pid,
    worker_start_time: record.worker.startTime,
    endpoint: record.endpoint ?? null,
    pod: record.pod ?? null,
    ipam: record.ipam,
    conf: record.conf,
    port: encodePort(record.port),
    created_at: record.createdAt,
  };
}

/** The attachment of a row. @throws SyntaxError, RangeError when a column holds what no weft has written */
export function decodeAttachment(row: Fields): AttachmentRecord {
  const endpoint = optionalText(row, 'endpoint');
  const pod = optionalText(row, 'pod');
  return {
    seq: integer(row, 'seq'),
    key: { network: text(row, 'network'), containerId: text(row, 'container_id'), ifName: text(row, 'if_name') },
    tenant: text(row, 'tenant'),
    vni: parseVni(row['vni']),
    netns: text(row, 'netns'),
    netnsId: text(row, 'netns_id'),
    hostIf: text(row, 'host_if'),
    mac: parseMac(text(row, 'mac')),
    state: parseState(text(row, 'state')),
    worker: { pid: integer(row, 'worker_pid'), startTime: text(row, 'worker_start_time') },
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(pod === undefined ? {} : { pod }),
    ipam: text(row, 'ipam'),
    conf: text(row, 'conf'),
    port: jsonObject(row, 'port', decodePort),
    createdAt: integer(row, 'created_at'),
  };
}

/** Who the attachment of a row is. @throws SyntaxError, RangeError as decodeAttachment() */
export function decodeAttachmentName(row: Fields): AttachmentName {
  const pod = optionalText(row, 'pod');
  const phase = optionalText(row, 'phase');
  return {
    seq: integer(row, 'seq'),
    key: { network: text(row, 'network'), containerId: text(row, 'container_id'), ifName: text(row, 'if_name') },
    tenant: text(row, 'tenant'),
    vni: parseVni(row['vni']),
    hostIf: text(row, 'host_if'),
    state: parseState(text(row, 'state')),
    ...(pod === undefined ? {} : { pod }),
    createdAt: integer(row, 'created_at'),
    ...(phase === undefined ? {} : { phase: knownPhase(phase) }),
  };
}

function parseState(state: string): AttachmentState {
  if (state === 'adding' || state === 'attached' || state === 'deleting') return state;
  throw new SyntaxError(`state must be adding, attached or deleting: current value is ${state}`);
}

function encodePort(port: AttachmentPort): string {
  return JSON.stringify({
    ...port,
    addresses: port.addresses.map(formatInterfaceAddress),
    routes: port.routes.map((route) => ({
      ...route,
      dst: formatPrefix(route.dst),
      ...(route.gateway === undefined ? {} : { gateway: formatAddress(route.gateway) }),
    })),
    ...(port.migration === undefined ? {} : { migration: { ...port.migration, other: formatAddress(port.migration.other) } }),
  });
}

function decodePort(port: Fields): AttachmentPort {
  const datapath = optionalWord(port, 'datapath', 'ovs');
  const bandwidth = optionalObject(port, 'bandwidth', decodeBandwidth);
  const migration = optionalObject(port, 'migration', decodeMigration);
  return {
    vni: parseVni(port['vni']),
    ...(datapath === undefined ? {} : { datapath }),
    hostIf: text(port, 'hostIf'),
    containerIf: text(port, 'containerIf'),
    mac: parseMac(text(port, 'mac')),
    addresses: texts(port, 'addresses', parseInterfaceAddress),
    routes: objects(port, 'routes', decodeRoute),
    mtu: integer(port, 'mtu'),
    ...optionalIntegers(port, ['ownMtu']),
    alias: text(port, 'alias'),
    ...(bandwidth === undefined ? {} : { bandwidth }),
    ...(migration === undefined ? {} : { migration }),
  };
}

const phases: readonly MigrationPhase[] = ['relaying', 'departed', 'left', 'waiting', 'arrived'];

function decodeMigration(fields: Fields): PortMigration {
  return { id: text(fields, 'id'), phase: knownPhase(text(fields, 'phase')), other: parseAddress(text(fields, 'other')), since: integer(fields, 'since') };
}

function knownPhase(word: string): MigrationPhase {
  const phase = phases.find((known) => known === word);
  if (phase === undefined) throw new SyntaxError(`phase must be one of ${phases.join(', ')}: current value is ${word}`);
  return phase;
}

/** A field that is left out for the default: any other word is a newer version's, and to take it for the default would be wrong. */
function optionalWord<Word extends string>(fields: Fields, key: string, word: Word): Word | undefined {
  const value = optionalText(fields, key);
  if (value === undefined) return undefined;
  if (value === word) return word;
  throw new SyntaxError(`${key} must be ${word} or absent: current value is ${value}`);
}

function decodeBandwidth(fields: Fields): Bandwidth {
  const [ingress, egress] = [optionalObject(fields, 'ingress', decodeLimit), optionalObject(fields, 'egress', decodeLimit)];
  return { ...(ingress === undefined ? {} : { ingress }), ...(egress === undefined ? {} : { egress }) };
}

function decodeLimit(fields: Fields): RateLimit {
  return { rateBits: integer(fields, 'rateBits'), ...optionalIntegers(fields, ['burstBits']) };
}

function decodeRoute(route: Fields): Route {
  const gateway = optionalText(route, 'gateway');
  return {
    dst: parsePrefix(text(route, 'dst')),
    ...(gateway === undefined ? {} : { gateway: parseAddress(gateway) }),
    ...optionalIntegers(route, ['mtu', 'advmss', 'priority', 'table', 'scope']),
  };
}

/** The JSON of a segment; addresses as text. */
export function encodeSegment(segment: Segment): string {
  const { gateway } = segment;
  return JSON.stringify({
    ...segment,
    vtepAddress: formatAddress(segment.vtepAddress),
    peers: segment.peers.map(formatAddress),
    ...(gateway === undefined ? {} : { gateway: { ...gateway, addresses: gateway.addresses.map(formatInterfaceAddress) } }),
  });
}

/** The segment of a row. @throws as decodeAttachment() */
export function decodeSegment(row: Fields): SegmentRecord {
  return { vni: parseVni(row['vni']), segment: jsonObject(row, 'segment', decodeSegmentJson) };
}

function decodeSegmentJson(segment: Fields): Segment {
  const datapath = optionalWord(segment, 'datapath', 'ovs');
  const encapsulation = optionalWord(segment, 'encapsulation', 'geneve');
  const controlPlane = optionalWord(segment, 'controlPlane', 'evpn');
  const gateway = optionalObject(segment, 'gateway', decodeGateway);
  const bandwidth = optionalObject(segment, 'bandwidth', decodeBandwidth);
  return {
    tenant: text(segment, 'tenant'),
    vni: parseVni(segment['vni']),
    ...(datapath === undefined ? {} : { datapath }),
    ...(encapsulation === undefined ? {} : { encapsulation }),
    ...(controlPlane === undefined ? {} : { controlPlane }),
    vtepAddress: parseAddress(text(segment, 'vtepAddress')),
    vtepPort: integer(segment, 'vtepPort'),
    underlayMtu: integer(segment, 'underlayMtu'),
    overlayMtu: integer(segment, 'overlayMtu'),
    peers: texts(segment, 'peers', parseAddress),
    ...(gateway === undefined ? {} : { gateway }),
    ...(bandwidth === undefined ? {} : { bandwidth }),
  };
}

function decodeGateway(gateway: Fields): Gateway {
  return { addresses: texts(gateway, 'addresses', parseInterfaceAddress), masquerade: flag(gateway, 'masquerade') };
}

/** An address as the tables hold it: the family in one byte, then 4 or 16 bytes in network order. Sorts by family and value. */
export function addressKey(address: Address): Uint8Array {
  return Uint8Array.of(address.family, ...addressBytes(address));
}

/** The address of a key. */
export function addressFromKey(key: Uint8Array): Address {
  const address = addressFromBytes(key.subarray(1));
  if (key[0] !== address.family) throw new SyntaxError(`an address key's family must be ${address.family}: current value is ${key[0]}`);
  return address;
}

/** The allocation of a row. @throws as decodeAttachment() */
export function decodeAllocation(row: Fields): AllocationRecord {
  return {
    vni: parseVni(row['vni']),
    address: addressFromKey(bytes(row, 'address')),
    seq: integer(row, 'seq'),
    rangeSet: integer(row, 'range_set'),
  };
}

/** The identity of a row, with the addresses of its other rows. @throws as decodeAttachment() */
export function decodeIdentity(row: Fields, addresses: readonly InterfaceAddress[]): Identity {
  return {
    vni: parseVni(row['vni']),
    endpoint: text(row, 'endpoint'),
    mac: parseMac(text(row, 'mac')),
    addresses,
    updatedAt: integer(row, 'updated_at'),
  };
}

/** The address of a row of an identity. @throws as decodeAttachment() */
export function decodeIdentityAddress(row: Fields): InterfaceAddress {
  return { address: addressFromKey(bytes(row, 'address')), length: integer(row, 'length') };
}
