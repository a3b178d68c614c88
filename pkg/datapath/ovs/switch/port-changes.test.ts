import t from 'tap';
import type { Replica } from '../../../ovsdb/replica.ts';
import { PortChanges } from './port-changes.ts';
import type { Watched } from './rows.ts';
import { interfaceNamed, testRows } from './test-rows.ts';

const externalIds = { weft: 'port' };
const port = { name: 'p0', externalIds, ofport: 1, ifindex: 7 };
const others = [{ name: 'p1', externalIds, ofport: 2 }, { name: 'eth1', ofport: 3 }];

function rowsWith(...ports: readonly object[]): Replica<Watched> {
  return testRows([{ name: 'weft-int', externalIds: { weft: 'bridge' }, ports: ports as readonly (typeof port)[] }]);
}

function start(isBusy: (name: string) => boolean = () => false): { readonly changes: PortChanges; readonly told: (readonly string[])[]; readonly rows: Replica<Watched> } {
  const changes = new PortChanges(isBusy);
  const told: (readonly string[])[] = [];
  changes.onChange((names) => told.push([...names]));
  const rows = rowsWith(port, ...others);
  changes.take({ isInitial: true, changes: [] }, rows);
  return { changes, told, rows };
}

/** What the monitor would tell of one message that leaves the rows as they are given. */
function tell(changes: PortChanges, rows: Replica<Watched>, message: object): void {
  const all = rows.apply({ Interface: message }, 'update2');
  changes.take({ isInitial: false, changes: all }, rows);
}

t.test('the first copy tells nothing, changes and losses of own ports do', (t) => {
  const { changes, told, rows } = start();
  const [p0] = interfaceNamed(rows, 'p0');
  const [p1] = interfaceNamed(rows, 'p1');
  const [eth1] = interfaceNamed(rows, 'eth1');
  t.same(told, []);
  tell(changes, rows, { [p0]: { modify: { link_state: 'up' } }, [p1]: { modify: { ifindex: 9 } } });
  t.same(told, [], 'the link comes up, and a number is known now');
  tell(changes, rows, { [p0]: { modify: { ifindex: 0 } } });
  t.same(told, [['p0']]);
  tell(changes, rows, { [p1]: { delete: null }, [eth1]: { delete: null } });
  t.same(told, [['p0'], ['p1']], "somebody else's is none of ours");
  t.end();
});

t.test('what comes is not told, what comes in the place of another is', (t) => {
  const { changes, told, rows } = start();
  const [p0] = interfaceNamed(rows, 'p0');
  tell(changes, rows, { '00000000-0000-4000-8000-00000000f001': { insert: { name: 'p2', external_ids: ['map', [['weft', 'port']]] } } });
  t.same(told, []);
  tell(changes, rows, { '00000000-0000-4000-8000-00000000f002': { insert: { name: 'p0', external_ids: ['map', [['weft', 'port']]] } }, [p0]: { delete: null } });
  t.same(told, [['p0']]);
  t.end();
});

t.test('a port that is worked on here is not told', (t) => {
  const { changes, told, rows } = start((name) => name === 'p0');
  tell(changes, rows, { [interfaceNamed(rows, 'p0')[0]]: { delete: null } });
  t.same(told, []);
  t.end();
});

t.test('over a lost connection what was known is compared', (t) => {
  const { changes, told } = start();
  changes.take({ isInitial: true, changes: [] }, rowsWith(port, ...others));
  t.same(told, [], 'other rows, which say the same');
  changes.take({ isInitial: true, changes: [] }, rowsWith({ ...port, ifindex: undefined }, ...others));
  t.same(told, [], 'ovs-vswitchd has not looked again');
  changes.take({ isInitial: true, changes: [] }, rowsWith({ ...port, ofport: 9 }));
  t.same(told, [['p0', 'p1']]);
  t.end();
});

t.test('a listener that ended is not told', (t) => {
  const { changes, rows } = start();
  const told: unknown[] = [];
  const stop = changes.onChange((names) => told.push(names));
  stop();
  tell(changes, rows, { [interfaceNamed(rows, 'p0')[0]]: { delete: null } });
  t.same(told, []);
  t.end();
});
