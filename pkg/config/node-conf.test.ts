import t from 'tap';
import { formatAddress } from '../netaddr/netaddr.ts';
import { emptyNodeConf, parseNodeConf } from './node-conf.ts';

const path = '/etc/weft/weft.yaml';

for (const text of ['', '\n', '# nothing\n', '{}', 'null', '---\n...\n', 'tenants:\n', 'tenants: []']) {
  t.same(parseNodeConf(text, path), { path, tenants: [] }, `${JSON.stringify(text)} is an empty configuration`);
}
t.same(emptyNodeConf, { tenants: [] });

const full = parseNodeConf(
  `
node: node-1
vtep: { address: 192.0.2.1, port: 4790 }
datapath: bridge
controlPlane: { type: static }
mtu: 1450
peers: [192.0.2.2, 192.0.2.3]
tenants:
  - name: blue
    vni: 1001
    namespaces: [blue, "blue-*"]
    peers: []
    mtu: 1400
    isGateway: true
    ipMasq: true
    vtep: { interface: eth1 }
    datapath: bridge
    ipam: { type: host-local, dataDir: /elsewhere }
  - name: green
`,
  path,
);
t.match(full, { path, node: 'node-1', datapath: 'bridge', mtu: 1450, vtep: { port: 4790 } });
t.same(full.peers?.map(formatAddress), ['192.0.2.2', '192.0.2.3']);
t.same(full.tenants[0], {
  name: 'blue',
  vni: 1001,
  namespaces: ['blue', 'blue-*'],
  peers: [],
  mtu: 1400,
  isGateway: true,
  ipMasq: true,
  vtep: { interface: 'eth1' },
  datapath: 'bridge',
  ipam: { type: 'delegate', plugin: 'host-local', conf: { type: 'host-local', dataDir: '/elsewhere' } },
});
t.same(full.tenants[1], { name: 'green' });
t.same(full.controlPlane, { type: 'static' });

const refused: readonly (readonly [string, number, string | RegExp])[] = [
  ['tennants: []\nmtu: 1450', 2, `${path} line 1: unknown key "tennants": the nearest known key is "tenants"`],
  ['mtu: 1450\nvtep:\n  adress: 192.0.2.1', 2, `${path} line 3: unknown key "vtep.adress": the nearest known key is "vtep.address"`],
  ['mtu: big', 7, `${path} line 1: mtu must be a whole number from 68 to 65535: current value is "big"`],
  ['mtu: 67', 7, /mtu must be a whole number from 68 to 65535: current value is 67$/],
  ['vtep: eth0', 7, `${path} line 1: vtep must be an object: current value is "eth0"`],
  ['peers: 192.0.2.2', 7, /peers must be an array of addresses of other nodes' VTEPs: current value is "192\.0\.2\.2"$/],
  ['peers:\n  - 192.0.2.2\n  - 224.0.0.1', 7, /line 3: peers\[1\] must be an address at which other nodes reach this one/],
  ['peers: [fe80::1]', 7, /peers\[0\] must be an address at which other nodes reach this one, no multicast, loopback or link-local one: current value is "fe80::1"/],
  ['peers: [127.0.0.1]', 7, /no multicast, loopback or link-local/],
  ['vtep: { port: 0 }', 7, /vtep\.port must be a whole number from 1 to 65535: current value is 0/],
  ['vtep: { interface: a/b }', 7, /vtep\.interface must be the name of an interface/],
  ['vtep: { interface: abcdefghijklmnop }', 7, /vtep\.interface must be the name of an interface, at most 15 characters/],
  ['vtep: { interface: ".." }', 7, /vtep\.interface must be/],
  ['node: a b', 7, /node must begin with a letter or digit/],
  ['datapath: ebpf', 7, `${path} line 1: datapath must be "bridge" or "ovs": current value is "ebpf"`],
  ['controlPlane: { type: evpn }', 7, /controlPlane\.as must be given with type "evpn"/],
  ['controlPlane: { type: magic }', 7, /controlPlane\.type must be "static"/],
  ['controlPlane: {}', 7, /controlPlane\.type must be given$/],
  ['tenants: {}', 7, /tenants must be an array of tenants: current value is an object$/],
  ['tenants:\n  - vni: 1', 7, `${path} line 2: tenants[0].name must be given`],
  ['tenants:\n  - name: blue\n    vni: 0', 7, `${path} line 3: tenants[0].vni must be a whole number from 1 to 16777215: current value is 0`],
  ['tenants:\n  - name: blue\n    vin: 1', 2, `${path} line 3: unknown key "tenants[0].vin": the nearest known key is "tenants[0].vni"`],
  ['tenants: [{ name: blue, controlPlane: { type: static } }]', 2, /unknown key "tenants\[0\]\.controlPlane"/],
  ['tenants:\n  - name: a\n  - name: b\n  - name: a', 7, `${path} line 4: tenants[2].name must be the tenant's own: "a" is also that of tenants[0]`],
  ['tenants:\n  - { name: a, vni: 7 }\n  - { name: b, vni: 7 }', 7, `${path} line 3: tenants[1].vni must be the tenant's own: 7 is also that of tenants[0]`],
  ['tenants: [{ name: a, namespaces: [A_b] }]', 7, /tenants\[0\]\.namespaces\[0\] must be a Kubernetes namespace .*: current value is "A_b"$/],
  ['tenants: [{ name: a, namespaces: blue }]', 7, /tenants\[0\]\.namespaces must be an array/],
  ['tenants: [{ name: a, ipam: { type: weft, ranges: [[{ subnet: 10.1.1.5/24 }]] } }]', 7, /tenants\[0\]\.ipam\.ranges\[0\]\[0\]\.subnet must be a subnet without host bits, such as 10\.1\.1\.0\/24/],
  ['tenants: [{ name: a, isGateway: yes }]', 7, /tenants\[0\]\.isGateway must be true or false: current value is "yes"$/],
  ['[]', 7, `${path} line 1: the configuration must be an object: current value is an array`],
  ['text', 7, /must be an object: current value is "text"$/],
  ['mtu: 1\nmtu: 2', 7, /line 2: Map keys must be unique/],
  ['mtu: [1', 7, new RegExp(`^${path} line 1: `)],
  ['a: b: c', 7, new RegExp(`^${path} line 1: `)],
  ['mtu: !size 1450', 7, /Unresolved tag/],
  ['mtu: 1450\n---\nmtu: 1400', 7, new RegExp(`^${path} line `)],
];
for (const [text, cniCode, message] of refused) t.throws(() => parseNodeConf(text, path), { cniCode, message }, JSON.stringify(text));

t.throws(
  () => parseNodeConf('mtu: big\nnod: x\ntenants:\n  - name: a\n    vni: -1\n', path),
  {
    cniCode: 2,
    message: [
      `${path} line 2: unknown key "nod": the nearest known key is "node"`,
      `${path} line 1: mtu must be a whole number from 68 to 65535: current value is "big"`,
      `${path} line 5: tenants[0].vni must be a whole number from 1 to 16777215: current value is -1`,
    ].join('; '),
  },
  'every fault is in the one message',
);

const aliases = Array.from({ length: 12 }, (_, index) => `a${index + 1}: &a${index + 1} [${Array(9).fill(`*a${index}`).join(', ')}]`).join('\n');
t.throws(() => parseNodeConf(`a0: &a0 [x]\n${aliases}\n`, path), { cniCode: 7, message: new RegExp(`^${path} cannot be read: `) }, 'aliases that multiply');
