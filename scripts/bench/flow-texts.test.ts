import t from 'tap';
import { flowsOfOnlyPort, flowsPerRemote, remoteEndpoints, remoteEndpointFlows, replayed, tenantFlows, tunnelPortOf } from './flow-texts.ts';

const dump = [
  ' cookie=0x7765660003e90000, table=30, priority=100,metadata=0x3e9,in_port=1 actions=drop',
  ' cookie=0x7765660003e90000, table=20, priority=40,metadata=0x3e9 actions=output:2,goto_table:30',
  ' cookie=0x7765660003e90002, table=0, priority=100,rarp,in_port=2,arp_sha=02:77:0a:01:00:02 actions=set_field:0x3e9->tun_id,write_metadata:0x3e9,goto_table:10',
  ' cookie=0x7765660003e90002, table=15, priority=60,arp,metadata=0x3e9,arp_tpa=10.1.0.2 actions=output:2',
  ' cookie=0x7765660003e9fffe, table=30, priority=50,metadata=0x3e9 actions=output:1', '',
].join('\n');

t.test('filters', async (t) => {
  t.equal(tenantFlows, 'cookie=0x7765660003e90000/0xffffffffffff0000');
  t.equal(remoteEndpointFlows, 'cookie=0x7765660003e9ffff/-1');
});

t.test('the flows of a port for another one', async (t) => {
  const { ofport, lines } = flowsOfOnlyPort(dump);
  t.equal(ofport, 2);
  t.equal(replayed(lines, { from: ofport, to: 777, cookie: '0x1' }), [
    'cookie=0x1, table=0, priority=100,rarp,in_port=777,arp_sha=02:77:0a:01:00:02 actions=set_field:0x3e9->tun_id,write_metadata:0x3e9,goto_table:10',
    'cookie=0x1, table=15, priority=60,arp,metadata=0x3e9,arp_tpa=10.1.0.2 actions=output:777', '',
  ].join('\n'));
  t.throws(() => flowsOfOnlyPort(''), { name: 'RangeError', message: /it has those of 0/ });
  t.throws(() => flowsOfOnlyPort(`${dump}${dump.replaceAll('e90002', 'e90003')}`), { message: /it has those of 2/ });
});

t.test('tunnelPortOf()', async (t) => {
  t.equal(tunnelPortOf(dump), 1);
  t.throws(() => tunnelPortOf(''), RangeError);
});

t.test('endpoints elsewhere', async (t) => {
  const lines = remoteEndpoints(10_000, { tunnel: 1, vtep: '10.200.0.2' }).trimEnd().split('\n');
  t.equal(lines.length, 10_000 * flowsPerRemote);
  t.equal(new Set(lines).size, lines.length);
  t.same(lines.slice(3 * 257, 3 * 257 + 3), [
    'cookie=0x7765660003e9ffff, table=10, priority=50,arp,metadata=0x3e9,arp_tpa=10.1.129.1,arp_op=1 actions=move:eth_src[]->eth_dst[],set_field:02:77:0a:01:81:01->eth_src,set_field:2->arp_op,move:arp_sha[]->arp_tha[],move:arp_spa[]->arp_tpa[],set_field:02:77:0a:01:81:01->arp_sha,set_field:10.1.129.1->arp_spa,IN_PORT',
    'cookie=0x7765660003e9ffff, table=10, priority=50,icmp6,metadata=0x3e9,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,icmp_type=135,icmp_code=0,nd_target=fe80::77:aff:fe01:8101 actions=set_field:10.200.0.2->tun_dst,output:1',
    'cookie=0x7765660003e9ffff, table=30, priority=60,metadata=0x3e9,dl_dst=02:77:0a:01:81:01 actions=set_field:10.200.0.2->tun_dst,output:1',
  ]);
});
