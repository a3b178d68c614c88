/** Attached containers against the ledger, both ends: what CHECK would find, explained. Pure. */
import type { Aspect } from '../datapath/fault.ts';
import type { InspectedPort, SeenFault } from '../datapath/inspection.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { bridgeName, relayName, shaperName } from '../overlay/names.ts';
import { shortContainerId } from '../report/text.ts';
import type { FindingId } from './catalogue.ts';
import { finding, quoted, type Finding } from './finding.ts';
import { showSwitch, type SwitchTools } from './segments.ts';

/** What is known of an attachment. */
export interface EndpointFacts {
  readonly record: Pick<AttachmentRecord, 'key' | 'tenant' | 'pod' | 'netns' | 'port' | 'vni'>;
  readonly inspected: InspectedPort;
}

const hostIds: Readonly<Record<Aspect, FindingId>> = {
  link: 'endpoint-link', mtu: 'endpoint-mtu', fdb: 'endpoint-fdb', neighbour: 'endpoint-neighbour', address: 'endpoint-setting', route: 'endpoint-setting', sysctl: 'endpoint-setting',
  setting: 'endpoint-setting', limit: 'endpoint-limit', move: 'endpoint-move', switch: 'ovs-flows',
};

const containerIds: Readonly<Record<Aspect, FindingId>> = {
  link: 'container-link', mtu: 'container-mtu', fdb: 'container-link', neighbour: 'container-link', address: 'container-address', route: 'container-route', sysctl: 'container-link',
  setting: 'container-link', limit: 'endpoint-limit', move: 'endpoint-move', switch: 'ovs-flows',
};

/** What is wrong with the endpoints, one finding for each fault. */
export function judgeEndpoints(endpoints: readonly EndpointFacts[], tools: SwitchTools | undefined): Finding[] {
  return endpoints.flatMap((endpoint) => judgeEndpoint(endpoint, tools));
}

function judgeEndpoint({ record, inspected }: EndpointFacts, tools: SwitchTools | undefined): Finding[] {
  const subject = describeRecord(record);
  const host = inspected.host.map((fault) => finding(fault.isMinor ? 'endpoint-drift' : hostIds[fault.aspect], { subject, what: fault.what, show: showHost(record, fault.aspect, tools) }));
  if (inspected.container === 'gone') {
    // Its port has gone with it.
    return [finding('container-gone', { subject, what: `the container's namespace ${record.netns} is gone, and no DEL came`, show: `ls -l ${quoted(record.netns)}` })];
  }
  return [...host, ...inspected.container.map((fault) => judgeContainer(record, fault))];
}

function judgeContainer(record: EndpointFacts['record'], { what, aspect, isMendable }: SeenFault): Finding {
  // A smaller MTU than the ledger's, or a route that leads elsewhere, may be the container's own choice: it works so.
  const isChosen = !isMendable && (aspect === 'mtu' || aspect === 'route');
  return finding(containerIds[aspect], { subject: describeRecord(record), what, show: showContainer(record, aspect), ...(isChosen ? { severity: 'warning' } : {}) });
}

function describeRecord({ key, tenant, pod }: EndpointFacts['record']): string {
  return `${pod === undefined ? `container ${shortContainerId(key.containerId)}` : `pod ${pod}`} ${key.ifName} of tenant ${tenant}`;
}

function showHost({ port, vni }: EndpointFacts['record'], aspect: Aspect, tools: SwitchTools | undefined): string {
  switch (aspect) {
    case 'fdb':
      return `bridge fdb show dev ${port.hostIf}`;
    case 'neighbour':
      return `ip neigh show nud all dev ${bridgeName(vni)}`;
    case 'limit':
      return `tc qdisc show dev ${port.hostIf}; ip link show dev ${shaperName(port.hostIf)}`;
    case 'move':
      return `bridge fdb show dev ${relayName(vni)}; nft list table netdev weft`;
    case 'switch':
      return showSwitch(tools);
    default:
      return `ip -d link show dev ${port.hostIf}`;
  }
}

function showContainer({ netns, port }: EndpointFacts['record'], aspect: Aspect): string {
  const inside = `nsenter --net=${quoted(netns)}`;
  switch (aspect) {
    case 'address':
      return `${inside} ip address show dev ${quoted(port.containerIf)}`;
    case 'route':
      return `${inside} ip route show; ${inside} ip -6 route show`;
    case 'limit':
      return `${inside} tc qdisc show dev ${quoted(port.containerIf)}`;
    default:
      return `${inside} ip link show dev ${quoted(port.containerIf)}`;
  }
}
