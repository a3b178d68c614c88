/** The node configuration: what is the same for every network of a node need not be in the plugin's configuration. */
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { pluggedInto, readAttachment, readSegment, readTenant } from '../harness/kernel-view.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { done, refused, succeeded } from './outcomes.ts';
import { addressesOf } from './site.ts';

const skip = skipWithoutLab();

const yaml = `
node: node1
peers: [10.200.0.11, 10.200.0.12, 10.200.0.13]
controlPlane: {type: static}
tenants:
  - name: blue
    vni: 1001
    namespaces: [blue, team-blue-*]
    ipam: {type: weft, ranges: [[{subnet: 10.1.1.0/24, rangeStart: 10.1.1.10}]]}
  - name: red
    vni: 1002
    mtu: 1400
    namespaces: [red-?]
    ipam: {type: weft, ranges: [[{subnet: 10.1.1.0/24, rangeStart: 10.1.1.50}]]}
  - name: pods
    vni: 1003
    ipam: {type: weft, ranges: [[{subnet: 10.3.3.0/24}]]}
`;
const blue: NetConf = { cniVersion: '1.0.0', name: 'blue', type: 'weft', tenant: 'blue' };
const pods: NetConf = { cniVersion: '1.0.0', name: 'pods', type: 'weft' };

testEachDatapath('a short plugin configuration is enough', async (t, datapath) => {
  const { lab, node } = await createConfiguredLab(t, { datapath });
  const attached = await lab.attach(node, { label: 'short', conf: blue });
  t.match(readTenant(node, 1001), { local: '10.200.0.11', port: 4789, peers: ['10.200.0.12', '10.200.0.13'] }, 'the own address is no peer');
  t.match(readAttachment(attached), { addresses: ['10.1.1.10/24'], containerMtu: 1450 });
  t.match(await node.check(attached.attach, attached.result), done);
  t.match(await node.status(blue), done);
  t.match(await node.del(attached.attach), done);
});

t.test("what the plugin's configuration says wins", { skip }, async (t) => {
  const { lab, node } = await createConfiguredLab(t);
  const own = { ...blue, tenant: 'red', mtu: 1300, peers: ['10.200.0.19'], vtep: { port: 4790 }, ipam: { type: 'weft', ranges: [[{ subnet: '10.9.9.0/24' }]] } };
  const attached = await lab.attach(node, { label: 'own', conf: own });
  t.match(readSegment(node.netns, 1002), { local: '10.200.0.11', port: 4790, floodList: ['10.200.0.19'] });
  t.match(readAttachment(attached), { addresses: ['10.9.9.2/24'], containerMtu: 1300 });
});

testEachDatapath("the pod's namespace chooses the tenant", async (t, datapath) => {
  const { lab, node } = await createConfiguredLab(t, { datapath });
  const chosen: readonly (readonly [string, number, string])[] = [
    ['blue', 1001, '10.1.1.10'],
    ['team-blue-7', 1001, '10.1.1.11'],
    ['red-1', 1002, '10.1.1.50'],
    ['red-10', 1003, '10.3.3.2'],
    ['default', 1003, '10.3.3.3'],
  ];
  for (const [namespace, vni, address] of chosen) {
    const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=one;K8S_POD_INFRA_CONTAINER_ID=x`;
    const attached = await lab.attach(node, { label: namespace.slice(0, 8), conf: pods, args });
    t.same(addressesOf(attached), [address], namespace);
    t.same(readTenant(node, vni)?.port, 4789);
    t.equal(pluggedInto(attached), datapath === 'ovs' ? 'weft-int' : `weft-br${vni}`);
    t.match(readAttachment(attached), { hostAlias: new RegExp(`pod ${namespace}/one`) });
  }
  t.match(await node.status(pods), done, 'STATUS looks at every tenant that a pod may come to');
});

t.test('what would give a pod the wrong network is refused', { skip }, async (t) => {
  const { lab, node } = await createConfiguredLab(t, { more: `  - {name: greedy, vni: 1004, namespaces: ['team-*']}\n` });
  const before = node.snapshot();
  const rows: readonly (readonly [string, NetConf, string, number, RegExp])[] = [
    ['a namespace of two tenants', pods, 'K8S_POD_NAMESPACE=team-blue-7', 7, /namespace "team-blue-7" must belong to one tenant: the namespaces of blue, greedy in \S+weft\.yaml match it/],
    ["a tenant that does not have the pod's namespace", blue, 'K8S_POD_NAMESPACE=red-1', 7, /tenant blue must list the pod's namespace in its namespaces \(blue, team-blue-\*\) in \S+weft\.yaml/],
    ["another tenant's VNI", { ...blue, tenant: 'green', vni: 1001 }, '', 7, /vni must be .*: 1001 is tenant blue's in \S+weft\.yaml/],
    ['a tenant that nobody knows', { ...blue, tenant: 'green' }, '', 7, /vni must be given: write it into the network configuration, or into the entry of tenant green/],
    ['a VNI for all tenants', { ...pods, vni: 1009 }, 'K8S_POD_NAMESPACE=blue', 7, /vni must be left out where the pod's namespace chooses the tenant/],
  ];
  for (const [name, conf, args, code, words] of rows) {
    const outcome = await node.add({ conf, containerId: 'refused', netns: lab.container('refused'), args });
    t.match(outcome, refused(code, words), `${name}: ${describeOutcome(outcome)}`);
  }
  t.same(node.snapshot(), before);
});

t.test('a node configuration that cannot be read', { skip, timeout: 60_000 }, async (t) => {
  const { lab, node, path, write } = await createConfiguredLab(t);
  const attached = await lab.attach(node, { label: 'present', conf: blue });
  const faults: readonly (readonly [string, number, RegExp])[] = [
    ['tenants: [\n', 7, /weft\.yaml line \d+: /],
    ['node: a\nnode: b\n', 7, /weft\.yaml line 2: .*unique/],
    ['vtepp: {}\n', 2, /weft\.yaml line 1: unknown key "vtepp".*"vtep"/],
    ['tenants:\n  - name: blue\n    vni: 0\n', 7, /weft\.yaml line 3: tenants\[0\]\.vni must be a whole number from 1 to 16777215: current value is 0/],
    ['tenants:\n  - {name: blue, vni: 7}\n  - {name: red, vni: 7}\n', 7, /weft\.yaml line 3: tenants\[1\]\.vni must be the tenant's own: 7 is also that of tenants\[0\]/],
    ['controlPlane: {type: bgp}\n', 7, /controlPlane\.type must be "static" or "evpn": current value is "bgp"/],
    ['[]\n', 7, /weft\.yaml/],
  ];
  for (const [text, code, words] of faults) {
    write(text);
    const outcome = await node.add({ conf: blue, containerId: 'refused', netns: lab.container('refused') });
    t.match(outcome, refused(code, words), `ADD: ${describeOutcome(outcome)}`);
    t.match(await node.status(blue), refused(code, words), 'STATUS');
  }
  const elsewhere = { WEFT_CONFIG: `${path}.missing`, CNI_COMMAND: 'STATUS' };
  t.match(await node.call({ env: elsewhere, stdin: JSON.stringify({ ...blue, cniVersion: '1.1.0' }) }), refused(5, /Cannot read the node configuration \S+weft\.yaml\.missing/), 'a file that was asked for by name and is missing');
  t.match(await node.check(attached.attach, attached.result), done, 'CHECK needs no configuration');
  t.match(await node.del(attached.attach), done, 'nor does DEL');
  write('');
  t.match(await node.add({ ...attached.attach, conf: { ...blue, vni: 1001 } }), succeeded, 'an empty file says nothing');
});

interface ConfiguredLab {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly path: string;
  readonly write: (text: string) => void;
}

async function createConfiguredLab(t: Parameters<typeof createLabOf>[0], { datapath = 'bridge', more = '' }: { readonly datapath?: DatapathName; readonly more?: string } = {}): Promise<ConfiguredLab> {
  const lab = await createLabOf(t, [datapath]);
  const node = lab.node(1);
  const path = node.configPath;
  const write = (content: string): void => writeFileSync(path, content);
  write(`${node.wiring}vtep: {interface: ${node.underlayIf}}\n${yaml}${more}`);
  return { lab, node, path, write };
}
