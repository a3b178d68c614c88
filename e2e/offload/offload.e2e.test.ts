/**
 * A node whose network card spoils what is left to it: TCP between containers does not work. The node's daemon finds it by itself, turns off what
 * weft's own devices leave to the card, and that again when the card is healthy.
 */
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { Daemon } from '../harness/daemon.ts';
import { attachGuest, red } from '../harness/tenant.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { createScene, probeLinks, readFeature, transferBoth } from './scene.ts';

t.setTimeout(240_000);
const skip = skipWithoutDaemonLab('ethtool', 'python3');

const [checksum, segmentation] = ['tx-checksum-ip-generic', 'tx-tcp-segmentation'] as const;
const several = { bytes: 2_000_000, seconds: 30 };

void t.test('checksums: found, turned off on weft’s own devices, kept over a restart, turned on again', { skip }, async (t) => {
  const scene = await createScene(t, { offload: '{ interval: 1 }', mode: 'checksum' });
  const { lab, card, daemons: [first, second] } = scene;
  const [node1, node2] = [lab.node(1), lab.node(2)];
  const line = await second.logged(/from node node2 to node node1 \(VTEP 10\.200\.0\.11\) packets whose checksum is left to the devices come damaged.*tx-checksum-ip-generic of weft's VXLAN devices is off since/);
  t.match(line, { level: 'warn', node: 'node2', vtep: node2.ipv4, remedy: 'checksum' });
  const [probe = ''] = probeLinks(node2);
  t.same(['weft-vx1001', probe].map((link) => readFeature(node2, link, checksum)), ['off', 'off']);
  t.same(['eth0', 'weft-br1001'].map((link) => readFeature(node2, link, 'tx-checksumming')), ['on', 'on'], 'what is not concerned is left alone');
  t.same(['weft-vx1001', ...probeLinks(node1)].map((link) => readFeature(node1, link, checksum)), ['on', 'on'], 'nor is a node whose own card is sound');
  const before = await card.counts();
  t.same(await transferBoth(scene, several), ['same', 'same']);
  const after = await card.counts();
  t.equal(after.toBeCut, before.toBeCut, 'nothing was left to the card to cut');
  t.ok((await second.status() as { offloadFaults?: readonly string[] }).offloadFaults?.some((fault) => /tx-checksum-ip-generic of weft's VXLAN devices is off since/.test(fault)));

  await attachGuest(lab, red, 2, { label: 'red-2' });
  await second.eventually('turns it off for a new tenant', () => readFeature(node2, 'weft-vx1002', checksum) === 'off');

  await second.kill();
  t.same(probeLinks(node2), [probe], 'a daemon that is killed leaves the tunnel');
  const third = await Daemon.start(t, node2);
  await third.eventually('says so as well', async () => ((await third.status() as { offloadFaults?: readonly string[] }).offloadFaults?.length ?? 0) > 0);
  t.same(['weft-vx1001', 'weft-vx1002'].map((link) => readFeature(node2, link, checksum)), ['off', 'off']);

  await card.set('healthy');
  await third.logged(/tx-checksum-ip-generic of weft's VXLAN devices is on again: the way is sound again/);
  t.same(['weft-vx1001', 'weft-vx1002', ...probeLinks(node2)].map((link) => readFeature(node2, link, checksum)), ['on', 'on', 'on']);
  t.same(['weft-vx1001', 'weft-vx1002'].map((link) => readFeature(node2, link, segmentation)), ['on', 'on']);
  t.same(await transferBoth(scene, several), ['same', 'same']);
  t.ok((await card.counts()).toBeCut > after.toBeCut, 'now the card cuts');
  t.notOk('offloadFaults' in (await third.status()));

  await Promise.all([first.stop(), third.stop()]);
  t.same([node1, node2].map(probeLinks), [[], []], 'daemons that stop take the tunnels with them');
});

void t.test('segmentation: checksums stay with the card', { skip }, async (t) => {
  const scene = await createScene(t, { offload: '{ interval: 1 }', mode: 'segmentation' });
  const { lab, card, daemons: [, second] } = scene;
  const node2 = lab.node(2);
  await second.logged(/from node node2 to node node1 .* packets that the devices are to cut come damaged.*tx-tcp-segmentation and tx-udp-segmentation of weft's VXLAN devices is off since/);
  t.same([checksum, segmentation].map((feature) => readFeature(node2, 'weft-vx1001', feature)), ['on', 'off']);
  const before = await card.counts();
  t.same(await transferBoth(scene, several), ['same', 'same']);
  t.ok((await card.counts()).left > before.left);
  // By now it fails otherwise, for which more has to be done.
  await card.set('checksum');
  await second.logged(/tx-checksum-ip-generic of weft's VXLAN devices is off since/);
  t.same(await transferBoth(scene, several), ['same', 'same']);
  await card.set('healthy');
  await second.logged(/tx-checksum-ip-generic of weft's VXLAN devices is on again/);
  t.same([checksum, segmentation].map((feature) => readFeature(node2, 'weft-vx1001', feature)), ['on', 'on']);
});

void t.test('report: it is said, and nothing is done', { skip }, async (t) => {
  const scene = await createScene(t, { offload: '{ mode: report, interval: 1 }', mode: 'checksum' });
  const { lab, daemons: [, second] } = scene;
  const node2 = lab.node(2);
  await second.logged(/from node node2 to node node1 .* come damaged, or not at all; nothing is done about it: set offload to auto/);
  t.same(['weft-vx1001', ...probeLinks(node2)].map((link) => readFeature(node2, link, checksum)), ['on', 'on']);
  t.equal((await transferBoth(scene, { bytes: 1000, seconds: 4 }))[0], 'broken', 'so bad is it');
  writeFileSync(node2.configPath, `node: node2\noffload: auto\n`);
  second.signal('SIGHUP');
  await second.logged(/tx-checksum-ip-generic of weft's VXLAN devices is off since/);
  t.same(await transferBoth(scene, several), ['same', 'same']);
  writeFileSync(node2.configPath, `node: node2\noffload: off\n`);
  second.signal('SIGHUP');
  await second.logged(/tx-checksum-ip-generic of weft's VXLAN devices is on again: weft is told to leave them alone/);
  t.equal(readFeature(node2, 'weft-vx1001', checksum), 'on');
});

void t.test('over IPv6, where the tunnel has a checksum too: what is spoiled never arrives', { skip }, async (t) => {
  const scene = await createScene(t, { offload: '{ interval: 1 }', mode: 'checksum', underlay: 6 });
  const { lab, card, daemons: [, second] } = scene;
  await second.logged(/from node node2 to node node1 \(VTEP fd00:200::11\) packets whose checksum is left to the devices come damaged, or not at all: tx-checksum-ip-generic/);
  t.equal(readFeature(lab.node(2), 'weft-vx1001', checksum), 'off');
  t.same(await transferBoth(scene, several), ['same', 'same']);
  await card.set('healthy');
  // The card cuts nothing over IPv6, and loses it: that is what remains to be found.
  await second.logged(/tx-tcp-segmentation and tx-udp-segmentation of weft's VXLAN devices is off since/);
  t.same(await transferBoth(scene, several), ['same', 'same']);
});
