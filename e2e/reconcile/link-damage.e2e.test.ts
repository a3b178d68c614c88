import t from 'tap';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { doDamages, namesOf } from './damage.ts';
import { linkDamages } from './damages.ts';
import { createScene } from './scene.ts';

const skip = skipWithoutDaemonLab() || skipUnless({ tools: ['tc', 'sysctl'] });
t.setTimeout(180_000);

t.test('links that are removed or changed by hand are put right', { skip }, async (t) => {
  const scene = await createScene(t);
  await doDamages(t, scene, linkDamages(namesOf(scene)));
});
