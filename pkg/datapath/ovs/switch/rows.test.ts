import t from 'tap';
import { describeSettings, findBridge, findByToken, findOccupant, ownPortRows, portsOf, type OwnBridge } from './rows.ts';
import { interfaceNamed, testRows } from './test-rows.ts';

const local = { name: 'weft-int', type: 'internal', externalIds: { weft: 'bridge' }, ofport: 65534 };
const port = { name: 'p0', externalIds: { weft: 'port', 'weft-token': 'x', container: 'c' }, ofport: 3, ifindex: 7 };
const closed = { name: 'p1', externalIds: { weft: 'port', 'weft-token': 'y' }, ofport: -1 };
const tunnel = { name: 't0', type: 'vxlan', externalIds: { weft: 'tunnel' }, ofport: 1 };
const alien = { name: 'eth1', ofport: 2 };
const rows = testRows([
  { name: 'weft-int', datapathType: 'netdev', externalIds: { weft: 'bridge' }, ports: [local, port, closed, tunnel, alien] },
  { name: 'br0', ports: [{ name: 'br0', type: 'internal' }, { name: 'p9', externalIds: { weft: 'port' } }] },
]);
const bridge = findBridge(rows, 'weft-int') as OwnBridge;

t.match(bridge, { kind: 'own', datapathType: 'netdev', isMade: true, isAsWanted: false }, 'fail_mode is not set');
t.equal(describeSettings(rows, 'weft-int'), 'the bridge weft-int has the fail mode "" and not "secure"');
t.equal(describeSettings(rows, 'br0'), undefined, 'how others set theirs is theirs');
t.same(findBridge(rows, 'br0'), { kind: 'foreign' }, 'a name alone proves nothing');
t.same(findBridge(rows, 'br1'), { kind: 'absent' });
const unmade = testRows([{ name: 'weft-int', externalIds: { weft: 'bridge' }, ports: [{ name: 'weft-int', externalIds: { weft: 'bridge' } }] }]);
t.match(findBridge(unmade, 'weft-int'), { isMade: false, datapathType: 'system' }, 'an empty type is the kernel');

t.same([...portsOf(rows, bridge)], [
  ['p0', { role: 'port', type: '', options: new Map(), externalIds: new Map([['container', 'c']]), ofport: 3, ifIndex: 7 }],
  ['p1', { role: 'port', type: '', options: new Map(), externalIds: new Map() }],
  ['t0', { role: 'tunnel', type: 'vxlan', options: new Map(), externalIds: new Map(), ofport: 1 }],
], "neither the bridge's own port nor somebody else's");

t.match(findOccupant(rows, bridge, 'p0'), { kind: 'own', interface: interfaceNamed(rows, 'p0')[0], token: 'x' });
t.same(['eth1', 'p9', 'weft-int', 'br0', 'new'].map((name) => findOccupant(rows, bridge, name).kind), ['foreign', 'foreign', 'foreign', 'foreign', 'none']);
t.equal(findByToken(rows, 'y'), interfaceNamed(rows, 'p1')[0]);
t.equal(findByToken(rows, 'z'), undefined);

const names = (isMeant: Parameters<typeof ownPortRows>[2]): readonly (string | undefined)[] => ownPortRows(rows, bridge, isMeant).map((uuid) => rows.table('Port').get(uuid)?.name);
t.same(names(() => true), ['p0', 'p1', 't0'], 'only what is weft’s, on this bridge');
t.same(names((name, token) => name === 'p0' && token === 'x'), ['p0']);
t.same(names((name, token) => name === 'p0' && token === 'y'), []);
