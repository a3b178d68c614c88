/** Into a container of this node: its host interface, the inside, and whether what it answers comes out. Pure. */
import { openElement } from '../datapath/guard/guard-elements.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { addressesEqual, type Mac } from '../netaddr/netaddr.ts';
import type { NamespaceSight, SeenLink } from './sight.ts';
import { fitsLink } from './packet.ts';
import { hasAddress, inside, nameOf, say, type Way } from './way.ts';

/** What is delivered, and where. */
export interface Delivery {
  readonly record: AttachmentRecord;
  /** The MAC that the frame is addressed to. */
  readonly to: Mac;
}

/** @throws EndOfWay where it does not come in */
export function deliver(way: Way, { record, to }: Delivery): void {
  const { walk, node, packet } = way;
  const name = record.hostIf;
  const show = `ip -d link show dev ${name}`;
  const link = node.findLink(name);
  if (link === undefined) return walk.stop('delivery-link', { what: `the host interface ${name} of ${nameOf(record)} is missing`, show });
  walk.require(link.isUp, 'delivery-link', { good: `is given to ${nameOf(record)} by ${name}`, bad: `the host interface ${name} of ${nameOf(record)} is down`, show });
  if (!fitsLink(packet.size, link.mtu)) walk.stop('delivery-link', { what: `${name} has MTU ${link.mtu} and drops ${packet.size} bytes without a word`, show });
  const [rate] = node.ratesOf(link.index);
  if (rate !== undefined) walk.ok('bandwidth', { what: `${name} sends at most ${rate * 8n} bit/s: what comes faster is dropped`, show: `tc -s qdisc show dev ${name}` });
  const isThere = node.inContainer(record, (container) => {
    receive(way, { record, to, container });
    return true;
  });
  if (isThere !== true) walk.stop('delivery-container', { what: `the network namespace ${record.netns} of ${nameOf(record)} is gone, or is another one`, show: `ls -l ${record.netns}`, fix: 'the container has ended: its runtime has yet to call DEL' });
  lookAtWayBack(way, record, link);
}

function receive({ walk, packet }: Way, { record, to, container }: Delivery & { container: NamespaceSight }): void {
  const name = record.port.containerIf;
  const show = inside(record, `ip link show dev ${name}`);
  const link = container.findLink(name);
  if (link === undefined) return walk.stop('delivery-container', { what: `there is no interface ${name} in ${nameOf(record)}`, show, fix: 'attach the container anew' });
  walk.require(link.isUp, 'delivery-container', { good: `${name} in ${nameOf(record)} is up`, bad: `${name} in ${nameOf(record)} is down`, show, fix: inside(record, `ip link set ${name} up`) });
  if (!fitsLink(packet.size, link.mtu)) walk.stop('delivery-container', { what: `${name} in ${nameOf(record)} has MTU ${link.mtu} and drops ${packet.size} bytes without a word`, show });
  if (link.master !== undefined) return walk.note('delivery-address', { what: `a guest behind a bridge in ${nameOf(record)} receives it: what it does is not seen`, show });
  if (link.mac !== to) walk.stop('delivery-container', { what: `${name} in ${nameOf(record)} has MAC ${link.mac ?? 'none'}, and the frame is for ${to}`, show });
  walk.require(hasAddress(container, link.index, packet.destination), 'delivery-address', {
    good: `${nameOf(record)} has ${say(packet.destination)}`, bad: `${nameOf(record)} does not have ${say(packet.destination)}`, show: inside(record, `ip address show dev ${name}`),
    ...(record.port.addresses.some(({ address }) => addressesEqual(address, packet.destination)) ? {} : { fix: 'weft has not given it that address: trace to one of its own' }),
  });
}

/** It has arrived; answers are another matter, and said. */
function lookAtWayBack({ walk, node }: Way, { port, hostIf, mac }: AttachmentRecord, link: SeenLink): void {
  if (port.datapath === 'ovs' || node.guardFaults.length > 0 || node.hasElement(openElement({ hostIf, mac }))) return;
  walk.note('delivery-guard', { what: `it arrives, and no answer comes back: the guard is closed to what ${link.name} sends as ${mac}`, show: `nft get element bridge weft ports '{ "${hostIf}" . ${mac} }'` });
}
