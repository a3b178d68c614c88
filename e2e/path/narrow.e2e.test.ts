/** A hop in the middle that carries less than the nodes' interfaces say: both ends find it, whether a router says so or not, and notice when it is wide again. */
import t from 'tap';
import type { Daemon } from '../harness/daemon.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { checkThrough } from './through.ts';
import { alarmsOf, createPathScene, pathOf, untilPath } from './scene.ts';

t.setTimeout(180_000);
const skip = skipWithoutDaemonLab();
const narrowBytes = 1400;
/** What issue and documentation promise, milliseconds; a machine with much to do may be later, which is printed. */
const promisedMs = 5000;

for (const family of [4, 6] as const) {
  for (const isSaid of [true, false]) {
    t.test(`IPv${family}, ${isSaid ? 'with' : 'without'} ICMP`, { skip }, async (t) => {
      const scene = await createPathScene(t, { family, daemons: [1, 2] });
      const { lab, road, daemons } = scene;
      const [one, two] = daemons as readonly [Daemon, Daemon];
      const addressOf = (number: number): string => (family === 4 ? lab.node(number).ipv4 : lab.node(number).ipv6);
      road.setIcmp(isSaid);

      await t.test('it is proven while it is wide', async (t) => {
        await untilPath(daemons, (path) => path?.state === 'whole' && path.peerNode !== undefined);
        t.match(await pathOf(one), { vtep: addressOf(1), peer: addressOf(2), peerNode: 'node2', fullBytes: 1500, proof: { packetBytes: 1500 } });
        t.match(await pathOf(two), { vtep: addressOf(2), peer: addressOf(1), peerNode: 'node1', fullBytes: 1500 });
        t.same(daemons.map(alarmsOf), [[], []]);
        t.match(await runWeft(lab.node(1), ['status']), { exitCode: 0, stdout: /^paths +1 peer, each probed every 2s, 1 at full size$/m });
      });

      await t.test('it is found by both ends', async (t) => {
        road.narrow(narrowBytes);
        const tookMs = await untilPath(daemons, (path) => path?.narrow?.packetBytes === narrowBytes);
        t.comment(`found by both ends in ${Math.round(tookMs)} ms${tookMs > promisedMs ? ', which is later than it should be on a machine that is not busy' : ''}`);
        for (const [daemon, [here, there]] of [[one, [1, 2]], [two, [2, 1]]] as const) {
          const alarms = alarmsOf(daemon);
          t.equal(alarms.length, 1, 'said once');
          t.match(alarms[0], { packetBytes: narrowBytes, fullBytes: 1500, node: `node${here}`, peerNode: `node${there}`, vtep: addressOf(here), peer: addressOf(there), way: 'underlay' });
          const status = await runWeft(daemon.node, ['status']);
          t.equal(status.exitCode, 1);
          t.match(status.stdout, new RegExp(`^  - the path from node${here} \\(${addressOf(here)}\\) to node${there} \\(${addressOf(there)}\\) carries packets of 1400 bytes at most, and the interfaces here say 1500`, 'm'));
          t.match(status.stdout, new RegExp(`^${addressOf(there)} +node${there} +${addressOf(here)} +narrow +1400 of 1500 +[\\d.]+ms +\\d+% +\\d+s ago$`, 'm'));
          const json: unknown = JSON.parse((await runWeft(daemon.node, ['status', '-o', 'json'])).stdout);
          t.match(json, { isWell: false, daemon: { status: { paths: { isProbing: true, paths: [{ state: 'narrow', narrow: { packetBytes: narrowBytes, way: 'underlay', isActedOn: true } }] } } } });
        }
      });

      await t.test('what follows', async (t) => checkThrough(t, scene, { pathBytes: narrowBytes, family }));

      await t.test('it is wide again', async (t) => {
        road.narrow(1500);
        const tookMs = await untilPath(daemons, (path) => path?.state === 'whole' && path.narrow === undefined);
        t.comment(`taken back by both ends in ${Math.round(tookMs)} ms`);
        for (const daemon of daemons) t.match(alarmsOf(daemon).at(-1), { packetBytes: 1500, message: /carries packets of 1500 bytes again$/ });
        t.match(await runWeft(lab.node(1), ['status']), { exitCode: 0 });
        await checkThrough(t, scene, { pathBytes: 1500, family, isRemembered: isSaid });
      });
    });
  }
}
