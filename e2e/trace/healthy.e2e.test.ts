/** Where packets go on healthy nodes, compared with real ones. */
import { run, runIn } from '../../pkg/testing/command.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { arrives, askTrace, createScene, follow, forgetNeighbours, gateway, linesOf, outside, tryShow } from './scene.ts';

testEachDatapath('a healthy node', async (t, datapath) => {
  const { lab, sender, near, far } = await createScene(t, datapath);
  const node = lab.node(1);
  for (const [family, key] of [[4, 'ipv4'], [6, 'ipv6']] as const) {
    // First nobody knows anybody; then the packets have taught them.
    for (const state of ['new', 'known'] as const) {
      for (const [name, address, kind] of [['near', near[key], 'reaches'], ['far', far[key], 'leaves'], ['outside', outside[family], 'leaves'], ['gateway', gateway[family], 'reaches'], ['node', node[key], 'reaches']] as const) {
        if (state === 'new') forgetNeighbours(sender);
        const told = await askTrace(node, 'sender', address, ...(state === 'known' ? ['--size', '1400'] : []));
        t.equal(told.verdict.kind, kind, `${name} over IPv${family}, ${state}: ${told.verdict.what}`);
        t.equal(told.exitCode, 0);
        if (state === 'new') t.equal(run('ip', ['-n', sender.netns, `-${family}`, 'neigh', 'show', address]).trim(), '', 'nothing was sent: the container still knows nobody');
        if (told.verdict.kind !== kind) t.comment(linesOf(told));
        if (told.verdict.next !== null) t.equal((await follow(lab, told)).verdict.what, 'the packet reaches far', told.verdict.next);
        t.ok(await arrives(sender, address, state === 'known' ? 1400 : 84), 'and so it is');
        if (state === 'known' && name === 'far') for (const step of told.steps) t.ok(tryShow(node, step) !== '', `${step.id}: \`${step.show}\` shows something`);
      }
    }
  }
  t.same((await askTrace(node, sender.attach.containerId.slice(0, 12), near.ipv4)).verdict.what, 'the packet reaches near on this node', 'by the beginning of its id');
  t.same((await askTrace(node, sender.ipv6, near.ipv4)).verdict.kind, 'reaches', 'by its address');
  const service = await askTrace(node, 'sender', gateway[4], '--protocol', 'tcp', '--port', '22');
  t.match([service.exitCode, service.verdict.kind, service.steps.at(-1)?.id], [1, 'stops', 'gateway-host'], 'no service of the node');
  if (datapath === 'bridge') await t.test('endpoints that a control plane has told of', async (t) => {
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
    t.notOk(await arrives(sender, far.ipv4), 'and so it is');
  });
  if (datapath === 'ovs') await t.test("Open vSwitch's own trace says the same", async (t) => {
    for (const to of [near, far]) {
      const told = await askTrace(node, 'sender', to.ipv4, '--mac', to.mac);
      const ofport = JSON.parse(node.openVSwitch.vsctl('--format=json', '--columns=ofport', 'find', 'interface', `name=${sender.hostIf}`)).data[0][0] as number;
      const own = node.openVSwitch.appctl('ovs-vswitchd', 'ofproto/trace', 'weft-int', `in_port=${ofport},dl_src=${sender.mac},dl_dst=${to.mac},icmp,nw_src=${sender.ipv4},nw_dst=${to.ipv4}`);
      // Behind the tunnel it follows the outer packet over the underlay's bridge.
      const [, first = ''] = own.split('bridge("');
      const tables = [...first.matchAll(/^ *(\d+)\. .*priority (\d+)/gm)].map(([, table, priority]) => `${table ?? ''} ${priority ?? ''}`);
      const mine = told.steps.filter(({ id }) => id === 'switch-flow').map(({ what }) => what.replace(/^table (\d+) \(.*?\): priority=(\d+).*$/, '$1 $2'));
      t.same(mine, tables, `${to.name}: ${tables.join(', ')}`);
      t.equal(told.verdict.kind === 'leaves', own.includes(`tunneling to ${lab.node(2).ipv4}`), own.split('\n').at(-2) ?? '');
    }
  });
});
