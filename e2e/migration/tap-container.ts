/** A container as KubeVirt makes it for a guest: a bridge with eth0 and the guest's tap, and the MAC and addresses the guest's. */
import { run } from '../../pkg/testing/command.ts';
import { readLinks } from '../../pkg/testing/observe.ts';

/** Holds a second of 10000 packets a second, so that a guest that stands still loses none. */
const tapQueueLength = 10_000;

/** Gives the namespace, whose eth0 is there or is not yet, a bridge and a tap; eth0 no longer has the guest's MAC and addresses. */
export function makeTapContainer(netns: string): void {
  const lines = [
    'link add br0 type bridge forward_delay 0 mcast_snooping 0',
    'link set br0 addrgenmode none up',
    'tuntap add dev tap0 mode tap',
    `link set tap0 addrgenmode none txqueuelen ${tapQueueLength} master br0 up`,
    'link set eth0 down addrgenmode none',
    'addr flush dev eth0',
    'link set eth0 address 0e:00:5e:00:00:01',
    'link set eth0 master br0 up',
  ];
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}

/** Frames that did not fit into the tap's queue. */
export function tapDrops(netns: string): number {
  const tap = readLinks(netns).find(({ ifname }) => ifname === 'tap0');
  if (tap === undefined) throw new Error(`${netns} has no tap0`);
  const [link] = JSON.parse(run('ip', ['-n', netns, '-s', '-j', 'link', 'show', 'tap0'])) as readonly { readonly stats64: { readonly tx: { readonly dropped: number } } }[];
  return link?.stats64.tx.dropped ?? 0;
}
