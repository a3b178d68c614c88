/** What can be wrong with the host's end of a container's port. */
import { setLink, type Link } from '../../netlink/link.ts';
import type { BridgePortOptions } from '../../netlink/bridge-options.ts';
import { delPortFdb, replacePortFdb } from '../../netlink/neighbour.ts';
import { requestTolerating } from '../../netlink/netlink-socket.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { bridgeName } from '../../overlay/names.ts';
import { hasSpare } from '../../overlay/spare.ts';
import { bandwidthFaults } from '../bandwidth.ts';
import { minor } from '../fault.ts';
import { hostEndFaults, type PortFault } from '../host-end-faults.ts';
import type { Observation } from '../observation.ts';
import { portOptionFaults, strayEntries } from '../link-faults.ts';
import { neighbourFaults } from './local-neighbours.ts';

/** As attachPort() sets them, and the kernel's defaults. */
const portOptions: BridgePortOptions = {
  hairpin: false, learning: false, unicastFlood: false, proxyArp: false, multicastFlood: true, broadcastFlood: true, neighbourSuppression: false, isolated: false, locked: false,
};

/** Everything that is wrong with the host interface of a port. */
export function portFaults({ segment, port }: { segment: Segment; port: AttachmentPort }, seen: Observation): PortFault[] {
  return hostEndFaults(port, seen, (host) => {
    const bridge = seen.findLink(bridgeName(segment.vni));
    return [...bridgeFaults({ port, host, bridge }, segment, seen), ...neighbourFaults({ segment, port }, bridge, seen), ...bandwidthFaults(port, host.index, seen)];
  }, hasSpare(segment) ? 'arpIgnored' : 'arpOff');
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
