/** Others on this node who want the same VNI or the same UDP port. Pure. */
import { isSegmentName, relayPrefix, sparePrefix, standInVxlanPrefix, vxlanPrefix } from '../overlay/names.ts';
import type { Segment } from '../overlay/model.ts';
import { finding, quoted, type Finding } from './finding.ts';

/** A VXLAN device, whoever made it. */
export interface VxlanDevice {
  readonly name: string;
  /** 0: it takes any, and whoever holds it decides (`external`). */
  readonly vni: number;
  /** UDP. */
  readonly port: number;
  /** Then the kernel has the port. */
  readonly isUp: boolean;
}

/** A UDP socket, a process's or the kernel's. */
export interface UdpSocket {
  readonly port: number;
}

/** What is known. */
export interface ConflictFacts {
  readonly segments: readonly Pick<Segment, 'tenant' | 'vni' | 'vtepPort' | 'datapath'>[];
  readonly devices: readonly VxlanDevice[];
  readonly sockets: readonly UdpSocket[];
}

/** Who is in the way. What Open vSwitch's tenants need is looked after by it. */
export function judgeConflicts({ segments, devices, sockets }: ConflictFacts): Finding[] {
  const others = devices.filter(({ name }) => !isOwn(name));
  const bridged = segments.filter(({ datapath }) => datapath !== 'ovs');
  const rivals = bridged.flatMap(({ tenant, vni, vtepPort }) => others.filter((device) => device.port === vtepPort && device.vni === vni).map(({ name }) => finding('vxlan-foreign', {
    subject: name, what: `${name}, which is not weft's, has VNI ${vni} on UDP port ${vtepPort}, as tenant ${tenant} has`, show: `ip -d link show dev ${quoted(name)}`,
  })));
  const ports = [...new Set(bridged.map(({ vtepPort }) => vtepPort))];
  const external = ports.flatMap((port) => others.filter((device) => device.port === port && device.vni === 0).map(({ name }) => finding('port-taken', {
    subject: name, what: `${name}, which is not weft's, takes every VNI on UDP port ${port}`, show: `ip -d link show dev ${quoted(name)}`,
  })));
  // Where a device is up the socket is the kernel's own.
  const processes = ports.filter((port) => !devices.some((device) => device.port === port && device.isUp) && sockets.some((socket) => socket.port === port)).map((port) => finding('port-taken', {
    subject: `UDP port ${port}`, what: `a process has a socket on UDP port ${port}, on which tunnels come in`, show: `ss -ulnp sport = :${port}`,
  }));
  return [...rivals, ...external, ...processes];
}

function isOwn(name: string): boolean {
  return [vxlanPrefix, sparePrefix, relayPrefix, standInVxlanPrefix].some((prefix) => isSegmentName(name, prefix));
}
