import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { blue } from '../harness/tenant.ts';
import type { Lab } from '../harness/lab.ts';
import { createSites, expectFault, expectWell, nobody, restartWith, type Site } from './bad-configuration-scene.ts';
import { agreed } from './outage-scene.ts';
import { configure, eventually, floodListOf, localAs, reached, sessionsUp, skipWithoutEvpnLab } from './scene.ts';

const skip = skipWithoutEvpnLab();
t.setTimeout(200_000);

/** Lines of `controlPlane`: neighbours, each with what else is said of it. */
function neighbors(...list: readonly (readonly [address: string, ...lines: readonly string[]])[]): readonly string[] {
  return ['neighbors:', ...list.flatMap(([address, ...lines]) => [`  - address: ${address}`, ...lines.map((line) => `    ${line}`)])];
}

void t.test('sessions that never come up', { skip }, async (t) => {
  const { lab, sites } = await createSites(t, 5, (lab, number) => {
    const hub = lab.node(1).ipv4;
    const others = [neighbors([lab.node(2).ipv4], [lab.node(3).ipv4], [lab.node(4).ipv4, 'password: right'], [nobody]), neighbors([hub]), neighbors([hub, 'as: 65009']), neighbors([hub, 'password: wrong']), neighbors([nobody])];
    return others[number - 1] ?? [];
  });
  const [hub, good, wrongAs, wrongPassword, alone] = sites as [Site, Site, Site, Site, Site];
  const down = (address: string, as: number): RegExp => new RegExp(`with (any of controlPlane\\.neighbors:|the neighbour) ${address.replaceAll('.', '\\.')} \\(AS ${as}\\): (Active|Connect|Idle|OpenSent)`);
  const hubAddress = hub.node.ipv4;
  await Promise.all([
    expectFault(t, lab, wrongAs, { what: "a neighbour's AS is wrong", words: new RegExp(`${down(hubAddress, 65009).source}, .*AS`) }),
    expectFault(t, lab, wrongPassword, { what: 'a password is wrong', words: down(hubAddress, localAs) }),
    expectFault(t, lab, alone, { what: 'the neighbour is not there', words: down(nobody, localAs) }),
    expectFault(t, lab, hub, { what: 'one neighbour of several is not there', words: down(nobody, localAs), isDeaf: false }),
    expectWell(lab, good, 'where the only session stands'),
  ]);
  for (const { daemon } of sites) t.notMatch(daemon.describe(), /password":|right|"wrong"/, 'no password is in the log');
});

void t.test('FRR is not there, or is not for weft', { skip }, async (t) => {
  const { lab, sites } = await createSites(t, 2, (lab, number) => neighbors([lab.node(3 - number).ipv4]));
  const site = sites[1] as Site;
  await expectWell(lab, site, 'at first');
  await programsAway(t, lab, site);
  configure(site.node, { runDirectory: '/nowhere' }, neighbors([lab.node(1).ipv4]));
  await expectFault(t, lab, site, { what: 'another runDirectory', words: /(zebra|bgpd) of FRR does not run: nobody listens at \/nowhere\/(zebra|bgpd)\.vty.*controlPlane\.runDirectory/ });
  configure(site.node, site.frr, neighbors([lab.node(1).ipv4]));
  await expectWell(lab, site, 'with its own runDirectory');
  await restartWith(site, `router bgp 65009\n neighbor ${nobody} remote-as 65009\n`);
  await expectFault(t, lab, site, { what: 'bgpd has another AS', words: /bgpd of FRR must have the AS 65000 of controlPlane\.as: it is configured for 65009.*router bgp 65009/ });
  t.match(site.frr.vtysh('show running-config'), new RegExp(`router bgp 65009\\n neighbor ${nobody} remote-as 65009`), 'which stays as it is');
  await restartWith(site, '');
  await expectWell(lab, site, 'with a bgpd of its own');
  await eventually('it has found its peer', () => floodListOf(site, blue.vni).join() === lab.node(1).ipv4);
  await agreed(sites);
  await rivals(t, lab, site);
});

async function programsAway(t: Test, lab: Lab, site: Site): Promise<void> {
  await site.frr.kill('bgpd');
  await expectFault(t, lab, site, { what: 'zebra alone runs', words: /bgpd of FRR does not run: nobody listens at .*bgpd\.vty.*bgpd=yes in \/etc\/frr\/daemons/ });
  await site.frr.kill('zebra');
  await expectFault(t, lab, site, { what: 'FRR does not run', words: /zebra of FRR does not run: nobody listens at .*zebra\.vty.*zebra=yes in \/etc\/frr\/daemons/ });
  await site.frr.start('zebra');
  await site.frr.start('bgpd');
  await expectWell(lab, site, 'when FRR is back');
}

/** Another VXLAN device has the tenant's VNI, so that zebra takes the one for the other. In a bridge of its own it may make zebra 8.4 crash. */
async function rivals(t: Test, lab: Lab, site: Site): Promise<void> {
  const { netns, ipv4 } = site.node;
  const link = (...words: readonly string[]): string => run('ip', ['-n', netns, 'link', ...words]);
  link('add', 'rival0', 'type', 'vxlan', 'id', `${blue.vni}`, 'dstport', '4790', 'local', ipv4);
  link('set', 'rival0', 'up');
  await expectFault(t, lab, site, { what: 'another VXLAN device has the VNI', words: /rival0.*VNI 1001|VNI 1001.*rival0/ });
  t.same(floodListOf(site, blue.vni), [lab.node(1).ipv4], 'the tenant keeps its flood list');
  link('del', 'rival0');
  await expectWell(lab, site, 'without the other device');
  await eventually('the flood list is there', () => floodListOf(site, blue.vni).join() === lab.node(1).ipv4);
}

void t.test('FRR that the operator configures', { skip }, async (t) => {
  const managed = (lab: Lab, number: number): readonly string[] => [...neighbors([lab.node(3 - number).ipv4, ...(number === 2 ? ['password: secret-1'] : [])]), ...(number === 2 ? ['managed: false', 'routerId: 10.200.0.12'] : ['password: secret-1'])];
  const { lab, sites } = await createSites(t, 2, managed);
  const site = sites[1] as Site;
  const hub = lab.node(1).ipv4;
  const fitting = [`router bgp ${localAs}`, ' bgp router-id 10.200.0.12', ' no bgp default ipv4-unicast', ` neighbor ${hub} remote-as internal`, ` neighbor ${hub} password secret-1`, ' neighbor 10.200.0.77 remote-as 65077', ' address-family l2vpn evpn', `  neighbor ${hub} activate`, '  advertise-all-vni', '  no dup-addr-detection'];
  const without = (line: string): string => `${fitting.filter((other) => other !== line).join('\n')}\n`;
  const rows: readonly (readonly [what: string, bgpd: string, words: RegExp])[] = [
    ['no router', '', /bgpd of FRR has no "router bgp 65000": add it/],
    ['another AS', without('').replaceAll(`${localAs}`, '65009'), /bgpd of FRR must have the AS 65000 of controlPlane\.as: it has "router bgp 65009"/],
    ['another router id', without(fitting[1] ?? ''), /bgpd of FRR must have the router id 10\.200\.0\.12 of controlPlane\.routerId: it has none of its own/],
    ['no neighbour', `${fitting.filter((line) => !line.includes(hub)).join('\n')}\n`, /bgpd of FRR has no neighbour 10\.200\.0\.11: add "neighbor 10\.200\.0\.11 remote-as 65000"/],
    ["the neighbour's AS", without('').replace('internal', '65008'), /neighbour 10\.200\.0\.11 of bgpd of FRR must have the AS 65000: it has "remote-as 65008"/],
    ['the password', without(` neighbor ${hub} password secret-1`), /neighbour 10\.200\.0\.11 of bgpd of FRR must have the password of controlPlane: it has another or none/],
    ['EVPN for the neighbour', without(`  neighbor ${hub} activate`), /neighbour 10\.200\.0\.11 of bgpd of FRR does not speak EVPN: add "neighbor 10\.200\.0\.11 activate"/],
    ['advertise-all-vni', without('  advertise-all-vni').replace('  no dup-addr-detection\n', ''), /bgpd of FRR has no "advertise-all-vni" under "address-family l2vpn evpn": add it/],
  ];
  for (const [what, bgpd, words] of rows) {
    await restartWith(site, bgpd);
    // A session may come up all the same.
    await expectFault(t, lab, site, { what, words, isDeaf: 'unknown' });
  }
  await handMade(t, { lab, site, sites, configuration: without('') });
  for (const { daemon } of sites) t.notMatch(daemon.describe(), /secret-1/, 'no password is in the log');
});

interface HandMade {
  readonly lab: Lab;
  readonly site: Site;
  readonly sites: readonly Site[];
  readonly configuration: string;
}

/** What fits works, and weft changes nothing in it. */
async function handMade(t: Test, { lab, site, sites, configuration }: HandMade): Promise<void> {
  await restartWith(site, configuration);
  const before = site.frr.vtysh('show running-config');
  await expectWell(lab, site, 'with a configuration that fits');
  await sessionsUp(site);
  await agreed(sites);
  const [[one], [other]] = sites.map(({ guests }) => guests) as [Site['guests'], Site['guests']];
  await reached(one.netns, other.participant.ipv4);
  t.equal(site.frr.vtysh('show running-config'), before, 'weft has changed nothing in it');
  await restartWith(site, configuration.replace('  no dup-addr-detection\n', ''));
  await sessionsUp(site);
  await expectFault(t, lab, site, { what: 'dup-addr-detection', words: /bgpd of FRR takes an address that moves often for a duplicate: add "no dup-addr-detection"/, isDeaf: false });
}
