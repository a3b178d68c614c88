/** Many containers follow, and an ADD in the middle waits for none of them. */
import t from 'tap';
import { createManyNetns } from '../../pkg/testing/netns.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { createDaemonLab } from '../harness/daemon.ts';
import { netConf } from '../harness/net-conf.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { setUnderlayMtu } from './underlay.ts';

t.setTimeout(300_000);

const containers = 200;
const atOnce = 20;
const newcomers = 3;

t.test('many containers, and some that come meanwhile', { skip: skipWithoutDaemonLab() }, async (t) => {
  const { lab, daemons: [daemon] } = await createDaemonLab(t, { nodes: 1, underlayMtu: 1600 });
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const node = lab.node(1);
  const ranges = [[{ subnet: '10.1.0.0/16' }], [{ subnet: 'fd00:1::/64' }]];
  const conf = netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: ['10.200.0.12'], ranges });
  const names = createManyNetns(t, containers + 2 * newcomers, 'many');
  const add = async (netns: string): Promise<number> => {
    const outcome = await node.add({ conf, netns, containerId: netns });
    t.equal(outcome.exitCode, 0, describeOutcome(outcome));
    return outcome.ms;
  };
  for (let at = 0; at < containers; at += atOnce) await Promise.all(names.slice(at, Math.min(containers, at + atOnce)).map(add));
  let made = containers;
  for (const [underlay, overlay] of [[1500, 1450], [9000, 8950]] as const) {
    const start = performance.now();
    setUnderlayMtu(lab, underlay);
    const addMs: number[] = [];
    for (const netns of names.slice(made, made + newcomers)) addMs.push(await add(netns));
    made += newcomers;
    await daemon.logged(/repaired/, ({ repaired }) => String(repaired).includes(`is now ${overlay} instead of`));
    const ms = performance.now() - start;
    await daemon.eventually(`gives all of them ${overlay}`, () => names.slice(0, made).every((netns) => findLink(netns, 'eth0')?.mtu === overlay));
    t.comment(`${made} containers to ${overlay} in ${ms.toFixed(0)} ms; ADDs meanwhile took ${addMs.map((one) => one.toFixed(0)).join(', ')} ms`);
  }
});
