/** Open vSwitch's own tools against a node with a daemon: what they change is put right, and named in the log. */
import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { hostPort } from '../daemon-kill/audit.ts';
import { integrationBridge } from '../harness/node-switch.ts';
import { describeSwitch } from '../harness/switch-flows.ts';
import { debugging, fullPass } from '../reconcile/full-pass.ts';
import { attachResidents, createStations, pingAll, skip, type Station } from './scene.ts';
import { allAnswered, type SteadyPing } from './steady-ping.ts';

t.setTimeout(200_000);

const deadlineMs = 30_000;
/** What Open vSwitch tells of is put right at once, as a rule. */
const promisedMs = 1000;

/** What is called by name in damages: of a container of tenant blue. */
interface Names {
  readonly hostIf: string;
  readonly ofport: string;
  readonly mac: string;
  readonly tunnel: string;
}

interface Damage {
  readonly tool: 'vsctl' | 'ofctl' | 'ip';
  readonly args: readonly string[];
  /** What the log says of it. */
  readonly says: RegExp;
}

/** What Open vSwitch's database or the kernel tells of. */
function toldDamages({ hostIf, tunnel }: Names): readonly Damage[] {
  return [
    { tool: 'vsctl', args: ['del-port', hostIf], says: new RegExp(`${hostIf} is no port of Open vSwitch: plugged in again`) },
    { tool: 'ip', args: ['link', 'del', hostIf], says: new RegExp(`${hostIf}`) },
    { tool: 'vsctl', args: ['del-port', tunnel], says: /the tunnel weft-t\w+ is no port of Open vSwitch: sent again/ },
    { tool: 'vsctl', args: ['set', 'interface', tunnel, 'options:local_ip=10.200.0.99'], says: /the tunnel weft-t\w+ has other options than .*local_ip=10.200.0.11.*: sent again/ },
    { tool: 'vsctl', args: ['set', 'interface', tunnel, 'options:egress_pkt_mark=7'], says: /the tunnel weft-t\w+ has other options than/ },
    { tool: 'vsctl', args: ['set', 'interface', tunnel, 'type=geneve'], says: /the tunnel weft-t\w+ is of the type "geneve" and not "vxlan": sent again/ },
    { tool: 'vsctl', args: ['del-port', 'weft-br1001'], says: /the gateway's interface weft-br1001 is no port of Open vSwitch: sent again/ },
    { tool: 'vsctl', args: ['set-fail-mode', integrationBridge, 'standalone'], says: /the bridge weft-int has the fail mode "standalone" and not "secure"/ },
    { tool: 'vsctl', args: ['del-br', integrationBridge], says: /the tunnel weft-t\w+ is no port of Open vSwitch: sent again/ },
  ];
}

/** What nobody tells of: flows. A pass over the whole node finds it. */
function silentDamages({ hostIf, ofport, mac }: Names): readonly Damage[] {
  const sent = (cookie: string, what: RegExp): Damage => ({ tool: 'ofctl', args: ['add-flow', integrationBridge, `cookie=${cookie},table=0,priority=999,in_port=${ofport},actions=NORMAL`], says: what });
  return [
    { tool: 'ofctl', args: ['del-flows', integrationBridge], says: /the switch lacks 21 flows of tenant blue: sent again/ },
    { tool: 'ofctl', args: ['--strict', 'del-flows', integrationBridge, `table=20,priority=50,metadata=0x3e9,dl_dst=${mac}`], says: new RegExp(`the switch lacks a flow of ${hostIf}: plugged in again`) },
    { tool: 'ofctl', args: ['--strict', 'mod-flows', integrationBridge, `table=20,priority=50,metadata=0x3e9,dl_dst=${mac},actions=drop`], says: new RegExp(`the switch lacks a flow of ${hostIf}: plugged in again`) },
    { tool: 'ofctl', args: ['--strict', 'mod-flows', integrationBridge, 'table=20,priority=40,metadata=0x3e9,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=drop'], says: /the switch lacks a flow of tenant blue: sent again/ },
    { tool: 'ofctl', args: ['--strict', 'del-flows', integrationBridge, 'table=20,priority=0'], says: /the switch lacks a flow of every tenant: sent again/ },
    sent('0x7765660003e90000', /the switch has a flow of tenant blue that weft did not send: sent again/),
    sent(`0x7765660003e9${Number(ofport).toString(16).padStart(4, '0')}`, new RegExp(`the switch has a flow of ${hostIf} that weft did not send: plugged in again`)),
    sent('0x7765660000000000', /the flow .*priority=999.* belonged to no attachment: removed/),
    sent('0x7765660000000042', /flows with the cookie 0x7765660000000042 belonged to no attachment: removed/),
    sent('0x7765660012340000', /flows of VNI 4660 belonged to no attachment: removed/),
    sent('0x7765660003e900aa', /flows of port 170 of VNI 1001 belonged to no attachment: removed/),
  ];
}

t.test('what is removed, changed and added by hand is put right', { skip }, async (t) => {
  const scene = await createStations(t, { nodes: 2, daemon: debugging });
  const [station] = scene.stations;
  const residents = await attachResidents(scene);
  const pings = pingAll(t, residents);
  await allAnswered(pings, Date.now(), deadlineMs);
  const [{ result }] = residents as [typeof residents[number]];
  const namesNow = (): Names => ({
    hostIf: hostPort(result), ofport: station.ovs.vsctl('get', 'interface', hostPort(result), 'ofport').trim(),
    mac: result.interfaces?.find(({ sandbox }) => sandbox !== undefined)?.mac ?? '',
    tunnel: station.ovs.vsctl('list-ports', integrationBridge).split('\n').find((name) => name.startsWith('weft-t')) ?? '',
  });
  const times: number[] = [];
  for (const damage of toldDamages(namesNow())) times.push(await doDamage(t, { station, pings }, { damage, isSilent: false }));
  t.comment(`from what Open vSwitch tells of until everybody was reached: ${times.map((ms) => Math.round(ms)).join(', ')} ms`);
  t.ok(times.toSorted((one, other) => one - other)[times.length >> 1] as number < promisedMs, 'put right at once, as a rule');
  const silent = silentDamages(namesNow()).length;
  for (let index = 0; index < silent; index += 1) await doDamage(t, { station, pings }, { damage: silentDamages(namesNow())[index] as Damage, isSilent: true });
  await expectOthersLeftAlone(t, station);
  await expectNothingWritten(t, station);
  t.same(station.daemon.log.filter(({ level }) => level === 'error'), [], 'no errors in the log');
});

/** Does the damage, and waits until it is named and put right. @returns how long it took until everybody reached everybody again, in milliseconds */
async function doDamage(t: Test, { station, pings }: { readonly station: Station; readonly pings: readonly SteadyPing[] }, { damage, isSilent }: { readonly damage: Damage; readonly isSilent: boolean }): Promise<number> {
  const { ovs, node, daemon } = station;
  const what = [damage.tool, ...damage.args].join(' ');
  const whole = describeSwitch(ovs);
  const linesBefore = daemon.linesOf(/^repaired$/).length;
  const startedAt = Date.now();
  if (damage.tool === 'ip') run('ip', ['-n', node.netns, ...damage.args]);
  else ovs[damage.tool](...(damage.tool === 'vsctl' ? ['--no-wait'] : []), ...damage.args);
  if (isSilent) daemon.signal('SIGHUP');
  await daemon.eventually(`names ${what} as ${damage.says}`, () => daemon.linesOf(/^repaired$/).slice(linesBefore).some((line) => damage.says.test(String(line['repaired']))));
  await daemon.eventually(`makes the node whole after ${what}`, () => JSON.stringify(describeSwitch(ovs)) === JSON.stringify(whole)).catch(() => undefined);
  t.same(describeSwitch(ovs), whole, `${what}: whole again`);
  const reachedAt = await allAnswered(pings, Date.now(), deadlineMs);
  t.same((await daemon.status()).reconciler.openFaults, [], `${what}: nothing is left to repair`);
  return reachedAt - startedAt;
}

/** A flow with another's cookie is another's, and so is a port that somebody has plugged in. */
async function expectOthersLeftAlone(t: Test, station: Station): Promise<void> {
  const { ovs, node, daemon } = station;
  ovs.ofctl('add-flow', integrationBridge, 'cookie=0x1234,table=77,priority=7,actions=drop');
  run('ip', ['-n', node.netns, 'link', 'add', 'other0', 'type', 'veth', 'peer', 'name', 'other1']);
  ovs.vsctl('add-port', integrationBridge, 'other0');
  const before = describeSwitch(ovs);
  await fullPass(daemon);
  t.same(describeSwitch(ovs), before, 'flows and ports of others stay');
  ovs.ofctl('del-flows', integrationBridge, 'cookie=0x1234/-1');
  ovs.vsctl('del-port', integrationBridge, 'other0');
  run('ip', ['-n', node.netns, 'link', 'del', 'other0']);
  await fullPass(daemon);
}

async function expectNothingWritten(t: Test, station: Station): Promise<void> {
  const { ovs, daemon } = station;
  const next = (): string => ovs.vsctl('get', 'Open_vSwitch', '.', 'next_cfg');
  const ages = (): number[] => [...ovs.ofctl('dump-flows', integrationBridge, 'cookie=0x7765660000000000/0xffffff000000ffff').matchAll(/duration=([\d.]+)s/g)].map(([, seconds]) => Number(seconds));
  const before = { next: next(), ages: ages(), repaired: daemon.linesOf(/^repaired$/).length };
  await fullPass(daemon);
  await fullPass(daemon);
  t.equal(next(), before.next, 'nothing is written into the database');
  t.ok(ages().length === before.ages.length && Math.min(...ages()) > Math.min(...before.ages), 'no flow is sent again');
  t.equal(daemon.linesOf(/^repaired$/).length, before.repaired, 'nothing is repaired');
}
