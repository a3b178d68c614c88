import t from 'tap';
import { addToSet, compare, counter, duplicateTo, loadConnectionState, loadMeta, loadPayload, lookup, mask, masquerade, noTrack, setMark, swallow, toHostOrder, verdict, type Expression } from './expression.ts';

// Golden bytes after include/uapi/linux/netfilter/nf_tables.h: NFTA_EXPR_NAME, then NFTA_EXPR_DATA with the expression's own
// attributes; numbers in network byte order; values wrapped in NFTA_DATA_VALUE. What they mean to the kernel is shown by
// the listing in ../datapath/linuxbridge/testdata/guard.nft.
const register8 = '0800010000000008';
const rows: readonly (readonly [what: string, expression: Expression, expected: readonly string[]])[] = [
  ['meta iifname', loadMeta('inputInterface'), ['090001006d65746100000000', '14000280', register8, '0800020000000006']],
  ['meta oifname behind an interface name', loadMeta('outputInterface', { word: 4 }), ['090001006d65746100000000', '14000280', '080001000000000c', '0800020000000007']],
  ['ether saddr', loadPayload({ base: 'link', offset: 6, length: 6 }), ['0c0001007061796c6f616400', '24000280', register8, '0800020000000000', '0800030000000006', '0800040000000006']],
  ['udp dport in word 1', loadPayload({ base: 'transport', offset: 2, length: 2 }, { word: 1 }), ['0c0001007061796c6f616400', '24000280', '0800010000000009', '0800020000000002', '0800030000000002', '0800040000000002']],
  ['ct state', loadConnectionState(), ['0700010063740000', '14000280', register8, '0800020000000000']],
  ['!= 0x0806', compare('notEqual', Uint8Array.of(8, 6)), ['08000100636d7000', '20000280', register8, '0800020000000001', '0c000380', '0600010008060000']],
  ['& 0xf0', mask(Uint8Array.of(0xf0)), ['0c0001006269747769736500', '34000280', register8, '0800020000000008', '0800030000000001', '0c000480', '05000100f0000000', '0c000580', '0500010000000000']],
  ['network to host order', toHostOrder({ word: 1 }), ['0e000100627974656f72646572000000', '2c000280', '0800010000000009', '0800020000000009', '0800030000000000', '0800040000000004', '0800050000000004']],
  ['in a set', lookup('ports', { isIn: true }), ['0b0001006c6f6f6b75700000', '20000280', '0a000100706f727473000000', '0800020000000008', '0800050000000000']],
  ['in no set', lookup('ports', { isIn: false }), ['0b0001006c6f6f6b75700000', '20000280', '0a000100706f727473000000', '0800020000000008', '0800050000000001']],
  ['add to a set', addToSet('ports'), ['0b00010064796e7365740000', '20000280', '0a000100706f727473000000', '0800030000000000', '0800040000000008']],
  ['meta mark', loadMeta('mark'), ['090001006d65746100000000', '14000280', register8, '0800020000000003']],
  ['meta mark set', Buffer.concat(setMark(Uint8Array.of(0x77, 0, 0, 0))), ['0e000100696d6d656469617465000000', '18000280', register8, '0c0002800800010077000000', '090001006d65746100000000', '14000280', '0800020000000003', '0800030000000008']],
  ['fwd to nowhere', Buffer.concat(swallow()), ['0e000100696d6d656469617465000000', '18000280', register8, '0c00028008000100ffffff7f', '0800010066776400', '0c000280', '0800010000000008']],
  ['dup to', Buffer.concat(duplicateTo(258)), ['0e000100696d6d656469617465000000', '18000280', register8, '0c0002800800010002010000', '0800010064757000', '0c000280', '0800020000000008']],
  ['counter', counter(), ['0c000100636f756e74657200', '04000280']],
  ['notrack', noTrack(), ['0c0001006e6f747261636b00', '04000280']],
  ['masquerade', masquerade(), ['090001006d61737100000000', '04000280']],
  ['drop', verdict('drop'), ['0e000100696d6d656469617465000000', '1c000280', '0800010000000000', '10000280', '0c000280', '0800010000000000']],
  ['goto (a negative number)', verdict('goto', 'a'), ['0e000100696d6d656469617465000000', '24000280', '0800010000000000', '18000280', '14000280', '08000100fffffffc', '0600020061000000']],
];
for (const [what, expression, expected] of rows) t.equal(Buffer.from(expression).toString('hex'), expected.join(''), what);
