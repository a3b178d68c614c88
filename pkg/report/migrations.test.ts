import t from 'tap';
import { testAttachment } from '../ledger/test-records.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { parseAddress } from '../netaddr/netaddr.ts';
import type { MigrationPhase } from '../overlay/model.ts';
import { renderMigrations, reportMigrations } from './migrations.ts';
import { nodeWith, recordsMadeAt, testRecord } from './test-nodes.ts';

function moving(n: number, phase: MigrationPhase, endpoint: string): AttachmentRecord {
  const { port } = testAttachment(n);
  return testRecord(n, { endpoint, port: { ...port, migration: { id: `m${n}`, phase, other: parseAddress('192.0.2.2'), since: recordsMadeAt } } });
}

t.test('a migration', async (t) => {
  const node = nodeWith({ attachments: [moving(1, 'waiting', 'vm-1'), testRecord(2, { endpoint: 'vm-0' })] });
  t.strictSame(reportMigrations(node), [{
    tenant: 'blue', vni: 1001, endpoint: 'vm-1', id: 'm1', role: 'target', phase: 'waiting', other: '192.0.2.2', containerId: 'container-1',
    mac: '02:00:00:00:00:01', addresses: ['10.1.1.5/24', '2001:db8::5/64'], since: recordsMadeAt,
  }], 'and nobody who stays where he is');
  t.equal(renderMigrations(reportMigrations(node), node), [
    'TENANT  VNI   ENDPOINT  CONTAINER    ADDRESSES       ROLE    OTHER NODE  PHASE    SINCE  WHICH MEANS',
    'blue    1001  vm-1      container-1  10.1.1.5/24     target  192.0.2.2   waiting  60m    closed; not here yet',
    '                                     2001:db8::5/64',
    '',
  ].join('\n'));
  t.equal(renderMigrations([], node), 'no migrations\n');
});

t.test('the two ends, in the order of their names', async (t) => {
  const phases: readonly MigrationPhase[] = ['relaying', 'departed', 'left', 'waiting', 'arrived'];
  const node = nodeWith({ attachments: phases.map((phase, index) => moving(index + 1, phase, `vm-${9 - index}`)) });
  t.same(reportMigrations(node).map(({ endpoint, role, phase }) => [endpoint, role, phase]), [
    ['vm-5', 'target', 'arrived'], ['vm-6', 'target', 'waiting'], ['vm-7', 'source', 'left'], ['vm-8', 'source', 'departed'], ['vm-9', 'source', 'relaying'],
  ]);
  t.equal(renderMigrations(reportMigrations(node), node).trimEnd().split('\n').filter((line) => line.startsWith('blue')).length, 5);
});
