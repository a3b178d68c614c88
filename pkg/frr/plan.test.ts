import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseAddress } from '../netaddr/netaddr.ts';
import { describeGaps } from './gaps.ts';
import { planChanges, planRemoval } from './plan.ts';
import { renderConfiguration } from './render.ts';
import { parseRunningConfig, type RunningConfig } from './running-config.ts';
import type { Speaker } from './speaker.ts';
import { goldenSpeakers, testNeighbor, testSpeaker } from './test-speakers.ts';

/** What bgpd 8.4.4 showed of itself. */
function recorded(name: string): string {
  return readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8');
}

const empty = parseRunningConfig('frr version 8.4.4\nfrr defaults traditional\n!\nhostname n1\n!\n');
const mesh = testSpeaker([testNeighbor('192.0.2.2'), testNeighbor('192.0.2.3')]);

/** As bgpd has it when weft has configured it. */
function configured(speaker: Speaker): RunningConfig {
  return parseRunningConfig(renderConfiguration(speaker));
}

/** Without the lines that only lead to the others' places. */
function changes(speaker: Speaker, running: RunningConfig): readonly string[] {
  return planChanges(speaker, running).map((line) => line.trim()).filter((line) => !/^(router bgp|exit|address-family)/.test(line));
}

t.test('to a bgpd without a router all is said', (t) => {
  for (const [name, speaker] of Object.entries(goldenSpeakers)) t.equal(planChanges(speaker, empty).map((line) => `${line}\n`).join(''), renderConfiguration(speaker), name);
  t.end();
});

t.test('to one that is as it should be nothing is said', (t) => {
  for (const [name, speaker] of Object.entries(goldenSpeakers)) t.same(planChanges(speaker, configured(speaker)), [], name);
  t.same(planChanges(mesh, parseRunningConfig(recorded('running-shared.txt'))), [], 'beside what the operator has');
  t.end();
});

t.test('only what differs is said', (t) => {
  const running = configured(mesh);
  const rows: readonly (readonly [Speaker, readonly string[]])[] = [
    [testSpeaker([...mesh.neighbors, testNeighbor('192.0.2.4', { password: 'x' })]), ['neighbor 192.0.2.4 remote-as 65000', 'neighbor 192.0.2.4 peer-group weft', 'neighbor 192.0.2.4 password x', 'neighbor 192.0.2.4 update-source 192.0.2.1']],
    [testSpeaker([testNeighbor('192.0.2.3')]), ['no neighbor 192.0.2.2']],
    [testSpeaker(mesh.neighbors, { timers: { keepaliveSeconds: 1, holdSeconds: 3, connectSeconds: 1 } }), ['neighbor weft timers 1 3']],
    [testSpeaker([testNeighbor('192.0.2.2', { password: 'y' }), testNeighbor('192.0.2.3')]), ['neighbor 192.0.2.2 password y']],
    [testSpeaker([testNeighbor('192.0.2.2', { routeReflectorClient: true }), testNeighbor('192.0.2.3')]), ['neighbor 192.0.2.2 route-reflector-client']],
    [testSpeaker(mesh.neighbors, { vtep: parseAddress('192.0.2.9') }), ['neighbor 192.0.2.2 update-source 192.0.2.9', 'neighbor 192.0.2.3 update-source 192.0.2.9']],
    [testSpeaker(mesh.neighbors, { routerId: parseAddress('192.0.2.77') }), ['bgp router-id 192.0.2.77']],
  ];
  for (const [speaker, expected] of rows) t.same(changes(speaker, running), expected, expected.join('; '));
  const secured = configured(testSpeaker([testNeighbor('192.0.2.2', { password: 'y', routeReflectorClient: true }), testNeighbor('192.0.2.3')]));
  t.same(changes(mesh, secured), ['no neighbor 192.0.2.2 route-reflector-client', 'no neighbor 192.0.2.2 password'], 'the old password is not said again');
  t.end();
});

t.test('a neighbour of the other kind is made anew', (t) => {
  const external = testSpeaker([testNeighbor('192.0.2.2', { as: 65001 })]);
  t.same(changes(external, configured(testSpeaker([testNeighbor('192.0.2.2', { routeReflectorClient: true })]))), [
    'no neighbor 192.0.2.2',
    'no neighbor weft peer-group',
    'route-map weft permit 10',
    'neighbor weft-ebgp peer-group',
    'neighbor weft-ebgp ebgp-multihop 255',
    'neighbor weft-ebgp timers 3 9',
    'neighbor weft-ebgp timers connect 1',
    'neighbor weft-ebgp activate',
    'neighbor weft-ebgp route-map weft in',
    'neighbor weft-ebgp route-map weft out',
    'neighbor 192.0.2.2 remote-as 65001',
    'neighbor 192.0.2.2 peer-group weft-ebgp',
    'neighbor 192.0.2.2 update-source 192.0.2.1',
  ]);
  const other = testSpeaker([testNeighbor('192.0.2.2', { as: 65002 })]);
  t.same(changes(other, configured(external)), ['neighbor 192.0.2.2 remote-as 65002'], 'another external AS is not');
  t.end();
});

t.test('what somebody else changed of it comes back, and what weft does not know stays', (t) => {
  const text = renderConfiguration(mesh)
    .replace(' neighbor 192.0.2.3 remote-as 65000\n', ' neighbor 192.0.2.3 remote-as 65000\n neighbor 192.0.2.3 timers 60 180\n neighbor 192.0.2.3 timers connect 9\n neighbor 192.0.2.3 ebgp-multihop 3\n neighbor 192.0.2.3 description spare\n neighbor 192.0.2.3 shutdown\n')
    .replace('  neighbor weft activate\n', '  no neighbor 192.0.2.2 activate\n  neighbor weft activate\n  neighbor weft route-map theirs in\n')
    .replace('  no dup-addr-detection\n', '  dup-addr-detection freeze permanent\n');
  t.same(changes(mesh, parseRunningConfig(text)), [
    'no neighbor weft route-map theirs in',
    'neighbor 192.0.2.2 activate',
    'no neighbor 192.0.2.3 timers',
    'no neighbor 192.0.2.3 timers connect',
    'no neighbor 192.0.2.3 ebgp-multihop',
    'no dup-addr-detection',
  ]);
  t.end();
});

t.test('a router of the operator keeps what is his', (t) => {
  const theirs = parseRunningConfig(recorded('running-operator.txt'));
  const lines = changes(mesh, theirs);
  t.ok(lines.includes('no neighbor weft activate'), 'IPv4 routes are not exchanged with weft\'s neighbours');
  t.notMatch(lines.join('\n'), /router-id|bgp default|198\.51\.100|theirs|^no (?!neighbor weft activate|dup-addr)/m);
  const chosen = { ...mesh, routerId: parseAddress('192.0.2.1') };
  t.ok(changes(chosen, theirs).includes('bgp router-id 192.0.2.1'), 'but for a router id that was chosen');
  const off = parseRunningConfig('router bgp 65000\n no bgp default ipv4-unicast\nexit\n');
  t.notOk(changes(mesh, off).includes('no neighbor weft activate'), 'where FRR would not repeat it it is not said');
  t.notOk(changes(mesh, off).includes('bgp router-id 192.0.2.1'));
  t.end();
});

t.test('conflicts', (t) => {
  t.throws(() => planChanges(mesh, parseRunningConfig('router bgp 65001\nexit\n')), {
    code: 'invalidConfiguration',
    kind: 'conflict',
    message: 'bgpd of FRR must have the AS 65000 of controlPlane.as: it is configured for 65001',
    details: /set controlPlane\.as to 65001/,
  });
  t.doesNotThrow(() => planChanges(mesh, parseRunningConfig('router bgp 65001 vrf red\nexit\n')), 'another instance is nobody\'s business');
  const theirs = (line: string): RunningConfig => parseRunningConfig(`router bgp 65000\n neighbor 192.0.2.2 remote-as 65000\n${line}exit\n`);
  for (const line of [' neighbor 192.0.2.2 description theirs\n', ' neighbor 192.0.2.2 peer-group theirs\n', ' address-family ipv4 unicast\n  no neighbor 192.0.2.2 activate\n']) {
    t.throws(() => planChanges(mesh, theirs(line)), { kind: 'conflict', message: 'the neighbour 192.0.2.2 of controlPlane.neighbors is configured in bgpd of FRR already, and not by weft' }, line);
  }
  t.ok(planChanges(mesh, theirs('')).join().includes('neighbor 192.0.2.2 peer-group weft'), 'one that was begun is completed');
  t.throws(() => planChanges(testSpeaker([testNeighbor('192.0.2.2', { as: 65001 })]), theirs('')), { kind: 'conflict', message: /192\.0\.2\.2/ });
  t.end();
});

t.test('all of weft\'s goes, and no more', (t) => {
  t.same(planRemoval(empty), []);
  const speaker = testSpeaker([testNeighbor('192.0.2.2'), testNeighbor('192.0.2.3', { as: 65001 })]);
  t.same(planRemoval(configured(speaker)).map((line) => line.trim()), [
    'router bgp 65000', 'address-family l2vpn evpn', 'dup-addr-detection', 'no advertise-all-vni', 'exit-address-family',
    'no neighbor 192.0.2.2', 'no neighbor 192.0.2.3', 'no neighbor weft peer-group', 'no neighbor weft-ebgp peer-group', 'exit', 'no route-map weft permit 10',
  ]);
  t.notMatch(planRemoval(parseRunningConfig(recorded('running-shared.txt'))).join('\n'), /198\.51\.100|theirs/);
  t.same(planRemoval(parseRunningConfig(recorded('running-operator.txt'))), []);
  t.end();
});

t.test('gaps in words', (t) => {
  for (const [name, speaker] of Object.entries(goldenSpeakers)) t.same(describeGaps(speaker, configured(speaker)), [], name);
  t.same(describeGaps(mesh, empty), ['bgpd of FRR has no "router bgp 65000": add it']);
  t.same(describeGaps(mesh, parseRunningConfig('router bgp 65001\nexit\n')), ['bgpd of FRR must have the AS 65000 of controlPlane.as: it has "router bgp 65001"']);
  const wanted = testSpeaker([testNeighbor('192.0.2.2', { password: 'hunter2', routeReflectorClient: true }), testNeighbor('192.0.2.3', { as: 65001 }), testNeighbor('192.0.2.4')], { routerId: parseAddress('192.0.2.1') });
  const text = `router bgp 65000
 neighbor 192.0.2.2 remote-as 65000
 neighbor 192.0.2.2 password hunter3
 neighbor 192.0.2.2 shutdown
 neighbor 192.0.2.3 remote-as 65001
 !
 address-family l2vpn evpn
  neighbor 192.0.2.3 activate
  neighbor 192.0.2.3 route-map any in
 exit-address-family
exit
`;
  t.same(describeGaps(wanted, parseRunningConfig(text)), [
    'bgpd of FRR must have the router id 192.0.2.1 of controlPlane.routerId: it has none of its own',
    'bgpd of FRR has no "advertise-all-vni" under "address-family l2vpn evpn": add it',
    'bgpd of FRR takes an address that moves often for a duplicate: add "no dup-addr-detection" under "address-family l2vpn evpn"',
    'the neighbour 192.0.2.2 of bgpd of FRR is shut down: take out "neighbor 192.0.2.2 shutdown"',
    'the neighbour 192.0.2.2 of bgpd of FRR must have the password of controlPlane: it has another or none',
    'the neighbour 192.0.2.2 of bgpd of FRR does not speak EVPN: add "neighbor 192.0.2.2 activate" under "address-family l2vpn evpn"',
    'the neighbour 192.0.2.2 of bgpd of FRR is no client of this node: add "neighbor 192.0.2.2 route-reflector-client" under "address-family l2vpn evpn"',
    'bgpd of FRR exchanges nothing with the external neighbour 192.0.2.3 without a policy: add a route-map out under "address-family l2vpn evpn", or "no bgp ebgp-requires-policy"',
    'bgpd of FRR has no neighbour 192.0.2.4: add "neighbor 192.0.2.4 remote-as 65000"',
  ]);
  t.match(describeGaps(testSpeaker([testNeighbor('192.0.2.2')]), parseRunningConfig(text.replace('192.0.2.2 remote-as 65000', '192.0.2.2 remote-as 65009'))).at(-1), /must have the AS 65000: it has "remote-as 65009"$/);
  t.end();
});

t.test('an operator has other ways to say it', (t) => {
  const speaker = testSpeaker([testNeighbor('192.0.2.2', { password: 'p' }), testNeighbor('192.0.2.3', { as: 65001 }), testNeighbor('2001:db8::4')]);
  const text = `frr defaults datacenter
router bgp 65000
 neighbor fabric peer-group
 neighbor fabric remote-as internal
 neighbor fabric password p
 neighbor spines peer-group
 neighbor spines remote-as external
 neighbor 192.0.2.2 peer-group fabric
 neighbor 192.0.2.3 peer-group spines
 bgp listen range 2001:db8::/32 peer-group fabric
 address-family l2vpn evpn
  neighbor fabric activate
  neighbor spines activate
  advertise-all-vni
  no dup-addr-detection
 exit-address-family
exit
router bgp 65001 vrf red
 neighbor 192.0.2.2 remote-as 1
 address-family l2vpn evpn
  no neighbor 192.0.2.2 activate
 exit-address-family
exit
`;
  t.same(describeGaps(speaker, parseRunningConfig(text)), []);
  t.match(describeGaps(speaker, parseRunningConfig(text.replace('datacenter', 'traditional'))), [/192\.0\.2\.3 without a policy: add a route-map in and out/]);
  t.match(describeGaps(speaker, parseRunningConfig(text.replace('  neighbor spines', '  no neighbor 192.0.2.2 activate\n  neighbor spines'))), [/192\.0\.2\.2 of bgpd of FRR does not speak EVPN/]);
  t.end();
});

t.test('text that FRR 8.4 does not show, but others may', (t) => {
  t.equal(parseRunningConfig('router bgp 1.10 as-notation dot\nexit\n').as, 65546);
  t.equal(parseRunningConfig('').as, undefined);
  t.same(parseRunningConfig('route-map theirs permit 10\n match ip address x\n set metric 1\nexit\n').lines.top, ['route-map theirs permit 10', 'exit']);
  t.end();
});
