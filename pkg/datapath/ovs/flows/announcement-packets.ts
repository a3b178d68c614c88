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
export function announcementPackets(network: TenantNetwork, { ofport, port }: LocalPort): PacketOut[] {
  const { vni, peers } = network.segment;
  const location: PacketOut = { data: locationFrame(port.mac, gatewayMac(vni)), actions: [setField('tunnelId', BigInt(vni)), ...toPeers(network)] };
  const addresses = hasChosenMac(port) ? port.addresses : [];
  return [
    ...(peers.length === 0 ? [] : [location]),
    ...addresses.map(({ address }): PacketOut => ({ data: neighbourFrame(port.mac, address), inPort: ofport, actions: [output(ports.table)] })),
  ];
}
