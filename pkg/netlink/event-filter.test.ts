import t from 'tap';
import { encodeMessage } from './codec.ts';
import { encodeEventFilter, routeEventRules, type EventRule } from './event-filter.ts';

/** What the kernel's machine does with the instructions the filter is made of (Documentation/networking/filter.rst). */
function runFilter(program: ArrayBuffer, packet: Buffer): number {
  const code = new DataView(program);
  let accumulator = 0;
  for (let at = 0; at < program.byteLength; at += 8) {
    const [operation, ifTrue, ifFalse, k] = [code.getUint16(at, true), code.getUint8(at + 2), code.getUint8(at + 3), code.getUint32(at + 4, true)];
    // A load from beyond the end gives the packet up.
    if (operation === 0x28 && k + 2 > packet.length) return 0;
    if (operation === 0x30 && k + 1 > packet.length) return 0;
    if (operation === 0x28) accumulator = packet.readUInt16BE(k);
    else if (operation === 0x30) accumulator = packet.readUInt8(k);
    else if (operation === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (operation === 0x15) at += 8 * (accumulator === k ? ifTrue : ifFalse);
    else if (operation === 0x06) return k;
    else throw new Error(`unknown instruction ${operation.toString(16)}`);
  }
  throw new Error('the program runs over its end, which the kernel refuses');
}

function passes(rules: readonly EventRule[], type: number, payload = '0000000000000000'): boolean {
  const packet = encodeMessage({ type, flags: 0, payload: Buffer.from(payload.replaceAll(' ', ''), 'hex') }, 0);
  const verdict = runFilter(encodeEventFilter(rules), packet);
  t.ok(verdict === 0 || verdict >= packet.length, 'all of a message or nothing');
  return verdict !== 0;
}

t.test('the types of routing events', async (t) => {
  const wanted = new Set([16, 17, 20, 21, 24, 25, 37, 45]);
  for (let type = 0; type < 128; type += 1) t.equal(passes(routeEventRules, type), wanted.has(type), `type ${type}`);
  t.notOk(passes(routeEventRules, 0x1000), 'RTM_NEWLINK in the other byte order');
  t.notOk(passes(routeEventRules, 0x0110), 'only the low byte is right');
});

// struct ndmsg: family, padding, index, state, flags, type.
const neighbours: readonly (readonly [what: string, header: string, coming: boolean, going: boolean])[] = [
  ['a static entry of a bridge', '07 00 0000 02000000 4000 04 00', false, true],
  ['a permanent entry of a bridge', '07 00 0000 02000000 8000 04 00', false, true],
  ['a permanent entry of a VXLAN device', '07 00 0000 02000000 8000 02 00', true, true],
  ['an entry of the flood list', '07 00 0000 02000000 c000 02 00', true, true],
  ['a learned entry', '07 00 0000 02000000 0200 04 00', false, false],
  ['a learned entry that has aged', '07 00 0000 02000000 0400 04 00', false, false],
  ["a control plane's dynamic entry", '07 00 0000 02000000 0200 12 00', true, true],
  ["a control plane's dynamic entry that has aged", '07 00 0000 02000000 0400 14 00', true, true],
  ['ARP', '02 00 0000 02000000 0200 00 01', false, false],
  ['a permanent ARP entry', '02 00 0000 02000000 8000 00 01', false, false],
  ['neighbour discovery', '0a 00 0000 02000000 0400 00 01', false, false],
  ['an IP neighbour of a control plane', '02 00 0000 02000000 0200 10 01', false, false],
];
for (const [what, header, coming, going] of neighbours) {
  t.equal(passes(routeEventRules, 28, header), coming, `RTM_NEWNEIGH: ${what}`);
  t.equal(passes(routeEventRules, 29, header), going, `RTM_DELNEIGH: ${what}`);
}
t.notOk(passes(routeEventRules, 29, ''), 'RTM_DELNEIGH without its header');

// struct rtmsg: family, prefix lengths of destination and source, TOS, table, protocol, scope, type.
const routes: readonly (readonly [what: string, header: string, coming: boolean, going: boolean])[] = [
  ['the default route', '02 00 00 00 fe 04 00 01', true, true],
  ['a route to a subnet', '02 18 00 00 fe 02 fd 01', false, true],
  ['a route to a subnet that somebody has added', '02 18 00 00 fe 04 00 01', true, true],
  ['a route to a subnet of a routing daemon', '0a 40 00 00 fe ba 00 01', true, true],
  ['a default route of another table', '0a 00 00 00 64 04 00 01', true, true],
  ['a local address', '02 20 00 00 ff 02 fe 02', false, false],
  ['the broadcast of 0.0.0.0/0', '02 00 00 00 ff 02 fd 03', false, false],
];
for (const [what, header, coming, going] of routes) {
  t.equal(passes(routeEventRules, 24, header), coming, `RTM_NEWROUTE: ${what}`);
  t.equal(passes(routeEventRules, 25, header), going, `RTM_DELROUTE: ${what}`);
}
for (const [family, isWanted] of [['00', true], ['07', true], ['0a', false]] as const) t.equal(passes(routeEventRules, 16, `${family}000000`), isWanted, `RTM_NEWLINK of family ${family}`);

t.test('a rule that does not match leads to the next one', async (t) => {
  const rules = [
    { type: 1, where: [{ offset: 0, mask: 0xff, value: 1 }, { offset: 1, mask: 0x0f, value: 2 }] },
    { type: 1, where: [{ offset: 0, mask: 0xff, value: 9 }] },
    { type: 2 },
  ];
  t.ok(passes(rules, 1, '01020000'));
  t.ok(passes(rules, 1, '01f20000'), 'bits outside the mask do not count');
  t.notOk(passes(rules, 1, '01030000'));
  t.ok(passes(rules, 1, '09030000'));
  t.ok(passes(rules, 2, '00000000'));
  t.notOk(passes([], 1), 'no rule, no message');
});

t.equal(runFilter(encodeEventFilter(routeEventRules), Buffer.alloc(5)), 0, 'less than a header');
