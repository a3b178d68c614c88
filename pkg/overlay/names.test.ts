import t from 'tap';
import { parseVni, vniMax } from '../netaddr/netaddr.ts';
import type { AttachmentKey } from './model.ts';
import { bridgeName, bridgePrefix, isPortName, isSegmentName, portAlias, portName, portPrefix, shaperPrefix, spareName, sparePortName, sparePortPrefix, sparePrefix, sparesPrefix, standInBridgeName, standInPortName, standInVxlanName, tenantShaperName, tenantShaperPrefixes, vxlanName, vxlanPrefix } from './names.ts';

/** IFNAMSIZ − 1, include/uapi/linux/if.h. */
const ifNameBytesMax = 15;
const key: AttachmentKey = { network: 'blue', containerId: 'c1', ifName: 'eth0' };

t.equal(bridgeName(parseVni(1)), 'weft-br1');
t.equal(vxlanName(parseVni(1001)), 'weft-vx1001');
t.equal(spareName(parseVni(1001)), 'weft-sp1001');
t.equal(sparePortName(parseVni(1001)), 'weft-sf1001');
for (const name of [...[bridgeName, vxlanName, spareName, sparePortName, standInBridgeName, standInVxlanName, standInPortName].map((nameOf) => nameOf(parseVni(vniMax))), portName(key)]) t.equal(name.length, ifNameBytesMax, `${name} is as long as a name can be`);

t.same([standInBridgeName, standInVxlanName, standInPortName].map((nameOf) => nameOf(parseVni(1001))), ['weft-sb1001', 'weft-sx1001', 'weft-se1001']);
for (const nameOf of [standInBridgeName, standInVxlanName, standInPortName]) t.ok(nameOf(parseVni(1)).startsWith(sparesPrefix), 'the guard takes nothing that comes out of it');

t.match(portName(key), /^weft-p[a-z2-7]{9}$/);
t.equal(portName(key), 'weft-pigjw3qowz', 'a node that is upgraded finds the ports of the version before');
t.equal(portName({ ...key }), portName(key), 'the same for the same key');

const others: readonly AttachmentKey[] = [
  { ...key, network: 'red' }, { ...key, containerId: 'c2' }, { ...key, ifName: 'eth1' },
  { network: 'bluec1', containerId: '', ifName: 'eth0' }, { network: 'blue', containerId: 'c', ifName: '1eth0' }, { network: 'blue","c1', containerId: '', ifName: 'eth0' },
];
t.equal(new Set([key, ...others].map(portName)).size, others.length + 1, 'parts that run into each other make different names');
const many = Array.from({ length: 20_000 }, (_, index) => portName({ ...key, containerId: `c${index}` }));
t.equal(new Set(many).size, many.length, 'no collision among 20000');

t.equal(portAlias(key, 'blue'), 'weft tenant blue network blue container c1 eth0');
t.equal(portAlias(key, 'blue', 'shop/web-0'), 'weft tenant blue network blue pod shop/web-0 container c1 eth0');

t.equal(portAlias(key, 'blue', 'a\u001b[2J\n/b\u009b'), 'weft tenant blue network blue pod a?[2J?/b? container c1 eth0', 'nothing that a terminal obeys');

/** IFALIASZ − 1: the kernel refuses an alias of 256 bytes (include/uapi/linux/if.h). */
const aliasBytesMax = 255;
const fixedBytes = Buffer.byteLength(portAlias({ ...key, containerId: '' }, 'blue'));
const room = aliasBytesMax - fixedBytes;
t.equal(Buffer.byteLength(portAlias({ ...key, containerId: 'x'.repeat(room) }, 'blue')), aliasBytesMax);
t.ok(portAlias({ ...key, containerId: 'x'.repeat(room) }, 'blue').endsWith(' eth0'), 'an alias that just fits is whole');
t.equal(Buffer.byteLength(portAlias({ ...key, containerId: 'x'.repeat(room + 1) }, 'blue')), aliasBytesMax, 'one more byte is cut off');

for (const character of ['é', '€', '😀']) {
  for (let shift = 0; shift < 4; shift += 1) {
    const tenant = 'x'.repeat(shift) + character.repeat(300);
    const alias = portAlias(key, tenant);
    const bytes = Buffer.byteLength(alias);
    t.ok(bytes <= aliasBytesMax && bytes > aliasBytesMax - Buffer.byteLength(character), `${character} after ${shift} bytes: ${bytes} bytes`);
    t.ok(`weft tenant ${tenant}`.startsWith(alias), 'cut between two characters');
  }
}

t.equal(isPortName(portName(key)), true);
for (const name of ['weft-proxy0', 'weft-p', 'weft-pigjw3qow', 'weft-pigjw3qowzz', 'weft-pIGJW3QOWZ', 'weft-p000000000', 'eth0']) t.equal(isPortName(name), false, `${name} is somebody else's`);
t.equal(isSegmentName(bridgeName(parseVni(1001)), bridgePrefix), true);
t.equal(isSegmentName(vxlanName(parseVni(vniMax)), vxlanPrefix), true);
for (const name of ['weft-br', 'weft-br0', 'weft-br01', 'weft-bridge', 'weft-br123456789', 'weft-vx1001']) t.equal(isSegmentName(name, bridgePrefix), false, `${name} is no bridge of weft's`);
for (const [name, prefix] of [[spareName(parseVni(1001)), sparePrefix], [sparePortName(parseVni(vniMax)), sparePortPrefix]] as const) {
  t.equal(isSegmentName(name, prefix), true);
  for (const other of [bridgePrefix, vxlanPrefix]) t.equal(isSegmentName(name, other), false);
  for (const guarded of [portPrefix, shaperPrefix]) t.notOk(name.startsWith(guarded), `${name} is no container's`);
}

for (const direction of ['ingress', 'egress'] as const) {
  for (const vni of [1, 1001, 2345672, 16777215].map((number) => parseVni(number))) {
    const name = tenantShaperName(vni, direction);
    t.ok(name.length <= 15, name);
    t.ok(isSegmentName(name, tenantShaperPrefixes[direction]));
    t.notOk(isPortName(name, shaperPrefix), `${name} is no container's shaper`);
  }
}
