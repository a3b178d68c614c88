/** Everything the suite knows, from a container of one tenant against another, in each kind of surroundings. */
import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';
import { honestFrames, linkLayerAttacks } from './link-layer-attacks.ts';
import { honestNeighbourMessages, isAnswerOf, neighbourAttacks, questionOnNode } from './neighbour-attacks.ts';
import { routingAttacks } from './routing-attacks.ts';
import type { Attack, Scene } from './scene.ts';
import { setStage, type Stage, type StageOptions } from './stage.ts';
import { tunnelAttacks } from './tunnel-attacks.ts';
import { describeDeafness, describeLeaks, renderOutcomes } from './verdict.ts';

t.setTimeout(170_000);
const answerDeadlineMs = 5000;

const rows: readonly { readonly title: string; readonly options: StageOptions }[] = [
  { title: 'tenants with the same subnet', options: {} },
  { title: 'nodes that forward', options: { forwarding: true } },
  { title: 'an IPv6 underlay', options: { underlay: 6, forwarding: true } },
  { title: 'tenants with gateways and masquerading', options: { gateways: true, forwarding: true } },
  { title: 'Open vSwitch, tenants with the same subnet, nodes that forward', options: { datapaths: ['ovs', 'ovs'], forwarding: true } },
  { title: 'Open vSwitch, an IPv6 underlay', options: { datapaths: ['ovs', 'ovs'], underlay: 6, forwarding: true } },
  { title: 'Open vSwitch, tenants with gateways and masquerading', options: { datapaths: ['ovs', 'ovs'], gateways: true, forwarding: true } },
  { title: 'Open vSwitch, Geneve, tenants with gateways', options: { datapaths: ['ovs', 'ovs'], encapsulation: 'geneve', gateways: true, forwarding: true } },
  { title: 'Open vSwitch, the other node with Linux bridges', options: { datapaths: ['ovs', 'bridge'], gateways: true, forwarding: true } },
  { title: 'Linux bridges, the other node with Open vSwitch', options: { datapaths: ['bridge', 'ovs'], gateways: true, forwarding: true } },
];

for (const { title, options } of rows) {
  t.test(`isolation: ${title}`, { skip: skipWithoutLabOf(options.datapaths ?? [], 'tcpdump', 'python3') }, async (t) => {
    const stage = await setStage(t, options);
    t.ok(await stage.confirm(), 'at first every broadcast reaches its tenant');

    const controls = await stage.run([...honestFrames(stage.scene), ...honestNeighbourMessages(stage.scene)]);
    t.same(describeDeafness(controls, 2), [], 'honest frames of every kind arrive');
    t.same(describeLeaks(controls), [], 'and only in their own tenant');
    await checkQuestionOnNode(t, stage);

    const outcomes = await stage.run(attacksFor(stage.scene));
    t.same(describeLeaks(outcomes), [], 'no attack reaches what it must not');
    t.comment(`\n${renderOutcomes([...controls, ...outcomes])}`);
    t.comment(`${outcomes.length} attacks, ${total(outcomes.map(({ sent }) => sent))} frames sent, ${total(outcomes.map(({ reachedVictims }) => reachedVictims))} reached the other tenant`);
  });
}

for (const { title, datapath } of [{ title: 'Linux bridges', datapath: 'bridge' }, { title: 'Open vSwitch', datapath: 'ovs' }] as const) {
  t.test(`isolation: a port that somebody took out of its bridge is closed, with ${title}`, { skip: skipWithoutLabOf([datapath], 'tcpdump', 'python3') }, async (t) => {
    const stage = await setStage(t, { datapaths: [datapath, datapath], forwarding: true });
    const { hostIf = '' } = readAttachment(stage.attacker.guest);
    const node = stage.lab.node(1);
    if (datapath === 'ovs') node.openVSwitch.vsctl('del-port', hostIf);
    else run('ip', ['-n', node.netns, 'link', 'set', hostIf, 'nomaster']);
    const everything: Attack = {
      name: 'all attacks from a port without a bridge',
      mayReachOwn: false,
      frames: (marker) => attacksFor(stage.scene).flatMap((attack) => attack.frames(marker)),
    };
    const [outcome] = await stage.run([everything]);
    t.match(outcome, { reachedVictims: 0, reachedOwn: 0, isDisturbed: true });
    t.ok((outcome?.sent ?? 0) > 0, `${outcome?.sent} frames were sent`);
  });
}

/** The one honest frame that datapaths treat differently; on either it stays in its tenant, and is answered. */
async function checkQuestionOnNode(t: Test, stage: Stage): Promise<void> {
  const { scene: { ownPeers: [near] }, attacker } = stage;
  const isAnswered = (): boolean => attacker.capture.frames.some((frame) => isAnswerOf(near, frame));
  const [outcome] = await stage.run([questionOnNode(stage.scene)]);
  const ownMembersReached = attacker.guest.node.datapath === 'ovs' ? 0 : 2;
  t.match(outcome, { reachedVictims: 0, ownMembersReached, isDisturbed: false }, ownMembersReached === 0 ? 'the switch answers for a container of its own' : 'a bridge passes the question on');
  t.ok(await attacker.capture.waitFor(isAnswered, answerDeadlineMs), 'the answer is as the container itself would give it');
}

function attacksFor(scene: Scene): readonly Attack[] {
  return [...linkLayerAttacks(scene), ...neighbourAttacks(scene), ...tunnelAttacks(scene), ...routingAttacks(scene)];
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
