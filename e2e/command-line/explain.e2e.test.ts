/** `weft explain` of the executable, which has the pages with it. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';

const skip = skipWithoutLab();

function explain(...words: readonly string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(weftExecutable, ['explain', ...words], { cwd: '/', env: {}, encoding: 'utf8', timeout: 60_000 });
  return { status, stdout, stderr };
}

t.test('weft explain', { skip, timeout: 120_000 }, (t) => {
  t.match(explain('102'), { status: 0, stderr: '', stdout: /^102 rangeExhausted \(error of a call\)\n[^]*what to do: / });
  t.match(explain('path-narrow'), { status: 0, stdout: /finding of weft doctor, error[^]*line of the log, warn/ });
  t.match(JSON.parse(explain('daemon-start', '-o', 'json').stdout), [{ code: 'daemon-start', page: 'logs', kind: 'error' }]);
  t.match(explain('99'), { status: 2, stdout: '', stderr: /^weft: there is no code "99": the nearest one is \S+; weft explain lists all\n$/ });
  t.ok(explain().stdout.split('\n').length > 100, 'all are listed');
  t.end();
});
