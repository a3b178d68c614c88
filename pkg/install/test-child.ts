/** An installation that is killed: node test-child.ts <root> <text of all files> <after which step, from 1>. For install.test.ts. */
import { kill, pid } from 'node:process';
import { NodeFilesystem } from './files.ts';
import { install } from './install.ts';
import { wantedForTest } from './test-files.ts';

const [root = '', text = '', last = ''] = process.argv.slice(2);
let steps = 0;
install({
  files: new NodeFilesystem(root),
  wanted: wantedForTest(text),
  choices: { overwrite: false, besideOthers: false },
  onStep: () => {
    steps += 1;
    if (steps === Number(last)) kill(pid, 'SIGKILL');
  },
});
