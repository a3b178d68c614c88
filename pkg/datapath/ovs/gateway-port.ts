/** The host's interface in a tenant's network: an internal port of the bridge, with the gateway's MAC and addresses. */
import { setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { gatewayMac } from '../../overlay/gateway-mac.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, segmentAlias } from '../../overlay/names.ts';
import { WeftError } from '../../errors/weft-error.ts';
import { findLinks } from '../find-links.ts';
import { minor, type Fault } from '../fault.ts';
import { gatewayFaults, makeGateway, type GatewayHands } from '../gateway.ts';
import { addGuard, ensureTables } from '../guard/guard.ts';
import { segmentElements } from '../guard/guard-elements.ts';
import type { Kernel } from '../kernel.ts';
import { changed, linkLocalFaults } from '../link-faults.ts';
import type { Observation } from '../observation.ts';
import type { OvsSwitch } from './switch/switch.ts';

/**
 * Makes it, or brings it in line with the segment. The guard comes first, so that nothing of the tenant is in the host's IP stack that
 * should not be. @returns the number of its port @throws WeftError
 */
export async function ensureGateway(ovs: OvsSwitch, kernel: Kernel, segment: Segment): Promise<number> {
  const name = bridgeName(segment.vni);
  ensureTables(kernel.netfilter, segmentElements(segment));
  addGuard(kernel.netfilter, segmentElements(segment));
  const present = ovs.ports().get(name);
  // The row of an interface that somebody has deleted looks whole but for this, and is opened no more.
  const isDead = present?.ifIndex === 0;
  if (isDead) await ovs.removePorts([name]);
  const ofport = (isDead ? undefined : present?.ofport) ?? await ovs.addPort({ name, type: 'internal', mac: gatewayMac(segment.vni), mtu: segment.overlayMtu, externalIds: { gateway: String(segment.vni) }, isShared: true });
  const [link] = findLinks(kernel.route, [name]);
  if (link === undefined) throw new WeftError('tryAgainLater', `The gateway's interface ${name} went away while it was being made`);
  kernel.route.request([
    setNoLinkLocal(name),
    setLink(name, { alias: segmentAlias(segment), mtu: segment.overlayMtu, isUp: true }),
  ]);
  makeGateway(kernel, segment, link.index);
  return ofport;
}

/** What the interface is repaired with. */
export interface GatewayPortHands extends GatewayHands {
  /** Has the switch's database say the MTU that the interface should have: ovs-vswitchd would set it back. */
  resize(): void;
}

/** What is wrong with the interface, where it is there, and with its addresses. Whether it is a port the switch knows. */
export function gatewayPortFaults(segment: Segment, seen: Observation): Fault<GatewayPortHands>[] {
  const link = segment.gateway === undefined ? undefined : seen.findLink(bridgeName(segment.vni));
  if (link === undefined) return [];
  const { name, mtu, mac, alias } = link;
  const [wantedMac, wantedAlias] = [gatewayMac(segment.vni), segmentAlias(segment)];
  const faults: Fault<GatewayPortHands>[] = [];
  if (!link.isUp) faults.push(changed(name, { what: `${name} is down`, done: 'set up', change: { isUp: true } }));
  if (mtu !== segment.overlayMtu) faults.push(mtuFault(link, segment.overlayMtu));
  if (mac !== wantedMac) faults.push(changed(name, { what: `${name} has MAC ${mac ?? 'none'} instead of ${wantedMac}`, done: 'set back', change: { mac: wantedMac } }));
  if (alias !== wantedAlias) faults.push(minor(changed(name, { what: `${name} has lost its description`, done: 'written again', change: { alias: wantedAlias } })));
  return [...faults, ...linkLocalFaults(link), ...gatewayFaults(segment, link, seen)];
}

function mtuFault({ name, mtu }: Link, wanted: number): Fault<GatewayPortHands> {
  return {
    what: `${name} has MTU ${mtu} instead of ${wanted}`,
    remedy: {
      done: 'set back',
      apply({ route, resize }) {
        route.request([setLink(name, { mtu: wanted })]);
        resize();
      },
    },
  };
}
