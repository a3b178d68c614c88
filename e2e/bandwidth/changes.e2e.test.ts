/** Limits that change while containers run, that somebody takes off, and that stand beside others: a container's own, and the standard plugin's. */
import type { Test } from 'tap';
import { runIn } from '../../pkg/testing/command.ts';
import { ipJson } from '../../pkg/testing/observe.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { callPlugin, type CniOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import { attachEnv } from '../harness/lab-node.ts';
import { attachGuest, blue, type Guest } from '../harness/tenant.ts';
import { weftExecutable } from '../harness/weft-executable.ts';
import { configure, createScene, endOf, limits, limitsInWords, mbit, readShapers, type Scene } from './scene.ts';
import { rates, startFlow } from './traffic.ts';

const tools = ['iperf3', 'python3', 'tc', 'ss'];
const deviation = 0.1;
const standardPlugin = '/usr/lib/cni/bandwidth';

function near(t: Test, rate: number, limit: number, what: string): void {
  const words = `${what}: ${(rate / mbit).toFixed(2)} Mbit/s of ${limit / mbit}`;
  t.comment(words);
  t.ok(Math.abs(rate - limit) <= deviation * limit, words);
}

function hostIfOf(guest: Guest): string {
  const { hostIf } = readAttachment(guest);
  if (hostIf === undefined) throw new Error(`${guest.attach.containerId} has no host interface`);
  return hostIf;
}

function isAnswered(from: Guest, to: Guest): boolean {
  try {
    runIn(from.netns, 'ping', '-nqc1', '-W0.2', to.participant.ipv4);
    return true;
  } catch {
    return false;
  }
}

function qdiscKinds({ node }: Scene, dev: string): readonly string[] {
  return (JSON.parse(runIn(node.netns, 'tc', '-j', 'qdisc', 'show', 'dev', dev)) as readonly { readonly kind: string }[]).map(({ kind }) => kind);
}

/** To the way through the limit of what the containers send, on Open vSwitch. */
const detourDamages: readonly (readonly [readonly string[], RegExp])[] = [
  [['tc', 'qdisc', 'del', 'dev', 'weft-sl1001', 'clsact'], /what containers of tenant blue send goes past their limit/],
  [['ip', 'link', 'set', 'weft-so1001', 'down'], /weft-so1001 is down/],
  [['ip', 'link', 'del', 'weft-so1001'], /the link weft-s[lo]1001 to the tenant's limit/],
];

const isTo = ({ name }: { readonly name: string }): boolean => name === 'weft-it1001';

testEachDatapath('limits change, and go, below a connection that stays', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  const { node, daemon } = scene;
  const [far, one] = [endOf(scene.far), endOf(scene.near[0])];
  const flow = await startFlow(t, far, { to: one, port: 5401, seconds: 7 });
  const [before = 0] = await rates([one], 1200);
  near(t, before, limits.ingress, 'as it was');
  configure(node, { ...limitsInWords, ingressRate: '8M' });
  await daemon.eventually('follows the configuration', () => readShapers(node).find(isTo)?.rate === mbit);
  const [changed = 0] = await rates([one], 1200);
  near(t, changed, 8 * mbit, 'changed');
  configure(node, undefined);
  await daemon.eventually('takes the limits off', () => readShapers(node).length === 0);
  const [free = 0] = await rates([one], 500);
  t.ok(free > 1.5 * limits.ingress, `without: ${(free / mbit).toFixed(1)} Mbit/s`);
  t.equal(await flow.ended, 0, 'the connection has lived through it');
  for (const guest of scene.near) {
    t.notOk(qdiscKinds(scene, hostIfOf(guest)).includes('clsact'), 'the ports are as if there had been none');
    t.match(await node.check(guest.attach, guest.result), { exitCode: 0 }, 'CHECK finds nothing that is left of them');
  }
  configure(node, limitsInWords);
  await daemon.eventually('puts them back', () => readShapers(node).some(isTo));
  const again = await startFlow(t, far, { to: one, port: 5402, seconds: 2 });
  const [back = 0] = await rates([one], 1000);
  near(t, back, limits.ingress, 'put back');
  await again.ended;
}, { tools });

testEachDatapath('what is taken off is said by CHECK, and put back by the daemon', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  const { node, daemon } = scene;
  const [guest] = scene.near;
  const hostIf = hostIfOf(guest);
  const damages: readonly (readonly [readonly string[], RegExp])[] = [
    [['tc', 'qdisc', 'del', 'dev', 'weft-it1001', 'root'], /the limit of 16000000 bit\/s of what all containers of tenant blue receive is missing/],
    [['tc', 'filter', 'del', 'dev', 'weft-it1001', 'parent', '2:'], /the limit of 16000000 bit\/s of what all containers of tenant blue receive is missing/],
    [['ip', 'link', 'set', 'weft-it1001', 'down'], /the limit of 16000000 bit\/s of what all containers of tenant blue receive is missing/],
    [['ip', 'link', 'del', 'weft-it1001'], /the limit of 16000000 bit\/s of what all containers of tenant blue receive is missing/],
    [['tc', 'filter', 'del', 'dev', hostIf, 'egress'], /what the container is to receive goes past the limit of tenant blue/],
    [['tc', 'qdisc', 'del', 'dev', hostIf, 'clsact'], /what the container is to (receive|send) goes past the limit of tenant blue/],
    [['ip', 'link', 'del', 'weft-if1001'], /the limit of 12000000 bit\/s of what all containers of tenant blue send is missing/],
    ...(datapath === 'ovs' ? detourDamages : []),
  ];
  for (const [command, words] of damages) {
    daemon.signal('SIGSTOP');
    runIn(node.netns, ...command);
    const outcome = await callPlugin({ nodeNetns: node.netns, executable: weftExecutable, env: { ...node.env, ...attachEnv('CHECK', guest.attach) }, stdin: JSON.stringify({ ...guest.attach.conf, prevResult: guest.result }) });
    daemon.signal('SIGCONT');
    t.match(outcome, { exitCode: 1, error: { code: 108, msg: words } }, `CHECK after ${command.join(' ')}`);
    daemon.signal('SIGHUP');
    await daemon.eventually(`mends ${command.join(' ')}`, async () => (await node.check(guest.attach, guest.result)).exitCode === 0);
    await daemon.eventually(`lets containers reach each other behind ${command.join(' ')}`, () => isAnswered(guest, scene.far));
  }
  if (datapath === 'ovs') await cutDetour(t, scene);
  runIn(node.netns, 'ip', 'link', 'add', 'weft-it4242', 'type', 'ifb');
  const strayPair = ['weft-sl4242', 'weft-so4242'];
  if (datapath === 'ovs') runIn(node.netns, 'ip', 'link', 'add', 'weft-sl4242', 'type', 'veth', 'peer', 'name', 'weft-so4242');
  daemon.signal('SIGHUP');
  await daemon.eventually('removes a shaper of no tenant', () => readShapers(node).every(({ name }) => name !== 'weft-it4242'));
  await daemon.eventually('removes a way through the limit of no tenant', () => ipJson<readonly { readonly ifname: string }[]>(node.netns, 'link', 'show').every(({ ifname }) => !strayPair.includes(ifname)));
  t.ok(readShapers(node).some(isTo));
}, { tools });

/** The kernel says at once that a link is gone; the switch's rows, seconds later. */
async function cutDetour(t: Test, scene: Scene): Promise<void> {
  const { node, daemon, near: [guest], far } = scene;
  await daemon.eventually('reaches the other node', () => isAnswered(guest, far));
  // The damages before have put such a line there as well.
  const said = (): number => daemon.describe().split("the link weft-sl1001 to the tenant's limit is missing: made anew").length;
  const saidBefore = said();
  const from = performance.now();
  runIn(node.netns, 'ip', 'link', 'del', 'weft-sl1001');
  await daemon.eventually('says that it makes it anew', () => said() > saidBefore);
  await daemon.eventually('reaches it again', () => isAnswered(guest, far));
  t.comment(`from a link that goes until containers reach each other: ${Math.round(performance.now() - from)} ms`);
}

// What is particular to Open vSwitch of it, e2e/engine/bandwidth.e2e.test.ts shows.
testEachDatapath('beside the limits of a container, and those of the standard plugin', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  const { lab, node } = scene;
  const bandwidth = { ingressRate: 4 * mbit, egressRate: 6 * mbit };
  const own = await attachGuest(lab, { ...blue, extra: { capabilities: { bandwidth: true }, runtimeConfig: { bandwidth } } }, 1, { label: 'own' });
  await lab.settle();
  const [small, two, far] = [endOf(own), endOf(scene.near[1]), endOf(scene.far)];
  // UDP, which wants more than it gets whatever it loses.
  const flows = [await startFlow(t, far, { to: small, port: 5501, seconds: 3, udp: 8 * mbit }), await startFlow(t, far, { to: two, port: 5502, seconds: 3, udp: 2 * limits.ingress })];
  const [its = 0, others = 0] = await rates([small, two], 1500);
  near(t, its, 4 * mbit, 'its own limit');
  t.ok(its + others <= (1 + deviation) * limits.ingress, `the tenant's holds as well: ${((its + others) / mbit).toFixed(1)} Mbit/s`);
  await Promise.all(flows.map(({ ended }) => ended));
  const sent = await startFlow(t, small, { to: far, port: 5503, seconds: 2 });
  const [out = 0] = await rates([far], 1200);
  near(t, out, 6 * mbit, 'from it');
  await sent.ended;
  t.match(await node.check(own.attach, own.result), { exitCode: 0 });

  const chained = (conf: Readonly<Record<string, unknown>>): Promise<CniOutcome> => callPlugin({
    nodeNetns: node.netns, executable: standardPlugin, env: { ...node.env, ...attachEnv('ADD', scene.near[0].attach) },
    stdin: JSON.stringify({ cniVersion: '1.0.0', name: 'blue', type: 'bandwidth', prevResult: scene.near[0].result, ...conf }),
  });
  t.match(await chained({ ingressRate: 5 * mbit, ingressBurst: 1_000_000 }), { exitCode: 0 }, 'the standard plugin limits what the container receives');
  const beside = await startFlow(t, far, { to: endOf(scene.near[0]), port: 5504, seconds: 2 });
  const [both = 0] = await rates([endOf(scene.near[0])], 1200);
  near(t, both, 5 * mbit, "the standard plugin's limit behind the tenant's");
  await beside.ended;
  t.match(await chained({ egressRate: 5 * mbit, egressBurst: 1_000_000 }), { exitCode: 1, error: { msg: /create ingress qdisc: file exists/ } }, 'what does not go together is refused by the plugin, as docs/bandwidth.md says');
  t.match(await node.check(scene.near[0].attach, scene.near[0].result), { exitCode: 0 }, 'CHECK takes it as it is');
}, { tools, skip: skipUnless({ executables: [standardPlugin] }), datapaths: ['bridge'] });
