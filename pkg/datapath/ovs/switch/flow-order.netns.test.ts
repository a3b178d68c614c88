/** Changes of flows keep the order of their calls, whatever kind they are and whenever the connection comes. */
import t from 'tap';
import { output } from '../../../openflow/action.ts';
import type { SwitchEvent } from '../../../openflow/event.ts';
import type { Mod } from '../../../openflow/openflow.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { createScene, until } from './test-scene.ts';

t.setTimeout(60_000);
const skip = skipUnless({ root: true, tools: openVSwitchTools });

/** Adds flows of these priorities, which say by their cookie who wrote them last. */
function add(cookie: bigint, ...priorities: readonly number[]): readonly Mod[] {
  return priorities.map((priority) => ({ kind: 'add', flow: { table: 0, priority, match: {}, instructions: {}, cookie } }));
}

const everything: Mod = { kind: 'delete', filter: {} };
const many = Array.from({ length: 1200 }, (_, index) => index);

for (const isConnected of [true, false]) {
  t.test(`calls of one turn, ${isConnected ? 'on a connection' : 'before there is one'}`, { skip }, async (t) => {
    const { open } = await createScene(t);
    const ovs = open();
    if (isConnected) await ovs.ready();
    const calls = [
      ovs.send(add(1n, ...many)),
      ovs.send([everything, ...add(2n, 1, 2)]),
      ovs.apply([everything, ...add(3n, ...many)]),
      ovs.send(add(4n, 7)),
      ovs.apply(add(5n, 8)),
      ovs.apply([{ kind: 'deleteStrict', flow: { table: 0, priority: 9, match: {} } }]),
      ovs.send(add(6n, 10)),
    ];
    await Promise.all(calls);
    const flows = new Map((await ovs.listFlows()).map(({ priority, cookie }) => [priority, cookie]));
    t.equal(flows.size, many.length - 1);
    t.same([6, 7, 8, 9, 10, 1199].map((priority) => flows.get(priority)), [3n, 4n, 5n, undefined, 6n, 3n]);
  });
}

t.test('what is refused is told to its caller alone', { skip }, async (t) => {
  const { open } = await createScene(t);
  const ovs = open();
  const wrong: Mod = { kind: 'add', flow: { table: 0, priority: 1, match: {}, instructions: { gotoTable: 0 } } };
  const outcomes = await Promise.allSettled([ovs.send(add(1n, 1)), ovs.send([wrong]), ovs.apply([...add(2n, 2), wrong]), ovs.send(add(3n, 3)), ovs.apply([]), ovs.send([])]);
  t.same(outcomes.map(({ status }) => status), ['fulfilled', 'rejected', 'rejected', 'fulfilled', 'fulfilled', 'fulfilled']);
  t.match((outcomes[1] as PromiseRejectedResult).reason, { failure: 'refused' });
  t.same((await ovs.listFlows()).map(({ priority }) => priority).toSorted(), [1, 3], 'of what is applied together nothing is there');
  t.same((await ovs.listFlows({ cookie: 3n })).map(({ priority }) => priority), [3]);
  t.same(await ovs.listGroups(), []);
});

t.test('packets go out, and come in for whoever asked for them', { skip }, async (t) => {
  const { open } = await createScene(t);
  const events: SwitchEvent[] = [];
  const ovs = open({}, { onEvent: (event) => events.push(event) });
  await ovs.addPort({ name: 'g0', externalIds: {}, type: 'internal' });
  const data = Buffer.concat([Buffer.from('ffffffffffff0200000000018035', 'hex'), Buffer.alloc(46, 7)]);
  await ovs.send([{ kind: 'add', flow: { table: 0, priority: 1, match: {}, instructions: { apply: [{ kind: 'output', port: 0xfffffffd, maxBytes: 0xffff }] } } }]);
  await ovs.sendPacket({ data, actions: [output(0xfffffff9)] });
  await until(() => events.some(({ kind }) => kind === 'packetIn'));
  t.match(events.find(({ kind }) => kind === 'packetIn'), { data });
  await t.rejects(ovs.sendPacket({ data, actions: [{ kind: 'group', group: 99 }] }), { name: 'WeftError', failure: 'refused' });
});
