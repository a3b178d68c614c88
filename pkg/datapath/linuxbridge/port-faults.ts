/** What can be wrong with the host's end of a container's port. */
import type { NetlinkRequest } from '../../netlink/codec.ts';
import { setLink, type Link } from '../../netlink/link.ts';
import { delPortFdb, replacePortFdb, type FdbEntry } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { about, minor } from '../fault.ts';
import { hostEndFaults, type PortFault, type PortHands } from '../host-end-faults.ts';
import type { Observation } from '../observation.ts';
import { portOptionFaults, strayEntries } from '../link-faults.ts';
import { isClosed, isWaiting } from '../phases.ts';
import { portLimitFaults } from '../port-limits.ts';
import { elsewhere, portOptionsOf } from './gate.ts';
import { neighbourFaults } from './local-neighbours.ts';
import { asMover } from './relay.ts';

/** Everything that is wrong with the host interface of a port. */
export function portFaults({ segment, port }: { segment: Segment; port: AttachmentPort }, seen: Observation): PortFault[] {
  return hostEndFaults(port, seen, (host) => {
    const bridge = seen.findLink(bridgeName(segment.vni));
    return [...bridgeFaults({ port, host, bridge }, segment, seen), ...about('neighbour', neighbourFaults({ segment, port }, bridge, seen)), ...portLimitFaults({ segment, port, index: host.index }, seen)];
  }, hasSpare(segment) ? 'arpIgnored' : 'arpOff');
}

function bridgeFaults({ port, host, bridge }: { port: AttachmentPort; host: Link; bridge: Link | undefined }, segment: Segment, seen: Observation): PortFault[] {
  const vxlan = seen.findLink(vxlanName(segment.vni));
  const entries = placing({ segment, port }, { host, vxlan });
  if (bridge !== undefined && host.master !== bridge.index) {
    return [{
      what: `the host interface ${port.hostIf} is not a port of ${bridgeName(segment.vni)}`,
      remedy: {
        done: 'put back',
        apply({ route }) {
          route.request([setLink(port.hostIf, { master: bridge.index })]);
          route.request([setLink(port.hostIf, { port: portOptionsOf(port) }), ...entries]);
        },
      },
    }];
  }
  const found = seen.fdbOf(host.index);
  const placed = found.filter(({ mac, master }) => mac === port.mac && master !== undefined);
  const strays = strayEntries(found, new Set([port.mac, host.mac])).map(({ mac }): PortFault => minor({
    what: `${port.hostIf} has a static FDB entry of ${mac}`,
    remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delPortFdb(host.index, mac)], 'ENOENT') },
  }));
  return [...about('fdb', [...placeFaults(port, placed, entries), ...strays]), ...about('setting', portOptionFaults(host, portOptionsOf(port)))];
}

/** What says where the endpoint is; of one that is elsewhere nothing, where the tunnel is missing. */
function placing(endpoint: { segment: Segment; port: AttachmentPort }, { host, vxlan }: { host: Link; vxlan: Link | undefined }): NetlinkRequest[] {
  const mover = asMover(endpoint);
  if (mover === undefined || !isClosed(mover.port)) return [replacePortFdb(host.index, endpoint.port.mac)];
  return vxlan === undefined ? [] : elsewhere(mover, vxlan.index);
}

/** `placed`: the bridge's entries of the MAC at the port. What a waiting port has learned is its machine, which has opened it. */
function placeFaults(port: AttachmentPort, placed: readonly FdbEntry[], entries: readonly NetlinkRequest[]): PortFault[] {
  const apply = ({ route }: PortHands): void => void route.request(entries);
  if (!isClosed(port)) return placed.some(({ isStatic }) => isStatic) ? [] : [{ what: `the FDB entry of ${port.mac} at ${port.hostIf} is missing`, remedy: { done: 'added', apply } }];
  const wrong = isWaiting(port) ? placed.filter(({ isStatic }) => isStatic) : placed;
  return wrong.length === 0 ? [] : [{ what: `the bridge has ${port.mac} at ${port.hostIf}, and it is on another node`, remedy: { done: 'moved there', apply } }];
}
