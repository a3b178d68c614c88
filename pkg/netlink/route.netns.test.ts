import t from 'tap';
import { formatAddress, formatPrefix, parseAddress, parsePrefix } from '../netaddr/netaddr.ts';
import { run } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { findLink, ipJson } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import type { NetlinkSocket } from './netlink-socket.ts';
import { addRoute, decodeRoute, getRouteTo, listRoutes, replaceRoute, type KernelRoute, type RouteSettings } from './route.ts';
import { openNetlinkIn } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });

interface Lab {
  readonly netns: string;
  readonly socket: NetlinkSocket;
  readonly index: number;
}

/** A namespace with one link that has 10.1.1.5/24 and 2001:db8::5/64. */
function makeLab(scope: TeardownScope): Lab {
  const netns = createNetns(scope, 'route');
  run('ip', ['-n', netns, 'link', 'add', 'd0', 'type', 'bridge']);
  run('ip', ['-n', netns, 'link', 'set', 'd0', 'addrgenmode', 'none']);
  run('ip', ['-n', netns, 'link', 'set', 'd0', 'up']);
  run('ip', ['-n', netns, 'address', 'add', '10.1.1.5/24', 'dev', 'd0']);
  run('ip', ['-n', netns, 'address', 'add', '2001:db8::5/64', 'dev', 'd0', 'nodad']);
  return { netns, socket: openNetlinkIn(scope, netns), index: findLink(netns, 'd0')?.ifindex ?? 0 };
}

const via4 = parseAddress('10.1.1.1');
const via6 = parseAddress('2001:db8::1');
const rows: readonly (readonly [settings: RouteSettings, show: readonly string[], expected: object])[] = [
  [{ dst: parsePrefix('0.0.0.0/0'), gateway: via4 }, ['-4', 'route', 'show', 'default'], { dst: 'default', gateway: '10.1.1.1', dev: 'd0', protocol: 'static' }],
  [{ dst: parsePrefix('10.2.0.0/16') }, ['-4', 'route', 'show', '10.2.0.0/16'], { dst: '10.2.0.0/16', dev: 'd0', scope: 'link' }],
  [{ dst: parsePrefix('10.3.0.0/16'), gateway: via4, mtu: 1300, advmss: 1200, priority: 50 }, ['-4', 'route', 'show', '10.3.0.0/16'], { metric: 50, metrics: [{ mtu: 1300, advmss: 1200 }] }],
  [{ dst: parsePrefix('10.4.0.1/32'), gateway: via4, table: 1001 }, ['-4', 'route', 'show', 'table', '1001'], { dst: '10.4.0.1', gateway: '10.1.1.1' }],
  [{ dst: parsePrefix('10.5.0.0/16'), scope: 200 }, ['-4', 'route', 'show', '10.5.0.0/16'], { scope: 'site' }],
  [{ dst: parsePrefix('::/0'), gateway: via6 }, ['-6', 'route', 'show', 'default'], { dst: 'default', gateway: '2001:db8::1', dev: 'd0', protocol: 'static' }],
  [{ dst: parsePrefix('2001:db8:2::/48') }, ['-6', 'route', 'show', '2001:db8:2::/48'], { dst: '2001:db8:2::/48', dev: 'd0' }],
  [{ dst: parsePrefix('2001:db8:3::/48'), gateway: via6, mtu: 1300, priority: 50, table: 1001 }, ['-6', 'route', 'show', 'table', '1001'], { metric: 50, metrics: [{ mtu: 1300 }] }],
];

void t.test('addRoute()', { skip }, async (t) => {
  const lab = makeLab(t);
  for (const [settings, show, expected] of rows) {
    lab.socket.request([addRoute(lab.index, settings)]);
    const shown = ipJson<readonly unknown[]>(lab.netns, '-d', ...show);
    t.equal(shown.length, 1);
    t.match(shown[0], { ...expected, type: 'unicast' }, formatPrefix(settings.dst));
  }
  for (const [settings] of rows) t.throws(() => lab.socket.request([addRoute(lab.index, settings)]), { errnoCode: 'EEXIST', message: `Cannot add route ${formatPrefix(settings.dst)}: ` }, 'a second time');
});

void t.test('replaceRoute() takes the place of a route to the same destination, or makes one', { skip }, async (t) => {
  const lab = makeLab(t);
  for (const [dst, gateways, show] of [['0.0.0.0/0', ['10.1.1.1', '10.1.1.2'], '-4'], ['::/0', ['2001:db8::1', '2001:db8::2'], '-6']] as const) {
    for (const gateway of gateways) {
      lab.socket.request([replaceRoute(lab.index, { dst: parsePrefix(dst), gateway: parseAddress(gateway) })]);
      t.match(ipJson(lab.netns, show, 'route', 'show', 'default'), [{ gateway }]);
    }
    t.equal(ipJson<readonly unknown[]>(lab.netns, show, 'route', 'show', 'default').length, 1);
  }
});

void t.test('getRouteTo()', { skip }, async (t) => {
  const lab = makeLab(t);
  const indexTo = (address: string): number | undefined => lab.socket.request([getRouteTo(parseAddress(address))]).flat().map(decodeRoute)[0]?.index;
  for (const address of ['10.1.1.9', '2001:db8::9']) t.equal(indexTo(address), lab.index, address);
  for (const address of ['192.0.2.1', '2001:db8:9::1']) t.throws(() => indexTo(address), { code: 'kernelRefused', errnoCode: 'ENETUNREACH' });
});

void t.test('a refused route says why', { skip }, async (t) => {
  const lab = makeLab(t);
  const unreachable = addRoute(lab.index, { dst: parsePrefix('0.0.0.0/0'), gateway: parseAddress('192.0.2.1') });
  t.throws(() => lab.socket.request([unreachable]), { errnoCode: 'ENETUNREACH', message: /^Cannot add route 0\.0\.0\.0\/0: .*\(ENETUNREACH\): Nexthop has invalid gateway/ });
});

function describe(route: KernelRoute | undefined): string {
  return route === undefined ? '' : `${formatPrefix(route.dst)} via ${route.gateway === undefined ? '-' : formatAddress(route.gateway)} table ${route.table} priority ${route.priority}`;
}

void t.test('listRoutes()', { skip }, async (t) => {
  const lab = makeLab(t);
  for (const args of ['default via 10.1.1.1', '10.3.0.0/16 via 10.1.1.1 metric 50', 'blackhole 10.6.0.0/16', '10.7.0.0/16 via 10.1.1.1 table 1001']) {
    run('ip', ['-n', lab.netns, 'route', 'add', ...args.split(' ')]);
  }
  const list = (table?: number): readonly string[] => lab.socket.dump(listRoutes(4, table)).map(decodeRoute).map(describe);
  const main = ['0.0.0.0/0 via 10.1.1.1 table 254 priority 0', '10.1.1.0/24 via - table 254 priority 0', '10.3.0.0/16 via 10.1.1.1 table 254 priority 50', '10.6.0.0/16 via - table 254 priority 0'];
  t.same([...list()].sort(), main, 'of the main table, without the local one');
  t.same(list(1001), ['10.7.0.0/16 via 10.1.1.1 table 1001 priority 0']);
  t.throws(() => list(77), { code: 'kernelRefused', errnoCode: 'ENOENT' }, 'a table that does not exist');
});
