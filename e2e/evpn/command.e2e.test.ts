/** `weft evpn` and `weft status` on a node that is well, on one that somebody has damaged, and without daemon or FRR. */
import { writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { runWeft, type CommandOutcome } from '../command-line/run-weft.ts';
import { Daemon } from '../harness/daemon.ts';
import { createLab } from '../harness/lab.ts';
import { blue } from '../harness/tenant.ts';
import { addressesKnown, attachEvpnGuest, createEvpnScene, eventually, fdbOf, localAs, neighboursOf, nodeOf, remotesOf, skipWithoutEvpnLab, type EvpnGuest, type EvpnNode } from './scene.ts';

const skip = skipWithoutEvpnLab();
t.setTimeout(180_000);

/** What a node says of one tenant with an endpoint here and one on another node. */
interface Site {
  readonly one: EvpnNode;
  readonly own: EvpnGuest;
  readonly other: EvpnGuest;
}

interface Report {
  readonly faults: readonly string[];
  readonly disagreements: readonly string[];
}

t.test('a node that is well', { skip }, async (t) => {
  const { one, own, other } = await createSite(t);
  await well(one);
  const table = await runWeft(one.node, ['evpn']);
  t.match(table, { exitCode: 0, stderr: '' });
  t.match(table.stdout, new RegExp(`^well: AS ${localAs}, FRR in ${one.frr.runDirectory} is configured by weft\n`));
  for (const words of [/^10\.200\.0\.12 +65000 +Established /m, /^blue +1001 +1 +1 +10\.200\.0\.12$/m, new RegExp(`^blue +${own.mac} +10\\.1\\.1\\.10, fd00:1::10 +here +yes +yes$`, 'm'), new RegExp(`^blue +${other.mac} +10\\.1\\.1\\.20, fd00:1::20 +10\\.200\\.0\\.12 +yes +yes$`, 'm')]) t.match(table.stdout, words);
  const json = await runWeft(one.node, ['evpn', '-o', 'json']);
  t.equal(json.exitCode, 0);
  t.match(JSON.parse(json.stdout), {
    as: localAs, isManaged: true, runDirectory: one.frr.runDirectory, faults: [], disagreements: [],
    sessions: [{ neighbor: '10.200.0.12', as: localAs, state: 'Established', isUp: true, problem: null }],
    tenants: [{ tenant: 'blue', vni: 1001, vteps: ['10.200.0.12'], lost: [], advertised: 1, received: 1 }],
    endpoints: [
      { tenant: 'blue', vni: 1001, mac: own.mac, addresses: ['10.1.1.10', 'fd00:1::10'], vtep: null, isInBgp: true, isInKernel: true },
      { tenant: 'blue', vni: 1001, mac: other.mac, addresses: ['10.1.1.20', 'fd00:1::20'], vtep: '10.200.0.12', isInBgp: true, isInKernel: true },
    ],
  });
  t.match(await runWeft(one.node, ['status']), { exitCode: 0, stdout: /^weft is well\n/ });
});

t.test('what somebody deletes by hand is put back by the daemon, and shown as long as there is none', { skip }, async (t) => {
  const site = await createSite(t);
  const { one } = site;
  await well(one);
  for (const { what, remove, isThere, isFoundByPass } of damagesOf(site)) {
    remove();
    if (isFoundByPass) one.daemon.signal('SIGHUP');
    await eventually(`${what} is put back`, isThere, () => one.daemon.describe());
    await well(one);
    t.pass(what);
  }

  t.equal(await one.daemon.stop(), 0, 'the daemon is stopped');
  t.match((await reportOf(t, one)).faults, [/^the daemon does not run, and nobody listens to FRR/]);
  // It would put back some of it itself.
  for (const { what, remove, words, isZebrasToo } of damagesOf(site)) {
    if (isZebrasToo) one.frr.signal('zebra', 'SIGSTOP');
    remove();
    await eventuallyShown(t, one, { what, words });
  }
  one.frr.signal('zebra', 'SIGCONT');
  await Daemon.start(t, one.node);
  await well(one);
  for (const { what, isThere } of damagesOf(site)) t.ok(isThere(), `${what} is there again`);
});

t.test('a node whose FRR has stopped', { skip }, async (t) => {
  const { one, own, other } = await createSite(t);
  await well(one);
  await one.frr.stop();
  const words = /bgpd of FRR does not run: nobody listens at \S+bgpd\.vty/;
  await eventually('weft status tells of it', async () => words.test((await runWeft(one.node, ['status'])).stdout), () => one.daemon.describe());
  t.match(await runWeft(one.node, ['status']), { exitCode: 1, stdout: /^weft needs attention:\n[^]*zebra of FRR does not run/ });
  const table = await runWeft(one.node, ['evpn']);
  t.match(table, { exitCode: 1, stderr: '', stdout: words });
  t.match(table.stdout, /^no sessions$/m);
  for (const { mac } of [own, other]) {
    const row = new RegExp(`^blue +${mac} .* no +yes$`, 'm');
    await eventually(`${mac} is shown, which the kernel has`, async () => row.test((await runWeft(one.node, ['evpn'])).stdout), () => one.daemon.describe());
  }
  for (const program of ['zebra', 'bgpd'] as const) await one.frr.start(program);
  await well(one);
});

t.test('a node with the static control plane', { skip }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  for (const [what, lines] of [['which says so', 'controlPlane:\n  type: static\n'], ['which is the default', '']] as const) {
    writeFileSync(node.configPath, `node: ${node.name}\n${lines}`);
    t.same(await runWeft(node, ['evpn', '-o', 'json']), { exitCode: 1, stdout: '', stderr: `weft: controlPlane.type is not "evpn" in ${node.configPath}: this node has its peers from the configuration\n` }, what);
  }
});

async function createSite(t: Test): Promise<Site> {
  const scene = await createEvpnScene(t, { nodes: 2 });
  const one = nodeOf(scene, 1);
  const [own, other] = [await attachEvpnGuest(scene.lab, blue, { node: 1, label: 'own' }), await attachEvpnGuest(scene.lab, blue, { node: 2, label: 'other' })];
  await addressesKnown(one, blue.vni, [own, other].flatMap(({ participant: { ipv4, ipv6 } }) => [ipv4, ipv6]));
  // What FRR takes away before it is held as well nobody puts back: frames for it go to all VTEPs then.
  await eventually(`the spare tunnel of ${one.node.name} holds ${other.mac}`, () => fdbOf(one, `weft-sp${blue.vni}`).some(({ mac }) => mac === other.mac), () => one.daemon.describe());
  return { one, own, other };
}

/** Something that is deleted by hand. */
interface Damage {
  readonly what: string;
  readonly remove: () => void;
  readonly isThere: () => boolean;
  /** With which `weft evpn` tells of it. */
  readonly words: RegExp;
  /** Whether zebra would put it back as well. */
  readonly isZebrasToo: boolean;
  /** Of addresses the daemon hears no events, for most of them are ARP's: a pass over the node finds them, every five minutes or when it is told. */
  readonly isFoundByPass: boolean;
}

function damagesOf({ one, own, other }: Site): readonly Damage[] {
  const { netns } = one.node;
  const [vxlan, bridge] = [`weft-vx${blue.vni}`, `weft-br${blue.vni}`];
  const neighbour = ({ mac, participant: { ipv4 } }: EvpnGuest): Pick<Damage, 'remove' | 'isThere'> => ({
    remove: () => void run('ip', ['-n', netns, 'neigh', 'del', ipv4, 'dev', bridge]),
    isThere: () => neighboursOf(one, bridge).some(({ dst, lladdr }) => dst === ipv4 && lladdr === mac),
  });
  return [
    { what: 'the address of an endpoint of this node', isZebrasToo: false, isFoundByPass: true, words: new RegExp(`${own.participant.ipv4} of ${own.mac} is not advertised`), ...neighbour(own) },
    { what: 'the address of another node\'s endpoint', isZebrasToo: true, isFoundByPass: false, words: new RegExp(`${other.participant.ipv4} is an address of ${other.mac} as BGP says, and the kernel does not know it`), ...neighbour(other) },
    // Last: of an endpoint whose entry is missing no address is missed.
    {
      what: 'the entry of another node\'s endpoint', isZebrasToo: false, isFoundByPass: false, words: new RegExp(`${other.mac} is at VTEP ${other.node.ipv4} as BGP says, and in the kernel nowhere`),
      remove: () => void run('bridge', ['-n', netns, 'fdb', 'del', other.mac, 'dev', vxlan, 'dst', other.node.ipv4, 'self']),
      isThere: () => remotesOf(one, blue.vni).includes(`${other.mac} at ${other.node.ipv4}`),
    },
  ];
}

/** Waits until nothing is wrong. @throws Error with what is */
async function well({ node, daemon }: EvpnNode): Promise<void> {
  let last: CommandOutcome | undefined;
  await eventually(`weft evpn is content with ${node.name}`, async () => (last = await runWeft(node, ['evpn'])).exitCode === 0, () => `${last?.stdout}${last?.stderr}${daemon.describe()}`);
}

async function eventuallyShown(t: Test, one: EvpnNode, { what, words }: Pick<Damage, 'what' | 'words'>): Promise<void> {
  const shown = async (): Promise<readonly string[]> => (await reportOf(t, one)).disagreements.filter((line) => words.test(line));
  await eventually(`${what} is missed`, async () => (await shown()).length > 0);
  const table = await runWeft(one.node, ['evpn']);
  t.match(table, { exitCode: 1, stdout: words }, what);
}

/** As JSON; there is something wrong. */
async function reportOf(t: Test, { node }: EvpnNode): Promise<Report> {
  const { exitCode, stdout } = await runWeft(node, ['evpn', '-o', 'json']);
  if (exitCode !== 1) t.fail(`exit status ${exitCode}, where something is wrong`);
  return JSON.parse(stdout) as Report;
}
