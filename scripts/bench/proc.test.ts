import t from 'tap';
import { parseCpuMs, parseMemory, readCpuMs, readMemory } from './proc.ts';

t.test('parseMemory()', async (t) => {
  const status = 'Name:\tweft\nVmHWM:\t  999999 kB\nVmRSS:\t   98304 kB\nRssAnon:\t   20480 kB\nRssFile:\t   77824 kB\n';
  t.same(parseMemory(status), { resident: 96 * 2 ** 20, anonymous: 20 * 2 ** 20 });
  // The kernel leaves the lines out for a process that has ended and was not waited for.
  t.throws(() => parseMemory('Name:\tweft\nState:\tZ (zombie)\n'), { name: 'RangeError', message: /VmRSS/ });
});

t.test('parseCpuMs()', async (t) => {
  const rest = 'S 1 42 42 0 -1 4194560 1 0 0 0 123 45 6 7 20 0 11 0 99 1 2 3';
  t.equal(parseCpuMs(`42 (weft) ${rest}`), 1680, '(123 + 45) ticks of 10 ms, without the children');
  t.equal(parseCpuMs(`42 (a) b) (c) ${rest}`), 1680, 'a name with brackets and blanks');
  t.throws(() => parseCpuMs(''), RangeError);
});

t.test('this process', async (t) => {
  const { resident, anonymous } = readMemory(process.pid);
  t.ok(anonymous > 0 && resident > anonymous);
  t.ok(readCpuMs(process.pid) > 0);
});
