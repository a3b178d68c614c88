/** The programs beside weft that a node may need: FRR and Open vSwitch, well and then not. */
import t, { type Test } from 'tap';
import { runIn } from '../../pkg/testing/command.ts';
import { frrRequirements } from '../../pkg/testing/frr.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { createDaemonLabOf } from '../harness/daemon.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { attachGuest, blue, red } from '../harness/tenant.ts';
import { skipWithoutDaemonLab, skipWithoutDaemonLabOf } from '../harness/weft-executable.ts';
import { addressesKnown, attachEvpnGuest, createEvpnScene, eventually, nodeOf } from '../evpn/scene.ts';
import { askDoctor, troublesOf, tryShow, type Diagnosis } from './scene.ts';

t.test('a node whose FRR is stopped', { skip: skipWithoutDaemonLab() || skipUnless(frrRequirements), timeout: 180_000 }, async (t) => {
  const scene = await createEvpnScene(t, { nodes: 2 });
  const one = nodeOf(scene, 1);
  const guests = [await attachEvpnGuest(scene.lab, blue, { node: 1, label: 'own' }), await attachEvpnGuest(scene.lab, blue, { node: 2, label: 'other' })];
  await addressesKnown(one, blue.vni, guests.flatMap(({ participant: { ipv4, ipv6 } }) => [ipv4, ipv6]));
  await well(one.node, () => one.daemon.describe());
  t.pass('healthy: no error and no warning');

  await one.frr.kill('bgpd');
  await called(t, one.node, { id: 'frr-down', what: 'without bgpd', isShown: /bgpd is not running|failed to connect/i });
  await one.frr.start('bgpd');
  await well(one.node, () => one.daemon.describe());
  nodeOf(scene, 2).frr.signal('bgpd', 'SIGSTOP');
  // The other side has fallen silent: the session ends when its hold time is over.
  await called(t, one.node, { id: 'frr-session', what: 'with a neighbour that is silent', isShown: /10\.200\.0\.12.* (Active|Connect|Idle|OpenSent|OpenConfirm)/ });
  nodeOf(scene, 2).frr.signal('bgpd', 'SIGCONT');
  await well(one.node, () => one.daemon.describe());
  await one.daemon.stop();
  t.same(idsOf(await askDoctor(one.node), 'error'), ['daemon-needed'], 'EVPN needs the daemon');
  await one.frr.stop();
  const diagnosis = await askDoctor(one.node);
  // zebra takes its entries of the flood list with it, and nobody puts them back.
  t.same(idsOf(diagnosis, 'error').filter((id) => id !== 'segment-fdb'), ['daemon-needed', 'frr-down'], 'without FRR');
  t.same(diagnosis.findings.filter(({ id }) => id === 'frr-down').map(({ subject }) => subject), ['bgpd', 'zebra'], 'both of its daemons');
});

t.test('a node whose Open vSwitch is stopped', { skip: skipWithoutDaemonLabOf(['ovs']), timeout: 180_000 }, async (t) => {
  const { lab, daemons: [daemon] } = await createDaemonLabOf(t, ['ovs', 'ovs']);
  const node = lab.node(1);
  runIn(node.netns, 'sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0', 'net.bridge.bridge-nf-call-ip6tables=0');
  for (const [tenant, number] of [[blue, 1], [red, 1], [blue, 2]] as const) await attachGuest(lab, tenant, number, { label: `${tenant.name}-${number}` });
  await lab.settle();
  await well(node, () => daemon?.describe() ?? '');
  t.pass('healthy: no error and no warning');
  await daemon?.stop();
  const { openVSwitch } = node;
  const flows = `unix:${openVSwitch.databaseSocket.replace(/[^/]*$/, 'weft-int.mgmt')}`;
  runIn(node.netns, 'ovs-ofctl', '-O', 'OpenFlow13', 'del-flows', flows);
  await called(t, node, { id: 'ovs-flows', what: 'without flows', isShown: /weft-int/ });
  await openVSwitch.kill('ovs-vswitchd');
  await called(t, node, { id: 'ovs-down', what: 'without ovs-vswitchd', isShown: /Connection refused|not a bridge or a socket|failed to connect|No such file/ });
  await openVSwitch.kill('ovsdb-server');
  await called(t, node, { id: 'ovs-down', what: 'without ovsdb-server', isShown: /Connection refused|connection failed|No such file/ });
});

function idsOf({ findings }: Diagnosis, severity: string): readonly string[] {
  return [...new Set(findings.filter((finding) => finding.severity === severity).map(({ id }) => id))].sort();
}

/** Waits until nothing is wrong: what the other node tells takes its time. */
async function well(node: LabNode, describe: () => string): Promise<void> {
  let last: readonly string[] = [];
  await eventually(`the doctor finds ${node.name} healthy`, async () => (last = troublesOf(await askDoctor(node))).length === 0, () => `${last.join('\n')}\n${describe()}`);
}

interface Expected {
  readonly id: string;
  readonly what: string;
  readonly isShown: RegExp;
}

/** Waits until the doctor calls it by its name, and tries the command it names. */
async function called(t: Test, node: LabNode, { id, what, isShown }: Expected): Promise<void> {
  let last: Diagnosis | undefined;
  await eventually(`the doctor says ${id} ${what}`, async () => (last = await askDoctor(node)).findings.some((finding) => finding.id === id), () => JSON.stringify(last?.findings));
  const found = last?.findings.find((finding) => finding.id === id);
  t.ok(last?.exitCode === 1 && (last?.ms ?? Infinity) < 10_000, `${what}: ${id}, in ${last?.ms} ms`);
  const { output } = tryShow(node, found ?? { show: 'false' });
  t.match(output, isShown, `${what}: \`${found?.show}\` shows it`);
}
