import t from 'tap';
import { parseAddress, parseMac } from '../netaddr/netaddr.ts';
import { load, move, output, partOf, ports, resubmit, setField, toController, toGroup } from './action.ts';
import type { Flow } from './flow.ts';
import type { Instructions } from './instruction.ts';
import { etherTypes, untagged, type Match } from './match.ts';
import { evaluate, type Evaluation, type PacketFields } from './pipeline.ts';

const flow = (table: number, priority: number, match: Match, instructions: Instructions): Flow => ({ table, priority, match, instructions });
const mac = parseMac('02:00:00:00:00:01');
const packet: PacketFields = { inPort: 5, ethSrc: mac, ethDst: parseMac('ff:ff:ff:ff:ff:ff'), ethType: etherTypes.ipv4, ipv4Src: parseAddress('10.0.0.1') };
const outOf = ({ copies }: Evaluation): readonly number[] => copies.map(({ port }) => port);
const wayOf = ({ visits }: Evaluation): readonly string[] => visits.map(({ table, flow: found }) => `${table} ${found?.priority ?? 'none'}`);

void t.test('which flow is taken', (t) => {
  const flows = [
    flow(0, 1, {}, { apply: [output(1)] }), flow(0, 10, { ipv4Src: parseAddress('10.0.0.2') }, { apply: [output(2)] }),
    flow(0, 9, { inPort: 5, vlanVid: untagged, ethDst: { value: parseMac('01:00:00:00:00:00'), mask: parseMac('01:00:00:00:00:00') } }, { apply: [output(3)] }),
  ];
  t.same(wayOf(evaluate(flows, packet)), ['0 9'], 'the highest that matches, whatever the order; a field that is absent is zero');
  t.same(outOf(evaluate(flows, { ...packet, ipv4Src: parseAddress('10.0.0.2') })), [2]);
  t.same(outOf(evaluate(flows, { ...packet, ethDst: mac })), [1], 'the bit under the mask');
  t.same(wayOf(evaluate([], packet)), ['0 none'], 'nothing: dropped');
  t.end();
});

void t.test('what is done', (t) => {
  const through = (...instructions: readonly Instructions[]): Evaluation => evaluate(instructions.map((one, table) => flow(table, 1, {}, one)), packet);
  t.same(outOf(through({ apply: [output(5), output(ports.inPort), toController(), output(7)] })), [ports.inPort, 7], 'back only by IN_PORT; the controller is no way');
  const written = through({ writeMetadata: 0x3e9n, apply: [setField('tunnelId', 7n), move('ethSrc', 'ethDst'), load(0x5n, { field: 'reg0', offset: 4, bits: 4 })], gotoTable: 1 }, { writeMetadata: { value: 0xff00n, mask: 0xff00n }, gotoTable: 2 }, { apply: [output(9), setField('tunnelId', 8n), output(10)] });
  const [first, second] = written.copies;
  t.same([first?.read('tunnelId'), second?.read('tunnelId')], [7n, 8n], 'each copy is as it was then');
  t.same([first?.read('metadata'), first?.read('ethDst'), first?.read('reg0'), first?.read('reg1')], [0xffe9n, 0x020000000001n, 0x50n, 0n]);
  const part = through({ apply: [move({ field: 'ethSrc', offset: 0, bits: 8 }, { field: 'reg0', offset: 8, bits: 8 }), load(0x1ffn, partOf({ field: 'reg1', offset: 0, bits: 8 })), output(1)] });
  t.same([part.copies[0]?.read('reg0'), part.copies[0]?.read('reg1')], [0x100n, 0xffn], 'no more than its bits');
  t.end();
});

void t.test('resubmit comes back', (t) => {
  const flows = [
    flow(0, 1, {}, { apply: [resubmit(2, { port: 6 }), output(6)], gotoTable: 1 }), flow(1, 1, { metadata: 1n }, { apply: [output(1)] }),
    flow(2, 1, { inPort: 6 }, { apply: [setField('metadata', 1n), output(5)] }),
  ];
  const found = evaluate(flows, packet);
  t.same(wayOf(found), ['0 1', '2 1', '1 1']);
  t.same(outOf(found), [5, 6, 1], 'as another port meanwhile, and with what was written there');
  t.end();
});

void t.test('what is not known is said', (t) => {
  const unknown = (instructions: Instructions, match: Match = {}): string => evaluate([flow(0, 1, match, instructions)], packet).unknown ?? '';
  t.match(unknown({ apply: [{ kind: 'unknown', bytes: 'ff' }] }), /an action that weft's flows do not have: table=0, priority=1/);
  t.match(unknown({ apply: [toGroup(1)] }), /an action/);
  t.match(unknown({ apply: [output(ports.normal)] }), /a port that stands for several/);
  t.match(unknown({ write: [output(1)] }), /an instruction/);
  t.match(unknown({ unknown: ['00'] }), /an instruction/);
  t.match(unknown({}, { unknown: [{ header: 0x12340004, bytes: '00000000' }] }), /a field that weft does not know/);
  t.equal(evaluate([flow(0, 1, { inPort: 6, unknown: [{ header: 0x12340004, bytes: '00000000' }] }, {}), flow(0, 0, {}, { apply: [output(1)] })], packet).unknown, undefined, 'of a flow that does not match anyway it does not matter');
  t.match(evaluate([flow(0, 1, {}, { apply: [resubmit(0)] })], packet).unknown, /more than 64 tables/, 'a loop ends');
  t.end();
});
