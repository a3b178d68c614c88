/** What can be wrong with an attachment's part in a migration: the relay, the copies at its source, the way in at its target, the guard of a closed port. */
import { addressesEqual, formatAddress } from '../../netaddr/netaddr.ts';
import type { Link } from '../../netlink/link.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { relayName, vxlanName } from '../../overlay/names.ts';
import { exchangeGuard, hasElements } from '../guard/guard.ts';
import { openElement } from '../guard/guard-elements.ts';
import type { PortFault } from '../host-end-faults.ts';
import type { Kernel } from '../kernel.ts';
import { changed } from '../link-faults.ts';
import type { Observation } from '../observation.ts';
import { isClosed, isRelayed, isRelayedTo, isWaiting } from '../phases.ts';
import { areCopiesDamaged, repairCopies } from './copies.ts';
import { letSourceOpen } from './opener.ts';
import { asMover, ensureRelay, openInlet, relayMisfit, type Mover } from './relay.ts';

type Tables = Pick<Kernel, 'route' | 'netfilter'>;

/** Everything of it that is wrong; nothing for an attachment that does not move, and then nothing is asked of the kernel. */
export function movingFaults(kernel: Tables, endpoint: { readonly segment: Segment; readonly port: AttachmentPort }, seen: Observation): PortFault[] {
  const mover = asMover(endpoint);
  if (mover === undefined) return [];
  return [...closedFaults(kernel, mover), ...(isRelayed(mover.port) || isRelayedTo(mover.port) ? relayFaults(kernel, mover, seen) : [])];
}

/** What a waiting port's machine has opened is no fault. */
function closedFaults({ netfilter }: Tables, { port }: Mover): PortFault[] {
  if (!isClosed(port) || isWaiting(port) || hasElements(netfilter, [openElement(port)])[0] !== true) return [];
  return [{ what: `the guard lets out what ${port.hostIf} sends, whose endpoint is on another node`, remedy: { done: 'closed', apply: () => exchangeGuard(netfilter, { removed: [openElement(port)] }) } }];
}

function relayFaults(kernel: Tables, mover: Mover, seen: Observation): PortFault[] {
  const { segment, port } = mover;
  const [name, relay] = [relayName(segment.vni), seen.findLink(relayName(segment.vni))];
  const remade = (what: string, done = 'made anew'): PortFault => ({ what, remedy: { done, apply: () => remakeRelay(kernel, mover) } });
  if (relay === undefined) return [remade(`the tenant's relay ${name} is missing`)];
  const misfit = relayMisfit(segment, relay);
  if (misfit !== undefined) return [remade(misfit, 'put right')];
  const faults: PortFault[] = [];
  if (relay.mtu !== segment.underlayMtu) faults.push(changed(name, { what: `${name} has MTU ${relay.mtu} instead of ${segment.underlayMtu}`, done: 'set back', change: { mtu: segment.underlayMtu } }));
  if (!hasEntry(mover, relay, seen)) faults.push(remade(`${name} does not lead from ${port.mac} to the VTEP ${formatAddress(port.migration.other)}`));
  if (isRelayedTo(port) && !isInletOpen(segment, seen)) faults.push(remade(`what ${name} receives does not get to ${vxlanName(segment.vni)}`));
  else if (isWaiting(port) && !canSourceOpen(port, relay, seen)) faults.push(remade(`the other node cannot open ${port.hostIf}`));
  if (isRelayed(port) && areCopiesDamaged(kernel.netfilter, port, relay.index)) faults.push(remade(`frames for ${port.mac} are not copied to ${name}`));
  return faults;
}

function remakeRelay(kernel: Tables, mover: Mover): void {
  const relay = ensureRelay(kernel, mover);
  if (isRelayedTo(mover.port)) {
    openInlet(kernel.route, mover.segment, relay);
    letSourceOpen(kernel.route, mover.port);
  }
  else repairCopies(kernel.netfilter, mover.port, relay.index);
}

/** A port that is missing is a fault by itself. */
function canSourceOpen({ hostIf }: AttachmentPort, relay: Link, seen: Observation): boolean {
  const host = seen.findLink(hostIf);
  return host === undefined || seen.redirectsOf(relay.index).includes(host.index);
}

function hasEntry({ port }: Mover, relay: Link, seen: Observation): boolean {
  return seen.fdbOf(relay.index).some(({ mac, vtep, vni }) => mac === port.mac && vtep !== undefined && addressesEqual(vtep, port.migration.other) && (vni !== undefined) === isRelayedTo(port));
}

/** Whether what another node relays gets to the tenant's VXLAN device, at which the bridge then must not learn. */
export function isInletOpen({ vni }: Pick<Segment, 'vni'>, seen: Observation): boolean {
  const [relay, vxlan] = [seen.findLink(relayName(vni)), seen.findLink(vxlanName(vni))];
  if (relay === undefined || vxlan === undefined) return false;
  const redirects = seen.redirectsOf(relay.index);
  return redirects.includes(vxlan.index);
}
