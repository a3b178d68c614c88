/** What can be wrong with the host's end of a container's port, whatever it is plugged into. */
import type { Link } from '../netlink/link.ts';
import type { AttachmentPort } from '../overlay/model.ts';
import { about, minor, type Fault, type RouteHands } from './fault.ts';
import { changed, linkLocalFaults } from './link-faults.ts';
import { doomedGroup } from './link-removal.ts';
import type { Observation } from './observation.ts';

/** What a port is repaired with. */
export interface PortHands extends RouteHands {
  /** Makes the port anew, both ends. */
  remake(): void;
}
export type PortFault = Fault<PortHands>;

/** How the host is kept from answering a container's ARP at the host interface itself: ARP is off there, or it alone does not answer. */
export type Silence = 'arpOff' | 'arpIgnored';

/** Everything that is wrong with the host interface of a port; `pluggedFaults` looks at what it is plugged into, where it is there. */
export function hostEndFaults(port: AttachmentPort, seen: Observation, pluggedFaults: (host: Link) => readonly PortFault[], silence: Silence = 'arpOff'): PortFault[] {
  const host = seen.findLink(port.hostIf);
  if (host === undefined) return [{ what: `the host interface ${port.hostIf} is missing`, remedy: { done: 'made anew', apply: (hands) => hands.remake() } }];
  if (host.kind !== 'veth') return [{ what: `${port.hostIf} is a ${host.kind ?? 'device'} that weft did not make` }];
  // Whoever doomed it is about to delete it, and to forget the attachment.
  if (host.group === doomedGroup) return [{ what: `${port.hostIf} waits to be deleted` }];
  return [...linkFaults(port, host, silence), ...pluggedFaults(host)];
}

function linkFaults(port: AttachmentPort, host: Link, silence: Silence): PortFault[] {
  const faults: PortFault[] = [];
  const name = port.hostIf;
  if (!host.isUp) faults.push(changed(name, { what: `the host interface ${name} is down`, done: 'set up', change: { isUp: true } }));
  if (host.mtu !== port.mtu) faults.push(...about('mtu', [changed(name, { what: `the host interface ${name} has MTU ${host.mtu} instead of ${port.mtu}`, done: 'set back', change: { mtu: port.mtu } })]));
  return [...faults, ...about('setting', settingFaults(port, host, silence))];
}

function settingFaults({ hostIf: name, alias }: AttachmentPort, host: Link, silence: Silence): PortFault[] {
  const faults = arpFaults(host, silence);
  if (host.alias !== alias) faults.push(minor(changed(name, { what: `${name} has lost its description`, done: 'written again', change: { alias } })));
  return [...faults, ...linkLocalFaults(host)];
}

function arpFaults({ name, isArpOff, isArpIgnored }: Link, silence: Silence): PortFault[] {
  const faults: PortFault[] = [];
  if (silence === 'arpOff' && isArpOff !== true) faults.push(changed(name, { what: `the host speaks ARP on ${name}`, done: 'set off', change: { isArpOff: true } }));
  if (silence === 'arpIgnored' && isArpIgnored !== true) faults.push(changed(name, { what: `the host answers ARP on ${name}`, done: 'set not to', change: { isArpIgnored: true } }));
  if (silence === 'arpIgnored' && isArpOff === true) faults.push(changed(name, { what: `ARP is off on ${name}: nobody can be answered for`, done: 'set on', change: { isArpOff: false } }));
  return faults;
}
