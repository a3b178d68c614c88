/** Where packets go on healthy nodes, compared with real ones. */
import type { Test } from 'tap';
import { run, runIn } from '../../pkg/testing/command.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { arrives, askTrace, createScene, follow, forgetNeighbours, gateway, linesOf, outside, tryShow, type Scene } from './scene.ts';

testEachDatapath('a healthy node', async (t, datapath) => {
  const scene = await createScene(t, datapath);
  // First nobody knows anybody; then the packets have taught them.
  for (const goal of goalsOf(scene)) await checkGoal(t, scene, { ...goal, isKnown: false });
  for (const goal of goalsOf(scene).filter(({ name }) => name === 'near' || name === 'far' || name === 'outside')) await checkGoal(t, scene, { ...goal, isKnown: true });
  await checkWords(t, scene);
  if (datapath === 'bridge') await t.test('endpoints that a control plane has told of', async (t) => checkTold(t, scene));
  else await t.test("Open vSwitch's own trace says the same", async (t) => checkOwnTrace(t, scene));
}, { timeout: 120_000 });

interface Goal {
  readonly name: string;
  readonly address: string;
  readonly family: 4 | 6;
  readonly kind: 'reaches' | 'leaves';
}

function goalsOf({ lab, near, far }: Scene): readonly Goal[] {
  return ([[4, 'ipv4'], [6, 'ipv6']] as const).flatMap(([family, key]) => [
    { name: 'near', family, address: near[key], kind: 'reaches' as const }, { name: 'far', family, address: far[key], kind: 'leaves' as const }, { name: 'outside', family, address: outside[family], kind: 'leaves' as const },
    { name: 'the gateway', family, address: gateway[family], kind: 'reaches' as const }, { name: 'the node', family, address: lab.node(1)[key], kind: 'reaches' as const },
  ]);
}

async function checkGoal(t: Test, { lab, sender }: Scene, { name, address, family, kind, isKnown }: Goal & { readonly isKnown: boolean }): Promise<void> {
  const node = lab.node(1);
  if (!isKnown) forgetNeighbours(sender);
  const size = isKnown ? 1400 : 84;
  const told = await askTrace(node, 'sender', address, '--size', String(size));
  t.match([told.verdict.kind, told.exitCode], [kind, 0], `${name} over IPv${family}${isKnown ? ', known' : ''}: ${told.verdict.what}`);
  if (told.verdict.kind !== kind) t.comment(linesOf(told));
  if (!isKnown) t.equal(run('ip', ['-n', sender.netns, `-${family}`, 'neigh', 'show', address]).trim(), '', 'nothing was sent: the container still knows nobody');
  if (told.verdict.next !== null) t.equal((await follow(lab, told)).verdict.what, 'the packet reaches far', told.verdict.next);
  t.ok(await arrives(sender, address, size), 'and so it is');
  if (isKnown && name === 'far') for (const step of told.steps) t.ok(tryShow(node, step) !== '', `${step.id}: \`${step.show}\` shows something`);
}

/** How an endpoint is named, and what is wrong usage. */
async function checkWords(t: Test, { lab, sender, near }: Scene): Promise<void> {
  const node = lab.node(1);
  t.same((await askTrace(node, sender.attach.containerId.slice(0, 12), near.ipv4)).verdict.what, 'the packet reaches near on this node', 'by the beginning of its id');
  t.same((await askTrace(node, sender.ipv6, near.ipv4)).verdict.kind, 'reaches', 'by its address');
  const service = await askTrace(node, 'sender', gateway[4], '--protocol', 'tcp', '--port', '22');
  t.match([service.exitCode, service.verdict.kind, service.steps.at(-1)?.id], [1, 'stops', 'gateway-host'], 'no service of the node');
  const table = await runWeft(node, ['trace', 'sender', near.ipv4]);
  t.match([table.exitCode, table.stdout], [0, /^sender of tenant blue to 10\.1\.1\.11 \(icmp, 84 bytes\)\n\nok +container-link/], 'as a table');
  const nobody = await runWeft(node, ['trace', 'nobody', near.ipv4]);
  t.match([nobody.exitCode, nobody.stderr], [1, /No endpoint on this node is called nobody; there are: sender/]);
  for (const words of [['sender'], ['sender', 'near'], ['sender', near.ipv4, '--port', '80'], ['sender', near.ipv4, '--size', '0'], ['--arriving', near.ipv4], ['--from-vtep', '10.200.0.12', 'sender', near.ipv4]]) {
    const { exitCode, stdout, stderr } = await runWeft(node, ['trace', ...words]);
    t.match([exitCode, stdout, stderr], [2, '', /^error: /], `wrong usage: ${words.join(' ')}: ${stderr.trim()}`);
  }
}

async function checkTold(t: Test, { lab, sender, far }: Scene): Promise<void> {
  const node = lab.node(1);
  runIn(node.netns, 'sh', '-e', '-c', [
    // As ports of such tenants are: the bridge answers nobody by a port that speaks no ARP.
    `ip link set ${sender.hostIf} arp on`, 'bridge link set dev weft-vx1001 neigh_suppress on learning off', `bridge fdb replace ${far.mac} dev weft-vx1001 dst ${lab.node(2).ipv4} self extern_learn dynamic`,
    `bridge fdb replace ${far.mac} dev weft-vx1001 master extern_learn dynamic`, `ip neigh replace ${far.ipv4} lladdr ${far.mac} dev weft-br1001 nud noarp extern_learn`,
  ].join('\n'));
  forgetNeighbours(sender);
  const told = await askTrace(node, 'sender', far.ipv4);
  t.match(told.steps.find(({ id }) => id === 'answer')?.what, /in its owner's name/, 'the bridge answers');
  t.match(told.steps.find(({ id }) => id === 'tunnel-fdb')?.what, /a control plane says so/);
  t.same(told.verdict.vteps, [lab.node(2).ipv4]);
  t.ok(await arrives(sender, far.ipv4), 'and so it is');
  runIn(node.netns, 'ip', 'link', 'set', sender.hostIf, 'arp', 'off');
  forgetNeighbours(sender);
  t.match(await askTrace(node, 'sender', far.ipv4), { verdict: { kind: 'stops' }, exitCode: 1 }, 'by a port with ARP off it does not');
  // Who has talked to the sender may ask for it meanwhile, and is so known to it again.
  for (const one of [far, sender]) forgetNeighbours(one);
  t.notOk(await arrives(sender, far.ipv4), 'and so it is');
}

async function checkOwnTrace(t: Test, { lab, sender, near, far }: Scene): Promise<void> {
  const node = lab.node(1);
  for (const to of [near, far]) {
    const told = await askTrace(node, 'sender', to.ipv4, '--mac', to.mac);
    const ofport = node.openVSwitch.vsctl('get', 'interface', sender.hostIf, 'ofport').trim();
    const own = node.openVSwitch.appctl('ovs-vswitchd', 'ofproto/trace', 'weft-int', `in_port=${ofport},dl_src=${sender.mac},dl_dst=${to.mac},icmp,nw_src=${sender.ipv4},nw_dst=${to.ipv4}`);
    // Behind the tunnel it follows the outer packet over the underlay's bridge.
    const [, first = ''] = own.split('bridge("');
    const tables = [...first.matchAll(/^ *(\d+)\. .*priority (\d+)/gm)].map(([, table, priority]) => `${table ?? ''} ${priority ?? ''}`);
    const mine = told.steps.filter(({ id }) => id === 'switch-flow').map(({ what }) => what.replace(/^table (\d+) \(.*?\): priority=(\d+).*$/, '$1 $2'));
    t.same(mine, tables, `${to.name}: ${tables.join(', ')}`);
    t.equal(told.verdict.kind === 'leaves', own.includes(`tunneling to ${lab.node(2).ipv4}`), own.split('\n').at(-2) ?? '');
  }
}
