/** What can be wrong with the host's end of a container's port. */
import { setLink, type Link } from '../../netlink/link.ts';
import type { BridgePortOptions } from '../../netlink/bridge-options.ts';
import { delPortFdb, replacePortFdb } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { bridgeName } from '../../overlay/names.ts';
import { bandwidthFaults } from '../bandwidth.ts';
import { minor, type Fault, type RouteHands } from '../fault.ts';
import { doomedGroup } from '../link-removal.ts';
import type { Observation } from '../observation.ts';
import { changed, linkLocalFaults, portOptionFaults, strayEntries } from './link-faults.ts';

/** What a port is repaired with. */
export interface PortHands extends RouteHands {
  /** Makes the port anew, both ends. */
  remake(): void;
}
type PortFault = Fault<PortHands>;

/** As attachPort() sets them, and the kernel's defaults. */
const portOptions: BridgePortOptions = {
  hairpin: false, learning: false, unicastFlood: false, proxyArp: false, multicastFlood: true, broadcastFlood: true, neighbourSuppression: false, isolated: false, locked: false,
};

/** Everything that is wrong with the host interface of a port. */
export function portFaults({ segment, port }: { segment: Segment; port: AttachmentPort }, seen: Observation): PortFault[] {
  const host = seen.findLink(port.hostIf);
  if (host === undefined) return [{ what: `the host interface ${port.hostIf} is missing`, remedy: { done: 'made anew', apply: (hands) => hands.remake() } }];
  if (host.kind !== 'veth') return [{ what: `${port.hostIf} is a ${host.kind ?? 'device'} that weft did not make` }];
  // Whoever doomed it is about to delete it, and to forget the attachment.
  if (host.group === doomedGroup) return [{ what: `${port.hostIf} waits to be deleted` }];
  return [...linkFaults(port, host), ...bridgeFaults({ port, host, bridge: seen.findLink(bridgeName(segment.vni)) }, segment, seen), ...bandwidthFaults(port, host.index, seen)];
}

function linkFaults(port: AttachmentPort, host: Link): PortFault[] {
  const faults: PortFault[] = [];
  const name = port.hostIf;
  if (!host.isUp) faults.push(changed(name, { what: `the host interface ${name} is down`, done: 'set up', change: { isUp: true } }));
  if (host.mtu !== port.mtu) faults.push(changed(name, { what: `the host interface ${name} has MTU ${host.mtu} instead of ${port.mtu}`, done: 'set back', change: { mtu: port.mtu } }));
  if (host.isArpOff !== true) faults.push(changed(name, { what: `the host speaks ARP on ${name}`, done: 'set off', change: { isArpOff: true } }));
  if (host.alias !== port.alias) faults.push(minor(changed(name, { what: `${name} has lost its description`, done: 'written again', change: { alias: port.alias } })));
  return [...faults, ...linkLocalFaults(host)];
}

function bridgeFaults({ port, host, bridge }: { port: AttachmentPort; host: Link; bridge: Link | undefined }, segment: Segment, seen: Observation): PortFault[] {
  const entry = replacePortFdb(host.index, port.mac);
  if (bridge !== undefined && host.master !== bridge.index) {
    return [{
      what: `the host interface ${port.hostIf} is not a port of ${bridgeName(segment.vni)}`,
      remedy: {
        done: 'put back',
        apply({ route }) {
          route.request([setLink(port.hostIf, { master: bridge.index })]);
          route.request([setLink(port.hostIf, { port: portOptions }), entry]);
        },
      },
    }];
  }
  const entries = seen.fdbOf(host.index);
  const isThere = entries.some(({ mac, master, isStatic }) => mac === port.mac && master !== undefined && isStatic);
  const missing: PortFault[] = isThere ? [] : [{ what: `the FDB entry of ${port.mac} at ${port.hostIf} is missing`, remedy: { done: 'added', apply: ({ route }) => void route.request([entry]) } }];
  const strays = strayEntries(entries, new Set([port.mac, host.mac])).map(({ mac }): PortFault => minor({
    what: `${port.hostIf} has a static FDB entry of ${mac}`,
    remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delPortFdb(host.index, mac)], 'ENOENT') },
  }));
  return [...missing, ...strays, ...portOptionFaults(host, portOptions)];
}
