/**
 * How the source says to the target's gate that the machine has stopped: each way that the word can take, the quickest first. What it is, and who listens
 * for it there, says opener.ts. It is said more than once, which changes nothing.
 *
 *     by the card itself   past both switches: where the VTEP's bridge has one card, and the next hop is known
 *     by the IP stack      as the node's own packets go: with the userspace datapath through the bridge of the VTEP, behind what waits there
 *     by the switch        OpenFlow's packet-out: as what it relays
 */
import { WeftError } from '../../errors/weft-error.ts';
import type { Address, Mac } from '../../netaddr/netaddr.ts';
import { decodeNeighbour, getNeighbour } from '../../netlink/ip-neighbour.ts';
import { spareVni } from '../../overlay/spare.ts';
import { SystemCallError } from '../../sys/libc.ts';
import { nobodysMac, openingDatagram } from '../announcement.ts';
import { findEgress } from '../egress.ts';
import { findLinks } from '../find-links.ts';
import type { Kernel } from '../kernel.ts';
import type { MovingPort } from '../migration.ts';
import { udpFrame } from '../udp-frame.ts';
import { activationPacket } from './flows/flows.ts';
import type { OvsParts } from './port.ts';
import { requireNetwork } from './remotes.ts';
import type { OvsSwitch } from './switch/switch.ts';

/** RFC 6335 §6: the first of the dynamic ones. */
const sourcePort = 49_152;

/** What is called when the machine has stopped. @throws WeftError tryAgainLater while the tenant's network is not whole */
export function armActivation({ ovs, kernel }: Pick<OvsParts, 'ovs' | 'kernel'>, { segment, port }: MovingPort): () => void {
  if (port.migration === undefined) throw new WeftError('internal', `The attachment of ${port.hostIf} does not say to which node it moves`);
  const { other } = port.migration;
  const packet = activationPacket(requireNetwork(ovs, segment), { port }, other);
  const [ends, tunnel] = [{ from: { address: segment.vtepAddress, port: sourcePort }, to: { address: other, port: segment.vtepPort } }, { ...segment, vni: spareVni(segment.vni) }];
  const card = findCard(kernel, ovs, other);
  const send = (datagram: Uint8Array): void => {
    const hop = card === undefined ? undefined : nextHopMac(kernel, card);
    if (card !== undefined && hop !== undefined) attempt(() => kernel.sendFrame(card.index, udpFrame({ from: card.mac, to: hop }, ends, datagram)));
    attempt(() => kernel.sendDatagram(ends.from.address, ends.to, datagram));
  };
  const opening = openingDatagram(port.mac, tunnel);
  // The first time takes longer, here and in both switches. Nobody has this MAC.
  send(openingDatagram(nobodysMac, tunnel));
  return () => {
    send(opening);
    void ovs.sendPacket(packet).catch(() => undefined);
  };
}

/** Another way is left, and the other node's daemon is told as well. */
function attempt(send: () => void): void {
  try {
    send();
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
  }
}

/** The card that the bridge of the VTEP has, and who is asked for at it. */
interface Card {
  readonly index: number;
  /** The bridge's own: what it sends from. */
  readonly mac: Mac;
  /** Index of the bridge's own link, by which the next hop is known. */
  readonly link: number;
  readonly nextHop: Address;
}

/** Undefined where the kernel has the card for itself, where there are several, and where nothing leads there. */
function findCard({ route }: Pick<Kernel, 'route'>, ovs: Pick<OvsSwitch, 'arrivalLinks'>, to: Address): Card | undefined {
  const egress = findEgress(route, to);
  if (egress === undefined) return undefined;
  const { name, mac, index } = egress.link;
  const cards = ovs.arrivalLinks(name).filter((card) => card !== name);
  const [card] = findLinks(route, cards.slice(0, 1));
  return cards.length !== 1 || card === undefined || mac === undefined ? undefined : { index: card.index, mac, link: index, nextHop: egress.nextHop };
}

function nextHopMac({ route }: Pick<Kernel, 'route'>, { link, nextHop }: Card): Mac | undefined {
  const [found] = route.tryRequest([getNeighbour(link, nextHop)]);
  return Array.isArray(found) && found[0] !== undefined ? decodeNeighbour(found[0])?.mac : undefined;
}
