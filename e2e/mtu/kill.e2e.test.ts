/** The daemon killed while it carries another MTU into many containers: the next one goes on from there. */
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { randomFrom, testSeed } from '../../pkg/testing/random.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { createDaemonLab, Daemon } from '../harness/daemon.ts';
import type { Attached } from '../harness/lab.ts';
import { netConf } from '../harness/net-conf.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { setUnderlayMtu } from './underlay.ts';

t.setTimeout(300_000);

const containers = 40;
const rounds = 8;
/** From the change to the kill, at most; carrying it into all of them takes some 40 ms. */
const killedWithinMs = 60;

t.test('a daemon killed in the middle', { skip: skipWithoutDaemonLab() }, async (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const { lab, daemons } = await createDaemonLab(t, { nodes: 1, underlayMtu: 1600 });
  const node = lab.node(1);
  const ranges = [[{ subnet: '10.1.1.0/24' }], [{ subnet: 'fd00:1::/64' }]];
  const conf = netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: ['10.200.0.12'], ranges });
  const attached = await Promise.all(Array.from({ length: containers }, (_, n) => lab.attach(node, { label: `c${n}`, conf })));
  let [daemon] = daemons as [Daemon];
  let interrupted = 0;
  for (let round = 0; round < rounds; round += 1) {
    const underlayMtu = round % 2 === 0 ? 1500 : 1600;
    setUnderlayMtu(lab, underlayMtu);
    await delay(random(killedWithinMs));
    await daemon.kill();
    if (new Set(mtusInside(attached)).size > 1) interrupted += 1;
    daemon = await Daemon.start(t, node);
    await checkWhole(t, { attached, daemon, mtu: underlayMtu - 50 });
  }
  t.comment(`${interrupted} of ${rounds} kills left containers of two sizes`);
});

function mtusInside(attached: readonly Attached[]): (number | undefined)[] {
  return attached.map(({ netns }) => findLink(netns, 'eth0')?.mtu);
}

async function checkWhole(t: Test, { attached, daemon, mtu }: { readonly attached: readonly Attached[]; readonly daemon: Daemon; readonly mtu: number }): Promise<void> {
  await daemon.eventually(`gives all of them ${mtu}`, () => mtusInside(attached).every((found) => found === mtu));
  await daemon.eventually('gives the tunnel its MTU', () => findLink(daemon.node.netns, 'weft-vx1001')?.mtu === mtu + 50);
  const outcomes = await Promise.all(attached.map(({ node, attach, result }) => node.check(attach, result)));
  t.same(outcomes.filter(({ exitCode }) => exitCode !== 0).map(describeOutcome), [], `CHECK of all with ${mtu}`);
}
