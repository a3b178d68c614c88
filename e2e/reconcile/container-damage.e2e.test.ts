import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { damageTools, doDamages, namesOf } from './damage.ts';
import { containerDamages } from './damages.ts';
import { createScene } from './scene.ts';

testEachDatapath('what somebody takes from a container is put back', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  await doDamages(t, scene, containerDamages(namesOf(scene)));
}, { skip: skipWithoutDaemonLab(), tools: damageTools, timeout: 120_000 });
