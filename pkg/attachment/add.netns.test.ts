/** What ADD writes down and asks of the datapath; what the datapath makes of it is not looked at here. */
import t from 'tap';
import type { CniRequest } from '../cni/dispatch.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import type { Datapath, PortRequest } from '../datapath/datapath.ts';
import type { Kernel } from '../datapath/kernel.ts';
import { currentWorker } from '../ledger/boot.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { openTestLedger } from '../ledger/test-records.ts';
import { parseAddress, parseMac } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { add } from './add.ts';
import { Claims } from './claims.ts';
import type { EngineParts } from './engine-parts.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });

interface Lab {
  /** What the datapath was asked to attach, in order. */
  readonly asked: PortRequest[];
  /** ADD of a container with these keys in its configuration, which gives it no addresses. */
  readonly warned: readonly string[];
  /** Tenants that somebody should look after the MTU of. */
  readonly behind: number[];
  /** What the node is like, besides. */
  readonly surroundings: { underlayMtu: number; narrowest?: number };
  add(containerId: string, keys: Readonly<Record<string, unknown>>): Promise<unknown>;
  readLedger(): { segments: readonly Segment[]; attachments: readonly AttachmentRecord[] };
}

function makeLab(scope: TeardownScope): Lab {
  const directory = temporaryDirectory(scope);
  const ledger = openTestLedger(scope, directory);
  const netns = netnsPath(createNetns(scope, 'container'));
  const asked: PortRequest[] = [];
  const behind: number[] = [];
  const surroundings: Lab['surroundings'] = { underlayMtu: 1500 };
  const warned: string[] = [];
  const attach: Datapath['attach'] = (request) => {
    asked.push(request);
    return Promise.resolve({ hostMac: parseMac('02:00:00:00:00:01') });
  };
  const parts: EngineParts = {
    // Neither is asked for more by an ADD without addresses in a segment that stays as it is.
    kernel: {} as Kernel, datapath: { portsMaxOf: () => 1022, attach } as Partial<Datapath> as Datapath,
    underlay: () => ({ vtepAddress: parseAddress('192.0.2.1'), mtu: surroundings.underlayMtu, linkMtu: surroundings.underlayMtu, limit: 'the MTU of eth0', links: [] }),
    path: { narrowest: () => surroundings.narrowest }, noteMtuChange: (vni) => behind.push(vni),
    ledger: () => ledger, nodeConf: () => Promise.resolve(emptyNodeConf), executor: { isExecutable: () => false, run: () => Promise.reject(new Error('there is no plugin')) },
    worker: currentWorker(), claims: new Claims(), pendingDirectories: [directory], now: () => 1000, warn: (_code, message) => warned.push(message),
  };
  const request = (containerId: string, keys: Readonly<Record<string, unknown>>): CniRequest => ({
    verb: 'ADD', containerId, netns, ifName: 'eth0', args: new Map(), path: [], cniVersion: '1.1.0', env: {}, conf: { cniVersion: '1.1.0', name: 'blue', type: 'weft', vni: 1001, ...keys },
  });
  return {
    asked, behind, surroundings, warned,
    add: (containerId, keys) => add(parts, request(containerId, keys)),
    readLedger: () => ledger.read((tx) => ({ segments: tx.listSegments().map(({ segment }) => segment), attachments: tx.listAttachments() })),
  };
}

t.test('the port has the datapath of its segment, in the ledger too', { skip }, async (t) => {
  const rows = [
    { keys: {}, segment: {}, port: {} },
    { keys: { datapath: 'bridge', encapsulation: 'vxlan' }, segment: {}, port: {} },
    { keys: { datapath: 'ovs' }, segment: { datapath: 'ovs' }, port: { datapath: 'ovs' } },
    { keys: { datapath: 'ovs', encapsulation: 'geneve' }, segment: { datapath: 'ovs', encapsulation: 'geneve' }, port: { datapath: 'ovs' } },
  ];
  const wiringOf = (of: object | undefined): object => Object.fromEntries(Object.entries(of ?? {}).filter(([key]) => key === 'datapath' || key === 'encapsulation'));
  for (const { keys, segment, port } of rows) {
    const lab = makeLab(t);
    await lab.add('c1', keys);
    const { segments, attachments } = lab.readLedger();
    t.same([segments[0], lab.asked[0]?.segment].map(wiringOf), [segment, segment], `${JSON.stringify(keys)}: the segment`);
    t.same([attachments[0]?.port, lab.asked[0]?.port].map(wiringOf), [port, port], `${JSON.stringify(keys)}: the port`);
  }
});

t.test('while a tenant has containers, another datapath or encapsulation is refused and nothing is changed', { skip }, async (t) => {
  const geneve = { datapath: 'ovs', encapsulation: 'geneve' };
  const rows = [
    { first: {}, second: { datapath: 'ovs' }, words: 'uses datapath bridge on this node, not ovs' },
    { first: { datapath: 'ovs' }, second: {}, words: 'uses datapath ovs on this node, not bridge' },
    { first: { datapath: 'ovs' }, second: geneve, words: 'uses encapsulation vxlan on this node, not geneve' },
    { first: geneve, second: { datapath: 'ovs' }, words: 'uses encapsulation geneve on this node, not vxlan' },
  ];
  for (const { first, second, words } of rows) {
    const lab = makeLab(t);
    await lab.add('c1', first);
    const before = lab.readLedger();
    await t.rejects(lab.add('c2', second), { code: 'tenantMismatch', message: `Cannot attach to tenant blue: tenant blue ${words}`, details: /^use the same tenant, vni, datapath, encapsulation and vtep / });
    t.same(lab.readLedger(), before);
    await lab.add('c2', first);
    t.equal(lab.asked.length, 2, 'the same again is no change');
  }
});

t.test('a container that comes while the MTU changes gets what always fits, and the tenant stays as it is', { skip }, async (t) => {
  const rows = [
    { what: 'lowered', to: { underlayMtu: 1400 }, mtu: 1350 },
    { what: 'raised', to: { underlayMtu: 9000 }, mtu: 1450 },
    { what: 'a narrower path', to: { underlayMtu: 1500, narrowest: 1300 }, mtu: 1250 },
  ];
  for (const { what, to, mtu } of rows) {
    const lab = makeLab(t);
    await lab.add('c1', {});
    t.same(lab.behind, [], 'nothing is behind');
    Object.assign(lab.surroundings, to);
    const result = await lab.add('c2', {}) as { readonly interfaces: readonly { readonly mtu: number }[] };
    const { segments, attachments } = lab.readLedger();
    t.match(segments[0], { underlayMtu: 1500, overlayMtu: 1450 }, `${what}: others use it as it is`);
    t.same(attachments.map(({ port }) => port.mtu), [1450, mtu], what);
    t.same(result.interfaces.slice(1).map((entry) => entry.mtu), [mtu, mtu], 'the runtime is told');
    t.same(lab.behind, [1001], 'and somebody is told of the others');
  }
});

t.test('what the administrator wants to be warned about is said, and what fits is used', { skip }, async (t) => {
  const lab = makeLab(t);
  await t.rejects(lab.add('c1', { mtu: 1451 }), { code: 'invalidConfiguration', details: /or set mtuPolicy to warn$/ });
  await lab.add('c1', { mtu: 1451, mtuPolicy: 'warn' });
  t.same(lab.readLedger().attachments.map(({ port }) => port.mtu), [1450]);
  t.same(lab.warned, ["tenant blue: mtu must be at most 1450, which is the underlay's 1500 less VXLAN's 50: current value is 1451; 1450 is used"]);
});
