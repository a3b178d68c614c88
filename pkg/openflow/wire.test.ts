/** The bytes of every request, and what ovs-ofctl(8) reads in them. */
import t from 'tap';
import { parseMac } from '../netaddr/netaddr.ts';
import { run } from '../testing/command.ts';
import { skipUnless } from '../testing/requirements.ts';
import { load, move, output, ports, resubmit, setField, toController, toGroup, type Action } from './action.ts';
import { bundleAdd, bundleControl } from './bundle.ts';
import { listPortsRequest, packetOutRequest } from './event.ts';
import { flowModRequest, listFlowsRequest, type Flow } from './flow.ts';
import { groupModRequest, listGroupsRequest } from './group.ts';
import { barrierRequest, echoRequest, encodeRequest, featuresRequest, hello, setConfig, type Request } from './message.ts';

const xid = 7;
const flow: Flow = {
  table: 10,
  priority: 60,
  cookie: 0x1234n,
  idleTimeoutSeconds: 5,
  hardTimeoutSeconds: 9,
  flags: ['sendFlowRemoved'],
  match: { metadata: 1001n, ethType: 0x0806, arpOp: 1 },
  instructions: { apply: [move('ethSrc', 'ethDst'), setField('ethSrc', parseMac('02:00:00:00:00:01')), output(ports.inPort)], gotoTable: 20 },
};
const flowHead = '0000000000001234' + '0000000000000000' + '0a' + '00' + '0005' + '0009' + '003c' + 'ffffffff' + 'ffffffff' + 'ffffffff' + '0001' + '0000';
const flowMatch = '0001001c' + '8000040800000000000003e9' + '80000a020806' + '80002a020001' + '00000000';
const flowActions = 'ffff0018000023200006' + '00300000000080000806' + '80000606' + '00190010' + '80000806020000000001' + '0000' + '00000010fffffff8' + '0000000000000000';
const flowInstructions = `00040040${'00000000'}${flowActions}` + '0001000814000000';

const rows: readonly { readonly name: string; readonly request: Request; readonly hex: string; readonly text: RegExp }[] = [
  { name: 'hello', request: hello(), hex: '0400001000000007' + '0001000800000010', text: /OFPT_HELLO \(OF1.3\) \(xid=0x7\):\n version bitmap: 0x04$/ },
  { name: 'echo', request: echoRequest(Buffer.from('abc')), hex: '0402000b00000007616263', text: /OFPT_ECHO_REQUEST .* 3 bytes of payload/ },
  { name: 'barrier', request: barrierRequest(), hex: '0414000800000007', text: /^OFPT_BARRIER_REQUEST \(OF1.3\) \(xid=0x7\):$/ },
  { name: 'features', request: featuresRequest(), hex: '0405000800000007', text: /^OFPT_FEATURES_REQUEST/ },
  { name: 'config', request: setConfig({ missSendBytes: 128 }), hex: '0409000c0000000700000080', text: /frags=normal miss_send_len=128$/ },
  {
    name: 'a flow is added',
    request: flowModRequest({ kind: 'add', flow }),
    hex: `040e009800000007${flowHead}${flowMatch}${flowInstructions}`,
    text: /: ADD table:10 priority=60,arp,metadata=0x3e9,arp_op=1 cookie:0x1234 idle:5 hard:9 send_flow_rem actions=move:NXM_OF_ETH_SRC\[\]->NXM_OF_ETH_DST\[\],set_field:02:00:00:00:00:01->eth_src,IN_PORT,goto_table:20$/,
  },
  { name: 'flows are modified', request: flowModRequest({ kind: 'modify', flow }), hex: `040e009800000007${flowHead.replace('0a00', '0a01')}${flowMatch}${flowInstructions}`, text: /: MOD table:10 priority=60,arp/ },
  { name: 'a flow is modified', request: flowModRequest({ kind: 'modifyStrict', flow }), hex: `040e009800000007${flowHead.replace('0a00', '0a02')}${flowMatch}${flowInstructions}`, text: /: MOD_STRICT table:10/ },
  {
    name: 'flows are deleted',
    request: flowModRequest({ kind: 'delete', filter: { cookie: 5n, outPort: 3, match: { inPort: 9 } } }),
    hex: '040e004000000007' + '0000000000000005ffffffffffffffff' + 'ff03000000000000' + 'ffffffff00000003ffffffff' + '00000000' + '0001000c800000040000000900000000',
    text: /: DEL table:255 priority=0,in_port=9 cookie:0x5\/0xffffffffffffffff out_port:3 actions=drop$/,
  },
  {
    name: 'a flow is deleted',
    request: flowModRequest({ kind: 'deleteStrict', flow }),
    hex: '040e005000000007' + '0000000000001234ffffffffffffffff' + '0a0400000000003c' + 'ffffffffffffffffffffffff' + '00000000' + flowMatch,
    text: /: DEL_STRICT table:10 priority=60,arp,metadata=0x3e9,arp_op=1 cookie:0x1234\/0xffffffffffffffff/,
  },
  {
    name: 'flows are listed',
    request: listFlowsRequest({ table: 3, cookie: 5n, cookieMask: 255n, match: { metadata: 3n } }),
    hex: '0412004000000007' + '0001000000000000' + '03000000ffffffffffffffff00000000' + '000000000000000500000000000000ff' + '00010010800004080000000000000003',
    text: /^OFPST_FLOW request \(OF1.3\) \(xid=0x7\): table=3 metadata=0x3$/,
  },
  { name: 'groups are listed', request: listGroupsRequest(), hex: '04120010000000070007000000000000', text: /^OFPST_GROUP_DESC request/ },
  { name: 'ports are listed', request: listPortsRequest(), hex: '0412001000000007000d000000000000', text: /^OFPST_PORT_DESC request/ },
  {
    name: 'a group is added',
    request: groupModRequest({ kind: 'addGroup', group: { id: 7, type: 'all', buckets: [{ actions: [output(1)] }, { actions: [] }] } }),
    hex: '040f004000000007' + '0000000000000007' + '00200000ffffffffffffffff00000000' + '00000010000000010000000000000000' + '00100000ffffffffffffffff00000000',
    text: / ADD group_id=7,type=all,bucket=actions=output:1,bucket=actions=drop$/,
  },
  { name: 'a group is deleted', request: groupModRequest({ kind: 'deleteGroup', id: 7 }), hex: '040f001000000007' + '0002000000000007', text: / DEL group_id=7/ },
  { name: 'a bundle is committed', request: bundleControl('commit', 3), hex: '0404001800000007' + '4f4e4600000008fc' + '00000003' + '00040003', text: / bundle_id=0x3 type=COMMIT_REQUEST flags=atomic ordered$/ },
  {
    name: 'a change is put into a bundle, under its xid',
    request: bundleAdd(3, groupModRequest({ kind: 'deleteGroup', id: 7 })),
    hex: '0404002800000007' + '4f4e4600000008fd' + '00000003' + '00000003' + '040f001000000007' + '0002000000000007',
    text: / bundle_id=0x3 flags=atomic ordered\nOFPT_GROUP_MOD \(OF1.3\) \(xid=0x7\):\n DEL group_id=7/,
  },
  {
    name: 'a packet is sent',
    request: packetOutRequest({ data: Buffer.alloc(14), actions: [output(ports.table)], inPort: 3 }),
    hex: '040d003600000007' + 'ffffffff000000030010000000000000' + '00000010fffffff90000000000000000' + '0000000000000000000000000000',
    text: /in_port=3 actions=TABLE data_len=14/,
  },
];

const skip = skipUnless({ tools: ['ovs-ofctl'] });
for (const { name, request, hex, text } of rows) {
  const bytes = encodeRequest(request, xid).toString('hex');
  t.equal(bytes, hex, name);
  t.test(`${name}, as ovs-ofctl reads it`, { skip }, (t) => {
    t.match(run('ovs-ofctl', ['ofp-print', bytes]).trimEnd(), text);
    t.end();
  });
}

t.test('Nicira’s actions', (t) => {
  t.equal(actionsOf(load(1n, 'reg0')), 'ffff0018000023200007' + '001f' + '00010004' + '0000000000000001');
  t.equal(actionsOf(load(3n, { field: 'arpOp', offset: 4, bits: 4 })), 'ffff0018000023200007' + '0103' + '00001e02' + '0000000000000003', 'under the older header');
  t.equal(actionsOf(resubmit(10)), 'ffff001000002320000e' + 'fff8' + '0a000000');
  t.equal(actionsOf(resubmit(10, { port: 3 })), 'ffff001000002320000e' + '0003' + '0a000000');
  t.equal(actionsOf(toController({ maxBytes: 128 })), '00000010fffffffd0080000000000000');
  t.equal(actionsOf(toGroup(7)), '0016000800000007');
  t.throws(() => actionsOf(move('ethSrc', 'arpOp')), { message: /as wide: current widths are 48 and 16 bits/ });
  t.throws(() => actionsOf(output(2 ** 32)), RangeError);
  t.throws(() => flowModRequest({ kind: 'add', flow: { ...flow, priority: 65536 } }), RangeError);
  t.throws(() => flowModRequest({ kind: 'add', flow: { ...flow, instructions: { gotoTable: 256 } } }), RangeError);
  t.end();
});

/** The actions of a flow, in hexadecimal digits. */
function actionsOf(...apply: readonly Action[]): string {
  const { body } = flowModRequest({ kind: 'add', flow: { table: 0, priority: 0, match: {}, instructions: { apply } } });
  const beforeActions = 40 + 8 + 8;
  return Buffer.from(body.subarray(beforeActions)).toString('hex');
}
