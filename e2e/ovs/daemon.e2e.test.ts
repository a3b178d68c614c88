/** Two nodes with a daemon each, which is called through the launcher: both with Open vSwitch, and one with Linux bridges. */
import t, { type Test } from 'tap';
import { createManyNetns } from '../../pkg/testing/netns.ts';
import { readAttention, readEndpoints } from '../daemon/scene.ts';
import { describeOutcome, type CniOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import type { Attach, LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { nodeRanges } from '../harness/net-conf.ts';
import { blue, tenantConf } from '../harness/tenant.ts';
import { skipWithoutDaemonLab, skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(120_000);
const containers = 12;

interface Container {
  readonly node: LabNode;
  readonly attach: Attach & { readonly netns: string };
}

for (const { title, datapaths } of pairs.filter(({ datapaths: [first] }) => first === 'ovs')) {
  t.test(`${containers} containers at once, a daemon that is killed, and nothing is left: ${title}`, { skip: skipWithoutDaemonLab() || skipWithoutLabOf(datapaths) }, async (t) => {
    const lab = await createLabOf(t, datapaths, throughLauncher);
    const before = lab.nodes.map((node) => node.snapshot());
    const daemons = await Promise.all(lab.nodes.map((node) => Daemon.start(t, node)));
    const all = createContainers(t, lab);

    const added = await Promise.all(all.map(({ node, attach }) => node.add(attach)));
    t.same(failuresOf(added), [], 'every ADD succeeds');
    const addresses = added.map(({ result }) => result?.ips?.[0]?.address.replace(/\/.*/, '') ?? '');
    t.equal(new Set(addresses).size, containers, 'no address twice');
    t.same(await findUnreached(all, addresses), [], 'all reach each other');

    await Promise.all(daemons.map((daemon) => daemon.kill()));
    t.same(await findUnreached(all, addresses), [], 'without a daemon too');
    const next = await Promise.all(lab.nodes.map((node) => Daemon.start(t, node)));
    for (const daemon of next) t.match((await daemon.status()).reconciler, { repairs: [], openFaults: [] }, 'what is whole is left alone');
    await checkEach(t, all, added);
    t.same(await findUnreached(all, addresses), [], 'and with the next one');
    for (const node of lab.nodes) t.same(await readAttention(node), [], `${node.name} needs no attention`);

    const deleted = await Promise.all(all.map(({ node, attach }) => node.del(attach)));
    t.same(failuresOf(deleted), [], 'every DEL succeeds');
    // The last of a crowd leaves the tenant's network behind its answer; a daemon that ends waits for that.
    await Promise.all(next.map((daemon) => daemon.stop()));
    t.same(lab.nodes.map((node) => node.snapshot()), before, 'links, routes, nftables, ports, bridges and flows are as before');
    for (const node of lab.nodes) t.same(await readEndpoints(node), [], 'nothing is left in the ledger');
    for (const daemon of next) t.same(daemon.linesOf(/repaired|cannot be repaired|could not/), [], 'nothing was damage to the daemon');
  });
}

/** Containers of tenant blue, every other one on the second node. IPv4 only: nothing has to wait for duplicate address detection. */
function createContainers(t: Test, lab: Lab): readonly Container[] {
  return createManyNetns(t, containers, 'many').map((netns, index) => {
    const number = 1 + (index % 2);
    const [ranges] = nodeRanges(number, {});
    const conf = { ...tenantConf(lab, blue, number), ipam: { type: 'weft', ranges: [ranges ?? []] } };
    return { node: lab.node(number), attach: { conf, netns, containerId: `container-${index}` } };
  });
}

/** Who does not reach whom, of all pairs. */
async function findUnreached(all: readonly Container[], addresses: readonly string[]): Promise<readonly string[]> {
  const lists = await Promise.all(
    all.map(async ({ attach }, index) => {
      const unreached: string[] = [];
      for (const [other, address] of addresses.entries()) {
        if (other !== index && (await ping(attach.netns, address)) === 0) unreached.push(`${attach.containerId} does not reach ${address}`);
      }
      return unreached;
    }),
  );
  return lists.flat();
}

async function checkEach(t: Test, all: readonly Container[], added: readonly CniOutcome[]): Promise<void> {
  const checks = await Promise.all(all.map(({ node, attach }, index) => node.check(attach, added[index]?.result)));
  t.same(failuresOf(checks), [], 'CHECK finds every container whole');
}

function failuresOf(outcomes: readonly CniOutcome[]): readonly string[] {
  return outcomes.filter(({ exitCode }) => exitCode !== 0).map(describeOutcome);
}
