/** CHECK looks at the kernel: whatever somebody breaks behind weft's back is named, and DEL clears all of it. */
import t from 'tap';
import { run, runIn } from '../../pkg/testing/command.ts';
import { describeOutcome, type CniOutcome } from '../harness/cni-call.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { done, refused } from './outcomes.ts';
import { createSite, hostIfOf, macOf, newcomer, peer, type Site } from './site.ts';

const skip = skipWithoutLab();
const bridge = 'weft-br1001';
const vxlan = 'weft-vx1001';

interface Damage {
  readonly name: string;
  /** Lines of `ip`, run on the node; {host} stands for the host's end of the attachment, {mac} for the container's MAC. */
  readonly onNode?: readonly string[];
  /** Lines of `ip`, run in the container. */
  readonly inContainer?: readonly string[];
  /** A line of another program, run on the node. */
  readonly command?: string;
  readonly words: RegExp;
}

const flood = '00:00:00:00:00:00';

const damages: readonly Damage[] = [
  { name: 'the host interface is down', onNode: ['link set {host} down'], words: /host interface weft-p\w+ is down/ },
  { name: 'the host interface has another MTU', onNode: ['link set {host} mtu 1300'], words: /host interface weft-p\w+ has MTU 1300 instead of 1450/ },
  { name: 'the host interface is no port of the bridge', onNode: ['link set {host} nomaster'], words: /host interface weft-p\w+ is not a port of weft-br1001/ },
  { name: 'the veth is gone', onNode: ['link del {host}'], words: /host interface weft-p\w+ is missing; the container's interface eth0 is missing/ },
  { name: "the MAC's FDB entry is gone", command: 'bridge fdb del {mac} dev {host} master', words: /the FDB entry of \S+ at weft-p\w+ is missing/ },
  { name: "the container's interface is down", inContainer: ['link set eth0 down'], words: /container's interface eth0 is down/ },
  { name: "the container's interface has another MTU", inContainer: ['link set eth0 mtu 1400'], words: /container's interface eth0 has MTU 1400 instead of 1450/ },
  { name: "the container's interface has another MAC", inContainer: ['link set eth0 address 02:00:00:00:00:99'], words: /container's interface eth0 has MAC 02:00:00:00:00:99 instead of/ },
  { name: "the container's interface has another name", inContainer: ['link set eth0 down', 'link set eth0 name eth9'], words: /container's interface eth0 is missing/ },
  { name: "the container's interface is another one", inContainer: ['link del eth0', 'link add eth0 type bridge'], words: /container's interface eth0 is no veth/ },
  { name: 'an IPv4 address is gone', inContainer: ['addr flush dev eth0 scope global to 10.1.1.0/24'], words: /container lacks the address 10\.1\.1\.\d+\/24/ },
  { name: 'an IPv6 address is gone', inContainer: ['addr flush dev eth0 scope global to fd00:1::/64'], words: /container lacks the address fd00:1::\w+\/64/ },
  { name: 'an IPv4 route is gone', inContainer: ['route del default'], words: /container lacks the route to 0\.0\.0\.0\/0/ },
  { name: 'an IPv6 route is gone', inContainer: ['-6 route del 2001:db8::/32'], words: /container lacks the route to 2001:db8::\/32/ },
  { name: 'a route has another gateway', inContainer: ['route replace default via 10.1.1.9'], words: /container lacks the route to 0\.0\.0\.0\/0/ },
  { name: 'the bridge is gone', onNode: [`link del ${bridge}`], words: /tenant's bridge weft-br1001 is missing/ },
  { name: 'the bridge is down', onNode: [`link set ${bridge} down`], words: /weft-br1001 is down/ },
  { name: 'the VXLAN device is gone', onNode: [`link del ${vxlan}`], words: /tenant's VXLAN device weft-vx1001 is missing/ },
  { name: 'the VXLAN device is down', onNode: [`link set ${vxlan} down`], words: /weft-vx1001 is down/ },
  { name: 'the VXLAN device is no port of the bridge', onNode: [`link set ${vxlan} nomaster`], words: /weft-vx1001 is not a port of weft-br1001/ },
  { name: 'the VXLAN device has a smaller MTU', onNode: [`link set ${vxlan} mtu 1400`], words: /weft-vx1001 has MTU 1400, less than/ },
  {
    name: 'the VXLAN device has another VNI',
    onNode: [`link del ${vxlan}`, `link add ${vxlan} mtu 1500 master ${bridge} type vxlan id 9 local 10.200.0.11 dstport 4789`, `link set ${vxlan} up`],
    words: /weft-vx1001 has VNI 9 instead of 1001/,
  },
  {
    name: 'the VXLAN device has another VTEP address',
    onNode: [`link del ${vxlan}`, `link add ${vxlan} mtu 1500 master ${bridge} type vxlan id 1001 local 10.200.0.99 dstport 4789`, `link set ${vxlan} up`],
    words: /weft-vx1001 does not use the VTEP address 10\.200\.0\.11/,
  },
  { name: 'a peer is missing in the flood list', command: `bridge fdb del ${flood} dev ${vxlan} dst ${peer}`, words: /flood list of weft-vx1001 lacks the peer 10\.200\.0\.12/ },
  { name: "a port's element of the guard is gone", command: 'nft flush set bridge weft ports', words: /guard lacks an element of the nft set bridge weft ports/ },
  { name: "an address's element of the guard is gone", command: 'nft flush set bridge weft addresses4', words: /guard lacks an element of the nft set bridge weft addresses4/ },
  { name: "the VNI's element of the guard is gone", command: 'nft flush set inet weft segments', words: /guard lacks an element of the nft set inet weft segments/ },
  { name: "a VTEP's element of the guard is gone", command: 'nft flush set inet weft vteps4', words: /guard lacks an element of the nft set inet weft vteps4/ },
  { name: 'the rules of the guard are gone', command: 'nft flush table bridge weft', words: /guard's nft chain bridge weft prerouting does not have the rules it was made with/ },
  { name: 'the whole guard is gone', command: 'nft flush ruleset', words: /(?=.*guard lacks the nft table bridge weft)(?=.*guard lacks the nft table inet weft)/s },
];

t.test('CHECK after damage', { skip, timeout: 90_000 }, async (t) => {
  const site = createDualSite(t);
  const before = site.node.snapshot();
  for (const [index, damage] of damages.entries()) {
    const attach = newcomer(site, 'damaged');
    const added = await site.node.add(attach);
    if (index === 0) t.match(await site.node.check(attach, added.result), done, 'whole at first');
    inflict(damage, { node: site.node.netns, container: attach.netns, added });
    const outcome = await site.node.check(attach, added.result);
    t.match(outcome, refused(108, damage.words), `${damage.name}: ${describeOutcome(outcome)}`);
    t.match(await site.node.del(attach), done);
    t.same(site.node.snapshot(), before, `DEL clears it: ${damage.name}`);
  }
});

t.test('an ADD mends what its tenant shares', { skip }, async (t) => {
  const site = createDualSite(t);
  const first = await site.lab.attach(site.node, { label: 'first', conf: site.conf });
  const shared = ['the bridge is down', 'the VXLAN device is gone', 'the VXLAN device has another VNI'];
  for (const damage of damages.filter(({ name }) => shared.includes(name))) {
    inflict(damage, { node: site.node.netns, container: first.netns, added: first });
    const next = await site.lab.attach(site.node, { label: 'next', conf: site.conf });
    const outcome = await site.node.check(first.attach, first.result);
    t.match(outcome, done, `${damage.name}: ${describeOutcome(outcome)}`);
    await site.lab.detach(next);
  }
});

t.test('CHECK compares with what ADD had answered', { skip }, async (t) => {
  const site = createDualSite(t);
  const { attach, result } = await site.lab.attach(site.node, { label: 'compared', conf: site.conf });
  const ips = result.ips ?? [];
  const interfaces = result.interfaces ?? [];
  const rows: readonly (readonly [string, object, RegExp])[] = [
    ['another address', { ips: [{ ...ips[0], address: '10.1.1.77/24' }, ips[1]] }, /prevResult lacks the address 10\.1\.1\.\d+\/24/],
    ['no addresses', { ips: [] }, /prevResult lacks the address 10\.1\.1\.\d+\/24; prevResult lacks the address fd00:1::/],
    ['another MAC', { interfaces: interfaces.map((entry) => ({ ...entry, mac: '02:00:00:00:00:99' })) }, /prevResult gives eth0 the MAC 02:00:00:00:00:99/],
    ['no interfaces', { interfaces: [], ips: ips.map(({ address }) => ({ address })) }, /prevResult lacks the interface eth0/],
  ];
  for (const [name, over, words] of rows) t.match(await site.node.check(attach, { ...result, ...over }), refused(108, words), name);
  t.match(await site.node.check(attach, { ...result, interfaces: interfaces.map((entry) => ({ ...entry, mac: entry.mac?.toUpperCase() })) }), done, 'letters of either case');
});

t.test('CHECK of what is not attached', { skip }, async (t) => {
  const site = createSite(t);
  const { attach, result } = await site.lab.attach(site.node, { label: 'known', conf: site.conf });
  const stranger = newcomer(site, 'stranger');
  t.match(await site.node.check(stranger, result), refused(3, /Container stranger, eth0 is not attached to network blue on this node: call ADD/));
  t.match(await site.node.check({ ...attach, ifName: 'eth1' }, result), refused(3, /eth1 is not attached/), 'another interface of a known container');
  t.match(await site.node.check({ ...attach, conf: { ...site.conf, name: 'other' } }, result), refused(3, /network other/), 'another network');
  t.match(await site.node.check({ ...attach, netns: 'gone' }, result), refused(4, /CNI_NETNS must be a network namespace that exists/), 'a namespace that is gone');
  t.match(await site.node.check({ ...attach, netns: stranger.netns }, result), refused(108, /container's interface eth0 is missing/), "another container's namespace");
});

function createDualSite(t: Parameters<typeof createSite>[0]): Site {
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10' }], [{ subnet: 'fd00:1::/64', rangeStart: 'fd00:1::10' }]];
  const routes = [{ dst: '0.0.0.0/0' }, { dst: '2001:db8::/32' }];
  return createSite(t, { extra: { ipam: { type: 'weft', ranges, routes } } });
}

/** Where damage is done. */
interface Victim {
  /** Namespaces. */
  readonly node: string;
  readonly container: string;
  readonly added: Pick<CniOutcome, 'result'>;
}

function inflict({ onNode = [], inContainer = [], command }: Damage, { node, container, added }: Victim): void {
  const words = (line: string): readonly string[] => line.replaceAll('{host}', hostIfOf(added)).replaceAll('{mac}', macOf(added) ?? '').split(' ');
  for (const line of onNode) run('ip', ['-n', node, ...words(line)]);
  for (const line of inContainer) run('ip', ['-n', container, ...words(line)]);
  if (command !== undefined) runIn(node, ...words(command));
}
