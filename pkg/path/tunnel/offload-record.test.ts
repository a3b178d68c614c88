import t from 'tap';
import { parseAddress } from '../../netaddr/netaddr.ts';
import { formatRecords, parseRecords, type RemedyRecord } from './offload-record.ts';

const records: readonly RemedyRecord[] = [
  { vtep: parseAddress('192.0.2.1'), remedy: 'checksum', since: 1_800_000_000_000, peers: [{ address: parseAddress('192.0.2.2'), node: 'node2' }, { address: parseAddress('192.0.2.3') }] },
  { vtep: parseAddress('2001:db8::1'), remedy: 'segmentation', since: 0, peers: [] },
];
t.same(parseRecords(formatRecords(records)), records);
t.same(parseRecords(formatRecords([])), []);
for (const text of ['', '{', '[]', '{}', '{"off":{}}', '{"off":[1]}', '{"off":[{"vtep":"192.0.2.1","remedy":"all","since":0,"peers":[]}]}', '{"off":[{"vtep":"192.0.2.1","remedy":"checksum","peers":[]}]}', '{"off":[{"vtep":"x","remedy":"checksum","since":0,"peers":[]}]}', '{"off":[{"vtep":"192.0.2.1","remedy":"checksum","since":0,"peers":["x"]}]}']) {
  t.throws(() => parseRecords(text), { name: 'SyntaxError' }, text);
}
