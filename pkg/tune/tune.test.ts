import t from 'tap';
import { applyItems, chooseItems, type TuneHands } from './apply.ts';
import { maskOf, planTuning, type TuneFacts, type TuneItem, type TunableLink } from './plan.ts';
import { renderApplied, renderConfiguration, renderTuning } from './report.ts';
import { idOf, type Setting } from './setting.ts';

const link: TunableLink = {
  name: 'eth0', queueLength: 1000, rings: { rx: { now: 256, max: 4096 }, tx: { now: 4096, max: 4096 } }, steering: [{ queue: 'rx-0', mask: '0' }],
  features: new Map([
    ['tx-udp_tnl-segmentation', { on: false, changeable: true }], ['tx-udp_tnl-csum-segmentation', { on: false, changeable: false }], ['rx-gro', { on: true, changeable: true }],
    ['rx-checksum', { on: true, changeable: false }], ['rx-udp-gro-forwarding', { on: false, changeable: true }],
  ]),
};
const sysctls: Readonly<Record<string, string>> = {
  'core/netdev_max_backlog': '1000', 'core/netdev_budget': '1200', 'core/rps_sock_flow_entries': '0', 'ipv4/fib_multipath_hash_policy': '0', 'ipv6/fib_multipath_hash_policy': '2',
  'ipv4/ip_local_port_range': '40000\t41000', 'ipv4/neigh/default/gc_thresh1': '128', 'ipv4/neigh/default/gc_thresh2': '512', 'ipv4/neigh/default/gc_thresh3': '1024',
};
const facts: TuneFacts = { links: [link], cpus: 4, neighbours: 10, sysctl: (parts) => sysctls[parts.join('/')] };

function stateOf(items: readonly TuneItem[], id: string): string {
  const item = items.find((candidate) => candidate.id === id);
  return item === undefined ? 'missing' : `${item.present ?? '-'} ${item.recommended ?? '-'} ${item.state}`;
}

void t.test('what is recommended', (t) => {
  const items = planTuning(facts);
  const expected: Readonly<Record<string, string>> = {
    'eth0/tx-udp_tnl-segmentation': 'off on differs',
    'eth0/tx-udp_tnl-csum-segmentation': 'off - not-offered',
    'eth0/tx-tcp-segmentation': '- - not-offered',
    'eth0/rx-gro': 'on on good',
    'eth0/rx-checksum': 'on on good',
    'eth0/rx-udp-gro-forwarding': 'off - free',
    'eth0/rx-ring': '256 2048 differs',
    'eth0/tx-ring': '4096 2048 good',
    'eth0/txqueuelen': '1000 1000 good',
    'eth0/rx-0/rps_cpus': '0 f differs',
    'net.core.netdev_max_backlog': '1000 4096 differs',
    'net.core.netdev_budget': '1200 600 good',
    'net.core.rmem_max': '- - not-offered',
    'net.core.rps_sock_flow_entries': '0 - free',
    'net.ipv4.fib_multipath_hash_policy': '0 1 differs',
    'net.ipv6.fib_multipath_hash_policy': '2 1 good',
    'net.ipv4.ip_local_port_range': '40000 41000 32768 60999 differs',
    'net.ipv4.neigh.default.gc_thresh3': '1024 1024 good',
    'net.ipv6.neigh.default.gc_thresh3': '- - not-offered',
  };
  t.same(Object.fromEntries(Object.keys(expected).map((id) => [id, stateOf(items, id)])), expected);
  t.equal(new Set(items.map(({ id }) => id)).size, items.length, 'no name twice');
  t.same(items.filter(({ state, command }) => (state === 'differs') !== (command !== null)), [], 'a command where there is something to do');
  t.end();
});

void t.test('by the size of the node', (t) => {
  const many = planTuning({ ...facts, neighbours: 5000 });
  t.same([1, 2, 3].map((number) => stateOf(many, `net.ipv4.neigh.default.gc_thresh${number}`)), ['128 2048 differs', '512 8192 differs', '1024 16384 differs']);
  const queues = (count: number, mask: string): string => stateOf(planTuning({ ...facts, links: [{ ...link, steering: Array.from({ length: count }, (_, index) => ({ queue: `rx-${index}`, mask })) }] }), 'eth0/rx-0/rps_cpus');
  t.equal(queues(4, '0'), '0 - free', 'a queue for each processor');
  t.equal(queues(2, '0f'), '0f f good', 'zeros in front');
  t.equal(stateOf(planTuning({ ...facts, links: [{ ...link, rings: { rx: { now: 256, max: 512 }, tx: { now: 0, max: 0 } } }] }), 'eth0/rx-ring'), '256 512 differs', 'as large as there is');
  t.equal(stateOf(planTuning({ ...facts, links: [{ ...link, rings: undefined }] }), 'eth0/rx-ring'), '- - not-offered');
  t.same([1, 4, 32, 33, 64, 70].map(maskOf), ['1', 'f', 'ffffffff', '1,ffffffff', 'ffffffff,ffffffff', '3f,ffffffff,ffffffff']);
  t.end();
});

/** Values in memory; some are refused, some are taken and made something else. */
function handsOver(values: Map<string, string>, { refused = '', bent = '' } = {}): TuneHands & { readonly written: readonly string[] } {
  const written: string[] = [];
  return {
    written,
    read: (setting: Setting) => values.get(idOf(setting)),
    write(setting: Setting, value: string) {
      const id = idOf(setting);
      written.push(id);
      if (id === refused) throw new Error('not permitted');
      values.set(id, id === bent ? 'bent' : value);
    },
  };
}

void t.test('applying', (t) => {
  const items = planTuning(facts);
  const valuesNow = (): Map<string, string> => new Map(items.flatMap(({ id, present }) => (present === null ? [] : [[id, present] as const])));
  const one = chooseItems(items, ['eth0/rx-ring', 'eth0/rx-ring']);
  t.equal(one.length, 1, 'each once');
  t.throws(() => chooseItems(items, ['eth0/rx-ring', 'eth1/rx-ring']), { message: 'an item must be one that weft tune shows: current value is "eth1/rx-ring"' });

  const hands = handsOver(valuesNow());
  t.match(applyItems(one, hands, { isDryRun: false }), [{ id: 'eth0/rx-ring', before: '256', after: '2048', outcome: 'applied', problem: null, back: 'ethtool -G eth0 rx 256' }]);
  t.same(hands.written, ['eth0/rx-ring'], 'nothing else');

  const dry = handsOver(valuesNow());
  const would = applyItems(chooseItems(items, []), dry, { isDryRun: true });
  t.same([dry.written, would.every(({ outcome }) => outcome === 'would-apply'), would.length], [[], true, items.filter(({ state }) => state === 'differs').length], 'a dry run writes nothing');

  const ids = ['net.core.rmem_max', 'eth0/rx-gro', 'eth0/rx-udp-gro-forwarding', 'eth0/rx-ring', 'eth0/rx-0/rps_cpus', 'net.ipv4.fib_multipath_hash_policy'];
  const mixed = handsOver(valuesNow(), { refused: 'eth0/rx-ring', bent: 'eth0/rx-0/rps_cpus' });
  t.match(applyItems(chooseItems(items, ids), mixed, { isDryRun: false }), [
    { outcome: 'refused', problem: 'not offered by the device or the kernel' }, { outcome: 'unchanged' }, { outcome: 'unchanged', problem: 'nothing is recommended' },
    { outcome: 'refused', before: '256', after: '256', problem: 'not permitted', back: null },
    { outcome: 'refused', after: 'bent', problem: 'the kernel has taken f and made it bent', back: 'echo 0 > /sys/class/net/eth0/queues/rx-0/rps_cpus' },
    { outcome: 'applied', back: "sysctl -w 'net.ipv4.fib_multipath_hash_policy=0'" },
  ], 'one that is refused stops no other');
  t.same(mixed.written, ['eth0/rx-ring', 'eth0/rx-0/rps_cpus', 'net.ipv4.fib_multipath_hash_policy']);

  const padded = handsOver(valuesNow());
  const zeros = { ...padded, read: (setting: Setting) => `0000000${padded.read(setting) ?? ''}` };
  t.equal(applyItems(chooseItems(items, ['eth0/rx-0/rps_cpus']), zeros, { isDryRun: false })[0]?.outcome, 'applied', 'the kernel writes masks with zeros in front');
  t.end();
});

void t.test('in words', (t) => {
  const items = planTuning(facts);
  const text = renderTuning(items);
  t.match(text, /^eth0\/tx-udp_tnl-segmentation +off +on +change$/m);
  t.match(text, /^eth0\/tx-tcp-segmentation +- +- +not offered$/m);
  t.match(text, /^ {2}ethtool -K eth0 tx-udp_tnl-segmentation on$/m);
  t.match(renderApplied(applyItems(chooseItems(items, ['eth0/rx-ring']), handsOver(new Map([['eth0/rx-ring', '256']])), { isDryRun: false })), /to go back:\n {2}ethtool -G eth0 rx 256\n$/);
  t.equal(renderApplied([]), 'nothing is to be changed\n');
  const lines = renderConfiguration(items).split('\n');
  t.ok(lines.includes('net.core.netdev_budget = 1200'), 'what is better than recommended stays so');
  t.ok(lines.includes('net.ipv4.ip_local_port_range = 32768 60999'));
  t.ok(lines.includes('ACTION=="add", SUBSYSTEM=="net", NAME=="eth0", ATTR{tx_queue_len}="1000"'));
  t.notMatch(lines.join('\n'), /csum-segmentation|rmem_max/, 'nothing that is not offered');
  t.end();
});
