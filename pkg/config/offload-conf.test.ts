import t from 'tap';
import { parseNodeConf } from './node-conf.ts';
import type { OffloadConf } from './offload-conf.ts';

const path = '/etc/weft/weft.yaml';
const offloadOf = (text: string): OffloadConf | undefined => parseNodeConf(`offload: ${text}\n`, path).offload;

t.same(offloadOf('auto'), { mode: 'auto', intervalSeconds: 300 });
t.same(offloadOf('report'), { mode: 'report', intervalSeconds: 300 });
for (const text of ['off', '"off"', 'false']) t.same(offloadOf(text), { mode: 'off', intervalSeconds: 300 }, text);
t.same(offloadOf('{ interval: 60 }'), { mode: 'auto', intervalSeconds: 60 });
t.same(offloadOf('{ mode: report, interval: 1 }'), { mode: 'report', intervalSeconds: 1 });
t.same(offloadOf('{}'), { mode: 'auto', intervalSeconds: 300 });
t.notOk('offload' in parseNodeConf('offload:\n', path));

const rows: readonly (readonly [string, number, RegExp])[] = [
  ['on', 7, /line 1: offload must be one of auto, report, off: current value is "on"/],
  ['true', 7, /offload must be one of auto, report, off: current value is true/],
  ['[auto]', 7, /offload must be one of auto, report, off/],
  ['{ mode: maybe }', 7, /offload\.mode must be one of auto, report, off: current value is "maybe"/],
  ['{ interval: 0 }', 7, /offload\.interval must be a whole number from 1 to 86400: current value is 0/],
  ['{ intervall: 5 }', 2, /unknown key "offload\.intervall": the nearest known key is "offload\.interval"/],
];
for (const [text, cniCode, message] of rows) t.throws(() => offloadOf(text), { cniCode, message }, text);
