/** Segments by today's configuration, on a node with a real underlay: 192.0.2.1 and 2001:db8:ffff::1. */
import t from 'tap';
import { emptyNodeConf, type NodeConf } from '../config/node-model.ts';
import { parseNodeConf } from '../config/node-conf.ts';
import { linuxBridgeDatapath } from '../datapath/linuxbridge/linuxbridge.ts';
import { blue, createNode, red, withGateway, type TestNode } from '../datapath/test-node.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { testAttachment } from '../ledger/test-records.ts';
import { parseAddress } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { noPathKnowledge, type PathKnowledge } from '../mtu/path-knowledge.ts';
import { findUnderlay, type UnderlayFinder } from '../datapath/underlay.ts';
import { insideNetns } from '../sys/netns.ts';
import { run } from '../testing/command.ts';
import { skipUnless } from '../testing/requirements.ts';
import { runPass } from './pass.ts';
import { replanSegment, type Replanned } from './replan.ts';
import { everything, scopeOf } from './scope.ts';
import { attached, playNode } from './test-parts.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });
const ranges = [[{ subnet: '10.1.1.0/24' }], [{ subnet: 'fd00:1::/64' }]];
const base = { cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001, vtep: { address: '192.0.2.1' }, peers: ['192.0.2.2'], ipam: { type: 'weft', ranges } };

function recordOf(fields: Readonly<Record<string, unknown>>, overrides: Partial<AttachmentRecord> = {}): AttachmentRecord {
  return { ...testAttachment(1), seq: 1, conf: JSON.stringify({ ...base, ...fields }), ...overrides };
}

interface Question {
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly record?: Partial<AttachmentRecord>;
  readonly present?: Segment;
  readonly others?: readonly Segment[];
  readonly conf?: NodeConf;
}

function replan(node: TestNode, { fields = {}, record = {}, present = blue, others = [], conf = emptyNodeConf }: Question): { readonly segment: Segment } | { readonly fault: string } {
  const replanned = replanWhole(node, { fields, record, present, others, conf });
  return 'fault' in replanned ? replanned : { segment: replanned.segment };
}

function replanWhole(node: TestNode, { fields = {}, record = {}, present = blue, others = [], conf = emptyNodeConf, path = noPathKnowledge }: Question & { readonly path?: PathKnowledge }): Replanned {
  const underlay: UnderlayFinder = (...question) => findUnderlay(node.kernel.route, ...question);
  return insideNetns(node.fd, () => replanSegment({ underlay, path }, conf, { present, newest: recordOf(fields, record), others }));
}

t.test('peers and gateway follow the configuration', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  t.same(replan(node, {}), { segment: blue }, 'the same configuration: the same segment');
  t.same(replan(node, { fields: { peers: ['192.0.2.2', '192.0.2.3', '192.0.2.1'] } }), { segment: { ...blue, peers: ['192.0.2.2', '192.0.2.3'].map((text) => parseAddress(text)) } }, 'the node itself is no peer');
  t.same(replan(node, { fields: { isGateway: true, ipMasq: true } }), { segment: withGateway(blue) });
  t.same(replan(node, { fields: { isGateway: true }, present: withGateway(blue) }), { segment: withGateway(blue, false) });
  t.same(replan(node, { present: withGateway(blue) }), { segment: blue });
});

t.test('the MTU follows the underlay, the configuration and the path', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const mtus = (underlayMtu: number, overlayMtu: number): object => ({ underlayMtu, overlayMtu });
  t.match(replanWhole(node, {}), { fitting: mtus(1500, 1450), because: 'the MTU of u0 is 1500' });
  t.match(replanWhole(node, { fields: { mtu: 1300 } }), { segment: blue, fitting: mtus(1500, 1300), because: 'mtu is 1300' }, 'the segment itself has what the containers have');
  t.match(replanWhole(node, { path: { narrowest: () => 1400 } }), { fitting: mtus(1500, 1350), because: 'no more than 1400 bytes reach all other nodes' }, 'the tunnel keeps the link’s: then the kernel answers');
  t.match(replanWhole(node, { path: { narrowest: () => 9000 } }), { fitting: mtus(1500, 1450), because: 'the MTU of u0 is 1500' }, 'a path is no wider than the link');
  run('ip', ['-n', node.netns, 'link', 'set', 'u0', 'mtu', '1400']);
  t.match(replanWhole(node, {}), { segment: blue, fitting: mtus(1400, 1350), because: 'the MTU of u0 is 1400' });
  const misfit = { fields: { mtu: 1450 } };
  t.match(replanWhole(node, misfit), { fitting: mtus(1400, 1350), misfit: "tenant blue has MTU 1350, since mtu must be at most 1350, which is the underlay's 1400 less VXLAN's 50: current value is 1450; further containers are refused" });
  t.match(replanWhole(node, { fields: { ...misfit.fields, mtuPolicy: 'warn' } }), { fitting: mtus(1400, 1350), misfit: /mtuPolicy is warn$/ });
});

t.test('a tenant of the node configuration', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const yaml = ['tenants:', '- name: blue', '  vni: 1001', '  namespaces: [shop]', '  vtep: {address: 192.0.2.1}', '  peers: [192.0.2.2, 192.0.2.9]', '  ipam: {type: weft, ranges: [[{subnet: 10.1.1.0/24}]]}', ''].join('\n');
  const conf = parseNodeConf(yaml, 'weft.yaml');
  const short = { conf: JSON.stringify({ cniVersion: '1.0.0', name: 'net', type: 'weft' }) };
  t.match(replan(node, { record: { ...short, pod: 'shop/till-0' }, conf }), { segment: { tenant: 'blue', peers: ['192.0.2.2', '192.0.2.9'].map((text) => parseAddress(text)) } }, 'chosen by the namespace of the pod');
  t.match(replan(node, { record: { ...short, pod: 'garage/till-0' }, conf }), { fault: /^tenant blue stays as it is, since its configuration has a fault by now/ }, 'of another namespace');
  t.match(replan(node, { record: { ...short, pod: 'shop/till-0' } }), { fault: /has a fault by now/ }, 'a tenant that is no longer configured');
});

t.test('what cannot follow stays as it is, with the reason', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const rows: readonly (readonly [string, Question, RegExp])[] = [
    ['another VNI', { fields: { vni: 1003 } }, /^tenant blue stays as it is while it has containers here: tenant blue has VNI 1001 on this node, not 1003/],
    ['another VTEP', { fields: { vtep: { address: '2001:db8:ffff::1' }, peers: [] } }, /uses the VTEP 192\.0\.2\.1 on this node, not 2001:db8:ffff::1/],
    ['another port', { fields: { vtep: { address: '192.0.2.1', port: 8472 } } }, /uses UDP port 4789 on this node, not 8472/],
    ['another tenant', { fields: { tenant: 'green' } }, /VNI 1001 belongs to tenant blue/],
    ['a VTEP address that is gone', { fields: { vtep: { address: '192.0.2.77' } } }, /has a fault by now: vtep\.address must be an address of this node: no interface has 192\.0\.2\.77/],
    ['a peer of the other family', { fields: { peers: ['2001:db8:ffff::2'] } }, /peers must be of the family of vtep\.address/],
    ['a rival gateway', { fields: { isGateway: true }, others: [withGateway(red)] }, /10\.1\.1\.0\/24 of tenant blue cannot have its gateway on this node: tenant red/],
    ['no configuration at all', { record: { conf: 'nonsense' } }, /has a fault by now/],
    ['a key that is unknown', { fields: { vnii: 5 } }, /has a fault by now: .*vnii/],
  ];
  for (const [what, question, fault] of rows) t.match(replan(node, question), { fault }, what);
});

t.test('a pass brings segments in line, in the ledger and in the datapath', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const played = playNode(t, { kernel: node.kernel });
  const conf = (peers: readonly string[]): string => JSON.stringify({ ...base, peers });
  played.put(attached(1, { conf: conf(['192.0.2.2']) }), blue);
  await runPass(played.parts, everything);
  t.notOk(played.calls.includes('update 1001'), 'nothing is new');

  // The newest attachment's configuration counts.
  played.put(attached(2, { conf: conf(['192.0.2.2', '192.0.2.3']) }), blue);
  played.answers.update = () => {
    throw new Error('not permitted');
  };
  t.equal(await runPass(played.parts, everything), true, 'what the kernel refuses is tried again');
  t.same(played.parts.findings.openFaults, ['tenant blue stays as it is: not permitted']);
  t.ok(played.calls.includes('collect beside 2'), 'and the pass goes on');
  const peersOf = (): unknown => played.ledger.read((tx) => tx.findSegment(blue.vni)?.segment.peers);
  t.same(peersOf(), blue.peers, 'ledger and kernel stay together');

  played.answers.update = () => undefined;
  t.equal(await runPass(played.parts, everything), false);
  t.same(peersOf(), ['192.0.2.2', '192.0.2.3'].map((text) => parseAddress(text)));
  t.same(played.parts.findings.repairs.map(({ what }) => what), ['the peers of tenant blue are now 192.0.2.2, 192.0.2.3']);
  t.same(played.parts.findings.openFaults, []);
  played.calls.splice(0);
  await runPass(played.parts, everything);
  t.notOk(played.calls.includes('update 1001'), 'once');
});

t.test('a pass carries another MTU into the ledger and the datapath, and says why', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const played = playNode(t, { kernel: node.kernel });
  const conf = (fields: object = {}): string => JSON.stringify({ ...base, ...fields });
  played.put(attached(1, { conf: conf() }), blue);
  const mtus = (): unknown => played.ledger.read((tx) => [tx.findSegment(blue.vni)?.segment.underlayMtu, tx.findSegment(blue.vni)?.segment.overlayMtu, tx.listAttachments()[0]?.port.mtu]);
  run('ip', ['-n', node.netns, 'link', 'set', 'u0', 'mtu', '1400']);
  played.answers.resize = (what) => {
    if (what === 'weft-p1') throw new Error('not permitted');
  };
  t.equal(await runPass(played.parts, scopeOf({ underlay: true })), true, 'what the kernel refuses is tried again');
  t.same(played.parts.findings.openFaults, ['weft-p1 keeps its MTU: not permitted']);
  t.same(mtus(), [1500, 1350, 1450]);
  played.answers.resize = () => undefined;
  t.equal(await runPass(played.parts, scopeOf({ underlay: true })), false);
  t.same(mtus(), [1400, 1350, 1350]);
  t.same(played.parts.findings.openFaults, []);
  t.match(played.parts.findings.repairs.map(({ what }) => what), [/^the MTU of tenant blue is now 1350 instead of 1450, for the MTU of u0 is 1400$/, /^the MTU of tenant blue is 1350, and that of its tunnel 1400 instead of 1500, for the MTU of u0 is 1400; a container has followed$/]);
  played.calls.splice(0);
  await runPass(played.parts, everything);
  t.notOk(played.calls.some((call) => call.startsWith('resize')), 'once');
  played.put(attached(2, { conf: conf({ mtu: 1400 }) }), { ...blue, underlayMtu: 1400, overlayMtu: 1350 });
  await runPass(played.parts, everything);
  t.match(played.parts.findings.openFaults, [/^tenant blue has MTU 1350, since mtu must be at most 1350, .*further containers are refused$/]);
  t.equal(await runPass({ ...played.parts, engine: { ...played.parts.engine, path: { narrowest: () => 1360 } } }, scopeOf({ underlay: true })), false);
  t.match(mtus(), [1400, 1310, 1310], 'a path that is narrower');
});
