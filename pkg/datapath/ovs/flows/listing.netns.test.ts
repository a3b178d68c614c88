/** A switch lists the flows as they were sent, so that what is wanted and what is there can be compared; and cookies select them. */
import t from 'tap';
import { openConnection } from '../../../openflow/connection.ts';
import { flowContent, flowKey, type Flow } from '../../../openflow/flow.ts';
import { formatFlow } from '../../../openflow/format.ts';
import { applyMods, listFlows, sendMods } from '../../../openflow/openflow.ts';
import { openVSwitchTools, startOpenVSwitch } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { flowsOf, flowsOfTenant, flowsOfWeft } from './flows.ts';
import { blue, red, sections } from './test-tenants.ts';

t.setTimeout(60_000);
const skip = skipUnless({ root: true, tools: openVSwitchTools });
const bridge = 'br-int';
/** A table that weft does not use. */
const tableOfOthers = 99;
const all: readonly Flow[] = Object.values(sections).flat();

void t.test('flows are listed as they were sent, and go with their owners', { skip }, async (t) => {
  const openVSwitch = await startOpenVSwitch(t);
  openVSwitch.addBridge(bridge);
  const connection = await openConnection(openVSwitch.managementSocket(bridge));
  t.teardown(() => connection.close());
  const foreign: Flow = { table: tableOfOthers, priority: 1, match: {}, instructions: {}, cookie: 1n };
  await applyMods(connection, [...all, foreign].map((flow) => ({ kind: 'add', flow })));

  const listed = new Map((await listFlows(connection, flowsOfWeft)).map((flow) => [flowKey(flow), flow]));
  t.equal(listed.size, all.length);
  for (const flow of all) {
    const found = listed.get(flowKey(flow));
    t.equal(found === undefined ? 'is not listed' : flowContent(found), flowContent(flow), formatFlow(flow));
  }

  const ofBlue = (await listFlows(connection, flowsOfTenant(blue))).length;
  const gone: readonly [Parameters<typeof flowsOf>[0], readonly string[]][] = [[{ kind: 'port', vni: blue, ofport: 101 }, ['a container', 'and to a container']], [{ kind: 'remotes', vni: blue }, ['an endpoint elsewhere']]];
  let left = ofBlue;
  for (const [owner, titles] of gone) {
    await sendMods(connection, [{ kind: 'delete', filter: flowsOf(owner) }]);
    left -= titles.flatMap((title) => sections[title] ?? []).length;
    t.equal((await listFlows(connection, flowsOfTenant(blue))).length, left, titles.join());
  }
  await sendMods(connection, [{ kind: 'delete', filter: flowsOfTenant(blue) }]);
  t.equal((await listFlows(connection, flowsOfTenant(blue))).length, 0);
  t.equal((await listFlows(connection, flowsOfWeft)).length, all.length - ofBlue, 'the others have lost nothing');
  await sendMods(connection, [{ kind: 'delete', filter: flowsOfTenant(red) }, { kind: 'delete', filter: flowsOfWeft }]);
  t.match(await listFlows(connection), [{ cookie: 1n }], 'what is not weft\'s is still there');
});
