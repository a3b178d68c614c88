/**
 * Hearing what changes in the kernel, at the moment it does: the events of rtnetlink and nf_tables, without polling.
 *
 * What comes, as seen on Linux 6.18 (the filter of event-filter.ts lets no other types through):
 * - A port leaves its bridge, or the bridge goes: RTM_DELLINK of family AF_BRIDGE for the port (see isLinkGone()), RTM_NEWLINK
 *   without a master, RTM_DELNEIGH of its own MAC. Of the bridge RTM_DELLINK, last.
 * - A veth's end goes: RTM_DELLINK of both ends, in both namespaces. With the container's whole namespace: of the host's end only.
 * - A link goes down: RTM_NEWLINK; its IPv4 routes go without a message, those of IPv6 with RTM_DELROUTE and RTM_DELADDR.
 * - A queueing discipline goes: RTM_DELQDISC, and no RTM_DELTFILTER for the filters it had. One is put in the place of
 *   another: RTM_DELQDISC of the old one, with RTM_NEWQDISC in the same datagram. One is changed: not heard.
 * - nf_tables: everything in a transaction, then NFT_MSG_NEWGEN.
 *
 * The port id of the socket that asked for the change is in what directly follows from the request: addresses, routes, traffic
 * control, all of nf_tables. It is 0 in events of links and forwarding databases, and in what the kernel concludes
 * by itself, such as the routes that go with an address. Ids are per namespace, and every process may choose its own.
 */
import { createDatagramReader, type Datagram, type DatagramReader } from '../sys/datagram.ts';
import { attachFilter, bindSocket, closeSocket, int32, openSocket, setReceiveBuffer, setSocketOption, SystemCallError } from '../sys/libc.ts';
import { insideNetns } from '../sys/netns.ts';
import { watchReadable, type Watch } from '../sys/wait.ts';
import { decodeMessages, type NetlinkMessage } from './codec.ts';
import { encodeEventFilter, routeEventRules } from './event-filter.ts';
import type { Protocol } from './netlink-socket.ts';

/** Something that changed in the kernel. */
export interface KernelEvent {
  readonly protocol: Protocol;
  /** Its `portId` is that of the socket that asked for the change, or 0: see above. */
  readonly message: NetlinkMessage;
  /** Id of the other namespace the event is from, as this namespace numbers it (`Link.linkNetnsid`); absent: the own one. */
  readonly nsid?: number;
}

/** Whether the event says that a link of the own namespace has come or changed, or has gone. */
export function isLinkEvent({ protocol, nsid, message: { type } }: KernelEvent): boolean {
  const [rtmNewLink, rtmDelLink] = [16, 17];
  return protocol === 'route' && nsid === undefined && (type === rtmNewLink || type === rtmDelLink);
}

/** An open monitor; it keeps the process alive. */
export interface KernelMonitor {
  /** Ends it; no function is called from then on. May be repeated. */
  close(): void;
}

export interface MonitorOptions {
  /** In the kernel's order for each of the protocols; never empty. */
  readonly onEvents: (events: readonly KernelEvent[]) => void;
  /** Events were lost; those that come from now on are whole again. Look at everything. */
  readonly onOverrun: () => void;
  /** The monitor cannot go on, and is closed. */
  readonly onFailure: (error: unknown) => void;
  /** The namespace to listen in; default: the process's own. It is held until the monitor is closed. */
  readonly netnsFd?: number;
  /** Room for events that are not fetched yet, for each protocol; default: 16 MiB. */
  readonly receiveBufferBytes?: number;
}

// include/uapi/linux/netlink.h
const afNetlink = 16;
const sockRaw = 3;
const solNetlink = 270;
const netlinkAddMembership = 1;
const netlinkListenAllNsid = 8;
// include/uapi/asm-generic/socket.h
/** sockaddr_nl: family, padding, port id, groups. */
const addressBytes = 12;

/** What is listened to; netlink-socket.ts has the protocols for requests. */
const sources = [
  // RTNLGRP_LINK, NEIGH, TC, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE (include/uapi/linux/rtnetlink.h)
  { protocol: 'route', number: 0, groups: [1, 3, 4, 5, 7, 9, 11] },
  // NFNLGRP_NFTABLES (include/uapi/linux/netfilter/nfnetlink.h)
  { protocol: 'netfilter', number: 12, groups: [7] },
] as const;
type Source = (typeof sources)[number];

/** The kernel doubles it and books an event with 2.3 KiB or more: 14 000 events, or 700 containers that go while nobody listens. */
const receiveBufferBytesWanted = 16 * 1024 * 1024;
/** Events have a few KiB; a link with hundreds of virtual functions (SR-IOV) has more. What is cut counts as lost. */
const datagramBytes = 64 * 1024;
/** An ADD causes some 20: each by itself would cost a system call. */
const datagramsPerReading = 32;
/** After so many readings, about a millisecond of work, the rest of the process has its turn. */
const readingsPerTurn = 8;

/**
 * Listens to links, addresses, routes, forwarding databases and traffic control of the namespace and of all others that have
 * an id in it (the peer of each veth has), and to nf_tables of the namespace.
 * @throws SystemCallError
 */
export function openKernelMonitor(options: MonitorOptions): KernelMonitor {
  const { netnsFd } = options;
  return netnsFd === undefined ? new Monitor(options) : insideNetns(netnsFd, () => new Monitor(options));
}

class Monitor implements KernelMonitor {
  readonly #options: MonitorOptions;
  readonly #queues: EventQueue[] = [];
  readonly #watches: Watch[] = [];
  #isClosed = false;

  constructor(options: MonitorOptions) {
    this.#options = options;
    const read = createDatagramReader({ dataBytes: datagramBytes, count: datagramsPerReading });
    try {
      for (const source of sources) {
        const queue = new EventQueue(source, { read, receiveBufferBytes: options.receiveBufferBytes ?? receiveBufferBytesWanted });
        this.#queues.push(queue);
        this.#watches.push(watchReadable(queue.fd, () => this.#attend(queue)));
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const watch of this.#watches.splice(0)) watch.close();
    for (const queue of this.#queues.splice(0)) queue.close();
  }

  #attend(queue: EventQueue): void {
    let batch: Batch;
    try {
      batch = queue.take();
    } catch (error) {
      this.close();
      this.#options.onFailure(error);
      return;
    }
    if (batch.events.length > 0) this.#options.onEvents(batch.events);
    if (batch.isOverrun && !this.#isClosed) this.#options.onOverrun();
  }
}

interface Batch {
  readonly events: readonly KernelEvent[];
  readonly isOverrun: boolean;
}

/** One socket's events. */
class EventQueue {
  readonly fd: number;
  readonly #protocol: Protocol;
  readonly #read: DatagramReader;
  #isOverrun = false;

  /** Opens the socket in the thread's namespace. @throws SystemCallError */
  constructor(source: Source, options: { read: DatagramReader; receiveBufferBytes: number }) {
    this.#protocol = source.protocol;
    this.#read = options.read;
    this.fd = openSocket(afNetlink, sockRaw, source.number);
    try {
      prepareSocket(this.fd, source, options.receiveBufferBytes);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    closeSocket(this.fd);
  }

  /**
   * The next events, and whether some were lost. The loss is told when the queue is empty: until then the kernel drops every
   * further event without a word (NETLINK_S_CONGESTED), and who looked at everything before would not see what they were.
   * @throws SystemCallError
   */
  take(): Batch {
    const events: KernelEvent[] = [];
    for (let count = 0; count < readingsPerTurn; count += 1) {
      const datagrams = this.#next();
      for (const datagram of datagrams) this.#note(datagram, events);
      if (datagrams.length < datagramsPerReading) {
        const isOverrun = this.#isOverrun;
        this.#isOverrun = false;
        return { events, isOverrun };
      }
    }
    return { events, isOverrun: false };
  }

  #next(): readonly Datagram[] {
    try {
      return this.#read(this.fd);
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== 'ENOBUFS') throw error;
      // Said once for each loss; what was queued before it is still there.
      this.#isOverrun = true;
      return this.#read(this.fd);
    }
  }

  #note(datagram: Datagram, events: KernelEvent[]): void {
    // A process may send to our port as well: only the kernel's own port is 0.
    if (datagram.sender.readUInt32LE(4) !== 0) return;
    if (datagram.isCut) this.#isOverrun = true;
    else this.#decode(datagram, events);
  }

  #decode({ data, control }: Datagram, events: KernelEvent[]): void {
    const nsid = control.find(({ level, type }) => level === solNetlink && type === netlinkListenAllNsid)?.data.readInt32LE(0);
    for (const message of decodeMessages(data)) events.push({ protocol: this.#protocol, message, ...(nsid === undefined ? {} : { nsid }) });
  }
}

/** The order matters: nothing may be queued before the filter is there. */
function prepareSocket(fd: number, { protocol, groups }: Source, receiveBufferBytes: number): void {
  setReceiveBuffer(fd, receiveBufferBytes);
  if (protocol === 'route') {
    attachFilter(fd, encodeEventFilter(routeEventRules));
    setSocketOption(fd, { level: solNetlink, name: netlinkListenAllNsid, value: int32(1) });
  }
  const address = Buffer.alloc(addressBytes);
  address.writeUInt16LE(afNetlink, 0);
  bindSocket(fd, address);
  for (const group of groups) setSocketOption(fd, { level: solNetlink, name: netlinkAddMembership, value: int32(group) });
}
