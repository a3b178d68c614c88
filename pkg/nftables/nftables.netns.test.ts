import t from 'tap';
import { openNetlinkIn } from '../netlink/test-socket.ts';
import type { NetlinkSocket } from '../netlink/netlink-socket.ts';
import { runIn } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { nftJson, readRuleset } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { compare, counter, loadMeta, lookup, verdict } from './expression.ts';
import {
  addChain, addElement, addRule, addSet, commitBatch, createTable, deleteElement, deleteTable, describedChain, describedRule, getTable, isDormantTable, listChains, listElements, listRules, type SetElement, type TableName,
} from './nftables.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'nft'] });
const table: TableName = { family: 'bridge', table: 'probe' };

interface Lab {
  readonly netns: string;
  readonly socket: NetlinkSocket;
}

function makeLab(scope: TeardownScope): Lab {
  const netns = createNetns(scope, 'nft');
  return { netns, socket: openNetlinkIn(scope, netns, 'netfilter') };
}

/** An interface and its MAC. */
function portElement(n: number): SetElement {
  return { set: 'ports', key: [Buffer.from(`p${n}`.padEnd(16, '\0')), Uint8Array.of(2, 0, 0, 0, n >> 8, n & 0xff)] };
}

const portSet = addSet(table, { name: 'ports', key: ['interfaceName', 'etherAddress'], id: 1 });

/** The elements of a set as nft(8) prints them. */
function readElements(netns: string, set: string): readonly unknown[] {
  const { nftables } = nftJson<{ readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[] }>(netns, 'list', 'set', table.family, table.table, set);
  return nftables.flatMap((entry) => entry.set?.elem ?? []);
}

void t.test('a table with a set, a chain and rules is what nft(8) would make', { skip }, async (t) => {
  const { netns, socket } = makeLab(t);
  commitBatch(socket, [
    createTable(table),
    portSet,
    addSet(table, { name: 'names', key: ['interfaceName'], id: 3 }),
    addSet(table, { name: 'vteps', key: ['ipv4Address', 'port', 'mark'], id: 2 }),
    addChain(table, { name: 'prerouting', hook: { point: 'prerouting', priority: -350, type: 'filter' } }),
    addChain(table, { name: 'strict' }),
    addRule(table, 'prerouting', [loadMeta('inputInterface'), compare('equal', Buffer.from('weft-p')), verdict('goto', 'strict')]),
    addRule(table, 'strict', [loadMeta('inputInterface'), lookup('names', { isIn: false }), counter(), verdict('drop')]),
  ]);
  const mine = readRuleset(netns);
  const script = `table bridge probe {
    set ports { type ifname . ether_addr; }
    set names { type ifname; }
    set vteps { type ipv4_addr . inet_service . mark; }
    chain prerouting { type filter hook prerouting priority -350; policy accept; iifname "weft-p*" goto strict; }
    chain strict { iifname != @names counter drop; }
  }`;
  const other = createNetns(t, 'oracle');
  runIn(other, 'nft', script);
  t.equal(mine, readRuleset(other));
  t.same(socket.dump(listRules(table)).map((rule) => describedRule(rule)?.chain), ['bridge probe prerouting', 'bridge probe strict']);
  t.same(socket.dump(listRules({ ...table, table: 'none' })), [], 'rules of no table');
  t.same([addRule(table, 'strict', []), createTable(table)].map((rule) => describedRule(rule)?.chain), ['bridge probe strict', undefined]);
});

void t.test('what the kernel lists of rules, chains and tables is what they were made with, until somebody changes it', { skip }, async (t) => {
  const { netns, socket } = makeLab(t);
  const hook = { point: 'prerouting', priority: -350, type: 'filter' } as const;
  const chains = [addChain(table, { name: 'prerouting', hook }), addChain(table, { name: 'strict' })];
  const rules = [addRule(table, 'strict', [counter(), verdict('drop')]), addRule(table, 'strict', [counter(), verdict('accept')])];
  commitBatch(socket, [createTable(table), ...chains, ...rules]);
  const listRulesNow = (): unknown => socket.dump(listRules(table)).map(describedRule);
  const listChainsNow = (): unknown => socket.dump(listChains('bridge')).map(describedChain);
  const isDormant = (): boolean => socket.request([getTable(table)]).flat().some(isDormantTable);
  t.same(listRulesNow(), rules.map(describedRule));
  t.not(describedRule(rules[0] as never)?.mark, describedRule(rules[1] as never)?.mark);
  t.same(listChainsNow(), chains.map(describedChain));
  t.notOk(isDormant());
  const handle = /drop # handle (\d+)/.exec(runIn(netns, 'nft', '-a', 'list', 'chain', 'bridge', 'probe', 'strict'))?.[1] ?? '';
  runIn(netns, 'nft', 'replace', 'rule', 'bridge', 'probe', 'strict', 'handle', handle, 'counter', 'drop');
  t.match(listRulesNow(), [{ chain: 'bridge probe strict', mark: '' }, describedRule(rules[1] as never)], 'the same rule by another hand');
  runIn(netns, 'nft', 'chain', 'bridge', 'probe', 'prerouting', '{ policy drop; }');
  t.strictNotSame(listChainsNow(), chains.map(describedChain));
  runIn(netns, 'nft', 'add', 'table', 'bridge', 'probe', '{ flags dormant; }');
  t.ok(isDormant());
});

void t.test('elements are added and deleted, and read back by nft(8)', { skip }, async (t) => {
  const { netns, socket } = makeLab(t);
  commitBatch(socket, [createTable(table), portSet]);
  commitBatch(socket, [addElement(table, portElement(1)), addElement(table, portElement(2))]);
  const [first, second] = [{ concat: ['p1', '02:00:00:00:00:01'] }, { concat: ['p2', '02:00:00:00:00:02'] }];
  t.same(readElements(netns, 'ports'), [first, second]);
  commitBatch(socket, [addElement(table, portElement(1))]);
  t.same(readElements(netns, 'ports'), [first, second], 'adding one a second time changes nothing');
  commitBatch(socket, [deleteElement(table, portElement(1))]);
  t.same(readElements(netns, 'ports'), [second]);
  t.throws(() => commitBatch(socket, [deleteElement(table, portElement(1))]), { code: 'kernelRefused', errnoCode: 'ENOENT', message: /^Cannot delete from nft set ports: / });
  t.ok(socket.dump(listElements(table, 'ports')).length > 0);
  t.throws(() => socket.dump(listElements(table, 'none')), { code: 'kernelRefused', errnoCode: 'ENOENT', message: /^Cannot list nft set none: / });
});

void t.test('a batch happens as a whole or not at all', { skip }, async (t) => {
  const { netns, socket } = makeLab(t);
  commitBatch(socket, [createTable(table), portSet, addElement(table, portElement(1))]);
  const before = readRuleset(netns);
  const missing = deleteElement(table, portElement(9));
  for (const [what, batch] of [
    ['first', [missing, addElement(table, portElement(2)), deleteElement(table, portElement(1))]],
    ['in the middle', [addElement(table, portElement(2)), missing, deleteElement(table, portElement(1))]],
    ['last', [addElement(table, portElement(2)), deleteElement(table, portElement(1)), missing]],
  ] as const) {
    t.throws(() => commitBatch(socket, batch), { code: 'kernelRefused', errnoCode: 'ENOENT', message: /^Cannot delete from nft set ports: / }, `the bad one is ${what}`);
    t.equal(readRuleset(netns), before, 'nothing has changed');
  }
  t.throws(() => commitBatch(socket, [createTable({ ...table, table: 'other' }), createTable(table)]), { code: 'kernelRefused', errnoCode: 'EEXIST', message: /^Cannot create nft table bridge probe: / });
  t.equal(readRuleset(netns), before, 'no other table either');
});

void t.test('getTable() and deleteTable()', { skip }, async (t) => {
  const { netns, socket } = makeLab(t);
  t.throws(() => socket.request([getTable(table)]), { code: 'kernelRefused', errnoCode: 'ENOENT' });
  t.throws(() => commitBatch(socket, [deleteTable(table)]), { code: 'kernelRefused', errnoCode: 'ENOENT', message: /^Cannot delete nft table bridge probe: / });
  commitBatch(socket, [createTable(table), portSet, addElement(table, portElement(1))]);
  t.equal(socket.request([getTable(table)])[0]?.length, 1);
  commitBatch(socket, [deleteTable(table)]);
  t.equal(readRuleset(netns), '', 'with everything in it');
});

void t.test('a batch of two thousand elements, accepted and refused', { skip }, async (t) => {
  const { netns, socket } = makeLab(t);
  const elements = Array.from({ length: 2000 }, (_, index) => portElement(index));
  commitBatch(socket, [createTable(table), portSet]);
  commitBatch(socket, elements.map((element) => addElement(table, element)));
  t.equal(readElements(netns, 'ports').length, elements.length);
  commitBatch(socket, elements.map((element) => deleteElement(table, element)));
  t.equal(readElements(netns, 'ports').length, 0);
  t.throws(() => commitBatch(socket, elements.map((element) => deleteElement(table, element))), { code: 'kernelRefused', errnoCode: 'ENOENT' }, 'each of them is refused');
  commitBatch(socket, elements.map((element) => addElement(table, element)));
  t.equal(readElements(netns, 'ports').length, elements.length, 'the socket goes on working');
});
