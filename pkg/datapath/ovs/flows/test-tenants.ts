/** Two tenants with the same endpoints, for tests that look at flows and at nothing else. */
import { parseAddress, parseInterfaceAddress, parseMac, parseVni, type Vni } from '../../../netaddr/netaddr.ts';
import { flowKey, type Flow } from '../../../openflow/flow.ts';
import { baseFlows, floodFlows, flowsOfPort, portFlows, remoteFlows, segmentFlows, type LocalPort, type TenantNetwork } from './flows.ts';
import type { RemoteEndpoint } from '../../../overlay/model.ts';

export const blue: Vni = parseVni(1001);
/** The highest there is. */
export const red: Vni = parseVni(16777215);

/** Blue's VTEPs are of IPv4, it has a gateway. */
export const blueNetwork: TenantNetwork = {
  segment: {
    vni: blue, vtepAddress: parseAddress('192.0.2.1'), peers: [parseAddress('192.0.2.2'), parseAddress('192.0.2.3')],
    gateway: { addresses: [parseInterfaceAddress('10.0.0.254/24'), parseInterfaceAddress('fd00::fe/64')], masquerade: true },
  },
  tunnel: 1,
  gateway: 50,
};
/** With a limit of what all its containers send. */
export const limitedNetwork: TenantNetwork = { ...blueNetwork, detour: { into: 60, outOf: 61 } };
/** Red's are of IPv6, in another tunnel. */
export const redNetwork: TenantNetwork = { segment: { vni: red, vtepAddress: parseAddress('2001:db8::1'), peers: [parseAddress('2001:db8::2')] }, tunnel: 2 };

function localPort(vni: Vni, ofport: number, addresses: readonly string[]): LocalPort {
  return { ofport, port: { vni, mac: parseMac('02:77:0a:00:00:01'), addresses: addresses.map((address) => parseInterfaceAddress(address)) } };
}

/** The MAC is made from the address. */
export const bluePort: LocalPort = localPort(blue, 101, ['10.0.0.1/24', 'fd00::1/64']);
/** A layer 2 attachment. */
export const redPort: LocalPort = localPort(red, 102, []);

export const blueRemote: RemoteEndpoint = { mac: parseMac('02:77:0a:00:00:09'), addresses: [parseAddress('10.0.0.9'), parseAddress('fd00::9')], vtep: parseAddress('192.0.2.3') };
/** Of which only the MAC is known. */
export const redRemote: RemoteEndpoint = { mac: parseMac('02:77:0a:00:00:09'), addresses: [], vtep: parseAddress('2001:db8::2') };

/** Flows beyond those that there are without. */
function added(flows: readonly Flow[], without: readonly Flow[]): readonly Flow[] {
  const names = new Set(without.map(flowKey));
  return flows.filter((flow) => !names.has(flowKey(flow)));
}

/** Everything, by what makes it. */
export const sections: Readonly<Record<string, readonly Flow[]>> = {
  'before any tenant': baseFlows([4789, 6081]),
  'a tenant over IPv4 with a gateway': segmentFlows(blueNetwork),
  'its broadcast, with one port': floodFlows(blueNetwork, [bluePort]),
  'a container': portFlows(bluePort),
  'an endpoint elsewhere': remoteFlows(blueNetwork, blueRemote),
  'a tenant over IPv6 without a gateway': segmentFlows(redNetwork),
  'its broadcast, without ports': floodFlows(redNetwork, []),
  'a layer 2 attachment': portFlows(redPort),
  'a MAC elsewhere': remoteFlows(redNetwork, redRemote),
  'a tenant without peers': segmentFlows({ segment: { vni: parseVni(7), vtepAddress: parseAddress('192.0.2.1'), peers: [] }, tunnel: 1 }),
  'what a limit of what its containers send adds to a tenant': added(segmentFlows(limitedNetwork), segmentFlows(blueNetwork)),
  'and to a container': added(flowsOfPort(limitedNetwork, bluePort), portFlows(bluePort)),
};
