import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { renderCommands, renderConfiguration } from './render.ts';
import { goldenSpeakers } from './test-speakers.ts';

function golden(name: string): string {
  return readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8');
}

t.test('golden files, which plan.netns.test.ts gives to the real bgpd', (t) => {
  for (const [name, speaker] of Object.entries(goldenSpeakers)) t.equal(renderConfiguration(speaker), golden(name), name);
  t.same(readdirSync(new URL('testdata/', import.meta.url)).filter((name) => name.endsWith('.conf')).toSorted(), Object.keys(goldenSpeakers).toSorted());
  t.end();
});

t.test('lines are led to their places', (t) => {
  t.same(renderCommands(1, []), []);
  t.same(renderCommands(1, [{ place: 'evpn', line: 'a' }, { place: 'evpn', line: 'b' }]), ['router bgp 1', ' address-family l2vpn evpn', '  a', '  b', ' exit-address-family', 'exit']);
  t.same(
    renderCommands(1, [{ place: 'top', line: 'route-map x permit 10' }, { place: 'ipv4', line: 'a' }, { place: 'evpn', line: 'b' }, { place: 'router', line: 'c' }, { place: 'top', line: 'd' }]),
    ['route-map x permit 10', 'exit', 'router bgp 1', ' address-family ipv4 unicast', '  a', ' exit-address-family', ' address-family l2vpn evpn', '  b', ' exit-address-family', ' c', 'exit', 'd'],
  );
  t.end();
});
