/** Two nodes with a daemon each, called through the launcher: every verb, and the same answers as from weft alone. */
import t from 'tap';
import { describeOutcome, type CniResult } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import { createDaemonLab, createDaemonLabOf, type Daemon, type LogLine } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { readTenant } from '../harness/kernel-view.ts';
import type { NodeSnapshot } from '../harness/lab-node.ts';
import { createLab, createLabOf } from '../harness/lab.ts';
import { attachGuest, blue, tenantConf } from '../harness/tenant.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';

const skip = skipWithoutDaemonLab();
t.setTimeout(120_000);

testEachDatapath('a tenant over two nodes, by calls to their daemons', async (t, datapath) => {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath, datapath]);
  const [first, second] = [daemonOf(daemons, 1), daemonOf(daemons, 2)];
  const before = lab.nodes.map((node) => node.snapshot());
  const one = await attachGuest(lab, blue, 1, { label: 'one' });
  const two = await attachGuest(lab, blue, 2, { label: 'two' });
  await lab.settle();
  t.equal(await ping(one.netns, two.participant.ipv4, { count: 3 }), 3, 'IPv4 across the nodes');
  t.equal(await ping(two.netns, one.participant.ipv6, { count: 3 }), 3, 'IPv6 across the nodes');

  const { node } = one;
  const check = await node.check(one.attach, one.result);
  t.match(check, { exitCode: 0, stdout: '', stderr: '' }, describeOutcome(check));
  const status = await node.status(one.attach.conf);
  t.match(status, { exitCode: 0, stdout: '', stderr: '' }, describeOutcome(status));
  const version = await node.version();
  t.match(version.result, { supportedVersions: ['0.4.0', '1.0.0', '1.1.0'] }, describeOutcome(version));
  const kept = await node.gc(one.attach.conf, [{ containerID: one.attach.containerId, ifname: 'eth0' }]);
  t.match(kept, { exitCode: 0, stdout: '' }, describeOutcome(kept));
  t.equal(await ping(one.netns, two.participant.ipv4), 1, 'GC keeps what is valid');
  const collected = await node.gc(one.attach.conf, []);
  t.match(collected, { exitCode: 0, stdout: '' }, describeOutcome(collected));
  t.same(node.snapshot(), before[0], 'GC of everything leaves nothing');
  t.match(await lab.detach(one), { exitCode: 0, stdout: '', stderr: '' }, 'DEL after GC');
  t.match(await lab.detach(two), { exitCode: 0, stdout: '', stderr: '' });
  t.same(lab.nodes.map((each) => each.snapshot()), before, 'nothing is left after the last DEL');

  const { calls, callsInFlight } = await first.status();
  t.same({ callsInFlight, ...calls }, { callsInFlight: 0, ADD: { ok: 1, failed: 0 }, CHECK: { ok: 1, failed: 0 }, STATUS: { ok: 1, failed: 0 }, VERSION: { ok: 1, failed: 0 }, GC: { ok: 2, failed: 0 }, DEL: { ok: 1, failed: 0 } }, 'the daemon did every call');
  t.same(linesOfCalls(first).map(({ verb, outcome }) => [verb, outcome]), [['ADD', 'ok'], ['GC', 'ok'], ['GC', 'ok'], ['DEL', 'ok']], 'one line for each call that changes something');
  for (const line of linesOfCalls(second)) {
    t.match(line, { level: 'info', containerId: two.attach.containerId, ifName: 'eth0', ms: Number, time: /^\d{4}-\d\d-\d\dT/ }, `${line.message}, with outcome and duration`);
  }
  t.equal(linesOfCalls(second).length, 2);
  for (const daemon of daemons) {
    t.same(daemon.noise, [], 'the log has nothing but lines of JSON');
    t.same(daemon.log.filter(({ level }) => level === 'warn' || level === 'error'), [], 'nothing was to be repaired or complained about');
    t.equal(await daemon.stop(), 0);
  }
}, { skip });

t.test('a failed call: the error object is the same, and the log has its line', { skip }, async (t) => {
  const { lab, daemons } = await createDaemonLab(t, { nodes: 1 });
  const [node, daemon] = [lab.node(1), daemonOf(daemons, 1)];
  const alone = createLab(t, { nodes: 1 }).node(1);
  const netns = lab.container('failing');
  const before = node.snapshot();
  const rows: readonly (readonly [string, Record<string, unknown>, number])[] = [
    ['a VNI of nothing', { ...tenantConf(lab, blue, 1), vni: 0 }, 7],
    ['a key that is unknown', { ...tenantConf(lab, blue, 1), vnii: 5 }, 2],
    ['a range that is no subnet', { ...tenantConf(lab, blue, 1), ipam: { type: 'weft', ranges: [[{ subnet: 'blue' }]] } }, 7],
  ];
  for (const [what, conf, code] of rows) {
    const attach = { conf, containerId: 'failing', netns };
    const [byDaemon, byWeft] = [await node.add(attach), await alone.add(attach)];
    t.match(byDaemon, { exitCode: 1, error: { code } }, `${what}: ${describeOutcome(byDaemon)}`);
    t.equal(byDaemon.stdout, byWeft.stdout, `${what}: to the byte as from weft alone`);
    t.equal(byDaemon.stderr, '', `${what}: the daemon did it`);
  }
  t.same(node.snapshot(), before);
  t.match(daemon.linesOf(/ADD failed/), rows.map(([, , code]) => ({ level: 'warn', outcome: 'failed', code, containerId: 'failing', error: String, ms: Number })));
  t.match((await daemon.status()).calls, { ADD: { ok: 0, failed: rows.length } });
});

testEachDatapath('results and kernel state are those of weft alone', async (t, datapath) => {
  const { lab } = await createDaemonLabOf(t, [datapath]);
  const alone = await createLabOf(t, [datapath]);
  for (const cniVersion of ['0.4.0', '1.0.0', '1.1.0']) {
    const tenant = { ...blue, extra: { cniVersion, isGateway: true, dns: { nameservers: ['10.1.1.1'] } } };
    const byDaemon = await attachGuest(lab, tenant, 1, { label: 'same', args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=till-0' });
    const byWeft = await attachGuest(alone, tenant, 1, { label: 'same', args: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=till-0' });
    t.same(comparable(byDaemon.result, byDaemon.netns), comparable(byWeft.result, byWeft.netns), `cniVersion ${cniVersion}`);
    t.same(readTenant(byDaemon.node, 1001), readTenant(byWeft.node, 1001));
    t.same(comparableSnapshot(byDaemon.node.snapshot()), comparableSnapshot(byWeft.node.snapshot()), 'the same links, routes, rules, ports and flows');
    await lab.detach(byDaemon);
    await alone.detach(byWeft);
  }
}, { skip });

function daemonOf(daemons: readonly Daemon[], number: number): Daemon {
  const daemon = daemons[number - 1];
  if (daemon === undefined) throw new RangeError(`there is no daemon ${number}`);
  return daemon;
}

function linesOfCalls(daemon: Daemon): readonly LogLine[] {
  return daemon.linesOf(/^(ADD|DEL|GC|CHECK|STATUS|VERSION) /);
}

/** A result without what is different at every ADD and in every lab. */
function comparable(result: CniResult, netns: string): unknown {
  const text = nameAlike(JSON.stringify(result).replaceAll(`/${netns}"`, '/NETNS"'));
  return JSON.parse(text.replaceAll(/("name":"PORT","mac":)"[^"]*"/g, '$1"MAC"'));
}

/** The same of a snapshot; the kernel shows the elements of a set in any order. */
function comparableSnapshot({ links, routes, ruleset, openVSwitch }: NodeSnapshot): unknown {
  const words = nameAlike(ruleset).split(/[\s,{}]+/);
  return { links: links.map(nameAlike).sort(), routes, words: words.sort(), openVSwitch: nameAlike(JSON.stringify(openVSwitch ?? {})) };
}

function nameAlike(text: string): string {
  return text.replaceAll(/weft-p[0-9a-z]{9}/g, 'PORT');
}
