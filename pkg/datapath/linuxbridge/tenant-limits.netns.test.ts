/** A tenant's limits on a real node: made, damaged and put right, changed, taken off; read back with `tc` and `ip`. */
import t from 'tap';
import { shaperName, tenantShaperName } from '../../overlay/names.ts';
import type { Bandwidth, Segment } from '../../overlay/model.ts';
import { run, runIn } from '../../testing/command.ts';
import { readLinks } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { repairAll, toRepair } from '../test-conformance-repair.ts';
import { blue, canPing, createContainer, createNode, testPort, type TestNode } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'tc', 'ping'] });
const both: Bandwidth = { ingress: { rateBits: 80_000_000 }, egress: { rateBits: 40_000_000 } };
const segment: Segment = { ...blue, bandwidth: both };
const own = testPort(segment, 5, { bandwidth: { ingress: { rateBits: 8_000_000 }, egress: { rateBits: 4_000_000 } } });
const plain = testPort(segment, 6);
const [to, from] = [tenantShaperName(blue.vni, 'ingress'), tenantShaperName(blue.vni, 'egress')];
const missing = (rate: number, verb: string): string => `the limit of ${rate} bit/s of what all containers of tenant blue ${verb} is missing: made anew`;
const past = (verb: string): string => `what the container is to ${verb} goes past the limit of tenant blue: sent through what it has now`;

function shapersOf({ netns }: TestNode): readonly string[] {
  return readLinks(netns).filter(({ linkinfo }) => linkinfo?.info_kind === 'ifb').map(({ ifname }) => ifname).sort();
}

/** Where the frames of a host interface are sent, at both points. */
function detoursOf({ netns }: TestNode, dev: string): readonly string[] {
  return ['ingress', 'egress'].flatMap((point) => [...run('tc', ['-n', netns, 'filter', 'show', 'dev', dev, point]).matchAll(/Egress Redirect to device (\S+)\)/g)].map(([, device = '']) => `${point} ${device}`));
}

interface Stage {
  readonly node: TestNode;
  readonly containers: readonly [ReturnType<typeof createContainer>, ReturnType<typeof createContainer>];
  /** Repairs by the segment as it is given. */
  pass(wanted?: Segment): Promise<{ readonly said: readonly string[]; readonly unmended: readonly string[] }>;
}

async function createStage(scope: Parameters<typeof createNode>[0], wanted = segment): Promise<Stage> {
  const [node, containers] = [await createNode(scope, linuxBridgeDatapath), [createContainer(scope), createContainer(scope)] as const];
  for (const [index, port] of [own, plain].entries()) await node.datapath.attach({ segment: wanted, port, netnsFd: containers[index]?.fd ?? -1 });
  return {
    node, containers,
    async pass(now = wanted) {
      const { repaired, left, failed } = await repairAll(node, [toRepair(now, own, containers[0]), toRepair(now, plain, containers[1])]);
      return { said: repaired, unmended: [...left, ...failed] };
    },
  };
}

const whole = { said: [], unmended: [] };

void t.test('both directions, and what is damaged is put right', { skip }, async (t) => {
  const { node, containers, pass } = await createStage(t);
  const { hostIf } = own;
  const detours = [`ingress ${from}`, `egress ${to}`];
  t.same(shapersOf(node), [from, to].sort(), 'the container’s own limit from it stands inside');
  for (const port of [own, plain]) t.same(detoursOf(node, port.hostIf), detours, port.hostIf);
  t.match(runIn(containers[0].netns, 'tc', 'qdisc', 'show', 'dev', 'eth0'), /tbf 1: root .*rate 4Mbit/);
  t.match(run('tc', ['-n', node.netns, 'qdisc', 'show', 'dev', hostIf]), /tbf 1: root .*rate 8Mbit/);
  t.same(await pass(), whole);
  const damages: readonly (readonly [netns: string, command: string, said: readonly string[]])[] = [
    [node.netns, `tc qdisc del dev ${to} root`, [missing(80_000_000, 'receive')]],
    [node.netns, `tc qdisc change dev ${from} root handle 1: tbf rate 1mbit burst 16kb limit 64kb`, [missing(40_000_000, 'send')]],
    [node.netns, `tc filter del dev ${from} parent 2:`, [missing(40_000_000, 'send')]],
    [node.netns, `ip link set ${from} down`, [missing(40_000_000, 'send')]],
    [node.netns, `ip link del ${to}`, [missing(80_000_000, 'receive'), past('receive'), past('receive')]],
    [node.netns, `tc filter del dev ${hostIf} egress`, [past('receive')]],
    [node.netns, `tc filter del dev ${hostIf} ingress`, [past('send')]],
    [node.netns, `tc qdisc del dev ${hostIf} clsact`, [past('receive'), past('send')]],
    [node.netns, `tc qdisc del dev ${hostIf} root`, ['the limit of 8000000 bit/s to the container is missing: made anew']],
    [containers[0].netns, 'tc qdisc del dev eth0 root', ['the limit of 4000000 bit/s from the container is missing: made anew']],
  ];
  for (const [netns, command, said] of damages) {
    const [tool = '', ...args] = command.split(' ');
    runIn(netns, tool, ...args);
    const repair = await pass();
    t.same([...repair.said].sort(), [...said].sort(), command);
    t.same(repair.unmended, [], command);
    for (const port of [own, plain]) t.same([...detoursOf(node, port.hostIf)].sort(), [...detours].sort(), command);
    t.same(await pass(), whole, `${command}: nothing more`);
  }
  t.ok(canPing(containers[0], '10.1.1.6'));
});

void t.test('limits come, change and go with the segment’s', { skip }, async (t) => {
  const { node, containers, pass } = await createStage(t, blue);
  t.same(shapersOf(node), [shaperName(own.hostIf)], 'without: the container’s own alone');
  const steps: readonly (readonly [what: string, previous: Segment, next: Segment, shapers: readonly string[], detours: readonly string[]])[] = [
    ['towards the containers', blue, { ...blue, bandwidth: { ingress: { rateBits: 80_000_000 } } }, [to], [`egress ${to}`]],
    ['both', { ...blue, bandwidth: { ingress: { rateBits: 80_000_000 } } }, segment, [from, to], [`ingress ${from}`, `egress ${to}`]],
    ['from the containers', segment, { ...blue, bandwidth: { egress: { rateBits: 20_000_000 } } }, [from], [`ingress ${from}`]],
    ['none', { ...blue, bandwidth: { egress: { rateBits: 20_000_000 } } }, blue, [], []],
  ];
  for (const [what, previous, next, shapers, detours] of steps) {
    await node.datapath.updateSegment({ segment: next, previous, others: [], ports: [own, plain] });
    t.same(shapersOf(node).filter((name) => name !== shaperName(own.hostIf)), [...shapers].sort(), what);
    t.same(detoursOf(node, plain.hostIf), detours, what);
    t.match((await pass(next)).unmended, [], what);
    t.same(await pass(next), whole, `${what}: whole`);
    t.ok(canPing(containers[1], '10.1.1.5'), what);
  }
  // The qdisc ingress, which is there now, lists its filters at either point.
  t.same(detoursOf(node, own.hostIf)[0], `ingress ${shaperName(own.hostIf)}`, 'the container’s own limit is where it was');
  await node.datapath.updateSegment({ segment, previous: blue, others: [], ports: [own, plain] });
  await node.datapath.removeSegment({ segment, remaining: [], ports: [own, plain] });
  t.same(shapersOf(node), [], 'nothing is left');
});
