import t from 'tap';
import { frrRequirements } from '../../pkg/testing/frr.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { runIn } from '../../pkg/testing/command.ts';
import { blue, red } from '../harness/tenant.ts';
import type { Attached } from '../harness/lab.ts';
import { createEvpnScene, evpnConf, eventually, fdbOf } from './scene.ts';

const skip = skipUnless(frrRequirements);
t.setTimeout(300_000);

void t.test('two tenants with equal subnets on three nodes', { skip }, async (t) => {
  const { lab, nodes } = await createEvpnScene(t, { nodes: 3 });
  const guests: Attached[] = [];
  for (const tenant of [blue, red]) for (const number of [1, 2, 3]) guests.push(await lab.attach(lab.node(number), { conf: evpnConf(lab, tenant, number), label: `${tenant.name}${number}` }));
  await lab.settle();
  for (const one of nodes) {
    for (const { vni } of [blue, red]) await eventually(`${one.node.name} knows two MACs of VNI ${vni}`, () => fdbOf(one, `weft-vx${vni}`).filter(({ mac, dst }) => dst !== undefined && !mac.startsWith('00:00')).length === 2, () => one.daemon.describe());
  }
  for (const { netns } of guests) for (const target of ['10.1.1.10', '10.1.1.20', '10.1.1.30']) t.ok(runIn(netns, 'ping', '-c', '1', '-W', '5', target), `${netns} reaches ${target}`);
});
