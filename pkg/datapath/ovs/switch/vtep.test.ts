import t from 'tap';
import { arrivalLinks, checkVtep } from './vtep.ts';
import { testRows } from './test-rows.ts';

const rows = testRows([
  { name: 'weft-int', datapathType: 'netdev', externalIds: { weft: 'bridge' }, ports: [{ name: 'weft-int', type: 'internal' }] },
  { name: 'br-phy', datapathType: 'netdev', ports: [{ name: 'br-phy', type: 'internal' }, { name: 'eth0' }, { name: 'vtep0', type: 'internal' }] },
  { name: 'br-old', ports: [{ name: 'br-old', type: 'internal' }] },
]);
const check = (egressLink: string, datapathType: 'netdev' | 'system' = 'netdev'): string | undefined => checkVtep(rows, 'weft-int', { egressLink, datapathType });

t.equal(check('br-phy'), undefined);
t.equal(check('vtep0'), undefined, 'any internal port of the bridge');
t.match(check('eth1'), /leave by eth1, which is not a port of Open vSwitch.*add-port br-phy eth1/);
t.match(check('eth0'), /leave by eth0, past the bridge br-phy that it is a port of: move the VTEP's address and its routes from eth0 to br-phy/);
t.match(check('weft-int'), /weft's own and has no way out/);
t.match(check('br-old'), /bridge br-old, which has the datapath type "system": make that bridge anew with datapath_type=netdev/);
t.same(['eth1', 'eth0', 'weft-int', 'br-old'].map((link) => check(link, 'system')), [undefined, undefined, undefined, undefined], 'the kernel routes');

t.same(arrivalLinks(rows, 'br-phy'), ['br-phy', 'eth0'], 'the card of the bridge as well');
t.same(arrivalLinks(rows, 'vtep0'), ['vtep0', 'eth0']);
t.same(arrivalLinks(rows, 'eth0'), ['eth0'], 'a card, which the kernel has for itself');
t.same(arrivalLinks(rows, 'eth9'), ['eth9']);
