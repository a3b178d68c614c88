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
  add(containerId: string, keys: Readonly<Record<string, unknown>>): Promise<unknown>;
  readLedger(): { segments: readonly Segment[]; attachments: readonly AttachmentRecord[] };
}

function makeLab(scope: TeardownScope): Lab {
  const directory = temporaryDirectory(scope);
  const ledger = openTestLedger(scope, directory);
  const netns = netnsPath(createNetns(scope, 'container'));
  const asked: PortRequest[] = [];
  const attach: Datapath['attach'] = (request) => {
    asked.push(request);
    return Promise.resolve({ hostMac: parseMac('02:00:00:00:00:01') });
  };
  const parts: EngineParts = {
    // Neither is asked for more by an ADD without addresses in a segment that stays as it is.
    kernel: {} as Kernel, datapath: { portsMaxOf: () => 1022, attach } as Partial<Datapath> as Datapath,
    underlay: () => ({ vtepAddress: parseAddress('192.0.2.1'), mtu: 1500, linkMtu: 1500, limit: 'the MTU of eth0', links: [] }),
    ledger: () => ledger, nodeConf: () => Promise.resolve(emptyNodeConf), executor: { isExecutable: () => false, run: () => Promise.reject(new Error('there is no plugin')) },
    worker: currentWorker(), claims: new Claims(), pendingDirectories: [directory], now: () => 1000, warn: (message) => { throw new Error(message); },
  };
  const request = (containerId: string, keys: Readonly<Record<string, unknown>>): CniRequest => ({
    verb: 'ADD', containerId, netns, ifName: 'eth0', args: new Map(), path: [], cniVersion: '1.1.0', env: {}, conf: { cniVersion: '1.1.0', name: 'blue', type: 'weft', vni: 1001, ...keys },
  });
  return {
    asked,
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
