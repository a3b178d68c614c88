/** An endpoint moves between two nodes again and again, and a third node follows. */
import t, { type Test } from 'tap';
import { addressesUsable } from '../harness/container.ts';
import { SteadyPing, allAnswered } from '../ovs-outage/steady-ping.ts';
import { blue } from '../harness/tenant.ts';
import { Mover } from './mobility-mover.ts';
import { attachEvpnGuest, createEvpnScene, describeTimes, eventually, nodeOf, reached, skipWithoutEvpnLab, tracesOf, type EvpnGuest, type EvpnScene } from './scene.ts';

const skip = skipWithoutEvpnLab();
t.setTimeout(180_000);

/** The spare tunnel follows within a second or so: it is waited for now and then. */
const movesBetweenSpares = 10;
const answerDeadlineMs = 10_000;

t.test('an endpoint that moves is found at its new place', { skip }, async (t) => {
  const scene = await createEvpnScene(t, { nodes: 3 });
  const observer = await attachResidents(scene);
  const mover = new Mover(scene);
  await mover.moveTo(1);
  const pinging = new SteadyPing(t, { name: 'the endpoint', netns: observer.netns, address: mover.ipv4 });
  await allAnswered([pinging], 0, answerDeadlineMs);

  await t.test('50 times, by DEL on one node and ADD on the other', async (t) => {
    const sequences = await moveAround(t, { scene, mover, pinging, moves: 50, isMadeFirst: false });
    t.ok(sequences.every((sequence, index) => index === 0 || sequence === (sequences[index - 1] ?? NaN) + 1 || sequence === 0), 'sequence numbers rise, and begin anew only where everybody has heard that it had gone');
  });

  await t.test('10 times, by ADD on the other node before DEL', async (t) => {
    const before = mover.sequence(nodeOf(scene, 3));
    const sequences = await moveAround(t, { scene, mover, pinging, moves: 10, isMadeFirst: true });
    t.same(sequences, sequences.map((_, index) => before + index + 1), 'sequence numbers rise with each move');
  });

  await t.test('and nothing is left of it when it goes', async (t) => {
    await addressesUsable(mover.guest.netns);
    await reached(observer.netns, mover.ipv6);
    const { mac } = mover.guest;
    await scene.lab.detach(mover.guest);
    for (const one of scene.nodes) {
      await eventually(`${one.node.name} has forgotten it`, () => tracesOf(one, blue.vni, [mac]).length === 0, () => tracesOf(one, blue.vni, [mac]).join('\n'));
    }
    t.equal(pinging.duplicates, 0, 'nobody ever answered twice');
  });
});

/** The tenant stays on all nodes. @returns the one on the third node, which reaches the others */
async function attachResidents({ lab, nodes }: EvpnScene): Promise<EvpnGuest> {
  const observer = await attachEvpnGuest(lab, blue, { node: nodes.length, label: 'observer' });
  for (const node of [1, 2]) {
    const { participant } = await attachEvpnGuest(lab, blue, { node, label: `stays${node}` });
    await reached(observer.netns, participant.ipv4);
  }
  return observer;
}

interface Course {
  readonly scene: EvpnScene;
  readonly mover: Mover;
  readonly pinging: SteadyPing;
  readonly moves: number;
  readonly isMadeFirst: boolean;
}

/** Moves it to and fro, and after each move waits until all is as it should be. @returns the sequence numbers that the third node heard */
async function moveAround(t: Test, { scene, mover, pinging, moves, isMadeFirst }: Course): Promise<readonly number[]> {
  const [silences, sequences]: [number[], number[]] = [[], []];
  const third = nodeOf(scene, 3);
  for (let move = 1; move <= moves; move += 1) {
    const movedAt = await mover.moveTo(mover.guest.node === scene.lab.node(1) ? 2 : 1, { isMadeFirst });
    silences.push((await allAnswered([pinging], movedAt, answerDeadlineMs)) - movedAt);
    await mover.settled();
    sequences.push(mover.sequence(third));
    if (move % movesBetweenSpares === 0) await mover.spareSettled();
  }
  t.equal(silences.length, moves, 'after each move it is answered again, and known where it is, and nowhere else, and nowhere as a duplicate');
  t.comment(`${moves} moves, sequence numbers ${sequences[0]} to ${sequences.at(-1)}; from ADD's return to the next answer to the third node: ${describeTimes(silences)}`);
  return sequences;
}
