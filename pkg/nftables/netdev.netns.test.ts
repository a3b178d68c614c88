/** Tables of family netdev, and sets that rules add to: what nft(8) would make, and that it does what it says. */
import t from 'tap';
import { openNetlinkIn } from '../netlink/test-socket.ts';
import { decodeLink, getLink } from '../netlink/link.ts';
import type { NetlinkMessage } from '../netlink/codec.ts';
import { startCapture } from '../testing/capture.ts';
import { run, runIn } from '../testing/command.ts';
import { createNetns } from '../testing/netns.ts';
import { readRuleset } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { addToSet, compare, counter, duplicateTo, loadMeta, loadPayload, lookup, setMark, verdict } from './expression.ts';
import {
  addChain, addElement, addRule, addSet, commitBatch, countedPackets, createTable, deleteElement, describedTable, getChain, getElement, listRules, listTables, type TableName,
} from './nftables.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'nft', 'ping', 'tcpdump'] });
const table: TableName = { family: 'netdev', table: 'copies' };
const mark = Uint8Array.of(0x77, 0, 0, 0);
const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
const toMac = [loadPayload({ base: 'link', offset: 0, length: 6 }), compare('equal', mac)];
const captureDeadlineMs = 5000;

void t.test('copies of what a link receives and sends', { skip }, async (t) => {
  const [netns, far] = [createNetns(t, 'near'), createNetns(t, 'far')];
  const lines = [`link add a0 type veth peer name b0 netns ${far}`, 'link add c0 type veth peer name c1', 'link set a0 up', 'link set c0 up', 'link set c1 up', 'address add 192.0.2.1/24 dev a0', 'neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev a0 nud permanent'];
  run('ip', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
  run('ip', ['-n', far, 'link', 'set', 'b0', 'up']);
  const socket = openNetlinkIn(t, netns, 'netfilter');
  const to = decodeLink(openNetlinkIn(t, netns).request([getLink('c0')])[0]?.[0] as NetlinkMessage).index;
  commitBatch(socket, [
    createTable(table),
    addChain(table, { name: 'received', hook: { point: 'ingress', priority: 0, type: 'filter', link: 'a0' } }),
    addChain(table, { name: 'sent', hook: { point: 'egress', priority: 0, type: 'filter', link: 'a0' } }),
    addRule(table, 'received', [...toMac, counter(), ...duplicateTo(to), ...setMark(mark)]),
    addRule(table, 'sent', [...toMac, loadMeta('mark'), compare('notEqual', mark), counter(), ...duplicateTo(to)]),
  ]);
  const listing = readRuleset(netns);
  for (const text of ['type filter hook ingress device "a0" priority filter', 'type filter hook egress device "a0" priority filter', 'dup to "c0" meta mark set 0x00000077', 'meta mark != 0x00000077 counter dup to "c0"']) t.ok(listing.includes(text), text);
  const capture = await startCapture(t, netns, 'c0');
  t.throws(() => runIn(netns, 'ping', '-n', '-c', '3', '-i', '0.01', '-W', '0.1', '192.0.2.9', '-p', '77656674'), 'nobody answers');
  t.ok(await capture.waitFor(() => capture.count('weft') >= 3, captureDeadlineMs));
  await capture.drain();
  t.equal(capture.count('weft'), 3);
  t.same(socket.dump(listRules(table)).map(countedPackets), [0, 3]);
  t.same(socket.dump(listTables('netdev')).map(describedTable), ['copies']);
  t.equal(socket.request([getChain(table, 'sent')])[0]?.length, 1);
  t.throws(() => socket.request([getChain(table, 'none')]), { code: 'kernelRefused', errnoCode: 'ENOENT' });
});

void t.test('a rule that adds to a set, which other rules look into', { skip }, async (t) => {
  const netns = createNetns(t, 'sets');
  const socket = openNetlinkIn(t, netns, 'netfilter');
  const inet: TableName = { family: 'inet', table: 'seen' };
  commitBatch(socket, [
    createTable(inet), addSet(inet, { name: 'names', key: ['interfaceName'], id: 1, isDynamic: true }),
    addChain(inet, { name: 'input', hook: { point: 'input', priority: 0, type: 'filter' } }),
    addRule(inet, 'input', [loadMeta('inputInterface'), lookup('names', { isIn: true }), verdict('accept')]),
    addRule(inet, 'input', [loadMeta('inputInterface'), addToSet('names'), counter()]),
  ]);
  t.match(readRuleset(netns), /set names \{\n\t\ttype ifname\n\t\tsize 65535\n\t\tflags dynamic/);
  const element = { set: 'names', key: [Buffer.from('lo'.padEnd(16, '\0'))] };
  t.throws(() => socket.request([getElement(inet, element)]), { code: 'kernelRefused', errnoCode: 'ENOENT', message: /^Cannot look into nft set names/ });
  run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  runIn(netns, 'ping', '-n', '-c', '2', '-i', '0.01', '127.0.0.1');
  t.equal(socket.request([getElement(inet, element)])[0]?.length, 1, 'one message describes it');
  t.same(socket.dump(listRules(inet)).map(countedPackets), [0, 1], 'the first packet added it, the others pass');
  commitBatch(socket, [addElement(inet, element), deleteElement(inet, element)]);
  t.throws(() => socket.request([getElement(inet, element)]), { code: 'kernelRefused', errnoCode: 'ENOENT' }, 'added again and deleted in one batch, whether it was there or not');
  commitBatch(socket, [addElement(inet, element), deleteElement(inet, element)]);
});
