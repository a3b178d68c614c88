/** Two nodes with a router between them, whose far link can be made narrower; for tests. */
import { closeSync, openSync } from 'node:fs';
import { parseAddress, type Address, type Family } from '../netaddr/netaddr.ts';
import { insideNetns } from '../sys/netns.ts';
import { run } from '../testing/command.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';

export interface Road {
  readonly near: string;
  readonly router: string;
  readonly far: string;
  /** Of the near node and the far one. */
  readonly addresses: Readonly<Record<Family, { readonly near: Address; readonly far: Address }>>;
  /** Sets the MTU of the link between the router and the far node: on the router's side alone, so that the far node does not know. */
  narrow(bytes: number): void;
  /** Whether the router says why it drops something. */
  setIcmp(isAllowed: boolean): void;
}

/** Runs with the thread in a namespace. */
export function within<T>(netns: string, fn: () => T): T {
  const fd = openSync(netnsPath(netns), 'r');
  try {
    return insideNetns(fd, fn);
  } finally {
    closeSync(fd);
  }
}

/** Makes them; they go with the scope. @param linkMtu of all links, bytes */
export function createRoad(scope: TeardownScope, { linkMtu = 1500 }: { readonly linkMtu?: number } = {}): Road {
  const [near, router, far] = [createNetns(scope, 'near'), createNetns(scope, 'router'), createNetns(scope, 'far')];
  const ip = (netns: string, ...lines: readonly string[]): void => lines.forEach((line) => run('ip', ['-n', netns, ...line.split(' ')]));
  for (const [netns, number] of [[near, 1], [far, 2]] as const) {
    ip(router, `link add r${number} mtu ${linkMtu} type veth peer name u0 mtu ${linkMtu} netns ${netns}`, `address add 10.201.${number}.1/24 dev r${number}`, `address add fd00:201:${number}::1/64 dev r${number} nodad`, `link set r${number} up`);
    ip(netns, 'link set lo up', `address add 10.201.${number}.10/24 dev u0`, `address add fd00:201:${number}::10/64 dev u0 nodad`, 'link set u0 up');
    ip(netns, `route add default via 10.201.${number}.1`, `-6 route add default via fd00:201:${number}::1`);
  }
  for (const key of ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding']) run('ip', ['netns', 'exec', router, 'sysctl', '-qw', `${key}=1`]);
  // Linux sends one ICMP error a second to each destination otherwise (net.ipv4.icmp_ratelimit, icmp(7)).
  for (const key of ['net.ipv4.icmp_ratelimit', 'net.ipv6.icmp.ratelimit']) run('ip', ['netns', 'exec', router, 'sysctl', '-qw', `${key}=0`]);
  return {
    near, router, far,
    addresses: {
      4: { near: parseAddress('10.201.1.10'), far: parseAddress('10.201.2.10') },
      6: { near: parseAddress('fd00:201:1::10'), far: parseAddress('fd00:201:2::10') },
    },
    narrow: (bytes) => ip(router, `link set r2 mtu ${bytes}`),
    setIcmp(isAllowed) {
      const rules = 'table inet silent { chain output { type filter hook output priority 0; icmp type destination-unreachable drop; icmpv6 type { destination-unreachable, packet-too-big } drop; }; }';
      run('ip', ['netns', 'exec', router, 'nft', isAllowed ? 'flush ruleset' : rules]);
    },
  };
}
