/** The gate of a port that waits on Open vSwitch: what is said of damage, what a repair does, and that none is left. */
import t from 'tap';
import { runIn } from '../../testing/command.ts';
import { openVSwitchTools } from '../../testing/openvswitch.ts';
import { readRuleset } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { toRepair } from '../test-conformance-repair.ts';
import { createMigrationScene } from './test-migration-scene.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ethtool', ...openVSwitchTools] });

void t.test('the gate of a port that waits', { skip }, async (t) => {
  const scene = await createMigrationScene(t);
  const after = await scene.prepare();
  const { target, there, atTarget } = scene;
  const { hostIf } = after.port;
  const table = `netdev ${hostIf}-gate`;
  const request = { segment: target.segment, port: atTarget('waiting').port, netnsFd: after.fd };
  const fault = `nothing keeps frames from ${hostIf}, whose machine does not run here yet`;
  t.match(readRuleset(target.netns), `table ${table}`);
  t.same(await target.datapath.check(request), [], 'it is whole');

  for (const damage of [['nft', 'delete', 'table', 'netdev', `${hostIf}-gate`], ['nft', 'delete', 'chain', 'netdev', `${hostIf}-gate`, 'received']]) {
    runIn(target.netns, ...damage);
    t.same(await target.datapath.check(request), [fault], damage.join(' '));
    const repair = target.datapath.repairPort(toRepair(target.segment, request.port, after), await target.datapath.observe([target.segment]));
    t.same([...repair.repaired, ...((await repair.rest)?.repaired ?? [])], [`${fault}: closed`]);
    t.same(await target.datapath.check(request), []);
    t.notOk(await target.datapath.hasOpened(atTarget('waiting')), 'and it is closed');
  }

  const known = { segments: [target.segment], ports: [request.port, there.port] };
  t.same(await target.datapath.collect(known), [], 'it is no garbage');
  t.same(await target.datapath.collect({ ...known, ports: [atTarget().port, there.port] }), [`nft table ${table}`], 'but where nobody waits');
  runIn(target.netns, 'nft', 'add', 'table', 'netdev', 'somebodys-gate');
  t.same(await target.datapath.collect(known), [], 'what is not weft’s stays');
  runIn(target.netns, 'nft', 'delete', 'table', 'netdev', 'somebodys-gate');

  await target.datapath.repairPort(toRepair(target.segment, request.port, after), await target.datapath.observe([target.segment])).rest;
  t.match(readRuleset(target.netns), `table ${table}`);
  await target.datapath.open(atTarget('arrived'));
  t.ok(await target.datapath.hasOpened(atTarget('arrived')));
  const arrived = { ...request, port: atTarget('arrived').port };
  t.notOk((await target.datapath.check(request)).includes(fault), 'who does not know yet that it has arrived has no gate to make');
  t.same(await target.datapath.check(arrived), []);
  t.same(await target.datapath.collect({ ...known, ports: [arrived.port, there.port] }), []);
  await target.datapath.settle(atTarget());
  t.notMatch(readRuleset(target.netns), table, 'when all is over there is none');
  t.same(await target.datapath.check({ ...request, port: atTarget().port }), []);
});

void t.test('a port that goes while it waits', { skip }, async (t) => {
  const scene = await createMigrationScene(t);
  const { port } = await scene.prepare();
  t.match(readRuleset(scene.target.netns), `${port.hostIf}-gate`);
  await scene.target.datapath.detach(scene.atTarget('waiting').port, scene.target.segment);
  t.notMatch(readRuleset(scene.target.netns), `${port.hostIf}-gate`);
});
