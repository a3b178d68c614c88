/** Against a real Open vSwitch: what is sent is what it lists, to the byte, and what ovs-ofctl(8) prints. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseMac } from '../netaddr/netaddr.ts';
import { openVSwitchTools, startOpenVSwitch, type OpenVSwitch } from '../testing/openvswitch.ts';
import type { TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { output, setField, toGroup } from './action.ts';
import { openConnection, type ConnectionOptions, type OpenFlowConnection } from './connection.ts';
import { flowContent, flowKey, type Flow } from './flow.ts';
import { formatFlow } from './format.ts';
import { groupContent, type Group } from './group.ts';
import { etherTypes } from './match.ts';
import { applyMods, listFlows, listGroups, listPorts, probe, sendMods, type Mod } from './openflow.ts';
import { isSwitchRefusal } from './openflow-error.ts';
import { testFlows, testGroup, testMatches, testMeter } from './test-flows.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: openVSwitchTools });
const bridge = 'br-int';

interface Scene {
  readonly openVSwitch: OpenVSwitch;
  readonly connection: OpenFlowConnection;
}

async function createScene(scope: TeardownScope, options: ConnectionOptions = {}): Promise<Scene> {
  const openVSwitch = await startOpenVSwitch(scope);
  openVSwitch.addBridge(bridge);
  const connection = await openConnection(openVSwitch.managementSocket(bridge), options);
  scope.teardown(() => connection.close());
  return { openVSwitch, connection };
}

function add(flows: readonly Flow[]): readonly Mod[] {
  return flows.map((flow) => ({ kind: 'add', flow }));
}

/** A flow that can be told apart by its priority. */
function plain(priority: number): Flow {
  return { table: 0, priority, match: {}, instructions: {} };
}

/** Refused when it is looked at: ports need a protocol. */
const unreadable: Flow = { table: 0, priority: 9, match: { udpDst: 67 }, instructions: {} };
/** Refused when it is carried out: there is no such group. */
const impossible: Flow = { table: 0, priority: 9, match: {}, instructions: { apply: [toGroup(77)] } };

t.test('flows of every kind are listed as they were sent', { skip }, async (t) => {
  const { openVSwitch, connection } = await createScene(t);
  t.equal(connection.features.tables, 254);
  openVSwitch.ofctl('add-meter', bridge, `meter=${testMeter},kbps,band=type=drop,rate=1000`);
  await applyMods(connection, [{ kind: 'addGroup', group: { id: testGroup, type: 'all', buckets: [{ actions: [output(1)] }] } }, ...add(testFlows)]);

  const listed = new Map((await listFlows(connection)).map((flow) => [flowKey(flow), flow]));
  t.equal(listed.size, testFlows.length);
  for (const flow of testFlows) {
    const found = listed.get(flowKey(flow));
    if (found === undefined) t.fail(`${formatFlow(flow)} is listed otherwise`);
    else t.equal(flowContent(found), flowContent(flow), formatFlow(flow));
  }

  await t.test('and as ovs-ofctl prints them', (t) => {
    const printed = openVSwitch.ofctl('--no-stats', '--no-names', 'dump-flows', bridge).split('\n').map((line) => line.trim());
    for (const [index, [text]] of testMatches.entries()) {
      const priority = `priority=${1000 + index}`;
      t.ok(printed.includes(`${text === '' ? priority : `${priority},${text}`} actions=drop`), text || 'everything');
    }
    t.end();
  });
  await t.test('and their text is taken by ovs-ofctl for the same flows', async (t) => {
    const path = join(openVSwitch.directory, 'flows.txt');
    writeFileSync(path, testFlows.map((flow) => `${formatFlow(flow)}\n`).join(''));
    openVSwitch.ofctl('del-flows', bridge);
    openVSwitch.ofctl('add-flows', bridge, path);
    const again = new Map((await listFlows(connection)).map((flow) => [flowKey(flow), flowContent(flow)]));
    t.equal(again.size, testFlows.length);
    for (const flow of testFlows) t.equal(again.get(flowKey(flow)), flowContent(flow), formatFlow(flow));
  });
});

t.test('a flow weft cannot express is carried along as bytes', { skip }, async (t) => {
  const { openVSwitch, connection } = await createScene(t);
  openVSwitch.ofctl('add-flow', bridge, 'table=4,priority=5,ct_state=+trk,ip,nw_ttl=7,actions=dec_ttl,ct(commit),learn(table=1,send_flow_rem),output:5');
  const [flow] = await listFlows(connection);
  t.match(flow, { table: 4, priority: 5, match: { unknown: [{}, {}] } });
  await sendMods(connection, [{ kind: 'add', flow: { ...(flow as Flow), table: 6 } }]);
  const [copy] = await listFlows(connection, { table: 6 });
  t.equal(flowContent(copy as Flow), flowContent(flow as Flow), 'it can be added again');
  await sendMods(connection, [{ kind: 'deleteStrict', flow: flow as Flow }]);
  t.same((await listFlows(connection)).map(({ table }) => table), [6], 'and deleted');
});

t.test('flows are listed, changed and deleted by what is said of them', { skip }, async (t) => {
  const { connection } = await createScene(t);
  const priorities = async (filter: Parameters<typeof listFlows>[1] = {}): Promise<readonly number[]> => (await listFlows(connection, filter)).map(({ priority }) => priority).sort((a, b) => a - b);
  const flows: readonly Flow[] = [
    { table: 0, priority: 1, cookie: 0x11n, match: { ethType: etherTypes.arp }, instructions: { apply: [output(1)] } },
    { table: 0, priority: 2, cookie: 0x12n, match: { ethType: etherTypes.arp, arpOp: 1 }, instructions: { apply: [output(2)] } },
    { table: 3, priority: 3, cookie: 0x21n, match: { ethType: etherTypes.ipv4 }, instructions: { apply: [output(2)] } },
    { table: 3, priority: 4, match: {}, instructions: {} },
  ];
  await sendMods(connection, add(flows));
  t.same(await priorities(), [1, 2, 3, 4]);
  t.same(await priorities({ table: 3 }), [3, 4]);
  t.same(await priorities({ cookie: 0x12n }), [2]);
  t.same(await priorities({ cookie: 0n }), [4], 'no cookie is one as well');
  t.same(await priorities({ cookie: 0x10n, cookieMask: 0xf0n }), [1, 2]);
  t.same(await priorities({ match: { ethType: etherTypes.arp } }), [1, 2]);
  t.same(await priorities({ outPort: 2 }), [2, 3]);

  await sendMods(connection, [{ kind: 'modify', flow: { ...plain(0), match: { ethType: etherTypes.arp }, instructions: { apply: [output(9)] } } }]);
  t.same(await priorities({ outPort: 9 }), [1, 2], 'modified, of any priority');
  await sendMods(connection, [{ kind: 'modifyStrict', flow: { ...(flows[0] as Flow), instructions: { apply: [output(8)] } } }]);
  t.same(await priorities({ outPort: 8 }), [1]);
  t.same(await priorities({ cookie: 0x11n }), [1], 'the cookie stays');

  await sendMods(connection, [{ kind: 'deleteStrict', flow: { ...(flows[0] as Flow), cookie: 0x99n } }]);
  t.same(await priorities(), [1, 2, 3, 4], 'not that cookie');
  await sendMods(connection, [{ kind: 'deleteStrict', flow: flows[0] as Flow }, { kind: 'delete', filter: { table: 3, outPort: 2 } }]);
  t.same(await priorities(), [2, 4]);
  await sendMods(connection, [{ kind: 'delete', filter: { cookie: 0x10n, cookieMask: 0xf0n } }]);
  t.same(await priorities(), [4]);
  await sendMods(connection, [{ kind: 'delete', filter: {} }]);
  t.same(await priorities(), []);
});

t.test('a bundle is carried out as a whole or not at all', { skip }, async (t) => {
  const { connection } = await createScene(t);
  await applyMods(connection, []);
  await applyMods(connection, add([plain(1)]));
  const before = await listFlows(connection);
  for (const [bad, name] of [[unreadable, 'OFPBMC_BAD_PREREQ'], [impossible, 'OFPBAC_BAD_OUT_GROUP']] as const) {
    const mods: readonly Mod[] = [{ kind: 'delete', filter: {} }, ...add([plain(2), bad, plain(3)])];
    const error: unknown = await applyMods(connection, mods).catch((error: unknown) => error);
    t.ok(isSwitchRefusal(error, name), name);
    t.match(error, { failure: 'refused', isOutcomeUnknown: false, message: new RegExp(`^Cannot add flow ${escape(formatFlow(bad))}: the switch refused it, [a-z ]+ \\(${name}\\)$`) });
    t.same((await listFlows(connection)).map(flowKey), before.map(flowKey), 'nothing has changed');
  }
  const unsendable: Flow = { ...plain(4), match: { inPort: -1 } };
  for (const carryOut of [applyMods, sendMods]) await t.rejects(carryOut(connection, add([plain(2), unsendable])), { name: 'RangeError' });
  t.same((await listFlows(connection)).map(flowKey), before.map(flowKey), 'what cannot be encoded is found before anything is sent');
  await applyMods(connection, [{ kind: 'delete', filter: {} }, ...add([plain(2), plain(3)])]);
  t.same((await listFlows(connection)).map(({ priority }) => priority).sort(), [2, 3], 'and the next one is');
});

t.test('without a bundle each change stands for itself', { skip }, async (t) => {
  const { connection } = await createScene(t);
  await t.rejects(sendMods(connection, add([plain(1), unreadable, plain(2), impossible])), { failure: 'refused', refusal: { name: 'OFPBMC_BAD_PREREQ' }, message: /; and 1 more$/ });
  t.same((await listFlows(connection)).map(({ priority }) => priority).sort(), [1, 2]);
});

t.test('callers do not meet', { skip }, async (t) => {
  const { connection } = await createScene(t);
  const outcomes = await Promise.allSettled(Array.from({ length: 60 }, (_, index) => {
    const mods = add([plain(100 + index), ...(index % 3 === 0 ? [impossible] : [])]);
    return index % 2 === 0 ? applyMods(connection, mods) : sendMods(connection, mods);
  }));
  t.same(outcomes.map(({ status }) => status), outcomes.map((_, index) => (index % 3 === 0 ? 'rejected' : 'fulfilled')));
  const missing = outcomes.map((_, index) => index).filter((index) => index % 6 === 0);
  const listed = new Set((await listFlows(connection)).map(({ priority }) => priority - 100));
  t.same(outcomes.map((_, index) => index).filter((index) => !listed.has(index)), missing, 'of those that were refused only the bundles left nothing');
  await probe(connection);
});

t.test('groups are listed as they were sent', { skip }, async (t) => {
  const { connection } = await createScene(t);
  const groups: readonly Group[] = [
    { id: 1, type: 'all', buckets: [{ actions: [setField('tunnelId', 1001n), output(1)] }, { actions: [output(2)] }] },
    { id: 2, type: 'indirect', buckets: [{ actions: [output(3)] }] },
    { id: 3, type: 'select', buckets: [{ actions: [output(1)], weight: 50 }, { actions: [output(2)], weight: 100 }] },
    { id: 4, type: 'fastFailover', buckets: [{ actions: [output(1)], watchPort: 1 }] },
    { id: 5, type: 'all', buckets: [] },
  ];
  await applyMods(connection, groups.map((group) => ({ kind: 'addGroup', group })));
  const contents = async (): Promise<unknown> => Object.fromEntries((await listGroups(connection)).map((group) => [group.id, groupContent(group)]));
  t.same(await contents(), Object.fromEntries(groups.map((group) => [group.id, groupContent(group)])));

  const [first] = groups as [Group];
  await t.rejects(sendMods(connection, [{ kind: 'addGroup', group: first }]), { refusal: { name: 'OFPGMFC_GROUP_EXISTS' }, message: /^Cannot add group 1: / });
  await t.rejects(sendMods(connection, [{ kind: 'modifyGroup', group: { ...first, id: 99 } }]), { name: 'WeftError', refusal: { name: 'OFPGMFC_UNKNOWN_GROUP' } });
  const changed: Group = { ...first, buckets: [{ actions: [output(9)] }] };
  await sendMods(connection, [{ kind: 'modifyGroup', group: changed }, { kind: 'writeGroup', group: { ...changed, id: 6 } }, { kind: 'writeGroup', group: { ...changed, id: 2 } }]);
  t.match(await contents(), { 1: groupContent(changed), 6: groupContent(changed), 2: groupContent(changed) });

  await sendMods(connection, add([{ ...plain(5), instructions: { apply: [toGroup(1)] } }]));
  t.equal((await listFlows(connection, { outGroup: 1 })).length, 1);
  await sendMods(connection, [{ kind: 'deleteGroup', id: 1 }, { kind: 'deleteGroup', id: 1 }]);
  t.same([(await listFlows(connection)).length, 1 in (await contents() as object)], [0, false], 'the flows that pointed at it are gone with it');
});

t.test('20,000 flows go into one bundle, and beside it others get their turn', { skip }, async (t) => {
  const { connection } = await createScene(t);
  const flows = Array.from({ length: 20_000 }, (_, index): Flow => ({
    table: 10,
    priority: 50,
    match: { metadata: 1001n, ethDst: parseMac(`02:00:00:00:${(index >> 8).toString(16).padStart(2, '0')}:${(index & 0xff).toString(16).padStart(2, '0')}`) },
    instructions: { apply: [setField('tunnelId', 1001n), output(1)] },
  }));
  const order: string[] = [];
  const big = applyMods(connection, add(flows), { deadlineMs: 60_000 }).then(() => order.push('20000'));
  await sendMods(connection, add([plain(1)])).then(() => order.push('1'));
  await big;
  t.same(order, ['1', '20000']);
  const listed = new Map((await listFlows(connection, { table: 10 }, { deadlineMs: 60_000 })).map((flow) => [flowKey(flow), flowContent(flow)]));
  t.equal(listed.size, flows.length);
  t.same(flows.filter((flow) => listed.get(flowKey(flow)) !== flowContent(flow)), []);

  const bad = [...flows.slice(0, -1).map((flow) => ({ ...flow, priority: 51 })), impossible];
  await t.rejects(applyMods(connection, add(bad), { deadlineMs: 60_000 }), { name: 'WeftError', refusal: { name: 'OFPBAC_BAD_OUT_GROUP' } });
  t.equal((await listFlows(connection, {}, { deadlineMs: 60_000 })).length, flows.length + 1, 'the last of them was bad: none is there');
});

t.test('a switch that is killed rejects what is under way, and a new one is empty', { skip }, async (t) => {
  const { openVSwitch, connection } = await createScene(t);
  await applyMods(connection, add([plain(1)]));
  openVSwitch.signal('ovs-vswitchd', 'SIGSTOP');
  const pending = [applyMods(connection, add([plain(2)])), sendMods(connection, add([plain(3)])), listFlows(connection)];
  const outcomes = Promise.allSettled(pending);
  await openVSwitch.kill('ovs-vswitchd');
  for (const outcome of await outcomes) t.match(outcome, { status: 'rejected', reason: { failure: 'lost', isOutcomeUnknown: true, code: 'tryAgainLater' } });
  t.match((await outcomes)[0], { reason: { message: /^Cannot add flow table=0, priority=2 actions=drop and what goes with it: the / } });
  t.match(await connection.ended, { failure: 'lost' });
  await t.rejects(probe(connection), { failure: 'absent', message: /^Cannot ask the switch for an echo: the .* before$/ }, 'it stays so');
  await t.rejects(openConnection(openVSwitch.managementSocket(bridge)), { name: 'WeftError', failure: 'absent' });

  await openVSwitch.start('ovs-vswitchd');
  const next = await openConnection(openVSwitch.managementSocket(bridge));
  t.teardown(() => next.close());
  t.same(await listFlows(next), []);
});

t.test('a switch that has fallen silent is not waited for', { skip }, async (t) => {
  const { openVSwitch, connection } = await createScene(t);
  openVSwitch.signal('ovs-vswitchd', 'SIGSTOP');
  await t.rejects(sendMods(connection, add([plain(1)]), { deadlineMs: 50 }), { failure: 'late', isOutcomeUnknown: true, message: /^Cannot add flow table=0, priority=1 actions=drop and what goes with it: .* did not answer within 50 ms$/ });
  await t.rejects(openConnection(openVSwitch.managementSocket(bridge), { deadlineMs: 50 }), { failure: 'absent', message: /did not greet within 50 ms/ });
  openVSwitch.signal('ovs-vswitchd', 'SIGCONT');
  await probe(connection);
  t.equal((await listFlows(connection)).length, 1, 'unknown was the right word: it has done it');
});

t.test('a bridge that does not speak OpenFlow 1.3 is told from one that is not there', { skip }, async (t) => {
  const { openVSwitch } = await createScene(t);
  openVSwitch.vsctl('set', 'bridge', bridge, 'protocols=OpenFlow10');
  await t.rejects(openConnection(openVSwitch.managementSocket(bridge)), { failure: 'absent', message: /does not speak OpenFlow 1\.3/ });
  await t.rejects(openConnection(openVSwitch.managementSocket('br-none')), { failure: 'absent', cause: {} });
});

t.test('ports are listed', { skip }, async (t) => {
  const { openVSwitch, connection } = await createScene(t);
  openVSwitch.vsctl('add-port', bridge, 'p1', '--', 'set', 'interface', 'p1', 'type=internal', 'ofport_request=42');
  const byNumber = (await listPorts(connection)).toSorted((a, b) => a.port - b.port);
  t.match(byNumber, [{ port: 42, name: 'p1', mac: /^([0-9a-f]{2}:?){6}$/ }, { port: 0xfffffffe, name: bridge, isDown: true }]);
});

function escape(text: string): string {
  return text.replaceAll(/[[\](){}.*+?^$|\\]/g, '\\$&');
}
