import { Argument, Command, Option } from 'commander';
import t from 'tap';
import { buildProgram } from './command-line.ts';
import { complete, renderCompletion, type LiveWords } from './complete.ts';

const words: Readonly<Record<string, readonly string[]>> = { tenant: ['blue', 'blank', 'red'], endpoint: ['vm-1', 'vm-2'], code: ['102', 'path-narrow'], from: ['192.0.2.1'], link: ['eth0'] };
const asked: (readonly string[])[] = [];
const live: LiveWords = (of, before) => {
  asked.push([of, ...before]);
  return (words[of] ?? []).map((word) => ({ word, meaning: of }));
};

function wordsAt(...line: readonly string[]): readonly string[] {
  return complete(buildProgram(), line, live).candidates.map(({ word }) => word);
}

const rows: readonly (readonly [line: readonly string[], words: readonly string[]])[] = [
  [['stat'], ['status']],
  [['endpoints', '--t'], ['--tenant']],
  [['endpoints', '--tenant', ''], ['blue', 'blank', 'red']],
  [['endpoints', '--tenant', 'bl'], ['blue', 'blank']],
  [['endpoints', '--tenant=r'], ['--tenant=red']],
  [['endpoints', '--tenant', '=', 'r'], ['red']],
  [['endpoints', '--tenant', '='], ['blue', 'blank', 'red']],
  [['status', '-o', ''], ['table', 'json']],
  [['status', '--output=j'], ['--output=json']],
  [['status', ''], []],
  [['completion', ''], ['bash', 'zsh', 'fish']],
  [['completion', 'bash', ''], []],
  [['migrate', ''], ['status', 'prepare', 'activate', 'cancel', 'help']],
  [['migrate', 'activate', 'b'], ['blue', 'blank']],
  [['migrate', 'activate', 'blue', ''], ['vm-1', 'vm-2']],
  [['migrate', 'activate', 'blue', 'vm-1', ''], []],
  [['migrate', 'prepare', 'blue', 'vm-1', '--from', ''], ['192.0.2.1']],
  [['explain', 'pa'], ['path-narrow']],
  [['tune', '--link', 'eth0', 'e'], ['eth0']],
  [['tune', '--link', 'eth0', '--pr'], ['--print-config']],
  [['tune', '--apply', '--pr'], ['--print-config']],
  [['daemon', '--log-level', 'w'], ['warn']],
  [['nonsense', ''], []],
  [['endpoints', '--nonsense', '--te'], ['--tenant']],
  [['endpoints', '--', '--te'], []],
  [['help', 'sta'], []],
];

t.test('lines', (t) => {
  for (const [line, wanted] of rows) t.same(wordsAt(...line), wanted, line.join(' '));
  t.same(asked.filter(([of]) => of === 'endpoint')[0], ['endpoint', 'blue'], 'whose endpoints');
  const top = wordsAt('');
  t.same(buildProgram().commands.map((command) => command.name()).filter((name) => !top.includes(name)), [], 'all commands');
  t.notOk(top.includes('__complete'));
  t.end();
});

t.test('every option that wants one of a few words offers them', (t) => {
  const walk = (command: Command, path: readonly string[]): void => {
    for (const option of command.options) if (option.argChoices !== undefined) t.same(wordsAt(...path, option.long ?? '', ''), option.argChoices, `${path.join(' ')} ${option.long}`);
    for (const inner of command.commands) walk(inner, [...path, inner.name()]);
  };
  walk(buildProgram(), []);
  t.end();
});

t.test('files, and words that a shell would break', (t) => {
  t.match(complete(buildProgram(), ['doctor', '--networks', '/e'], live), { candidates: [], files: true });
  t.match(complete(buildProgram(), ['doctor', '--launcher='], live), { files: true });
  const program = new Command('weft').addArgument(new Argument('<tenant>', 'one')).addOption(new Option('--file <path>', 'two\nlines'));
  const odd: LiveWords = () => ['a b', 'c\nd', '', 'e\tf', 'good', 'good'].map((word) => ({ word, meaning: 'x\ty' }));
  t.equal(renderCompletion(complete(program, [''], odd)), 'good\tx y\n');
  t.equal(renderCompletion(complete(program, ['--fi'], odd)), '--file\ttwo lines\n');
  t.equal(renderCompletion({ candidates: [], files: true }), ':files\n');
  t.same(complete(program, [], odd).candidates.map(({ word }) => word), ['good'], 'no word at all is an empty one');
  t.end();
});
