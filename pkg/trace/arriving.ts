/** From another node's VTEP, on Linux bridges: the guard, the VXLAN device, and the port where the bridge has the MAC. Pure. */
import { isClosed } from '../datapath/phases.ts';
import type { Address, Mac } from '../netaddr/netaddr.ts';
import { bridgeName, vxlanName } from '../overlay/names.ts';
import type { Delivery } from './delivery.ts';
import { enterBridge } from './port.ts';
import { vtepElements } from './gateway-elements.ts';
import type { SeenLink } from './sight.ts';
import { requireTunnel } from './tunnel.ts';
import { requireVtep } from './underlay.ts';
import { nameOf, ownerOf, recordAt, say, type Way } from './way.ts';

/** What comes in. */
export interface Arriving {
  readonly vtep: Address;
  /** The MAC it is addressed to; undefined: the owner's. */
  readonly to: Mac | undefined;
}

/** @throws EndOfWay where it is not given to a port */
export function arriveOnBridge(way: Way, { vtep, to }: Arriving): Delivery {
  requireVtep(way);
  passArrivalGuard(way, vtep);
  const tunnel = requireTunnel(way, way.node.findLink(vxlanName(way.tenant.segment.vni)));
  const bridge = enterBridge(way, tunnel);
  const mac = to ?? macOf(way);
  return { record: findPort(way, { mac, bridge, tunnel }), to: mac };
}

/** What comes for one of weft's VNIs is taken from that VNI's VTEPs only. */
function passArrivalGuard({ walk, node, tenant: { segment } }: Way, vtep: Address): void {
  const show = 'nft list table inet weft';
  if (node.guardFaults.length > 0) return walk.lose('arrival-guard', { what: `${node.guardFaults.join('; ')}: what the guard lets in is not known`, show });
  const { asks, lets } = vtepElements(segment, vtep);
  if (!node.hasElement(asks)) return walk.note('arrival-guard', { what: `the guard asks nobody who sends with VNI ${segment.vni}: it is not in its set segments, and anybody could`, show: 'nft list set inet weft segments' });
  walk.require(node.hasElement(lets), 'arrival-guard', {
    good: `the guard lets ${say(vtep)} send with VNI ${segment.vni} to UDP port ${segment.vtepPort}`, bad: `the guard drops what ${say(vtep)} sends with VNI ${segment.vni}: it is not in its set vteps${vtep.family}`,
    show: `nft list set inet weft vteps${vtep.family}`, fix: `is ${say(vtep)} a peer of the tenant? weft tenants. If it is, a running daemon puts it back within seconds`,
  });
}

/** Of the endpoint that has the address. @throws EndOfWay where none has */
export function macOf({ walk, tenant, packet }: Way): Mac {
  const owner = ownerOf(tenant, packet.destination);
  if (owner === undefined) return walk.stop('fdb', { what: `no endpoint of ${tenant.segment.tenant} on this node has ${say(packet.destination)}`, show: `weft endpoints --tenant ${tenant.segment.tenant}`, fix: 'the sender has it for a place where it is not; or name the MAC it is sent to with --mac' });
  return owner.mac;
}

function findPort({ walk, node, tenant }: Way, { mac, bridge, tunnel }: { readonly mac: Mac; readonly bridge: SeenLink; readonly tunnel: SeenLink }): Delivery['record'] {
  const show = `bridge fdb get ${mac} br ${bridge.name}`;
  const entry = node.bridgeEntry(bridge.index, mac);
  const expected = tenant.records.find((record) => record.mac === mac);
  const where = expected === undefined ? '' : `, and its endpoint ${nameOf(expected)} is here, at ${expected.hostIf}`;
  const fix = expected === undefined ? 'the sender has the MAC for a place where it is not' : undefined;
  const withFix = fix === undefined ? {} : { fix };
  if (entry === undefined) return walk.stop('fdb', { what: `${bridge.name} has no entry of ${mac}: no container's port is given what nobody knows${where}`, show, ...withFix });
  if (entry.index === bridge.index || mac === bridge.mac) return walk.stop('fdb', { what: `${mac} is the gateway's, which every node has: it is not reached from another node`, show, fix: 'trace on the sending node: it has a gateway of its own' });
  if (entry.index === tunnel.index) return walk.stop('fdb', { what: `${bridge.name} has ${mac} behind ${tunnel.name}, from which it came: a bridge sends nothing back${where}`, show, ...(expected !== undefined && isClosed(expected.port) ? { fix: 'its endpoint is on its way to another node: trace there' } : withFix) });
  const port = node.findLinkByIndex(entry.index);
  const record = port === undefined ? undefined : recordAt(tenant, port.name);
  if (record === undefined || (expected !== undefined && record !== expected)) return walk.stop('fdb', { what: `${bridge.name} has ${mac} at ${port?.name ?? 'a link that is gone'}${where}`, show, ...withFix });
  walk.ok('fdb', { what: `${bridgeName(tenant.segment.vni)} has ${mac} at ${record.hostIf}, of ${nameOf(record)}`, show });
  return record;
}
