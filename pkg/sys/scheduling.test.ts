import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { skipUnless } from '../testing/requirements.ts';
import { setRealTime } from './scheduling.ts';

/** The policy, the last but three of the fields of stat (proc(5), field 41). */
function policyIn(stat: string): number {
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[38]);
}

t.test('this thread, and nothing that it starts', { skip: skipUnless({ root: true }) }, async (t) => {
  const own = (): number => policyIn(readFileSync('/proc/thread-self/stat', 'utf8'));
  const child = (): number => policyIn(execFileSync('cat', ['/proc/self/stat'], { encoding: 'utf8' }));
  t.equal(own(), 0);
  setRealTime(true);
  t.teardown(() => setRealTime(false));
  t.same([own(), child()], [2, 0]);
  setRealTime(false);
  t.same([own(), child()], [0, 0]);
});
