/** What ADD tells the runtime. Pure. */
import type { CniResult, CniRoute } from '../cni/result.ts';
import { formatAddress, formatInterfaceAddress, formatPrefix, type Mac } from '../netaddr/netaddr.ts';
import { gatewayMac } from '../overlay/gateway-mac.ts';
import type { AttachmentPort, Route, Segment } from '../overlay/model.ts';
import { bridgeName } from '../overlay/names.ts';
import type { Assignment } from './ipam.ts';

/** An attachment that is in place. */
export interface AttachedPort {
  readonly segment: Segment;
  readonly port: AttachmentPort;
  readonly assignment: Assignment;
  readonly netns: string;
  readonly hostMac: Mac;
}

/** The container's interface is the third: bridge, host interface, container interface, as the reference bridge plugin has them. */
const containerInterface = 2;

/** The result in the 1.1.0 shape. */
export function attachmentResult({ segment, port, assignment, netns, hostMac }: AttachedPort): CniResult {
  return {
    interfaces: [
      { name: bridgeName(segment.vni), mac: gatewayMac(segment.vni), mtu: segment.overlayMtu },
      { name: port.hostIf, mac: hostMac, mtu: port.mtu },
      { name: port.containerIf, mac: port.mac, mtu: port.mtu, sandbox: netns },
    ],
    ips: assignment.addresses.map(({ address, gateway }) => ({
      address: formatInterfaceAddress(address),
      interface: containerInterface,
      ...(gateway === undefined ? {} : { gateway: formatAddress(gateway) }),
    })),
    routes: assignment.routes.map(resultRoute),
    dns: assignment.dns,
  };
}

function resultRoute({ dst, gateway, ...numbers }: Route): CniRoute {
  return { dst: formatPrefix(dst), ...(gateway === undefined ? {} : { gw: formatAddress(gateway) }), ...numbers };
}
