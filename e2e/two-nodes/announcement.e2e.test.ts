/**
 * A container that is new and says nothing is known on the other nodes at once, and no noise to anybody: on a node with 900
 * containers each frame that is flooded is handled 900 times.
 */
import t from 'tap';
import { setTimeout as delay } from 'node:timers/promises';
import { startCapture } from '../../pkg/testing/capture.ts';
import { readFdb } from '../../pkg/testing/observe.ts';
import { readInterface } from '../harness/container.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Attached, type Lab } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { nodeRanges } from '../harness/net-conf.ts';
import { findLearned } from '../harness/node-switch.ts';
import { blue, tenantConf } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(60_000);

/** A tenant with IPv4 alone. */
function attach(lab: Lab, nodeNumber: number, options: { readonly label: string; readonly args?: string }): Promise<Attached> {
  const [ranges] = nodeRanges(nodeNumber, {});
  const conf = { ...tenantConf(lab, blue, nodeNumber), ipam: { type: 'weft', ranges: [ranges ?? []] } };
  return lab.attach(lab.node(nodeNumber), { ...options, conf });
}

/** Waits until a node has learned where a MAC is; returns the VTEP it is at. */
async function whereIs(node: LabNode, mac: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const vtep = node.datapath === 'ovs' ? findLearned(node.openVSwitch, { vni: 1001, mac }) : readFdb(node.netns, 'weft-vx1001').find((entry) => entry.mac === mac && entry.dst !== undefined)?.dst;
    if (vtep !== undefined) return vtep;
    await delay(50);
  }
  return undefined;
}

for (const { title, datapaths } of pairs) {
  const skip = skipWithoutLabOf(datapaths, 'tcpdump');

  t.test(`the other node knows a silent container, and nobody hears of it: ${title}`, { skip }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const [near, far] = [await attach(lab, 1, { label: 'near' }), await attach(lab, 2, { label: 'far' })];
    const captures = await Promise.all([near, far].map(({ netns }) => startCapture(t, netns, 'eth0')));
    const silent = await attach(lab, 1, { label: 'silent' });
    t.equal(await whereIs(lab.node(2), readInterface(silent.netns).mac), lab.node(1).ipv4);
    for (const capture of captures) {
      await capture.drain();
      t.equal(capture.frames.length, 0, 'not one frame');
    }
  });

  t.test(`a MAC that was asked for is announced to the neighbours, who may remember another: ${title}`, { skip }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const [near, far] = [await attach(lab, 1, { label: 'near' }), await attach(lab, 2, { label: 'far' })];
    const captures = await Promise.all([near, far].map(({ netns }) => startCapture(t, netns, 'eth0')));
    const mac = '02:00:5e:00:00:77';
    await attach(lab, 1, { label: 'chosen', args: `MAC=${mac}` });
    // A gratuitous ARP: the sender's MAC and address, then the target's, which is the same.
    const gratuitous = Buffer.from(`${mac.replaceAll(':', '')}0a01010b`, 'hex');
    for (const capture of captures) t.ok(await capture.waitFor(({ frames }) => frames.some((frame) => frame.includes(gratuitous)), 10_000));
    t.equal(await whereIs(lab.node(2), mac), lab.node(1).ipv4);
  });
}
