import t from 'tap';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import type { NetlinkSocket } from '../netlink/netlink-socket.ts';
import { openNetlinkIn } from '../netlink/test-socket.ts';
import { run } from '../testing/command.ts';
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
