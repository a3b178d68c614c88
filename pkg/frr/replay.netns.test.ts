import t from 'tap';
import { formatAddress } from '../netaddr/netaddr.ts';
import { frrRequirements } from '../testing/frr.ts';
import { skipUnless } from '../testing/requirements.ts';
import { planChanges, planReplay } from './plan.ts';
import { readNeighbours, readSessions, readVnis } from './tables.ts';
import { addEndpoint, connectTo, eventually, readConfig, soon, speak, startLab, type LabNode } from './test-lab.ts';
import { testNeighbor, testSpeaker } from './test-speakers.ts';

const skip = skipUnless({ ...frrRequirements, tools: [...(frrRequirements.tools ?? []), 'bridge'] });

t.test('a zebra that has started anew is told all again', { skip }, async (t) => {
  const [first, second] = await startLab(t, 2);
  if (first === undefined || second === undefined) throw new Error('two nodes');
  await speak(first, 1, [testNeighbor('192.0.2.2')]);
  await speak(second, 2, [testNeighbor('192.0.2.1')]);
  addEndpoint(first, { mac: '02:00:00:00:00:01', addresses: ['10.1.1.1'] });
  addEndpoint(second, { mac: '02:00:00:00:00:02', addresses: ['10.1.1.2'] });
  const isRemote = ({ origin }: { readonly origin: { readonly kind: string } }): boolean => origin.kind === 'remote';
  const remotes = async (zebra: LabNode['zebra']): Promise<number> => (await readNeighbours(zebra, soon)).filter(isRemote).length;
  await eventually('the address of the other', async () => ((await remotes(first.zebra)) > 0 ? true : undefined));
  // Two daemons that call each other at once may have established twice by now: what counts is that no session falls after this.
  const before = await counts(first, second);
  await first.frr.restart('zebra');
  const zebra = await connectTo(t, first.frr, 'zebra');
  await eventually('bgpd at the new zebra', async () => (await readVnis(zebra, soon))[0]);
  t.equal(await remotes(zebra), 0, 'by itself bgpd tells it nothing: where this fails FRR has got better');
  const speaker = testSpeaker([testNeighbor('192.0.2.2')]);
  await first.bgpd.configure(planReplay(speaker), soon);
  await eventually('the address again', async () => ((await remotes(zebra)) > 0 ? true : undefined));
  t.same((await readVnis(zebra, soon)).map(({ remoteVteps }) => remoteVteps.map(formatAddress)), [['192.0.2.2']]);
  t.same(planChanges(speaker, await readConfig(first.bgpd)), [], 'the configuration is as it was');
  t.match(await readSessions(first.bgpd, soon), [{ isUp: true }]);
  t.same(await counts(first, second), before, 'and no session has fallen');
});

/** How often each node's session was established. */
async function counts(...nodes: readonly LabNode[]): Promise<readonly (number | undefined)[]> {
  return Promise.all(nodes.map(async ({ bgpd }) => (await readSessions(bgpd, soon))[0]?.establishedCount));
}
