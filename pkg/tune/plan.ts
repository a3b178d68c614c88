/** What is recommended for overlay traffic, beside what is. Pure. */
import { idOf, setCommand, showCommand, type Setting } from './setting.ts';

/** A device that carries tunnels. */
export interface TunableLink {
  readonly name: string;
  /** By the kernel's names. */
  readonly features: ReadonlyMap<string, { readonly on: boolean; readonly changeable: boolean }>;
  /** Undefined: it has none. */
  readonly rings: { readonly rx: Ring; readonly tx: Ring } | undefined;
  /** Packets. */
  readonly queueLength: number;
  /** By the name of the receive queue; empty where they cannot be seen. */
  readonly steering: readonly { readonly queue: string; readonly mask: string }[];
}

interface Ring {
  readonly now: number;
  readonly max: number;
}

/** What is known of a node. */
export interface TuneFacts {
  readonly links: readonly TunableLink[];
  /** Processors. */
  readonly cpus: number;
  /** A sysctl below net; undefined where this kernel, or this network namespace, does not have it. */
  readonly sysctl: (parts: readonly string[]) => string | undefined;
  /** Containers here and other nodes: what the node may have to know a MAC of. */
  readonly neighbours: number;
}

/** `good`: as recommended or better. `differs`: --apply would change it. `not-offered`: the device or kernel has nothing to set. `free`: nothing is recommended. */
export type TuneState = 'good' | 'differs' | 'not-offered' | 'free';

/** One setting, as `weft tune` tells of it. */
export interface TuneItem {
  readonly id: string;
  readonly setting: Setting;
  readonly state: TuneState;
  /** Null: there is none. */
  readonly present: string | null;
  /** Null: nothing is recommended, or nothing can be set. */
  readonly recommended: string | null;
  readonly why: string;
  /** The command of another tool that shows the present value. */
  readonly show: string;
  /** The command that does what --apply would do; null where that is nothing. */
  readonly command: string | null;
}

/** A value, and what it should be. */
interface Proposal {
  readonly setting: Setting;
  readonly present: string | undefined;
  /** Absent: nothing is recommended. */
  readonly recommended?: string;
  /** Whether the present value is as good. @default whether it is the same */
  readonly isGood?: boolean;
  /** Whether it can be set. @default true */
  readonly isOffered?: boolean;
  readonly why: string;
}

/** All settings that matter to overlay traffic, the devices' first. */
export function planTuning(facts: TuneFacts): readonly TuneItem[] {
  return [...facts.links.flatMap((link) => planLink(link, facts)), ...planSysctls(facts)].map(toItem);
}

function toItem({ setting, present, recommended, isGood = present === recommended, isOffered = true, why }: Proposal): TuneItem {
  const state = stateOf({ present, recommended, isGood, isOffered });
  const isSettable = state === 'good' || state === 'differs';
  return {
    id: idOf(setting), setting, state, present: present ?? null, recommended: isSettable ? (recommended ?? null) : null, why,
    show: showCommand(setting), command: state === 'differs' && recommended !== undefined ? setCommand(setting, recommended) : null,
  };
}

function stateOf({ present, recommended, isGood, isOffered }: { readonly present: string | undefined; readonly recommended: string | undefined; readonly isGood: boolean; readonly isOffered: boolean }): TuneState {
  if (present === undefined) return 'not-offered';
  if (recommended === undefined) return 'free';
  if (isGood) return 'good';
  return isOffered ? 'differs' : 'not-offered';
}

/** By the kernel's names (net/ethtool/common.c). Recommended to be on; undefined: nothing is recommended. */
const features: readonly { readonly feature: string; readonly isFree?: true; readonly why: string }[] = [
  { feature: 'tx-udp_tnl-segmentation', why: 'the device cuts large packets into tunnel packets; without it the processor does, and a node sends a fraction of what it could' },
  { feature: 'tx-udp_tnl-csum-segmentation', why: 'the same for tunnels with an outer UDP checksum, as VXLAN over IPv6 has' },
  { feature: 'tx-tcp-segmentation', why: 'large packets stay whole until the device; tunnels need it as well' },
  { feature: 'rx-gro', why: 'packets of one connection are put together, those in tunnels too, before bridge and container see them' },
  { feature: 'rx-checksum', why: 'the device verifies checksums; what it has not verified is not put together cheaply' },
  { feature: 'rx-udp_tunnel-port-offload', why: "the device is told the tunnels' UDP ports, so that it verifies and spreads by what is inside" },
  { feature: 'rx-udp-gro-forwarding', isFree: true, why: 'puts together UDP that this node routes for others; what comes in tunnels is not touched by it' },
];

/** A burst of a few hundred microseconds at 10 Gbit/s in packets of 1500 bytes; more only adds delay and cache misses. */
const ringDescriptors = 2048;
/** The kernel's default (DEFAULT_TX_QUEUE_LEN, include/net/pkt_sched.h). */
const queuePackets = 1000;

function planLink(link: TunableLink, { cpus }: TuneFacts): readonly Proposal[] {
  return [...features.map((entry) => planFeature(link, entry)), ...planRings(link), planQueue(link), ...planSteering(link, cpus)];
}

function planFeature({ name, features: present }: TunableLink, { feature, isFree, why }: (typeof features)[number]): Proposal {
  const found = present.get(feature);
  return {
    setting: { kind: 'feature', link: name, feature }, present: found === undefined ? undefined : inWords(found.on), why, isOffered: found?.changeable === true,
    ...(isFree === true ? {} : { recommended: 'on' }),
  };
}

function inWords(on: boolean): string {
  return on ? 'on' : 'off';
}

function planRings({ name, rings }: TunableLink): readonly Proposal[] {
  return (['rx', 'tx'] as const).map((ring): Proposal => {
    const size = rings?.[ring];
    const setting: Setting = { kind: 'ring', link: name, ring };
    const why = 'a burst of other nodes waits in the ring; what does not fit is lost before anything counts it';
    if (size === undefined || size.max === 0) return { setting, present: undefined, why };
    const recommended = Math.min(ringDescriptors, size.max);
    return { setting, present: String(size.now), recommended: String(recommended), isGood: size.now >= recommended, why };
  });
}

function planQueue({ name, queueLength }: TunableLink): Proposal {
  const why = 'what bridges and routes hand over at once waits here; a queue of none drops it';
  return { setting: { kind: 'queueLength', link: name }, present: String(queueLength), recommended: String(queuePackets), isGood: queueLength >= queuePackets, why };
}

function planSteering({ name, steering }: TunableLink, cpus: number): readonly Proposal[] {
  const isAlone = steering.length < cpus;
  const why = isAlone
    ? `there are ${cpus} processors and receive queues for ${steering.length}: the kernel can spread tunnels over all of them by their UDP source port`
    : `there is a receive queue for each of ${cpus} processors: the device spreads by itself`;
  return steering.map(({ queue, mask }) => ({ setting: { kind: 'steering', link: name, queue }, present: mask, why, ...(isAlone ? { recommended: maskOf(cpus) } : {}), isGood: sameMask(mask, maskOf(cpus)) }));
}

/** All of so many processors as the kernel writes them: groups of 32 bits in hexadecimal. */
export function maskOf(cpus: number): string {
  const groups: string[] = [];
  for (let rest = cpus; rest > 0; rest -= 32) groups.unshift(((1n << BigInt(Math.min(rest, 32))) - 1n).toString(16));
  return groups.join(',');
}

/** Zeros in front mean nothing. */
function sameMask(one: string, other: string): boolean {
  const digits = (mask: string): string => mask.split(',').map((group) => group.padStart(8, '0')).join('').replace(/^0+/, '');
  return digits(one) === digits(other);
}

/** A sysctl that should have at least this value. */
interface Least {
  readonly parts: readonly string[];
  readonly least: number;
  readonly why: string;
}

const leasts: readonly Least[] = [
  { parts: ['core', 'netdev_max_backlog'], least: 4096, why: 'packets wait here for the processor that a veth, a tunnel or RPS gives them to; what does not fit is dropped (second column of /proc/net/softnet_stat)' },
  { parts: ['core', 'netdev_budget'], least: 600, why: 'so many packets one round of receiving may take; tunnels cost two rounds for each (third column of /proc/net/softnet_stat counts rounds cut short)' },
  { parts: ['core', 'rmem_max'], least: 7_500_000, why: 'the most that a socket may ask for, bytes: QUIC in containers asks for 7.5 MB, netlink of daemons for more than the default' },
  { parts: ['core', 'wmem_max'], least: 7_500_000, why: 'the same for what is sent' },
];

const hashPolicyWhy = 'where there are several routes to a peer, tunnels are spread by their UDP source port, which stands for the connection inside (RFC 7348 §5), and not all sent by one';
/** The kernel's default (net/ipv4/af_inet.c): 28232 ports. */
const [sourcePortFirst, sourcePortLast] = [32768, 60999] as const;
/** What hashes of 14 bits need to be told apart. */
const sourcePortsLeast = 16_384;

function planSysctls(facts: TuneFacts): readonly Proposal[] {
  return [
    ...leasts.map((least) => planLeast(facts, least)),
    { setting: { kind: 'sysctl', parts: ['core', 'rps_sock_flow_entries'] }, present: facts.sysctl(['core', 'rps_sock_flow_entries']), why: "RFS finds a socket's processor by the hash of the packet; that of a tunnel packet is another than that of the packet inside" },
    ...(['ipv4', 'ipv6'] as const).map((family): Proposal => {
      const parts = [family, 'fib_multipath_hash_policy'];
      const present = facts.sysctl(parts);
      // 2 and 3 are by the packet inside, or by fields of choice.
      return { setting: { kind: 'sysctl', parts }, present, recommended: '1', isGood: present !== undefined && present !== '0', why: hashPolicyWhy };
    }),
    planSourcePorts(facts),
    ...([4, 6] as const).flatMap((family) => planNeighbours(facts, family)),
  ];
}

function planLeast({ sysctl }: TuneFacts, { parts, least, why }: Least): Proposal {
  const present = sysctl(parts);
  return { setting: { kind: 'sysctl', parts }, present, recommended: String(least), isGood: Number(present) >= least, why };
}

function planSourcePorts({ sysctl }: TuneFacts): Proposal {
  const parts = ['ipv4', 'ip_local_port_range'];
  const present = sysctl(parts)?.split(/\s+/).join(' ');
  const [first = 0, last = 0] = present?.split(' ').map(Number) ?? [];
  const why = 'tunnels take their source ports from this range (srcport 0 0 of the device): a narrow one spreads few connections';
  return { setting: { kind: 'sysctl', parts }, present, recommended: `${sourcePortFirst} ${sourcePortLast}`, isGood: last - first + 1 >= sourcePortsLeast, why };
}

/** Kernel defaults (net/ipv4/arp.c, net/ipv6/ndisc.c). */
const neighboursLeast = 1024;

/** Twice what there may be, as a power of two, and the other two in the proportion of the kernel's defaults. */
function planNeighbours({ sysctl, neighbours }: TuneFacts, family: 4 | 6): readonly Proposal[] {
  const most = Math.max(neighboursLeast, 2 ** Math.ceil(Math.log2(Math.max(1, 2 * neighbours))));
  const why = `the node may have to know ${neighbours} neighbours; above gc_thresh3 new ones are refused, above gc_thresh1 they are looked through`;
  return [[1, 8], [2, 2], [3, 1]].map(([number = 1, part = 1]) => planLeast({ sysctl, neighbours, links: [], cpus: 1 }, { parts: [`ipv${family}`, 'neigh', 'default', `gc_thresh${number}`], least: most / part, why }));
}
