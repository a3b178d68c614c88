/**
 * Two nodes with two routers between them; the link between the routers can be made narrower, which neither node sees at its own interfaces.
 *
 *      near                  west                            east                  far
 *   ┌──────────┐       ┌───────────────┐               ┌───────────────┐       ┌──────────┐
 *   │     eth0 ├───────┤ outer  middle ├═══════════════┤ middle  outer ├───────┤ eth0     │
 *   └──────────┘       └───────────────┘ narrow(bytes) └───────────────┘       └──────────┘
 *   10.201.1.10, fd00:201:1::10                                  10.201.2.10, fd00:201:2::10
 */
import { run, runIn } from './command.ts';
import { createNetns, type TeardownScope } from './netns.ts';

/** A node at one end. */
export interface RoadEnd {
  readonly netns: string;
  /** Without prefix length. */
  readonly addresses: Readonly<Record<4 | 6, string>>;
}

export interface Road {
  readonly near: RoadEnd;
  readonly far: RoadEnd;
  /** The router beside the far node; its link to it is `outer`. */
  readonly east: string;
  /** Sets the MTU of the link between the routers, bytes. */
  narrow(bytes: number): void;
  /** Whether the routers say why they drop something. */
  setIcmp(isAllowed: boolean): void;
}

const silence = 'table inet silent { chain output { type filter hook output priority 0; icmp type destination-unreachable drop; icmpv6 type { destination-unreachable, packet-too-big } drop; }; }';

/** Makes them; they go with the scope. @param linkMtu of all links, bytes */
export function createRoad(scope: TeardownScope, { linkMtu = 1500 }: { readonly linkMtu?: number } = {}): Road {
  const [near, west, east, far] = ['near', 'west', 'east', 'far'].map((label) => createNetns(scope, label)) as [string, string, string, string];
  const routers = [west, east];
  ip(west, `link add middle mtu ${linkMtu} type veth peer name middle mtu ${linkMtu} netns ${east}`, 'address add 10.201.3.1/24 dev middle', 'address add fd00:201:3::1/64 dev middle nodad', 'link set middle up');
  ip(east, 'address add 10.201.3.2/24 dev middle', 'address add fd00:201:3::2/64 dev middle nodad', 'link set middle up');
  connect({ router: west, link: 'outer', node: near, number: 1, linkMtu });
  connect({ router: east, link: 'outer', node: far, number: 2, linkMtu });
  ip(west, 'route add 10.201.2.0/24 via 10.201.3.2', '-6 route add fd00:201:2::/64 via fd00:201:3::2');
  ip(east, 'route add 10.201.1.0/24 via 10.201.3.1', '-6 route add fd00:201:1::/64 via fd00:201:3::1');
  // Linux sends no more than one ICMP error a second to one address otherwise (icmp(7), icmp_ratelimit).
  const settings = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1', 'net.ipv4.icmp_ratelimit=0', 'net.ipv6.icmp.ratelimit=0'];
  for (const router of routers) runIn(router, 'sysctl', '-qw', ...settings);
  return {
    near: { netns: near, addresses: { 4: '10.201.1.10', 6: 'fd00:201:1::10' } },
    far: { netns: far, addresses: { 4: '10.201.2.10', 6: 'fd00:201:2::10' } },
    east,
    narrow(bytes) {
      // In between what is too large for the receiving end alone is lost without a word, as while cables are changed.
      ip(west, `link set middle mtu ${bytes}`);
      ip(east, `link set middle mtu ${bytes}`);
    },
    setIcmp(isAllowed) {
      for (const router of routers) runIn(router, 'nft', isAllowed ? 'flush ruleset' : silence);
    },
  };
}

interface Connection {
  readonly router: string;
  readonly link: string;
  readonly node: string;
  readonly number: number;
  readonly linkMtu: number;
}

function connect({ router, link, node, number, linkMtu }: Connection): void {
  ip(router, `link add ${link} mtu ${linkMtu} type veth peer name eth0 mtu ${linkMtu} netns ${node}`, `address add 10.201.${number}.1/24 dev ${link}`, `address add fd00:201:${number}::1/64 dev ${link} nodad`, `link set ${link} up`);
  ip(node, 'link set lo up', `address add 10.201.${number}.10/24 dev eth0`, `address add fd00:201:${number}::10/64 dev eth0 nodad`, 'link set eth0 up');
  ip(node, `route add default via 10.201.${number}.1`, `-6 route add default via fd00:201:${number}::1`);
}

/** Runs lines of `ip` inside a namespace. */
function ip(netns: string, ...lines: readonly string[]): void {
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}
