import t from 'tap';
import { testSegment } from '../ledger/test-records.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { parseInterfaceAddress, parseVni } from '../netaddr/netaddr.ts';
import { emptyLedgerContent, type LedgerContent } from '../report/node-state.ts';
import { testRecord } from '../report/test-nodes.ts';
import { chooseEndpoint, chooseTenant, tenantOfRecord } from './choose.ts';

const redVni = parseVni(1002);
const at = (n: number, address: string, more: Parameters<typeof testRecord>[1] = {}): AttachmentRecord => {
  const record = testRecord(n, more);
  return { ...record, port: { ...record.port, vni: record.vni, addresses: [parseInterfaceAddress(`${address}/24`)] } };
};
const ofRed = { tenant: 'red', vni: redVni } as const;
const key = (containerId: string): { key: AttachmentRecord['key'] } => ({ key: { network: 'n', containerId, ifName: 'eth0' } });
const content: LedgerContent = {
  ...emptyLedgerContent,
  segments: [{ vni: parseVni(1001), segment: testSegment() }, { vni: redVni, segment: testSegment(ofRed) }],
  attachments: [
    at(1, '10.1.1.1', { endpoint: 'web', ...key('aaaaaaaa1111') }), at(2, '10.1.1.2', { pod: 'shop/db-0', ...key('aaaaaaaa2222') }), at(3, '10.1.1.1', { endpoint: 'web', ...ofRed, ...key('bbbbbbbb') }),
    at(4, '10.1.1.4', { endpoint: 'cccccccc', ...key('dddddddd') }), at(5, '10.1.1.5', key('cccccccc99')), at(6, '10.1.1.6', { endpoint: 'gone', state: 'deleting', ...key('eeeeeeee') }),
  ],
};
const seqOf = (word: string, tenant?: string): number => chooseEndpoint(content, word, tenant).seq;

void t.test('an endpoint', (t) => {
  t.equal(seqOf('shop/db-0'), 2, 'by its pod');
  t.equal(seqOf('aaaaaaaa2222'), 2, 'by its id');
  t.equal(seqOf('aaaaaaaa2'), 2, 'by the beginning of it');
  t.equal(seqOf('10.1.1.5'), 5, 'by its address');
  t.equal(seqOf('weft-p3'), 3, 'by its host interface');
  t.equal(seqOf('web', 'red'), 3, 'of a tenant by name');
  t.equal(seqOf('10.1.1.1', '1002'), 3, 'and by VNI');
  t.equal(seqOf('cccccccc'), 4, 'a name before the beginning of an id');
  t.throws(() => seqOf('web'), { message: /^web can be 2 endpoints: .*--tenant: web aaaaaaaa1111 eth0 of blue, 10\.1\.1\.1; web bbbbbbbb eth0 of red/ }, 'ambiguous');
  t.throws(() => seqOf('aaaaaaaa'), { message: /can be 2 endpoints/ }, 'an id that is too short to be one');
  t.throws(() => seqOf('aaaaa'), { message: /^No endpoint on this node is called aaaaa; there are: / });
  t.throws(() => seqOf('gone'), { message: /No endpoint/ }, 'what is being deleted is none');
  t.throws(() => chooseEndpoint(emptyLedgerContent, 'web'), { message: 'No endpoint on this node is called web' });
  t.end();
});

void t.test('a tenant', (t) => {
  t.equal(chooseTenant(content, 'red').segment.vni, redVni);
  t.equal(chooseTenant(content, '1002').records.length, 1, 'with its own endpoints alone');
  t.throws(() => chooseTenant(content, undefined), { message: /^Name the tenant with --tenant; there are: blue \(VNI 1001\); red \(VNI 1002\)/ });
  t.throws(() => chooseTenant(content, 'green'), { message: /^No tenant green/ });
  t.equal(chooseTenant({ ...content, segments: content.segments.slice(0, 1) }, undefined).segment.tenant, 'blue', 'the only one');
  t.equal(tenantOfRecord(content, chooseEndpoint(content, 'shop/db-0')).records.length, 4, 'all that are attached');
  t.end();
});
