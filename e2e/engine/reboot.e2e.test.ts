/** After a reboot the kernel is empty and the ledger is not: attachments of the last boot are dropped, identities kept. */
import t from 'tap';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { readSwitch } from '../harness/node-switch.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { afterBoot, emptyKernel } from './boot.ts';
import { mountingExecutable } from './mount-namespace.ts';
import { done, refused, succeeded } from './outcomes.ts';
import { addressesOf, createSite, endContainer, macOf, newcomer, rangeOf } from './site.ts';

const skip = skipWithoutLab();

testEachDatapath('a reboot', async (t, datapath) => {
  const site = await createSite(t, { datapath, range: rangeOf('10.1.1.10', '10.1.1.12'), executable: mountingExecutable(t) });
  const { node, conf } = site;
  const empty = node.snapshot();
  const lost = [await site.lab.attach(node, { label: 'lost1', conf }), await site.lab.attach(node, { label: 'lost2', conf })];
  const db = await site.lab.attach(node, { label: 'db', conf, args: 'WEFT_ENDPOINT=db-0' });
  for (const { netns } of [...lost, db]) endContainer(netns);
  await emptyKernel(node);
  if (datapath === 'bridge') t.same(node.snapshot(), empty, 'nothing is left in the kernel');
  else t.same(readSwitch(node.openVSwitch).flows, [], 'the database has the ports of the last boot; without a flow they are closed');
  const call = afterBoot(t, node);

  const fresh = [newcomer(site, 'fresh1'), newcomer(site, 'fresh2')];
  const added = [];
  for (const attach of fresh) added.push(await call('ADD', attach));
  for (const outcome of added) t.match(outcome, succeeded, describeOutcome(outcome));
  t.same(added.flatMap(addressesOf).sort(), lost.flatMap(addressesOf).sort(), 'addresses of the last boot are free');
  t.match(await call('ADD', newcomer(site, 'third')), refused(102, /No address is free/), 'but for the one that is kept');
  const returned = newcomer(site, 'returned', { args: 'WEFT_ENDPOINT=db-0' });
  const again = await call('ADD', returned);
  t.same([addressesOf(again), macOf(again)], [addressesOf(db), macOf(db)], 'for its endpoint');

  t.match(await call('CHECK', lost[0]?.attach ?? fail(), { ...conf, prevResult: lost[0]?.result }), refused(3, /call ADD/), 'the containers of the last boot are unknown');
  for (const { attach } of [...lost, db]) t.match(await call('DEL', attach), done, 'their DELs, which kubelet sends after a reboot, succeed');
  for (const [index, attach] of [...fresh, returned].entries()) {
    t.match(await call('CHECK', attach, { ...conf, prevResult: [...added, again][index]?.result }), done, 'and take nothing from the new ones');
  }
  for (const attach of [...fresh, returned]) t.match(await call('DEL', attach), done);
  t.same(node.snapshot(), empty);
});

t.test('a reboot gives back what another IPAM plugin had given', { skip: skip || skipUnless({ executables: ['/usr/lib/cni/host-local'] }) }, async (t) => {
  const dataDir = temporaryDirectory(t);
  const ipam = { type: 'host-local', dataDir, ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.10' }]] };
  const site = await createSite(t, { extra: { ipam }, executable: mountingExecutable(t) });
  const { node, conf } = site;
  const lost = await site.lab.attach(node, { label: 'lost', conf });
  endContainer(lost.netns);
  await emptyKernel(node);

  // The runtime has forgotten the container: no DEL comes for it, and the range has the one address.
  const call = afterBoot(t, node);
  const fresh = newcomer(site, 'fresh');
  const added = await call('ADD', fresh);
  t.match(added, succeeded, describeOutcome(added));
  t.same(addressesOf(added), ['10.1.1.10']);
  t.match(await call('DEL', lost.attach), done, 'a late DEL of the old container');
  t.match(await call('CHECK', fresh, { ...conf, prevResult: added.result }), done, 'takes nothing from the new one');
  t.match(await call('DEL', fresh), done);
});

function fail(): never {
  throw new Error('there are two lost containers');
}
