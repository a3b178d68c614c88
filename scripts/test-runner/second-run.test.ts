import t from 'tap';
import { filesToRunAgain } from './second-run.ts';

function run(path: string, ...failures: string[]): { path: string; failures: readonly string[] } {
  return { path, failures };
}

t.same(filesToRunAgain([]), []);
t.same(filesToRunAgain([run('pkg/a.netns.test.ts'), run('e2e/b.e2e.test.ts')]), [], 'what passed is not run again');
t.same(filesToRunAgain([run('pkg/a.netns.test.ts', 'late'), run('e2e/b.e2e.test.ts', 'late'), run('scripts/c.serial.test.ts', 'late')]), ['pkg/a.netns.test.ts', 'e2e/b.e2e.test.ts', 'scripts/c.serial.test.ts']);
t.same(filesToRunAgain([run('pkg/a.test.ts', 'wrong'), run('pkg/netns.test.ts', 'wrong')]), [], 'pure code fails for a reason');
const many = Array.from({ length: 5 }, (_, index) => run(`e2e/${index}.e2e.test.ts`, 'late'));
t.equal(filesToRunAgain(many.slice(1)).length, 4);
t.same(filesToRunAgain(many), [], 'many are no accident');
