/** For tests: nodes with a private Open vSwitch, whose underlay link is a port of a bridge of its own, as userspace datapaths need it. */
import { run, runIn } from '../../testing/command.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../../testing/openvswitch.ts';
import type { Datapath, KnownState, PortRequest } from '../datapath.ts';
import type { NodeRemotes } from '../remotes.ts';
import type { PortToRepair } from '../repair.ts';
import type { DatapathKind } from '../test-node.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { openSwitch } from './switch/switch.ts';
import { datapathsAsOne, LazyDatapath } from '../datapaths.ts';
import { linuxBridgeDatapath } from '../linuxbridge/linuxbridge.ts';
import { ovsDatapath } from './ovs.ts';

/** The switches of the nodes, by namespace. */
export const switches: Map<string, OpenVSwitch> = new Map();

/** The tables of remote endpoints of the nodes, by namespace. */
export const remotesOfNodes: Map<string, NodeRemotes> = new Map();

/** Nodes of this datapath. */
export const ovsKind: DatapathKind = kindOf({ datapath: 'ovs' });
/** The same, where every tenant has a control plane. */
export const ovsEvpnKind: DatapathKind = kindOf({ datapath: 'ovs', controlPlane: 'evpn' });

/** How a test's segments are wired. */
type Wiring = Pick<Segment, 'datapath' | 'controlPlane'>;

function kindOf(wiring: Wiring): DatapathKind {
  return {
    async prepare(scope, { netns, addresses }) {
      const ovs = await startOpenVSwitch(scope, { netns });
      switches.set(netns, ovs);
      plugUnderlay(ovs, netns, addresses);
    },
    create(kernel, { scope, netns }) {
      const database = switches.get(netns)?.databaseSocket ?? '';
      const ovs = openSwitch({ database, datapathType: 'netdev' });
      scope.teardown(() => ovs.close());
      const datapath = datapathsAsOne({ bridge: linuxBridgeDatapath(kernel), ovs: new LazyDatapath(() => ovsDatapath(kernel, ovs)) });
      remotesOfNodes.set(netns, datapath);
      return wiredByOvs(datapath, wiring);
    },
  };
}

/** The kernel still receives what the switch takes from the link, and would answer a second time: an ingress hook stands behind the taps. */
function plugUnderlay(ovs: OpenVSwitch, netns: string, addresses: readonly string[]): void {
  ovs.vsctl('--', 'add-br', 'br-phy', '--', 'set', 'bridge', 'br-phy', 'datapath_type=netdev', 'fail_mode=standalone', '--', 'add-port', 'br-phy', 'u0');
  const lines = [
    'link set u0 addrgenmode none', 'link set br-phy addrgenmode none', 'link set u0 up', 'link set br-phy up',
    ...addresses.map((address) => `address add ${address} dev br-phy${address.includes(':') ? ' nodad' : ''}`),
  ];
  run('ip', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
  runIn(netns, 'ethtool', '-K', 'u0', 'tx', 'off');
  runIn(netns, 'nft', 'add table netdev underlay; add chain netdev underlay u0 { type filter hook ingress device "u0" priority 0; policy drop; }');
}

/** The datapath with its segments and ports marked as they are in a ledger. */
function wiredByOvs(datapath: Datapath, wiring: Wiring): Datapath {
  const segmentOf = (segment: Segment): Segment => ({ ...segment, ...wiring });
  const portOf = (port: AttachmentPort): AttachmentPort => ({ ...port, datapath: 'ovs' });
  const requestOf = <T extends PortRequest | PortToRepair>(request: T): T => ({ ...request, segment: segmentOf(request.segment), port: portOf(request.port) });
  const stateOf = ({ segments, ports }: KnownState): KnownState => ({ segments: segments.map(segmentOf), ports: ports.map(portOf) });
  return {
    ...datapath,
    attach: (request) => datapath.attach(requestOf(request)),
    detach: (port, segment) => datapath.detach(portOf(port), segment === undefined ? undefined : segmentOf(segment)),
    detachSoon: (port, segment) => datapath.detachSoon(portOf(port), segment === undefined ? undefined : segmentOf(segment)),
    updateSegment: (change) => datapath.updateSegment({ segment: segmentOf(change.segment), previous: segmentOf(change.previous), others: change.others.map(segmentOf), ports: change.ports.map(portOf) }),
    removeSegment: (removal) => datapath.removeSegment({ segment: segmentOf(removal.segment), remaining: removal.remaining.map(segmentOf), ports: (removal.ports ?? []).map(portOf) }),
    trimGuard: (segments) => datapath.trimGuard(segments.map(segmentOf)),
    check: (request) => datapath.check(requestOf(request)),
    collect: (known) => datapath.collect(stateOf(known)),
    mendGuard: (settled, all) => datapath.mendGuard(stateOf(settled), all === undefined ? undefined : stateOf(all)),
    findObstacle: (segment) => datapath.findObstacle(segmentOf(segment)),
    observe: (segments) => datapath.observe(segments.map(segmentOf)),
    repairSegment: (segment, seen) => datapath.repairSegment(segmentOf(segment), seen),
    repairPort: (request, seen) => datapath.repairPort(requestOf(request), seen),
    repairContainer: (request) => datapath.repairContainer(requestOf(request)),
    resizeSegment: (segment) => datapath.resizeSegment(segmentOf(segment)),
    resizePort: (request, mtu) => datapath.resizePort({ ...request, port: portOf(request.port) }, mtu),
  };
}
