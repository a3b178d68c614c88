import t from 'tap';
import { ping } from '../harness/container.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { attach, command, configure, createScene, endpoint, eventually, lastingState, migrate, migrationConf, phases, tenant, whoHas } from './scene.ts';

const skip = skipWithoutDaemonLab();

const many = 20;
/** To and fro. */
const moves = Number(process.env['WEFT_MOVES'] ?? 10);

t.setTimeout(300_000 + moves * 40_000);

testEachDatapath(`${many} endpoints at once`, async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const [one, two] = scene.nodes;
  const [first] = scene.daemons;
  const [sender] = scene.senders.slice(-1);
  if (one === undefined || two === undefined || first === undefined || sender === undefined) throw new Error('three nodes');
  const before = [lastingState(one), lastingState(two)];
  const names = Array.from({ length: many }, (_, index) => `vm-${index}`);
  const sources = await Promise.all(names.map((name) => attach(scene, one, `source-${name}`, name)));
  const targets = await Promise.all(names.map((name) => attach(scene, two, `target-${name}`, name)));
  t.same(targets.map(({ address }) => address), sources.map(({ address }) => address));
  const answers = await Promise.all(names.map((name) => command(first, 'activate', name)));
  for (const answer of answers) t.match(answer, /goes to VTEP/);
  const reached = await Promise.all(targets.map(({ address }) => ping(sender.netns, address)));
  t.same(reached, names.map(() => 1), 'each is reached');
  await eventually('all is over', async () => Object.values(await phases(one)).every((phase) => phase === 'left') && Object.keys(await phases(two)).length === 0);
  for (const { attach: container } of sources) t.match(await one.del(container), { exitCode: 0, stderr: '' });
  t.same(await Promise.all(targets.map(({ address }) => ping(sender.netns, address))), names.map(() => 1), 'and still is');
  for (const { attach: container } of targets) t.match(await two.del(container), { exitCode: 0, stderr: '' });
  t.same([lastingState(one), lastingState(two)], before, 'nothing is left');
}, { skip, timeout: 120_000 });

testEachDatapath(`one endpoint, ${moves} times to and fro`, async (t, datapath) => {
  const scene = await createScene(t, { datapath });
  const [one, two] = scene.nodes;
  if (one === undefined || two === undefined) throw new Error('three nodes');
  const before = [lastingState(one), lastingState(two)];
  let present = { node: one, container: await attach(scene, one, 'move0') };
  const { address } = present.container;
  const left: (typeof present)[] = [];
  for (let move = 1; move <= moves; move += 1) {
    const other = move % 2 === 1 ? two : one;
    const next = { node: other, container: await attach(scene, other, `move${move}`) };
    const daemon = scene.daemons[scene.nodes.indexOf(present.node)];
    if (daemon === undefined) throw new Error('each node has a daemon');
    t.match(await command(daemon, 'activate'), /goes to VTEP/);
    t.same(await whoHas(scene, address, { before: present.container.attach.netns, now: next.container.attach.netns }), { asked: ['now'], answered: 3 }, `move ${move}`);
    left.push(present);
    present = next;
    await eventually('it is over', async () => Object.values(await phases(one)).concat(Object.values(await phases(two))).every((phase) => phase === 'left'));
  }
  for (const { node, container } of [...left, present]) t.match(await node.del(container.attach), { exitCode: 0, stderr: '' });
  t.same([lastingState(one), lastingState(two)], before, 'nothing is left');
}, { skip, timeout: 60_000 + moves * 20_000 });

t.test('nodes that do not know each other', { skip, timeout: 60_000 }, async (t) => {
  const scene = await createScene(t, { datapath: 'bridge', configuration: (node) => migrationConf(node.name.endsWith('2') ? 'a key that no other node has' : undefined) });
  const [one, two, three] = scene.nodes;
  if (one === undefined || two === undefined || three === undefined) throw new Error('three nodes');
  const source = await attach(scene, one, 'source');
  const before = lastingState(one);
  const stranger = await attach(scene, two, 'stranger');
  t.not(stranger.address, source.address, 'gets an address of its own node');
  t.same([await phases(one), await phases(two), lastingState(one)], [{}, {}, before], 'and nothing happens to the endpoint');
  t.match(scene.daemons[1]?.describe(), /a node could not be asked for an endpoint.*|do not know each other/);
  t.match(await migrate(two, 'prepare', tenant, 'vm-9', '--from', one.ipv4), { exitCode: 1, words: /do not know each other.*migration in weft\.yaml must have the same key/ });
  t.match(await migrate(three, 'activate', tenant, 'vm-9'), { exitCode: 1, words: /No container of this node is the endpoint vm-9 of tenant blue/ });
  t.match(await migrate(one, 'activate', tenant, endpoint), { exitCode: 1, words: /is not on its way/ });
  configure(two, 'migration:\n  key: short\n');
  await eventually('the fault is said', async () => (await runWeft(two, ['status'])).stdout.includes('migration.key must be 16 to 1024 characters'));
  configure(two, '');
  await eventually('a node without the section', async () => (await migrate(two, 'prepare', tenant, 'vm-9', '--from', one.ipv4)).words.includes('must have a migration section'));
});
