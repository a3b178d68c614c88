import t from 'tap';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import type { NetlinkSocket } from '../netlink/netlink-socket.ts';
import { openNetlinkIn } from '../netlink/test-socket.ts';
import { run, runIn } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { findUnderlay, type VtepSettings } from './underlay.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });

/**
 * A node with u0 (MTU 9000; 192.0.2.1, 192.0.2.11, 2001:db8::1), u6 (2001:db8:6::1 only), none (no address), and these
 * lines of `ip` on top.
 */
function makeNode(scope: TeardownScope, ...lines: readonly string[]): NetlinkSocket {
  const netns = createNetns(scope, 'underlay');
  const base = [
    ...['u0', 'u6', 'none'].flatMap((link) => [`link add ${link} type bridge`, `link set ${link} up`]), 'link set lo up', 'link set u0 mtu 9000',
    'address add 192.0.2.1/24 dev u0', 'address add 192.0.2.11/24 dev u0', 'address add 2001:db8::1/64 dev u0 nodad', 'address add 2001:db8:6::1/64 dev u6 nodad',
  ];
  run('ip', ['-n', netns, '-batch', '-'], `${[...base, ...lines].join('\n')}\n`);
  return openNetlinkIn(scope, netns);
}

/** What there is room for on the way to the peers, and why. */
function describeWay(socket: NetlinkSocket, vtep: string, ...peers: readonly string[]): string {
  const { mtu, linkMtu, limit, links } = findUnderlay(socket, { address: parseAddress(vtep) }, undefined, peers.map((peer) => parseAddress(peer)));
  return `${mtu} of ${linkMtu} for ${limit}, by ${links.map(({ name }) => name).sort().join(' and ')}`;
}

function describe(socket: NetlinkSocket, settings: VtepSettings, family?: 4 | 6): string {
  const { vtepAddress, mtu } = findUnderlay(socket, settings, family);
  return `${formatAddress(vtepAddress)} ${mtu}`;
}

void t.test('the VTEP as configured', { skip }, async (t) => {
  const socket = makeNode(t);
  const rows: readonly (readonly [settings: VtepSettings, family: 4 | 6 | undefined, expected: string])[] = [
    [{ interface: 'u0' }, undefined, '192.0.2.1 9000'],
    [{ interface: 'u0' }, 6, '2001:db8::1 9000'],
    [{ interface: 'u6' }, undefined, '2001:db8:6::1 1500'],
    [{ address: parseAddress('192.0.2.11') }, undefined, '192.0.2.11 9000'],
    [{ address: parseAddress('2001:db8::1') }, 4, '2001:db8::1 9000'],
    [{ interface: 'u0', address: parseAddress('192.0.2.11') }, undefined, '192.0.2.11 9000'],
  ];
  for (const [settings, family, expected] of rows) t.equal(describe(socket, settings, family), expected, expected);
});

void t.test('a VTEP that cannot be', { skip }, async (t) => {
  const socket = makeNode(t);
  const rows: readonly (readonly [settings: VtepSettings, family: 4 | 6 | undefined, message: string])[] = [
    [{ interface: 'gone' }, undefined, 'vtep.interface must be an interface of this node: there is no gone'],
    [{ interface: 'none' }, undefined, 'vtep.interface must have a global address: none has none'],
    [{ interface: 'u6' }, 4, 'vtep.interface must have a global IPv4 address: u6 has none'],
    [{ interface: 'lo' }, undefined, 'vtep.interface must have a global address: lo has none'],
    [{ address: parseAddress('192.0.2.99') }, undefined, 'vtep.address must be an address of this node: no interface has 192.0.2.99'],
    [{ address: parseAddress('127.0.0.1') }, undefined, 'vtep.address must be an address of this node: no interface has 127.0.0.1'],
    [{ interface: 'u6', address: parseAddress('192.0.2.1') }, undefined, 'vtep.address must be on vtep.interface: 192.0.2.1 is on u0, not on u6'],
    [{}, undefined, 'The VTEP is not known: set vtep.interface or vtep.address, since this node has no default route'],
  ];
  for (const [settings, family, message] of rows) t.throws(() => findUnderlay(socket, settings, family), { code: 'invalidConfiguration', message: new RegExp(`^${RegExp.escape(message)}$`) });
});

void t.test('the VTEP of the default route', { skip }, async (t) => {
  const routes = ['route add blackhole default metric 1', 'route add default via 192.0.2.254 dev u0 metric 100', 'route add default dev none metric 200', 'route add default via 2001:db8:6::fe dev u6'];
  const socket = makeNode(t, ...routes);
  t.equal(describe(socket, {}), '192.0.2.1 9000', 'the best one that leads somewhere');
  t.equal(describe(socket, {}, 6), '2001:db8:6::1 1500', "the peers' family decides");
  t.equal(describe(makeNode(t, 'route add default via 2001:db8:6::fe dev u6'), {}), '2001:db8:6::1 1500', 'IPv6 where there is no IPv4');
  t.throws(() => findUnderlay(makeNode(t, 'route add default via 2001:db8:6::fe dev u6'), {}, 4), { code: 'invalidConfiguration' });
});

void t.test('the ways to the peers', { skip }, async (t) => {
  const links = ['link set u6 mtu 1600', 'address add 198.51.100.1/24 dev u6', 'link add u9 type bridge', 'link set u9 mtu 1400 up', 'address add 203.0.113.1/24 dev u9'];
  const routes = [
    'route add 10.0.0.0/24 via 198.51.100.254 dev u6', 'route add 10.0.1.0/24 via 192.0.2.254 dev u0 mtu 1450', 'route add 10.0.2.0/24 nexthop via 192.0.2.254 dev u0 nexthop via 203.0.113.254 dev u9',
    'route add blackhole 10.0.3.0/24', 'route add 2001:db8:a::/48 via 2001:db8::fe dev u0 mtu 1380', 'route add 2001:db8:b::/48 nexthop via 2001:db8::fe dev u0 nexthop via 2001:db8:6::fe dev u6',
  ];
  const socket = makeNode(t, ...links, ...routes);
  const rows: readonly (readonly [vtep: string, peers: readonly string[], expected: string])[] = [
    ['192.0.2.1', [], '9000 of 9000 for the MTU of u0, by u0'],
    ['192.0.2.1', ['192.0.2.2'], '9000 of 9000 for the MTU of u0, by u0'],
    ['192.0.2.1', ['10.0.0.1'], '1600 of 1600 for the MTU of u6, by u0 and u6'],
    ['192.0.2.1', ['192.0.2.2', '10.0.0.1'], '1600 of 9000 for the MTU of u6, by u0 and u6'],
    ['192.0.2.1', ['10.0.1.1', '10.0.0.1'], '1450 of 9000 for the mtu of the route to 10.0.1.1, by u0 and u6'],
    ['192.0.2.1', ['10.0.2.1'], '1400 of 9000 for the MTU of u9, by u0 and u9'],
    ['192.0.2.1', ['10.0.3.1'], '9000 of 9000 for the MTU of u0, by u0'],
    ['192.0.2.1', ['172.16.0.1', '10.0.0.1'], '1600 of 1600 for the MTU of u6, by u0 and u6'],
    ['192.0.2.1', ['192.0.2.1', '10.0.0.1'], '1600 of 1600 for the MTU of u6, by u0 and u6'],
    ['2001:db8::1', ['2001:db8:a::1'], '1380 of 9000 for the mtu of the route to 2001:db8:a::1, by u0'],
    ['2001:db8::1', ['2001:db8:b::1'], '1600 of 9000 for the MTU of u6, by u0 and u6'],
  ];
  for (const [vtep, peers, expected] of rows) t.equal(describeWay(socket, vtep, ...peers), expected, `${peers.join(', ') || 'nobody'} from ${vtep}`);
});

void t.test('what the kernel has learned of a path does not count', { skip }, async (t) => {
  const netns = createNetns(t, 'learned');
  // The router answers with ICMP what is too large for the hop behind it.
  const router = createNetns(t, 'router');
  const far = createNetns(t, 'far');
  run('ip', ['link', 'add', 'u0', 'netns', netns, 'type', 'veth', 'peer', 'name', 'near', 'netns', router]);
  run('ip', ['link', 'add', 'hop', 'netns', router, 'type', 'veth', 'peer', 'name', 'u0', 'netns', far]);
  run('ip', ['-n', netns, '-batch', '-'], 'address add 192.0.2.1/24 dev u0\nlink set u0 up\nroute add default via 192.0.2.254\n');
  run('ip', ['-n', router, '-batch', '-'], 'address add 192.0.2.254/24 dev near\nlink set near up\naddress add 198.51.100.254/24 dev hop\nlink set hop mtu 1300 up\n');
  run('ip', ['-n', far, '-batch', '-'], 'address add 198.51.100.2/24 dev u0\nlink set u0 mtu 1300 up\nroute add default via 198.51.100.254\n');
  runIn(router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
  t.throws(() => runIn(netns, 'ping', '-n', '-c', '1', '-W', '5', '-M', 'do', '-s', '1400', '198.51.100.2'), 'it is too large');
  t.match(run('ip', ['-n', netns, 'route', 'get', '198.51.100.2']), /mtu 1300/, 'and the kernel knows by now');
  t.equal(describeWay(openNetlinkIn(t, netns), '192.0.2.1', '198.51.100.2'), '1500 of 1500 for the MTU of u0, by u0');
});
