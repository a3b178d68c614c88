/** A healthy node, of which nothing is said; then one damage after the other, each called by its name and shown by the system's own tools. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { inNetns, runIn } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { createDaemonLab, Daemon } from '../harness/daemon.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { attachGuest, blue, red, tenantConf } from '../harness/tenant.ts';
import { createLab } from '../harness/lab.ts';
import { skipWithoutDaemonLab, weftExecutable } from '../harness/weft-executable.ts';
import { playDaemon } from '../command-line/played-daemon.ts';
import { stateDirectoryReadOnly } from '../engine/mount-namespace.ts';
import { describeNode } from '../reconcile/whole.ts';
import { damages, type Damage, type Names } from './damages.ts';
import { askDoctor, askDoctorBehind, doctorArguments, troublesOf, tryShow, writeNetwork, type Diagnosis } from './scene.ts';

const skip = skipWithoutDaemonLab('sysctl', 'nsenter', 'ss', 'tc');
/** Whatever else the machine has to do: the doctor promises ten seconds. */
const boundMs = 10_000;

t.test('a node with two tenants', { skip, timeout: 240_000 }, async (t) => {
  const { lab, daemons } = await createDaemonLab(t, { nodes: 2 });
  const node = lab.node(1);
  // This kernel has it on in each new namespace.
  runIn(node.netns, 'sysctl', '-qw', 'net.bridge.bridge-nf-call-iptables=0', 'net.bridge.bridge-nf-call-ip6tables=0');
  const guest = await attachGuest(lab, blue, 1, { label: 'blue1' });
  for (const [tenant, number] of [[red, 1], [blue, 2], [red, 2]] as const) await attachGuest(lab, tenant, number, { label: `${tenant.name}-${number}` });
  await lab.settle();
  writeNetwork(node, '10-blue.conflist', tenantConf(lab, blue, 1));
  const interfaces = guest.result.interfaces ?? [];
  const names: Names = {
    node, container: guest.netns, peer: lab.node(2).ipv4,
    hostIf: interfaces.find(({ name }) => name.startsWith('weft-p'))?.name ?? '', mac: interfaces.find(({ sandbox }) => sandbox !== undefined && sandbox !== '')?.mac ?? '',
  };
  const healthy = await askDoctor(node);
  t.same(troublesOf(healthy), [], 'healthy: no error and no warning');
  t.equal(healthy.exitCode, 0, `exit status 0, and nothing on stderr: ${healthy.stderr}`);
  t.same(healthy.checks.filter(({ outcome }) => outcome !== 'done'), [], 'every check was done');
  t.comment(`of a healthy node, in ${healthy.ms} ms: ${healthy.findings.map(({ id }) => id).join(', ') || 'nothing'}; ${healthy.checks.map(({ layer, ms }) => `${layer} ${ms} ms`).join(', ')}`);

  await daemons[0]?.stop();
  const quiet = await askDoctor(node);
  t.same(added(healthy, quiet), ['daemon-absent', 'path-not-probed'], 'a daemon that is dead, and so proves no path');
  t.equal(quiet.exitCode, 0, 'works without');
  await t.test('damages', async (t) => {
    for (const damage of damages) await t.test(damage.what, (t) => doDamage(t, damage, { names, quiet }));
  });
  await t.test('what is not there, or does not answer', (t) => doOutages(t, node, quiet));
});

/** Ids of the one that the other has not; each once. */
function added(before: Diagnosis, after: Diagnosis): readonly string[] {
  const known = new Set(before.findings.map(({ id }) => id));
  return [...new Set(after.findings.map(({ id }) => id).filter((id) => !known.has(id)))].sort();
}

/** The node without what its devices learn by themselves, at any time. */
function describeMade({ node, container }: Names): unknown {
  const whole = describeNode(node, [container]) as { readonly fdb: readonly string[] };
  return { ...whole, fdb: whole.fdb.filter((entry) => /static|permanent/.test(entry)) };
}

async function doDamage(t: Test, { ids, damage, mend, isShown }: Damage, { names, quiet }: { readonly names: Names; readonly quiet: Diagnosis }): Promise<void> {
  const { node } = names;
  damage(names);
  const before = describeMade(names);
  const diagnosis = await askDoctor(node);
  t.same(describeMade(names), before, 'looking changes nothing');
  t.same(added(quiet, diagnosis), [...ids].sort(), 'exactly what it is');
  const found = diagnosis.findings.find(({ id }) => id === ids[0]);
  if (found === undefined) t.fail(`no ${ids[0]}: ${JSON.stringify(troublesOf(diagnosis))}`);
  else {
    const { exitCode, output } = tryShow(node, found);
    t.ok(isShown(output, names), `\`${found.show}\` shows it (exit status ${exitCode}): ${output}`);
    t.ok(found.why !== '' && found.fix !== '' && found.subject !== '', 'explained');
    t.equal(diagnosis.exitCode, diagnosis.findings.some(({ severity }) => severity === 'error') ? 1 : 0, 'the exit status says whether there is an error');
  }
  t.ok(diagnosis.ms < boundMs, `within ${diagnosis.ms} ms`);
  mend?.(names);
  const daemon = await Daemon.start(t, node);
  await daemon.eventually('has made the node whole', async () => troublesOf(await askDoctor(node)).length === 0);
  await daemon.stop();
  t.same(added(quiet, await askDoctor(node)), [], 'and nothing of it is said when it is mended');
}

async function doOutages(t: Test, node: LabNode, quiet: Diagnosis): Promise<void> {
  const readOnly = askDoctorBehind(node, stateDirectoryReadOnly);
  t.same(added(quiet, readOnly), ['not-seen', 'state-unwritable'], 'a state directory that is mounted read-only');
  t.equal(readOnly.exitCode, 1);
  t.same(added(quiet, await askDoctor(node, { launcher: '/nonexistent/weft' })), ['plugin-missing'], 'no plugin where runtimes look');
  await t.test('a daemon that says nothing', async (t) => {
    await playDaemon(t, node);
    const diagnosis = await askDoctor(node);
    t.same(added(quiet, diagnosis), ['daemon-silent']);
    t.ok(diagnosis.ms < boundMs, `within ${diagnosis.ms} ms`);
  });
}

t.test('whoever is not root', { skip: skip || skipUnless({ tools: ['setpriv'] }), timeout: 60_000 }, async (t) => {
  const lab = createLab(t, { nodes: 1 });
  const node = lab.node(1);
  await attachGuest(lab, blue, 1, { label: 'blue1' });
  // The checkout may be closed to others; a copy is not. It keeps its addon beside it.
  const directory = temporaryDirectory(t);
  chmodSync(directory, 0o777);
  const copy = join(directory, 'weft');
  copyFileSync(weftExecutable, copy);
  chmodSync(copy, 0o755);
  const command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', copy, ...doctorArguments(node)];
  const { stdout, status } = spawnSync('ip', inNetns(node.netns, ...command), { env: { ...node.env, TMPDIR: directory }, encoding: 'utf8', timeout: 30_000 });
  const { findings } = JSON.parse(stdout) as Pick<Diagnosis, 'findings'>;
  t.same(findings.filter(({ severity }) => severity === 'error').map(({ what }) => what), [], 'what it may not see is no error');
  t.equal(status, 0);
  const unseen = findings.filter(({ id }) => id === 'not-seen').map(({ layer }) => layer);
  t.ok(unseen.includes('kernel') && unseen.includes('segment'), `it says what it could not see: ${unseen.join(', ')}`);
});
