/** A container whose interface is a guest's: what a virtual machine's host makes of what CNI has made. */
import { run, runIn } from '../../pkg/testing/command.ts';

/** Holds a second of 10000 packets a second, so that a guest that stands still loses none. */
const tapQueueLength = 10_000;

/**
 * How the guest's tap is joined to eth0:
 * - `redirect`: frames go straight from one to the other (Kata's tcfilter). eth0 keeps its MAC and addresses, and its kernel hears nothing.
 * - `bridge`: a bridge with both (KubeVirt's). eth0 has another MAC and no addresses, for these are the guest's.
 */
export type TapWiring = 'redirect' | 'bridge';

/** Gives the namespace, which has an eth0, a tap0. */
export function makeTapContainer(netns: string, wiring: TapWiring): void {
  ip(netns, 'tuntap add dev tap0 mode tap', `link set tap0 addrgenmode none txqueuelen ${tapQueueLength}`);
  if (wiring === 'redirect') {
    ip(netns, 'link set tap0 up');
    for (const [from, to] of [['eth0', 'tap0'], ['tap0', 'eth0']] as const) {
      runIn(netns, 'tc', 'qdisc', 'add', 'dev', from, 'clsact');
      runIn(netns, 'tc', 'filter', 'add', 'dev', from, 'ingress', 'protocol', 'all', 'u32', 'match', 'u32', '0', '0', 'action', 'mirred', 'egress', 'redirect', 'dev', to);
    }
    return;
  }
  ip(
    netns,
    'link add br0 type bridge forward_delay 0 mcast_snooping 0',
    'link set br0 addrgenmode none up',
    'link set tap0 master br0 up',
    'link set eth0 down addrgenmode none',
    'addr flush dev eth0',
    'link set eth0 address 0e:00:5e:00:00:01',
    'link set eth0 master br0 up',
  );
}

/** Frames that did not fit into the tap's queue. */
export function tapDrops(netns: string): number {
  const [link] = JSON.parse(run('ip', ['-n', netns, '-s', '-j', 'link', 'show', 'tap0'])) as readonly { readonly stats64: { readonly tx: { readonly dropped: number } } }[];
  return link?.stats64.tx.dropped ?? 0;
}

function ip(netns: string, ...lines: readonly string[]): void {
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}
