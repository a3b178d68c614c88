import t from 'tap';
import { findLink } from '../../pkg/testing/observe.ts';
import { ping } from '../harness/container.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { announce, attach, createScene, endpoint, eventually, lastingState, migrate, phases, tenant, whoHas } from './scene.ts';

const skip = skipWithoutDaemonLab();
t.setTimeout(300_000);

testEachDatapath('the machine stops at the source', async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const [one, two, three] = scene.nodes;
  if (one === undefined || two === undefined || three === undefined) throw new Error('three nodes');
  const before = lastingState(two);
  const source = await attach(scene, one, 'source');
  const target = await attach(scene, two, 'target');
  t.equal(target.address, source.address, 'it has its address');
  t.equal(findLink(target.attach.netns, 'eth0')?.address, findLink(source.attach.netns, 'eth0')?.address, 'and its MAC');
  const places = { source: source.attach.netns, target: target.attach.netns };
  t.same([await phases(one), await phases(two)], [{ [endpoint]: 'relaying' }, { [endpoint]: 'waiting' }]);
  t.same(await whoHas(scene, source.address, places), { asked: ['source'], answered: 3 }, 'who waits hears nothing');
  t.match(await two.check(target.attach, target.result), { exitCode: 0, stderr: '' }, 'and is whole');
  t.match(await one.check(source.attach, source.result), { exitCode: 0, stderr: '' });

  t.same(await migrate(one, 'activate', tenant, endpoint), { exitCode: 0, words: `the endpoint ${endpoint} goes to VTEP ${two.ipv4}` });
  t.same(await whoHas(scene, source.address, places), { asked: ['target'], answered: 3 }, 'at once, for everybody');
  await eventually('it is over', async () => (await phases(one))[endpoint] === 'left' && (await phases(two))[endpoint] === undefined, () => scene.daemons.map((daemon) => daemon.describe()).join('\n'));
  t.same(await whoHas(scene, source.address, places), { asked: ['target'], answered: 3 });
  t.equal(await ping(source.attach.netns, '10.1.1.50'), 0);
  t.same(await whoHas(scene, source.address, places), { asked: ['target'], answered: 3 }, 'whatever the container that was left says');
  t.match(await one.check(source.attach, source.result), { exitCode: 0, stderr: '' }, 'which is whole, as one that was left');
  t.match(await two.check(target.attach, target.result), { exitCode: 0, stderr: '' });
  for (const daemon of scene.daemons) t.same((await daemon.status()).reconciler.openFaults, []);

  t.match(await one.del(source.attach), { exitCode: 0, stderr: '' });
  t.same(await whoHas(scene, source.address, places), { asked: ['target'], answered: 3 }, 'its DEL takes nothing from the endpoint');
  t.match(await two.del(target.attach), { exitCode: 0, stderr: '' });
  t.same(lastingState(two), before, 'nothing is left');
}, { skip, timeout: 120_000 });

testEachDatapath('the machine announces itself at the target', async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const [one, two] = scene.nodes;
  if (one === undefined || two === undefined) throw new Error('three nodes');
  const source = await attach(scene, one, 'source');
  const target = await attach(scene, two, 'target');
  const places = { source: source.attach.netns, target: target.attach.netns };
  t.same(await whoHas(scene, source.address, places), { asked: ['source'], answered: 3 });
  announce(target.attach.netns);
  t.same(await whoHas(scene, source.address, places), { asked: ['target'], answered: 3 });
  await eventually('both nodes know', async () => (await phases(one))[endpoint] === 'left' && (await phases(two))[endpoint] === undefined, () => scene.daemons.map((daemon) => daemon.describe()).join('\n'));
}, { skip, tools: ['python3'], timeout: 120_000 });

testEachDatapath('it does not go after all', async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const [one, two] = scene.nodes;
  if (one === undefined || two === undefined) throw new Error('three nodes');
  const source = await attach(scene, one, 'source');
  const before = lastingState(one);
  const target = await attach(scene, two, 'target');
  t.notSame(lastingState(one), before, 'there is a relay');
  const places = { source: source.attach.netns, target: target.attach.netns };
  t.match(await migrate(one, 'cancel', tenant, endpoint), { exitCode: 0 });
  t.same(await whoHas(scene, source.address, places), { asked: ['source'], answered: 3 });
  t.same(lastingState(one), before, 'the source is as before');
  t.match(await two.del(target.attach), { exitCode: 0, stderr: '' });
  t.same(await whoHas(scene, source.address, places), { asked: ['source'], answered: 3 });
  const again = await attach(scene, two, 'again');
  t.match(await two.del(again.attach), { exitCode: 0, stderr: '' }, 'the target gives up');
  await eventually('the source knows', async () => (await phases(one))[endpoint] === undefined);
  t.same(await whoHas(scene, source.address, { source: source.attach.netns }), { asked: ['source'], answered: 3 });
}, { skip, timeout: 120_000 });
