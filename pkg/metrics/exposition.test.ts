import t from 'tap';
import { Exposition, header, labelText } from './exposition.ts';

t.test('labels: what is empty is left out, what is special is escaped', async (t) => {
  t.equal(labelText({}), '');
  t.equal(labelText({ tenant: '' }), '');
  t.equal(labelText({ tenant: 'blue', device: 'weft-vx1', pod: '' }), '{tenant="blue",device="weft-vx1"}');
  t.equal(labelText({ tenant: 'a"b\\c\nd' }), '{tenant="a\\"b\\\\c\\nd"}');
  t.equal(labelText({ tenant: 'grün\u0000' }), '{tenant="grün\u0000"}');
});

t.test('a metric is told in one piece, whenever its samples came', async (t) => {
  const out = new Exposition();
  out.declare('weft_pending_dels');
  out.add('weft_faults', { part: 'path' }, 2);
  out.add('weft_pending_dels', {}, 0);
  out.add('weft_faults', { part: 'migration' }, 0.5);
  out.addWith('weft_path_round_trip_seconds', labelText({ vtep: '::1', peer: '::2', way: 'tunnel' }), 1e-7, '_sum');
  t.equal(out.toText(), `${header('weft_pending_dels')}weft_pending_dels 0
${header('weft_faults')}weft_faults{part="path"} 2
weft_faults{part="migration"} 0.5
${header('weft_path_round_trip_seconds')}weft_path_round_trip_seconds_sum{vtep="::1",peer="::2",way="tunnel"} 1e-7
`);
  t.equal(header('weft_pending_dels'), '# HELP weft_pending_dels DELs that are written down, to be done by a later call.\n# TYPE weft_pending_dels gauge\n');
});
