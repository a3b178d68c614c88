import t from 'tap';
import { parseAddress } from '../netaddr/netaddr.ts';
import { redVni, testAttachment } from '../ledger/test-records.ts';
import { renderEndpoints, reportEndpoints } from './endpoints.ts';
import { nodeWith, testNode, testRecord } from './test-nodes.ts';

t.test('an endpoint', async (t) => {
  const node = nodeWith({ attachments: [testRecord(1, { endpoint: 'db-0', pod: 'shop/db-0' })] });
  t.strictSame(reportEndpoints(node), [{
    tenant: 'blue', vni: 1001, endpoint: 'db-0', containerId: 'container-1', pod: 'shop/db-0', network: 'blue', interface: 'eth0',
    hostInterface: 'weft-p1', mac: '02:00:00:00:00:01', addresses: ['10.1.1.5/24', '2001:db8::5/64'], mtu: 1450, ipam: 'weft',
    state: 'attached', migration: null, isInterrupted: false, netns: '/run/netns/1', createdAt: 1_767_225_600_001,
  }]);
  t.equal(renderEndpoints(reportEndpoints(node), node), [
    'TENANT  VNI   ENDPOINT  POD        INTERFACE  HOST INTERFACE  MAC                ADDRESSES       STATE     AGE  NAMESPACE',
    'blue    1001  db-0      shop/db-0  eth0       weft-p1         02:00:00:00:00:01  10.1.1.5/24     attached  59m  /run/netns/1',
    '                                                                                 2001:db8::5/64',
    '',
  ].join('\n'));
});

t.test('an endpoint of which little is known', async (t) => {
  const { port } = testAttachment(1);
  const node = nodeWith({ attachments: [testRecord(1, { state: 'adding', port: { ...port, addresses: [] }, ipam: 'none' })] }, { interrupted: new Set([1]) });
  t.match(reportEndpoints(node), [{ endpoint: null, pod: null, addresses: [], state: 'adding', isInterrupted: true }]);
  t.match(renderEndpoints(reportEndpoints(node), node), /^blue +1001 +container-1 +- +eth0 +weft-p1 +\S+ +- +adding \(interrupted\) +59m /m);
});

t.test('an endpoint that is on its way', async (t) => {
  const { port } = testAttachment(1);
  const node = nodeWith({ attachments: [testRecord(1, { port: { ...port, migration: { id: 'a', phase: 'waiting', other: parseAddress('192.0.2.2'), since: 1 } } })] });
  t.match(reportEndpoints(node), [{ state: 'attached', migration: 'waiting' }]);
  t.match(renderEndpoints(reportEndpoints(node), node), / attached \(waiting\) /);
});

t.test('the order depends on nothing but the names', async (t) => {
  const attachments = [
    testRecord(1, { tenant: 'red', vni: redVni }),
    testRecord(2, { endpoint: 'b' }),
    testRecord(3, { endpoint: 'a' }),
    testRecord(4, { key: { network: 'blue', containerId: 'a', ifName: 'eth1' } }),
    testRecord(5, { key: { network: 'blue', containerId: 'a', ifName: 'eth0' } }),
    testRecord(6, { key: { network: 'amber', containerId: 'a', ifName: 'eth0' } }),
  ];
  const order = (records: typeof attachments): readonly string[] => reportEndpoints(nodeWith({ attachments: records })).map(({ hostInterface }) => hostInterface);
  t.same(order(attachments), ['weft-p6', 'weft-p5', 'weft-p4', 'weft-p3', 'weft-p2', 'weft-p1']);
  t.same(order(attachments.toReversed()), order(attachments));
});

t.test('of one tenant', async (t) => {
  const attachments = [testRecord(1), testRecord(2, { tenant: 'red', vni: redVni })];
  const node = nodeWith({ attachments });
  const named = (tenant?: string): readonly string[] => reportEndpoints(node, tenant).map((endpoint) => endpoint.tenant);
  t.same(named(), ['blue', 'red']);
  t.same(named('red'), ['red']);
  t.same(named('1001'), ['blue'], 'by its VNI');
  t.same(named('green'), []);
  const disguised = nodeWith({ attachments: [...attachments, testRecord(3, { tenant: '1001', vni: redVni })] });
  t.same(reportEndpoints(disguised, '1001').map((endpoint) => endpoint.tenant), ['1001'], 'a name counts before a number');
});

t.test('long and hostile names', async (t) => {
  const node = nodeWith({ attachments: [testRecord(1, { endpoint: 'e'.repeat(253), pod: `${'n'.repeat(63)}/\u001b[2J${'p'.repeat(300)}`, tenant: 't'.repeat(200) })] });
  const [line = ''] = renderEndpoints(reportEndpoints(node), node).split('\n').slice(1);
  t.ok(line.length < 260, `${line.length} characters`);
  t.notMatch(line, /\u001b/);
  t.match(reportEndpoints(node), [{ endpoint: 'e'.repeat(253), tenant: 't'.repeat(200) }], 'the report itself has all of it');
});

t.same(reportEndpoints(testNode({ ledger: { kind: 'absent' } })), []);
t.equal(renderEndpoints([], testNode()), 'no endpoints\n');
