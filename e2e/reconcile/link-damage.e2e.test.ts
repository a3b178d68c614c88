import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { damageTools, doDamages, namesOf } from './damage.ts';
import { linkDamages } from './damages.ts';
import { createScene } from './scene.ts';

testEachDatapath('links that are removed or changed by hand are put right', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  await doDamages(t, scene, linkDamages(namesOf(scene), datapath));
}, { skip: skipWithoutDaemonLab(), tools: damageTools, timeout: 120_000 });
