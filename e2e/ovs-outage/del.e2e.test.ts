/** DELs while Open vSwitch is away: they succeed, soon, and are done when it is back, without another call. */
import t, { type Test } from 'tap';
import { readLinks } from '../../pkg/testing/observe.ts';
import type { OpenVSwitchProgram } from '../../pkg/testing/openvswitch.ts';
import { expectExactly, hostPort, pendingDels } from '../daemon-kill/audit.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { attachGuest, red, type Guest } from '../harness/tenant.ts';
import { attachResidents, createStations, gatedBlue, knownOn, skip, type Scene } from './scene.ts';

t.setTimeout(200_000);

/** A DEL waits a second, perhaps twice, for a switch that has gone. */
const delMs = 6000;

for (const program of ['ovs-vswitchd', 'ovsdb-server'] as const) {
  t.test(`while ${program} is away, with a daemon`, { skip }, async (t) => {
    const scene = await createStations(t, { nodes: 1 });
    const residents = await attachResidents(scene);
    const [station] = scene.stations;
    const { ovs, daemon, node } = station;
    const leaving = await attachMore(scene);
    await ovs.kill(program);
    await detachAll(t, leaving, { program });
    t.same(readLinks(node.netns).map(({ ifname }) => ifname).filter((name) => leaving.some(({ result }) => hostPort(result) === name)), [], 'the containers have lost their network at once');
    t.equal(pendingDels(node).length, leaving.length, 'all are written down');
    await ovs.start(program);
    await daemon.eventually('does what was written down', () => pendingDels(node).length === 0);
    await daemon.eventually('has nothing left to repair', async () => (await daemon.status()).reconciler.openFaults.length === 0);
    await expectExactly(t, station.node, { when: `after the return of ${program}`, known: knownOn(station, residents), gateways: [gatedBlue.vni] });
  });

  t.test(`while ${program} is away, without a daemon`, { skip }, async (t) => {
    const scene = await createStations(t, { nodes: 1 });
    const residents = await attachResidents(scene);
    const [station] = scene.stations;
    const leaving = await attachMore(scene);
    t.equal(await station.daemon.stop(), 0);
    await station.ovs.kill(program);
    await detachAll(t, leaving, { program });
    t.equal(pendingDels(station.node).length, leaving.length, 'all are written down');
    await station.ovs.start(program);
    // It waits until ovs-vswitchd has found its database again.
    station.ovs.vsctl('set', 'Open_vSwitch', '.', 'external_ids:weft-test=back');
    const newcomer = await attachGuest(scene.lab, red, 1, { label: 'new' });
    // What a restart of ovs-vswitchd takes a daemon sends again.
    await expectExactly(t, station.node, { when: 'after the next ADD', known: knownOn(station, [...residents, newcomer]), gateways: [gatedBlue.vni], areFlowsLost: program === 'ovs-vswitchd' });
  });
}

async function attachMore({ lab }: Scene): Promise<readonly Guest[]> {
  const guests: Guest[] = [];
  for (const tenant of [gatedBlue, red]) for (const label of ['x', 'y']) guests.push(await attachGuest(lab, tenant, 1, { label: `${tenant.name}-${label}` }));
  return guests;
}

/** One behind the other: what waits for one must not be waited for by each. */
async function detachAll(t: Test, guests: readonly Guest[], { program }: { readonly program: OpenVSwitchProgram }): Promise<void> {
  const times: number[] = [];
  for (const { node, attach } of guests) {
    const outcome = await node.del(attach);
    t.equal(outcome.exitCode, 0, describeOutcome(outcome));
    times.push(outcome.ms);
  }
  t.comment(`DELs while ${program} is away: ${times.map((ms) => Math.round(ms)).join(', ')} ms`);
  t.ok(Math.max(...times) < delMs, 'none waits long');
}
