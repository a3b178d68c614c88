import t from 'tap';
import type { NetlinkRequest } from '../netlink/codec.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { addElement, addSet, commitBatch, createTable, deleteTable, keyOf, type TableName } from './nftables.ts';

const table: TableName = { family: 'inet', table: 'weft' };
const name16 = Buffer.from('eth0'.padEnd(16, '\0'));

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

// A part of a concatenation is padded to whole 32-bit registers, a key that stands alone is not.
const keys: readonly (readonly [what: string, key: readonly Uint8Array[], expected: string])[] = [
  ['an interface name', [name16], hex(name16)],
  ['a port', [Uint8Array.of(0x12, 0xb5)], '12b5'],
  ['a port and a mark', [Uint8Array.of(0x12, 0xb5), Uint8Array.of(1, 2, 3, 4)], '12b50000' + '01020304'],
  ['an interface name and a MAC', [name16, Uint8Array.of(2, 0, 0, 0, 0, 5)], `${hex(name16)}0200000000050000`],
];
for (const [what, key, expected] of keys) t.equal(hex(keyOf({ set: 's', key })), expected, what);

t.match(createTable(table), { type: 0x0a00, flags: 0x600, what: 'create nft table inet weft' }, 'NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL');
t.equal(hex(createTable(table).payload), '01000000' + '090001007765667400000000', 'struct nfgenmsg of the family, NFTA_TABLE_NAME');
t.equal(createTable({ ...table, family: 'bridge' }).payload[0], 7);
t.match(addElement(table, { set: 'ports', key: [name16] }), { type: 0x0a0c, flags: 0x400, what: 'add to nft set ports' });

// NFTA_SET_KEY_TYPE (4) packs nft(8)'s type numbers six bits each, NFTA_SET_KEY_LEN (5) counts padded bytes.
const sets: readonly (readonly [key: Parameters<typeof addSet>[1]['key'], type: number, bytes: number])[] = [
  [['interfaceName'], 41, 16], [['port'], 13, 2], [['interfaceName', 'etherAddress'], (41 << 6) | 9, 24], [['ipv6Address', 'port', 'mark'], (8 << 12) | (13 << 6) | 19, 24],
];
for (const [key, type, bytes] of sets) {
  const payload = hex(addSet(table, { name: 's', key, id: 1 }).payload);
  const number = (value: number): string => value.toString(16).padStart(8, '0');
  t.ok(payload.includes(`08000400${number(type)}08000500${number(bytes)}`), key.join(' . '));
}

t.test('commitBatch() puts a batch between brackets', async (t) => {
  const sent: (readonly NetlinkRequest[])[] = [];
  const netlink: Netlink = { request: (requests) => (sent.push(requests), []), tryRequest: () => [], dump: () => [], close: () => undefined };
  commitBatch(netlink, []);
  t.same(sent, [], 'nothing is no batch');
  commitBatch(netlink, [deleteTable(table), createTable(table), createTable({ ...table, family: 'bridge' })]);
  t.equal(sent.length, 1, 'one exchange');
  t.same(sent[0]?.map(({ type, isUnacknowledged = false }) => [type, isUnacknowledged]), [[0x10, true], [0x0a02, true], [0x0a00, true], [0x0a00, false], [0x11, true]]);
  t.equal(hex(sent[0]?.[0]?.payload ?? Buffer.of()), '0000000a', 'NFNL_SUBSYS_NFTABLES in network byte order');
});
