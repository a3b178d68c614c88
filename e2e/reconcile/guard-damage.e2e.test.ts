import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { damageTools, doDamages, namesOf } from './damage.ts';
import { guardDamages } from './damages.ts';
import { createScene } from './scene.ts';

testEachDatapath('a guard that is damaged by hand is put right', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  await doDamages(t, scene, guardDamages(namesOf(scene), datapath));
}, { skip: skipWithoutDaemonLab(), tools: damageTools, timeout: 120_000 });
