import t from 'tap';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { doDamages, namesOf } from './damage.ts';
import { guardDamages } from './damages.ts';
import { createScene } from './scene.ts';

const skip = skipWithoutDaemonLab() || skipUnless({ tools: ['tc', 'sysctl'] });
t.setTimeout(180_000);

t.test('a guard that is damaged by hand is put right', { skip }, async (t) => {
  const scene = await createScene(t);
  await doDamages(t, scene, guardDamages(namesOf(scene)));
});
