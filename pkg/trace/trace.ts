/** `weft trace`: the way of a packet over this node, and where it ends. What was seen in, steps and a verdict out. Pure. */
import type { AttachmentRecord } from '../ledger/records.ts';
import { formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import { quoted } from '../report/text.ts';
import { arriveOnBridge } from './arriving.ts';
import { forward, resolve, type Exit } from './bridge.ts';
import { leaveContainer } from './container.ts';
import { deliver } from './delivery.ts';
import { passGateway } from './gateway.ts';
import { protocols, type Packet } from './packet.ts';
import { enterBridge, enterHost, passGuard } from './port.ts';
import type { NodeSight, TenantSight } from './sight.ts';
import { EndOfWay, Walk, type Step } from './step.ts';
import { arriveOnSwitch, passSwitch } from './switch.ts';
import { findVteps } from './tunnel.ts';
import { leaveNode } from './underlay.ts';
import { nameOf, say, type Sent, type Way } from './way.ts';

/** Where the way ends. */
export interface Verdict {
  /** `reaches`: an endpoint of this node, or the node itself. `leaves`: for another node or the world. `stops`: lost here. `unknown`: it cannot be seen how it goes on. */
  readonly kind: 'reaches' | 'leaves' | 'stops' | 'unknown';
  /** In words. */
  readonly what: string;
  /** The VTEPs it leaves for; empty where it leaves for none. */
  readonly vteps: readonly string[];
  /** What follows it on, on the nodes of those VTEPs. */
  readonly next: string | null;
}

/** What was found. */
export interface Trace {
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
}

/** A packet of an endpoint of this node. */
export interface SentQuestion {
  readonly node: NodeSight;
  readonly tenant: TenantSight;
  readonly packet: Packet;
  readonly record: AttachmentRecord;
  /** The MAC to send to, in the place of what the container knows. */
  readonly mac?: Mac;
}

/** A packet that comes from another node. */
export interface ArrivingQuestion extends Omit<SentQuestion, 'record'> {
  readonly vtep: Address;
}

type Found = Pick<Verdict, 'kind' | 'what'> & Partial<Pick<Verdict, 'vteps' | 'next'>>;

/** From an endpoint of this node. */
export function traceSent({ record, mac, ...parts }: SentQuestion): Trace {
  return follow({ ...parts, walk: new Walk() }, (way) => {
    const sent = leaveContainer(way, record, mac);
    const link = enterHost(way, sent);
    if (way.tenant.segment.datapath === 'ovs') return endOf(way, passSwitch(way, sent), sent);
    passGuard(way, sent);
    const bridged = { bridge: enterBridge(way, link), from: link };
    const answered = resolve(way, sent, bridged);
    const exit = typeof answered === 'string' ? forward(way, answered, bridged) : answered;
    return endOf(way, exit, sent);
  });
}

/** From another node's VTEP. */
export function traceArriving({ vtep, mac, ...parts }: ArrivingQuestion): Trace {
  return follow({ ...parts, walk: new Walk() }, (way) => {
    const arriving = { vtep, to: mac };
    const found = way.tenant.segment.datapath === 'ovs' ? arriveOnSwitch(way, arriving) : arriveOnBridge(way, arriving);
    deliver(way, found);
    return { kind: 'reaches', what: `the packet reaches ${nameOf(found.record)}` };
  });
}

function follow(way: Way, walk: (way: Way) => Found): Trace {
  const { steps } = way.walk;
  try {
    return { steps, verdict: { vteps: [], next: null, ...walk(way) } };
  } catch (error) {
    if (!(error instanceof EndOfWay)) throw error;
    const last = steps.at(-1);
    const kind = last?.outcome === 'unknown' ? 'unknown' : 'stops';
    return { steps, verdict: { kind, what: `${kind === 'stops' ? 'the packet is lost at' : 'it cannot be seen how it goes on at'} ${last?.id ?? 'the start'}: ${last?.what ?? ''}`, vteps: [], next: null } };
  }
}

function endOf(way: Way, exit: Exit, sent: Sent): Found {
  switch (exit.kind) {
    case 'port':
      deliver(way, { record: exit.record, to: exit.mac });
      return { kind: 'reaches', what: `the packet reaches ${nameOf(exit.record)} on this node` };
    case 'host': {
      const left = passGateway(way, sent, exit.link);
      return left.kind === 'host' ? { kind: 'reaches', what: `the packet reaches ${left.what}` } : { kind: 'leaves', what: `the packet leaves ${left.what}` };
    }
    case 'tunnel':
      return leaveBy(way, { vteps: findVteps(way, exit.link, exit.mac), mac: exit.mac });
    case 'vteps':
      return leaveBy(way, exit);
  }
}

/** To other nodes: what follows it there. */
function leaveBy(way: Way, { vteps, mac }: { readonly vteps: readonly Address[]; readonly mac: Mac | undefined }): Found {
  const reached = leaveNode(way, vteps);
  const { tenant: { segment }, packet } = way;
  const names = reached.map(say).join(', ');
  const next = `weft trace --arriving --from-vtep ${formatAddress(segment.vtepAddress)} --tenant ${quoted(segment.tenant)}${mac === undefined ? '' : ` --mac ${mac}`}${describePacket(packet)} ${formatAddress(packet.destination)}`;
  const what = mac === undefined ? `the question for its address leaves for ${names}; the packet follows when somebody answers` : `the packet leaves for VTEP ${names}`;
  return { kind: 'leaves', what, vteps: reached.map(formatAddress), next };
}

function describePacket({ protocol, port, size }: Packet): string {
  const isDefault = protocol === protocols[0];
  return `${isDefault ? '' : ` --protocol ${protocol}`}${port === undefined ? '' : ` --port ${port}`} --size ${size}`;
}
