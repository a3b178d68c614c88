/** Telling the others where a new container is, by packets that the switch sends. Pure. */
import { output, ports, setField } from '../../../openflow/action.ts';
import type { PacketOut } from '../../../openflow/event.ts';
import { gatewayMac } from '../../../overlay/gateway-mac.ts';
import { hasChosenMac, locationFrame, neighbourFrame } from '../../announcement.ts';
import { toPeers, type LocalPort, type TenantNetwork } from './network.ts';

/**
 * What to send when the flows of the port and of the tenant are in place: to each peer the MAC's new location; and to all of the tenant,
 * here and elsewhere, the addresses, where neighbours may remember another MAC. These go the way of the container's own frames.
 */
export function announcementPackets(network: TenantNetwork, local: LocalPort): PacketOut[] {
  return tellAll(network, local, hasChosenMac(local.port) ? local.port.addresses : []);
}

/** As announcementPackets(), of an endpoint that has come from another node: with all of its addresses. */
export function movePackets(network: TenantNetwork, local: LocalPort): PacketOut[] {
  return tellAll(network, local, local.port.addresses);
}

function tellAll(network: TenantNetwork, { ofport, port }: LocalPort, addresses: LocalPort['port']['addresses']): PacketOut[] {
  return [
    ...(network.segment.peers.length === 0 ? [] : [locationPacket(network, port)]),
    ...addresses.map(({ address }): PacketOut => ({ data: neighbourFrame(port.mac, address), inPort: ofport, actions: [output(ports.table)] })),
  ];
}

/** What tells each of the peers, of which there must be one, where the MAC is. */
export function locationPacket(network: TenantNetwork, { mac }: Pick<LocalPort['port'], 'mac'>): PacketOut {
  const { vni } = network.segment;
  return { data: locationFrame(mac, gatewayMac(vni)), actions: [setField('tunnelId', BigInt(vni)), ...toPeers(network)] };
}
