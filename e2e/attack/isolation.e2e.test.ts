/** Everything the suite knows, from a container of one tenant against another, in each kind of surroundings. */
import t from 'tap';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { honestFrames, linkLayerAttacks } from './link-layer-attacks.ts';
import { honestNeighbourMessages, neighbourAttacks } from './neighbour-attacks.ts';
import { routingAttacks } from './routing-attacks.ts';
import type { Attack, Scene } from './scene.ts';
import { setStage, type StageOptions } from './stage.ts';
import { tunnelAttacks } from './tunnel-attacks.ts';
import { describeDeafness, describeLeaks, renderOutcomes } from './verdict.ts';

const skip = skipWithoutLab('tcpdump', 'python3');

const rows: readonly { readonly title: string; readonly options: StageOptions }[] = [
  { title: 'tenants with the same subnet', options: {} },
  { title: 'nodes that forward', options: { forwarding: true } },
  { title: 'an IPv6 underlay', options: { underlay: 6, forwarding: true } },
  { title: 'tenants with gateways and masquerading', options: { gateways: true, forwarding: true } },
];

for (const { title, options } of rows) {
  t.test(`isolation: ${title}`, { skip, timeout: 170_000 }, async (t) => {
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

function attacksFor(scene: Scene): readonly Attack[] {
  return [...linkLayerAttacks(scene), ...neighbourAttacks(scene), ...tunnelAttacks(scene), ...routingAttacks(scene)];
}

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
