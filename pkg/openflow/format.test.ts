import t from 'tap';
import { flowModRequest, type Flow } from './flow.ts';
import { formatFilter, formatFlow, formatInstructions, formatMatch } from './format.ts';
import { decodeMatch, encodeMatch } from './match.ts';
import { testInstructions, testMatches } from './test-flows.ts';

// As a switch lists them: without the bits that are outside of a mask.
for (const [text, match] of testMatches) t.equal(formatMatch(decodeMatch(encodeMatch(match)).match), text, text || 'everything');
for (const [text, , instructions] of testInstructions) t.equal(formatInstructions(instructions), text);

const flow: Flow = { table: 3, priority: 7, cookie: 0x1234n, idleTimeoutSeconds: 5, hardTimeoutSeconds: 6, flags: ['sendFlowRemoved', 'noByteCounts'], match: { ethType: 0x0806, arpOp: 1 }, instructions: {} };
t.equal(formatFlow(flow), 'cookie=0x1234, table=3, idle_timeout=5, hard_timeout=6, send_flow_rem, no_byte_counts, priority=7,arp,arp_op=1 actions=drop');
t.equal(formatMatch({ unknown: [{ header: 0x0001d308, bytes: '0000000100000001' }] }), 'oxm:0x0001d308=0000000100000001');
t.equal(formatInstructions({ apply: [{ kind: 'unknown', bytes: '0018000800000000' }], unknown: ['ffff0008'] }), 'action:0018000800000000,instruction:ffff0008');

t.equal(formatFilter({}), 'of every kind');
t.equal(formatFilter({ table: 3, cookie: 5n, outPort: 2, outGroup: 4, match: { metadata: 1n } }), 'table=3,cookie=0x5/-1,out_port=2,out_group=4,metadata=0x1');
t.equal(formatFilter({ cookie: 5n, cookieMask: 0xffn }), 'cookie=0x5/0xff');

const rest = 'flow cookie=0x1234, table=3, idle_timeout=5, hard_timeout=6, send_flow_rem, no_byte_counts, priority=7,arp,arp_op=1 actions=drop';
t.equal(flowModRequest({ kind: 'add', flow }).describe(), `add ${rest}`);
t.equal(flowModRequest({ kind: 'modify', flow }).describe(), `modify ${rest}`);
t.equal(flowModRequest({ kind: 'modifyStrict', flow }).describe(), `modify ${rest}`);
t.equal(flowModRequest({ kind: 'delete', filter: { table: 3 } }).describe(), 'delete flows table=3');
t.equal(flowModRequest({ kind: 'deleteStrict', flow }).describe(), 'delete flow table=3, priority=7,arp,arp_op=1');
