/** Everything the suite knows, from a container of one tenant against another, in each kind of surroundings. */
import t from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { honestFrames, linkLayerAttacks } from './link-layer-attacks.ts';
import { honestNeighbourMessages, neighbourAttacks } from './neighbour-attacks.ts';
import { routingAttacks } from './routing-attacks.ts';
import type { Attack, Scene } from './scene.ts';
import { setStage, type StageOptions } from './stage.ts';
import { tunnelAttacks } from './tunnel-attacks.ts';
import { describeDeafness, describeLeaks, renderOutcomes } from './verdict.ts';

const skip = skipWithoutLab('tcpdump', 'python3');
t.setTimeout(170_000);

const rows: readonly { readonly title: string; readonly options: StageOptions }[] = [
  { title: 'tenants with the same subnet', options: {} },
  { title: 'nodes that forward', options: { forwarding: true } },
  { title: 'an IPv6 underlay', options: { underlay: 6, forwarding: true } },
  { title: 'tenants with gateways and masquerading', options: { gateways: true, forwarding: true } },
];

for (const { title, options } of rows) {
  t.test(`isolation: ${title}`, { skip }, async (t) => {
    const stage = await setStage(t, options);
    t.ok(await stage.confirm(), 'at first every broadcast reaches its tenant');

    const controls = await stage.run([...honestFrames(stage.scene), ...honestNeighbourMessages(stage.scene)]);
    t.same(describeDeafness(controls, 2), [], 'honest frames of every kind arrive');
    t.same(describeLeaks(controls), [], 'and only in their own tenant');

    const outcomes = await stage.run(attacksFor(stage.scene));
    t.same(describeLeaks(outcomes), [], 'no attack reaches what it must not');
    t.comment(`\n${renderOutcomes([...controls, ...outcomes])}`);
    t.comment(`${outcomes.length} attacks, ${total(outcomes.map(({ sent }) => sent))} frames sent, ${total(outcomes.map(({ reachedVictims }) => reachedVictims))} reached the other tenant`);
  });
}

t.test('isolation: a port that somebody took out of its bridge is closed', { skip }, async (t) => {
  const stage = await setStage(t, { forwarding: true });
  const { hostIf = '' } = readAttachment(stage.attacker.guest);
  run('ip', ['-n', stage.lab.node(1).netns, 'link', 'set', hostIf, 'nomaster']);
  const everything: Attack = {
    name: 'all attacks from a port without a bridge',
    mayReachOwn: false,
    frames: (marker) => attacksFor(stage.scene).flatMap((attack) => attack.frames(marker)),
  };
  const [outcome] = await stage.run([everything]);
  t.match(outcome, { reachedVictims: 0, reachedOwn: 0, isDisturbed: true });
  t.ok((outcome?.sent ?? 0) > 0, `${outcome?.sent} frames were sent`);
});

function attacksFor(scene: Scene): readonly Attack[] {
  return [...linkLayerAttacks(scene), ...neighbourAttacks(scene), ...tunnelAttacks(scene), ...routingAttacks(scene)];
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
