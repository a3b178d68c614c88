/** Calls that were cut off anywhere: the next one finishes them, or undoes them; and a segment that goes takes its moves along. */
import t from 'tap';
import type { MigrationPhase } from '../../overlay/model.ts';
import { relayName } from '../../overlay/names.ts';
import { findLink, readLinks, readRuleset, type ObservedFdbEntry } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import type { Kernel } from '../kernel.ts';
import { FaultPlan, faultyKernel } from '../test-faults.ts';
import { blue, observeNode, removeSegment, testPort, type TestContainer } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { createScene, machineNumber, type Scene } from './test-migration-scene.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'tc'] });
const requestsMax = 60;
const machineMac = testPort(blue, machineNumber).mac;
const kinds = ['static', 'evpn'] as const;

/** A call that leads from one phase to the next, and what leads back to where it began. */
interface Step {
  readonly name: string;
  readonly at: 0 | 1;
  /** Absent: none. */
  readonly phase?: MigrationPhase;
  readonly begin: (scene: Scene) => unknown;
  readonly call: (scene: Scene, datapath: ReturnType<typeof linuxBridgeDatapath>) => unknown;
}

/** The source has departed: two that use the MAC would take it from each other. */
async function waits({ nodes, moving, machines }: Scene): Promise<void> {
  await nodes[0].datapath.depart(moving(0, 'departed'));
  await nodes[1].datapath.attach({ ...moving(1, 'waiting'), netnsFd: machines[1].fd });
}

const steps: readonly Step[] = [
  { name: 'startRelay()', phase: 'relaying', at: 0, begin: () => undefined, call: ({ moving }, datapath) => datapath.startRelay(moving(0, 'relaying')) },
  { name: 'depart() of one that is relayed', phase: 'departed', at: 0, begin: ({ nodes, moving }) => nodes[0].datapath.startRelay(moving(0, 'relaying')), call: ({ moving }, datapath) => datapath.depart(moving(0, 'departed')) },
  { name: 'depart()', phase: 'departed', at: 0, begin: () => undefined, call: ({ moving }, datapath) => datapath.depart(moving(0, 'departed')) },
  { name: 'leave()', phase: 'left', at: 0, begin: ({ nodes, moving }) => nodes[0].datapath.depart(moving(0, 'departed')), call: ({ moving }, datapath) => datapath.leave(moving(0, 'left')) },
  { name: 'takeBack()', at: 0, begin: ({ nodes, moving }) => nodes[0].datapath.depart(moving(0, 'departed')), call: ({ moving }, datapath) => datapath.takeBack(moving(0)) },
  { name: 'open()', phase: 'arrived', at: 1, begin: waits, call: ({ moving }, datapath) => datapath.open(moving(1, 'arrived')) },
  { name: 'settle()', at: 1, begin: async (scene) => (await waits(scene), scene.nodes[1].datapath.open(scene.moving(1, 'arrived'))), call: ({ moving }, datapath) => datapath.settle(moving(1)) },
];

/** Whether the call was refused. */
async function isRefused(call: () => unknown): Promise<boolean> {
  try {
    await call();
    return false;
  } catch {
    return true;
  }
}

for (const kind of kinds) {
  for (const { name, at, phase, begin, call } of steps) {
    void t.test(`${kind}: ${name} with each request refused in turn is finished by the next`, { skip }, async (t) => {
      const scene = await createScene(t, { kind });
      const node = scene.nodes[at];
      const withPlan = (plan: FaultPlan): ReturnType<typeof linuxBridgeDatapath> => linuxBridgeDatapath(faultyKernel(node.kernel, plan) satisfies Kernel);
      const undo = async (): Promise<void> => (at === 0 ? node.datapath.takeBack(scene.moving(0)) : node.datapath.detach(scene.moving(1, 'arrived').port, node.segment));
      await begin(scene);
      await call(scene, node.datapath);
      const done = stateOf(node);
      await undo();
      let count = 1;
      for (; count <= requestsMax; count += 1) {
        await begin(scene);
        const plan = new FaultPlan('refused', count);
        await isRefused(() => call(scene, withPlan(plan)));
        await call(scene, node.datapath);
        t.same(stateOf(node), done, `request ${count}: ${plan.failed ?? 'none'}`);
        t.same(await node.datapath.check({ ...scene.moving(at, phase), netnsFd: scene.machines[at].fd }), [], 'whole');
        await undo();
        if (plan.failed === undefined) break;
      }
      t.comment(`${count - 1} requests`);
      t.ok(count > 3 && count <= requestsMax);
    });
  }

  void t.test(`${kind}: a segment that goes takes its moves along`, { skip }, async (t) => {
    const scene = await createScene(t, { kind });
    const [source, target] = scene.nodes;
    await waits(scene);
    for (const [at, phase] of [[0, 'departed'], [1, 'waiting']] as const) {
      const { datapath, segment, senderPort, netns } = scene.nodes[at];
      await removeSegment(datapath, { segment, remaining: [], ports: [scene.moving(at, phase).port, senderPort] });
      t.equal(readRuleset(netns), '');
      t.equal(findLink(netns, relayName(blue.vni)), undefined);
    }
    t.same([source, target].map(({ netns, fd }) => linksOf(observeNode({ netns, fd }))), [['lo', 'u0'], ['lo', 'u0']]);
  });
}

/** Rules, links, and where the endpoint is. */
function stateOf({ netns, fd }: TestContainer): unknown {
  const { fdb } = observeNode({ netns, fd }) as { readonly fdb: readonly ObservedFdbEntry[] };
  return { ruleset: readRuleset(netns), links: readLinks(netns).map(({ ifname }) => ifname), fdb: fdb.filter(({ mac }) => mac === machineMac).map(({ ifname, dst = '', state = '' }) => `${ifname} ${dst} ${state}`).sort() };
}

function linksOf(observed: unknown): readonly string[] {
  return (observed as { readonly links: readonly { readonly ifname: string }[] }).links.map(({ ifname }) => ifname);
}
