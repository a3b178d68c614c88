import t from 'tap';
import { formatInterfaceAddress, parseInterfaceAddress, type InterfaceAddress } from '../netaddr/netaddr.ts';
import { run } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { findLink, readAddresses } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { addAddress, decodeAddress, delAddress, listAddresses } from './address.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { openNetlinkIn } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });
const ip4: InterfaceAddress = parseInterfaceAddress('10.1.1.5/24');
const ip6: InterfaceAddress = parseInterfaceAddress('2001:db8::5/64');

/** A namespace with one link that is up and has no address. */
function makeLab(scope: TeardownScope): { readonly netns: string; readonly socket: NetlinkSocket; readonly index: number } {
  const netns = createNetns(scope, 'address');
  run('ip', ['-n', netns, 'link', 'add', 'd0', 'type', 'bridge']);
  run('ip', ['-n', netns, 'link', 'set', 'd0', 'addrgenmode', 'none']);
  run('ip', ['-n', netns, 'link', 'set', 'd0', 'up']);
  return { netns, socket: openNetlinkIn(scope, netns), index: findLink(netns, 'd0')?.ifindex ?? 0 };
}

function observe(netns: string): readonly string[] {
  return readAddresses(netns, 'd0').map(({ local, prefixlen, scope }) => `${local}/${prefixlen} ${scope}`);
}

void t.test('addAddress() and delAddress()', { skip }, async (t) => {
  const { netns, socket, index } = makeLab(t);
  socket.request([addAddress(index, ip4), addAddress(index, ip6)]);
  t.same(observe(netns), ['10.1.1.5/24 global', '2001:db8::5/64 global']);
  t.notOk(readAddresses(netns, 'd0').some((address) => address.tentative), 'IPv6 can be used at once');
  t.throws(() => socket.request([addAddress(index, ip4)]), { errnoCode: 'EEXIST', message: /^Cannot add address 10\.1\.1\.5\/24: / });
  t.throws(() => socket.request([addAddress(index, ip6)]), { errnoCode: 'EEXIST', message: /^Cannot add address 2001:db8::5\/64: / });
  t.throws(() => socket.request([addAddress(9999, ip4)]), { code: 'kernelRefused', errnoCode: 'ENODEV' });
  socket.request([delAddress(index, ip4)]);
  t.same(observe(netns), ['2001:db8::5/64 global'], 'just the one');
  socket.request([delAddress(index, ip6)]);
  t.same(observe(netns), []);
  for (const address of [ip4, ip6]) t.throws(() => socket.request([delAddress(index, address)]), { errnoCode: 'EADDRNOTAVAIL', message: /^Cannot delete address / });
});

void t.test('a second address of a subnet is independent of the first', { skip }, async (t) => {
  const { netns, socket, index } = makeLab(t);
  socket.request([addAddress(index, ip4), addAddress(index, parseInterfaceAddress('10.1.1.6/32'))]);
  socket.request([delAddress(index, ip4)]);
  t.same(observe(netns), ['10.1.1.6/32 global']);
});

void t.test('listAddresses()', { skip }, async (t) => {
  const { netns, socket, index } = makeLab(t);
  run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  run('ip', ['-n', netns, 'address', 'add', '10.1.1.5/24', 'dev', 'd0']);
  run('ip', ['-n', netns, 'address', 'add', '10.9.0.1', 'peer', '10.9.0.2/32', 'dev', 'd0']);
  run('ip', ['-n', netns, 'address', 'add', 'fe80::5/64', 'dev', 'd0']);
  const list = (of: number): readonly string[] => socket.dump(listAddresses(of)).map(decodeAddress).map((entry) => (entry === undefined ? '' : `${entry.index} ${formatInterfaceAddress(entry.address)} ${entry.scope}`));
  const own = [`${index} 10.1.1.5/24 global`, `${index} 10.9.0.1/32 global`, `${index} fe80::5/64 link`];
  t.same([...list(index)].sort(), own, 'of one link');
  t.same([...list(0)].sort(), ['1 127.0.0.1/8 host', '1 ::1/128 host', ...own].sort(), 'of all links');
});
