import t from 'tap';
import { formatRecord, parseRecord, recordAfter, recordDuring } from './record.ts';

const [a, b] = ['a'.repeat(64), 'b'.repeat(64)];

t.test('what is written is read', async (t) => {
  const record = new Map([['/etc/weft/weft.yaml', [a, b]]]);
  t.same(parseRecord(formatRecord(record)), record);
});

t.test('while an installation is under way both are known, and afterwards one', async (t) => {
  const before = new Map([['/x', [a]], ['/gone', [a]]]);
  t.same(recordDuring(before, [{ path: '/x', digest: b }]).get('/x'), [a, b]);
  t.same(recordDuring(before, [{ path: '/x', digest: a }]).get('/x'), [a], 'once');
  const after = recordAfter(recordDuring(before, [{ path: '/x', digest: b }]), [{ path: '/x', digest: b }]);
  t.same(after.get('/x'), [b]);
  t.same(after.get('/gone'), [a], 'what an earlier one has put elsewhere is still known');
});

t.test('what weft did not write is no record, and what is strange in one is left out', async (t) => {
  for (const text of ['', '{', '[]', 'null', '{"format":2,"files":{}}', '{"format":1}', '{"format":1,"files":[]}']) t.equal(parseRecord(text), undefined, text);
  t.same(parseRecord(`{"format":1,"files":{"/x":["${a}","zz",7],"/y":"no"}}`), new Map([['/x', [a]]]));
});
