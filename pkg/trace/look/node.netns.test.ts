/** What a trace sees of a kernel, beside the system's own tools. */
import { closeSync } from 'node:fs';
import t, { type Test } from 'tap';
import { parseAddress, parseMac } from '../../netaddr/netaddr.ts';
import { openNetlink, type NetlinkSocket } from '../../netlink/netlink-socket.ts';
import { openNetns } from '../../sys/netns.ts';
import { run, runIn } from '../../testing/command.ts';
import { createNetns, netnsPath } from '../../testing/netns.ts';
import { ipJson, readLinks } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import type { NamespaceSight } from '../sight.ts';
import { seeNamespace } from './node.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'sysctl'] });

function ip(netns: string, ...lines: readonly string[]): void {
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}

void t.test('a namespace', { skip }, (t) => {
  const netns = createNetns(t, 'see');
  const other = createNetns(t, 'other');
  ip(netns, 'link set lo up', `link add seen0 type veth peer name seen1 netns ${other}`, 'link set seen0 up', 'address add 10.9.0.1/24 dev seen0', 'address add fd09::1/64 dev seen0 nodad', 'route add 198.51.100.0/24 via 10.9.0.2 mtu 1300', 'route add unreachable 203.0.113.0/24', 'route add blackhole 203.0.114.0/24');
  ip(other, 'link set seen1 up', 'address add 10.9.0.2/24 dev seen1');
  const socket = socketIn(netns);
  t.teardown(() => socket.close());
  const sight = seeNamespace(socket);
  const index = readLinks(netns).find(({ ifname }) => ifname === 'seen0')?.ifindex ?? 0;
  checkLinks(t, sight, { netns, other, index });
  checkNeighbours(t, sight, { netns, index });
  checkRoutes(t, sight, { netns, index });
  t.end();
});

function socketIn(netns: string): NetlinkSocket {
  const fd = openNetns(netnsPath(netns));
  try {
    return openNetlink('route', fd);
  } finally {
    closeSync(fd);
  }
}

interface Seen {
  readonly netns: string;
  readonly index: number;
}

function checkLinks(t: Test, sight: NamespaceSight, { other, index }: Seen & { readonly other: string }): void {
  t.match(sight.findLink('seen0'), { index, isUp: true, hasCarrier: true, kind: 'veth' });
  t.equal(sight.findLink('nothing'), undefined);
  t.equal(sight.findLinkByIndex(9999), undefined);
  ip(other, 'link set seen1 down');
  t.match(sight.findLinkByIndex(index), { isUp: true, hasCarrier: false }, 'without a carrier');
  ip(other, 'link set seen1 up');
  t.same(sight.addressesOf(index).filter(({ scope }) => scope === 'global').length, 2);
}

function checkNeighbours(t: Test, sight: NamespaceSight, { netns, index }: Seen): void {
  const address = parseAddress('10.9.0.77');
  t.equal(sight.neighbour(index, address), undefined, 'nobody has asked');
  for (const state of ['permanent', 'reachable', 'stale', 'noarp', 'failed'] as const) {
    ip(netns, `neigh replace 10.9.0.77 ${state === 'failed' ? '' : 'lladdr 02:00:00:00:00:77 '}dev seen0 nud ${state}`.replace('  ', ' '));
    const [shown] = ipJson<readonly { readonly state: readonly string[] }[]>(netns, 'neigh', 'show', '10.9.0.77', 'nud', 'all');
    t.same(shown?.state.map((one) => one.toLowerCase()), [state], 'as ip says');
    t.same(sight.neighbour(index, address), { state, ...(state === 'failed' ? {} : { mac: parseMac('02:00:00:00:00:77') }) }, state);
  }
}

function checkRoutes(t: Test, sight: NamespaceSight, { netns, index }: Seen): void {
  t.match(sight.routeTo(parseAddress('198.51.100.7')), { type: 'unicast', source: parseAddress('10.9.0.1'), route: { index, gateway: parseAddress('10.9.0.2'), mtu: 1300 } });
  t.match(sight.routeTo(parseAddress('fd09::2')), { type: 'unicast', source: parseAddress('fd09::1'), route: { index } });
  t.match(sight.routeTo(parseAddress('10.9.0.1')), { type: 'local' });
  t.same(sight.routeTo(parseAddress('203.0.113.1')), { refusal: 'EHOSTUNREACH' });
  t.same(sight.routeTo(parseAddress('203.0.114.1')), { refusal: 'EINVAL' }, 'a black hole');
  t.same(sight.routeTo(parseAddress('192.0.2.1')), { refusal: 'ENETUNREACH' });
  ip(netns, 'link add br0 type bridge', 'link set br0 up', 'address add 10.8.0.1/24 dev br0');
  const input = { source: parseAddress('10.8.0.5'), index: readLinks(netns).find(({ ifname }) => ifname === 'br0')?.ifindex ?? 0 };
  const asked = (): unknown => sight.routeTo(parseAddress('198.51.100.7'), input);
  runIn(netns, 'sysctl', '-qw', 'net.ipv4.conf.br0.forwarding=0');
  t.same(asked(), { refusal: 'EHOSTUNREACH' }, 'forwarding is off');
  runIn(netns, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.br0.rp_filter=1');
  t.match(asked(), { type: 'unicast', route: { index } }, 'as a packet that comes by the bridge would go');
  // Which of the two depends on the kernel.
  t.match(sight.routeTo(parseAddress('198.51.100.7'), { ...input, source: parseAddress('198.51.100.9') }), { refusal: /^(EXDEV|EINVAL)$/ }, 'rp_filter');
}
