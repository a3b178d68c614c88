/** All limits of a port at its host interface: its own, and its tenant's. */
import type { Netlink } from '../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import { bandwidthFaults, limitBandwidth } from './bandwidth.ts';
import { about, type Fault, type RouteHands } from './fault.ts';
import { limitedOnHost, standsInside } from './inside-limit.ts';
import type { Observation } from './observation.ts';
import { describeDetour, joinTenantLimits, leaveLimits } from './tenant-bandwidth.ts';

/** A port whose host interface is there. */
export interface LimitedPort {
  readonly segment: Segment;
  readonly port: AttachmentPort;
  /** Number of the host interface. */
  readonly index: number;
  /** Of Open vSwitch's userspace datapath. */
  readonly isUserspace?: boolean;
}

/** Puts the limits on a host interface that has none. Of a port without limits nothing is asked. @throws WeftError kernelRefused */
export function limitPort(route: Netlink, { segment, port, index, isUserspace = false }: LimitedPort): void {
  joinTenantLimits(route, segment, { index, isUserspace });
  limitBandwidth(route, limitedOnHost(port, standsInside(segment, isUserspace)), index);
}

/** Sends the port's frames through the limits that it has, and no others; what is shaped stays so. @throws WeftError kernelRefused */
export function reroute(route: Netlink, limited: LimitedPort): void {
  leaveLimits(route, limited.index);
  limitPort(route, limited);
}

/** What is wrong with the limits, in words, and what makes them anew. */
export function portLimitFaults(limited: LimitedPort, seen: Observation): Fault<RouteHands>[] {
  const { segment, port, index, isUserspace = false } = limited;
  const detours = describeDetour(segment, index, { seen, isUserspace }).map((what): Fault<RouteHands> => ({ what, remedy: { done: 'sent through what it has now', apply: ({ route }) => reroute(route, limited) } }));
  return about('limit', [...detours, ...bandwidthFaults(limitedOnHost(port, standsInside(segment, isUserspace)), { index, seen, reroute: (route) => reroute(route, limited) })]);
}
