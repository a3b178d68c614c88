import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { runWeft } from '../command-line/run-weft.ts';
import { blue } from '../harness/tenant.ts';
import { agreed, createOutageScene, expectNoLoss, knownEverywhere, startTraffic, tablesOf, type OutageScene } from './outage-scene.ts';
import { configure, eventually, evpnConf, fullMesh, localAs, skipWithoutEvpnLab, type EvpnNode } from './scene.ts';

const skip = skipWithoutEvpnLab('gcc');
const nobody = '10.200.0.99';
/** For what must not happen. */
const quietMs = 2000;
/** The operator's own, in the same bgpd: they are there before weft's lines come and after they have gone. */
const operators = ['bgp log-neighbor-changes', 'neighbor fabric peer-group', 'neighbor fabric remote-as 65077', 'neighbor 10.200.0.77 peer-group fabric', 'neighbor 10.200.0.78 remote-as 65078', 'neighbor 10.200.0.78 description of the operator'];
t.setTimeout(200_000);

void t.test('the configuration changes while containers exchange packets', { skip }, async (t) => {
  const scene = await createOutageScene(t);
  const [one] = scene.nodes as [EvpnNode, ...EvpnNode[]];
  const mesh = fullMesh(one.node, scene.lab);
  one.frr.vtysh('configure terminal', `router bgp ${localAs}`, ...operators);
  await operatorsSession(scene);
  const theirs = operatorsLines(one);
  t.equal(theirs.length, operators.length, 'the operator has lines of their own');
  const meter = await startTraffic(t, scene.residents);
  const before = { tables: scene.nodes.map(tablesOf), sessions: sessionsOf(one, scene) };

  await followed(one, [...mesh, `  - address: ${nobody}`], () => linesOf(one).some((line) => line.startsWith(`neighbor ${nobody} `)));
  t.same(sessionsOf(one, scene), before.sessions, 'with another neighbour the other sessions stand as before');
  await followed(one, mesh, () => !linesOf(one).some((line) => line.includes(nobody)));
  t.same(sessionsOf(one, scene), before.sessions, 'without it as well');
  await followed(one, [...mesh, 'retainSeconds: 60'], () => true);
  await delay(quietMs);
  t.same(sessionsOf(one, scene), before.sessions, 'with another retainSeconds as well');
  await followed(one, [...mesh, 'timers:', '  holdSeconds: 30', '  keepaliveSeconds: 10'], () => linesOf(one).includes('neighbor weft timers 10 30'));
  t.same(sessionsOf(one, scene), before.sessions, 'with other timers as well');
  t.same(operatorsLines(one), theirs, "the operator's lines are as they were");
  await knownEverywhere(scene);
  await staticWhileUsed(t, scene, theirs);
  await followed(one, mesh, () => linesOf(one).includes('advertise-all-vni'));
  await knownEverywhere(scene);
  await agreed(scene.nodes);
  t.same(operatorsLines(one), theirs, "when weft's lines are back the operator's are as they were");
  await expectNoLoss(t, meter);
  t.same(scene.nodes.map(tablesOf), before.tables, 'all is as it was');
});

/** `controlPlane: static` takes weft's lines out of bgpd; the tenants stay as they are while they have containers, which is said. */
async function staticWhileUsed(t: Test, scene: OutageScene, theirs: readonly string[]): Promise<void> {
  const [one, ...others] = scene.nodes as [EvpnNode, ...EvpnNode[]];
  const { node, daemon } = one;
  writeFileSync(node.configPath, `node: ${node.name}\nvtep:\n  address: ${node.ipv4}\ncontrolPlane:\n  type: static\n`);
  await eventually("weft's lines leave bgpd", () => !linesOf(one).some((line) => /weft|advertise-all-vni|dup-addr-detection|neighbor 10\.200\.0\.1\d/.test(line)), () => `${linesOf(one).join('\n')}\n${daemon.describe()}`);
  t.same(operatorsLines(one), theirs, "the operator's lines stay");
  t.match(operatorsState(scene.nodes), /Established, up 1, down 0$/, "and so does the operator's session");
  const words = /tenant blue stays as it is while it has containers here: tenant blue uses controlPlane evpn on this node, not static/;
  let said = '';
  await eventually('weft status says that the tenants stay as they are', async () => {
    const { exitCode, stdout } = await runWeft(node, ['status']);
    said = stdout;
    return exitCode === 1 && words.test(stdout);
  }, () => `${said}\n${daemon.describe()}`);
  const { error } = await node.status(evpnConf(scene.lab, blue, 1));
  t.match(error, { code: 50, msg: /tenant blue uses controlPlane evpn on this node, not static/ }, 'so does STATUS');
  for (const other of others) await other.daemon.logged(new RegExp(`BGP does not tell of ${node.ipv4.replaceAll('.', '\\.')} any more; what was there is kept for now`));
  await knownEverywhere(scene);
}

/** The first two nodes have a session of the operator's by IPv6, which is none of weft's. */
async function operatorsSession({ nodes }: OutageScene): Promise<void> {
  const [one, other] = nodes as [EvpnNode, EvpnNode, ...EvpnNode[]];
  for (const [{ frr }, { node: { ipv6 } }] of [[one, other], [other, one]] as const) {
    frr.vtysh('configure terminal', `router bgp ${localAs}`, `neighbor ${ipv6} remote-as internal`, 'address-family ipv6 unicast', `neighbor ${ipv6} activate`);
  }
  await eventually("the operator's session stands", () => operatorsState(nodes).includes('Established'), () => one.frr.vtysh('show bgp summary'));
}

function operatorsState([one, other]: readonly EvpnNode[]): string {
  return describeSession(one as EvpnNode, other?.node.ipv6 ?? '');
}

/** Writes the node's configuration and waits until it is followed. */
async function followed(one: EvpnNode, lines: readonly string[], isSo: () => boolean): Promise<void> {
  configure(one.node, one.frr, lines);
  await eventually('bgpd is configured anew', isSo, () => `${linesOf(one).join('\n')}\n${one.daemon.describe()}`);
}

/** What bgpd is configured with. */
function linesOf({ frr }: EvpnNode): readonly string[] {
  return frr.vtysh('show running-config').split('\n').map((line) => line.trim());
}

function operatorsLines(one: EvpnNode): readonly string[] {
  return linesOf(one).filter((line) => operators.includes(line));
}

/** Whether each session with another node stands, and how often it came up and went down. The operator's is among them. */
function sessionsOf(one: EvpnNode, { nodes }: OutageScene): readonly string[] {
  return [...nodes.filter((other) => other !== one).map(({ node }) => describeSession(one, node.ipv4)), operatorsState(nodes)];
}

function describeSession({ frr }: EvpnNode, address: string): string {
  const all = JSON.parse(frr.vtysh('show bgp neighbors json')) as Readonly<Record<string, { readonly bgpState?: string; readonly connectionsEstablished?: number; readonly connectionsDropped?: number } | undefined>>;
  const { bgpState, connectionsEstablished, connectionsDropped } = all[address] ?? {};
  return `${address} ${bgpState}, up ${connectionsEstablished}, down ${connectionsDropped}`;
}
