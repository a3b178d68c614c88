import t from 'tap';
import { randomFrom, testSeed, type RandomSource } from '../testing/random.ts';
import { output, ports, setField } from './action.ts';
import { decodeEvent, decodeListedPorts } from './event.ts';
import { decodeListedFlows, flowContent, flowKey, flowModRequest, type Flow } from './flow.ts';
import { formatFlow } from './format.ts';
import { decodeListedGroups, groupContent, groupModRequest, type Group } from './group.ts';
import { messageTypes } from './message.ts';
import { testFlows } from './test-flows.ts';

const seed = testSeed();
t.comment(`WEFT_TEST_SEED=${seed}`);

/** A flow as a switch lists it: struct ofp_flow_stats, made of the message that adds it. */
function listed(flow: Flow): Buffer {
  const body = Buffer.from(flowModRequest({ kind: 'add', flow }).body);
  const head = Buffer.alloc(48);
  const bytes = Buffer.concat([head, body.subarray(40)]);
  bytes.writeUInt16BE(bytes.length, 0);
  bytes.writeUInt8(flow.table, 2);
  bytes.writeUInt32BE(12, 4);
  bytes.writeUInt32BE(500_000_000, 8);
  bytes.writeUInt16BE(flow.priority, 12);
  body.copy(bytes, 14, 18, 22);
  body.copy(bytes, 18, 36, 38);
  body.copy(bytes, 24, 0, 8);
  bytes.writeBigUInt64BE(3n, 32);
  bytes.writeBigUInt64BE(180n, 40);
  return bytes;
}

/** A group as a switch lists it: struct ofp_group_desc, made of the message that adds it. */
function listedGroup(group: Group): Buffer {
  const body = Buffer.from(groupModRequest({ kind: 'addGroup', group }).body);
  body.writeUInt16BE(body.length, 0);
  return body;
}

const groups: readonly Group[] = [
  { id: 1, type: 'all', buckets: [{ actions: [setField('tunnelId', 5n), output(1)] }, { actions: [output(ports.inPort)] }] },
  { id: 2, type: 'select', buckets: [{ actions: [output(1)], weight: 5 }] },
  { id: 3, type: 'fastFailover', buckets: [{ actions: [], watchPort: 2 }] },
];

t.test('flows of every kind are decoded from a list', (t) => {
  const decoded = decodeListedFlows(Buffer.concat(testFlows.map(listed)));
  t.equal(decoded.length, testFlows.length);
  for (const [index, flow] of decoded.entries()) {
    const wanted = testFlows[index] as Flow;
    t.same([flowKey(flow), flowContent(flow)], [flowKey(wanted), flowContent(wanted)], formatFlow(wanted));
    t.match(flow, { ageSeconds: 12.5, packets: 3n, bytes: 180n });
  }
  t.end();
});

t.test('what makes flows different', (t) => {
  const flow: Flow = { table: 1, priority: 2, match: { inPort: 3 }, instructions: { apply: [output(4)], gotoTable: 5 } };
  t.equal(flowKey(flow), '1,2,0001000c800000040000000300000000');
  for (const other of [{ table: 2 }, { priority: 3 }, { match: {} }]) t.not(flowKey({ ...flow, ...other }), flowKey(flow), `name: ${Object.keys(other)}`);
  const contents: readonly Partial<Flow>[] = [{ cookie: 1n }, { idleTimeoutSeconds: 1 }, { hardTimeoutSeconds: 1 }, { flags: ['sendFlowRemoved'] }, { instructions: {} }];
  for (const other of contents) {
    t.equal(flowKey({ ...flow, ...other }), flowKey(flow));
    t.not(flowContent({ ...flow, ...other }), flowContent(flow), `content: ${Object.keys(other)}`);
  }
  t.equal(flowContent({ ...flow, cookie: 0n, flags: [], idleTimeoutSeconds: 0 }), flowContent(flow), 'defaults are no difference');
  t.equal(flowContent({ ...flow, instructions: { apply: [], write: [] } }), flowContent({ ...flow, instructions: {} }), 'nor is a list of no actions');
  t.not(groupContent({ id: 1, type: 'indirect', buckets: [] }), groupContent({ id: 1, type: 'all', buckets: [] }));
  t.end();
});

t.test('groups are decoded from a list', (t) => {
  t.same(decodeListedGroups(Buffer.concat(groups.map(listedGroup))), groups);
  t.throws(() => decodeListedGroups(Buffer.from('0008040000000001', 'hex')), { message: /type must be at most 3: current value is 4/ });
  t.end();
});

/** Lengths that lie, ends that come early, numbers that mean nothing: whoever reads a switch's bytes gets a RangeError or a value. */
t.test('damaged bytes are refused or read, and nothing else happens', (t) => {
  const random = randomFrom(seed);
  const match = listed(testFlows[6] as Flow).subarray(48);
  const event = (type: number) => (body: Buffer): unknown => decodeEvent({ type, body });
  const readers: readonly (readonly [string, Buffer, (bytes: Buffer) => unknown])[] = [
    ['flows', Buffer.concat(testFlows.map(listed)), decodeListedFlows],
    ['groups', Buffer.concat(groups.map(listedGroup)), decodeListedGroups],
    ['ports', Buffer.alloc(192, 0x61), decodeListedPorts],
    ['packet-in', Buffer.concat([Buffer.alloc(16), match, Buffer.alloc(62)]), event(messageTypes.packetIn)],
    ['port status', Buffer.alloc(72), event(messageTypes.portStatus)],
    ['flow removed', Buffer.concat([Buffer.alloc(40), match]), event(messageTypes.flowRemoved)],
  ];
  for (const [name, bytes, read] of readers) {
    read(bytes);
    const outcomes = Array.from({ length: 1500 }, () => outcomeOf(() => read(damaged(bytes, random))));
    t.same(outcomes.filter((outcome) => outcome !== 'read' && outcome !== 'refused'), [], name);
    t.ok(outcomes.includes('refused'), `some ${name} are refused`);
  }
  t.end();
});

function outcomeOf(read: () => unknown): string {
  try {
    read();
    return 'read';
  } catch (error) {
    return error instanceof RangeError ? 'refused' : String(error);
  }
}

function damaged(bytes: Buffer, random: RandomSource): Buffer {
  const copy = Buffer.from(bytes.subarray(0, random(3) === 0 ? random(bytes.length) : bytes.length));
  for (let count = random(8); count > 0 && copy.length > 0; count--) copy[random(copy.length)] = random(3) === 0 ? random(256) : (copy[random(copy.length)] as number);
  return copy;
}
