import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { parseAddress } from '../netaddr/netaddr.ts';
import { frrRequirements, startFrr } from '../testing/frr.ts';
import { skipUnless } from '../testing/requirements.ts';
import { describeGaps } from './gaps.ts';
import { planChanges, planRemoval } from './plan.ts';
import { connectTo, eventually, readConfig, soon, startLab, type LabNode } from './test-lab.ts';
import { goldenSpeakers, testNeighbor, testSpeaker } from './test-speakers.ts';
import type { Speaker, SpeakerNeighbor } from './speaker.ts';
import type { Vty } from './vty.ts';

const skip = skipUnless(frrRequirements);

async function apply(bgpd: Vty, speaker: Speaker): Promise<readonly string[]> {
  const lines = planChanges(speaker, await readConfig(bgpd));
  await bgpd.configure(lines, soon);
  return lines;
}

t.test('the real bgpd takes the golden files, and shows them as they are written', { skip }, async (t) => {
  for (const [name, speaker] of Object.entries(goldenSpeakers)) {
    const frr = await startFrr(t, { configuration: { bgpd: readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8') } });
    const bgpd = await connectTo(t, frr, 'bgpd');
    t.same(planChanges(speaker, await readConfig(bgpd)), [], `${name} as a file`);
    t.same(describeGaps(speaker, await readConfig(bgpd)), [], name);
    t.notMatch(frr.log('bgpd'), /ERROR|Unknown command|error/, name);
    await bgpd.configure(planRemoval(await readConfig(bgpd)), soon);
    t.notMatch(frr.vtysh('show running-config'), /neighbor|weft|advertise-all-vni/, `${name} taken away`);
    await bgpd.configure(['no router bgp 65000'], soon);
    t.ok((await apply(bgpd, speaker)).length > 0);
    t.same(await apply(bgpd, speaker), [], `${name} by the socket, twice`);
  }
});

t.test('from any of them to any other', { skip }, async (t) => {
  const frr = await startFrr(t, { configuration: { bgpd: 'frr defaults datacenter\n' } });
  const bgpd = await connectTo(t, frr, 'bgpd');
  const names = Object.keys(goldenSpeakers);
  for (const from of names) {
    for (const to of names) {
      for (const name of [from, to]) await apply(bgpd, { ...testSpeaker([]), ...goldenSpeakers[name], routerId: parseAddress('192.0.2.1') });
      t.same(await apply(bgpd, { ...testSpeaker([]), ...goldenSpeakers[to], routerId: parseAddress('192.0.2.1') }), [], `${from} to ${to}`);
    }
  }
});

t.test('what the operator has in the same bgpd stays', { skip }, async (t) => {
  const theirs = [
    ...['router bgp 65000', 'neighbor 198.51.100.1 remote-as 65009', 'neighbor 198.51.100.1 description theirs', 'neighbor theirs peer-group', 'neighbor theirs remote-as 65000'],
    ...['neighbor 198.51.100.2 peer-group theirs', 'address-family ipv4 unicast', 'network 10.0.0.0/8', 'exit-address-family', 'address-family l2vpn evpn'],
    ...['neighbor theirs activate', 'exit-address-family', 'exit', 'router bgp 65000 vrf red', 'neighbor 203.0.113.9 remote-as 65000', 'exit', 'route-map theirs permit 10', 'exit'],
  ];
  const frr = await startFrr(t);
  const bgpd = await connectTo(t, frr, 'bgpd');
  await bgpd.configure(theirs, soon);
  const before = await bgpd.ask('show running-config', soon);
  const speaker = testSpeaker([testNeighbor('192.0.2.2'), testNeighbor('192.0.2.3', { as: 65001 })]);
  await apply(bgpd, speaker);
  t.same(await apply(bgpd, speaker), [], 'the second time nothing is to be done');
  const after = await bgpd.ask('show running-config', soon);
  t.match(after, /^ {2}no neighbor weft activate\n {2}no neighbor weft-ebgp activate$/m, 'IPv4 routes are not exchanged');
  t.same(before.split('\n').filter((line) => !after.split('\n').includes(line)), [], 'every line is still there');
  await bgpd.configure(planRemoval(await readConfig(bgpd)), soon);
  t.equal(strip(await bgpd.ask('show running-config', soon)), strip(before), 'and only they, when weft\'s is gone');
  if (process.env['WEFT_RECORD'] === '1') {
    writeFileSync(new URL('testdata/running-operator.txt', import.meta.url), anywhere(before));
    await apply(bgpd, testSpeaker([testNeighbor('192.0.2.2'), testNeighbor('192.0.2.3')]));
    writeFileSync(new URL('testdata/running-shared.txt', import.meta.url), anywhere(await bgpd.ask('show running-config', soon)));
  }
});

/** Without what stands only for itself. */
function strip(text: string): string {
  return text.split('\n').filter((line) => !/^ ?!?$/.test(line)).join('\n');
}

/** As another machine would have shown it. */
function anywhere(text: string): string {
  return text.replace(/^hostname .*$/m, 'hostname node1');
}

interface Sessions {
  readonly [address: string]: { readonly state: string; readonly established: number };
}

async function sessionsOf({ frr }: LabNode): Promise<Sessions> {
  const { peers = {} } = JSON.parse(frr.vtysh('show bgp l2vpn evpn summary json')) as { peers?: Record<string, { state: string; connectionsEstablished: number }> };
  return Object.fromEntries(Object.entries(peers).map(([address, { state, connectionsEstablished }]) => [address, { state, established: connectionsEstablished }]));
}

t.test('sessions outlive the changes of others', { skip }, async (t) => {
  const [first, second, third] = await startLab(t, 3);
  if (first === undefined || second === undefined || third === undefined) throw new Error('three nodes');
  const own = (number: number, neighbors: readonly SpeakerNeighbor[], more: Partial<Speaker> = {}): Speaker => testSpeaker(neighbors, { vtep: parseAddress(`192.0.2.${number}`), ...more });
  await apply(second.bgpd, own(2, [testNeighbor('192.0.2.1')]));
  await apply(third.bgpd, own(3, [testNeighbor('192.0.2.1', { as: 65000 })], { as: 65003 }));
  const base = [testNeighbor('192.0.2.2'), testNeighbor('192.0.2.3', { as: 65003 })];
  await apply(first.bgpd, own(1, base));
  const up = await eventually('two sessions', async () => {
    const sessions = await sessionsOf(first);
    return Object.values(sessions).filter(({ state }) => state === 'Established').length === 2 ? sessions : undefined;
  });
  const changed: readonly (readonly [string, Speaker])[] = [
    ['nothing', own(1, base)],
    ['a neighbour more', own(1, [...base, testNeighbor('192.0.2.9', { password: 'x' })])],
    ['its password', own(1, [...base, testNeighbor('192.0.2.9', { password: 'y' })])],
    ['reflected to', own(1, [...base, testNeighbor('192.0.2.9', { password: 'y', routeReflectorClient: true })])],
    ['external', own(1, [...base, testNeighbor('192.0.2.9', { as: 65009 })])],
    ['gone', own(1, base)],
    ['timers', own(1, base, { timers: { keepaliveSeconds: 5, holdSeconds: 15, connectSeconds: 2 } })],
    ['timers back', own(1, base)],
  ];
  for (const [what, speaker] of changed) {
    await apply(first.bgpd, speaker);
    const sessions = await sessionsOf(first);
    for (const address of ['192.0.2.2', '192.0.2.3']) t.same(sessions[address], up[address], `${what}: ${address}`);
  }
  await apply(first.bgpd, own(1, [testNeighbor('192.0.2.2')]));
  t.same(await sessionsOf(first), { '192.0.2.2': up['192.0.2.2'] }, 'a neighbour gone, with its group');
});
