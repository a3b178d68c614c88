/** Completion in the shells themselves, with the scripts as `weft completion` prints them. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { run } from '../../pkg/testing/command.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { createLab } from '../harness/lab.ts';
import { attachGuest, blue, red } from '../harness/tenant.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';
import { placesOf } from './run-weft.ts';

const skip = skipWithoutLab() || skipUnless({ tools: ['bash', 'zsh', 'fish', 'python3'] });
const shellMs = 60_000;

interface Scene {
  /** Ahead of all in PATH: weft under its name. */
  readonly bin: string;
  readonly scripts: Readonly<Record<'bash' | 'zsh' | 'fish', string>>;
  readonly env: Readonly<Record<string, string>>;
}

interface Scope {
  teardown(undo: () => unknown): void;
}

/** A node with an endpoint of blue and a container of red. */
async function createScene(scope: Scope): Promise<Scene> {
  const lab = createLab(scope, { nodes: 2 });
  await attachGuest(lab, blue, 1, { label: 'blue1', args: 'WEFT_ENDPOINT=db-0' });
  await attachGuest(lab, red, 1, { label: 'red1' });
  const { state, run: runDirectory, config } = placesOf(lab.node(1));
  const directory = temporaryDirectory(scope);
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  symlinkSync(weftExecutable, join(bin, 'weft'));
  const scriptOf = (shell: string): string => {
    const path = join(directory, shell === 'zsh' ? '_weft' : `weft.${shell}`);
    writeFileSync(path, run(weftExecutable, ['completion', shell]));
    return path;
  };
  const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: directory, TERM: 'xterm', WEFT_STATE_DIR: state, WEFT_RUN_DIR: runDirectory, WEFT_CONFIG: config, CNI_COMMAND: 'VERSION' };
  return { bin, scripts: { bash: scriptOf('bash'), zsh: scriptOf('zsh'), fish: scriptOf('fish') }, env };
}

/** What bash would offer behind the words, without bash-completion; the last one is under the cursor. */
function inBash({ scripts, env }: Scene, words: readonly string[]): readonly string[] {
  const program = 'source "$1"; shift; complete -p weft >/dev/null || exit 9; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weft; printf "%s\\n" "${COMPREPLY[@]}"';
  const { stdout, stderr, status } = spawnSync('bash', ['--norc', '--noprofile', '-c', program, 'bash', scripts.bash, ...words], { env, encoding: 'utf8', timeout: shellMs });
  if (status !== 0 || stderr !== '') throw new Error(`bash: ${status} ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}

function inFish({ scripts, env }: Scene, line: string): readonly string[] {
  const { stdout, stderr, status } = spawnSync('fish', ['--no-config', '-c', 'source $argv[1]; complete -C $argv[2]', scripts.fish, line], { env, encoding: 'utf8', timeout: shellMs });
  if (status !== 0) throw new Error(`fish: ${status} ${stderr}`);
  return stdout.split('\n').filter((text) => text !== '').map((text) => text.split('\t')[0] ?? '');
}

/**
 * zsh completes only for somebody at a terminal: the line is typed into one, with a tab, and what stands there is read.
 *
 * @param typed the line, and behind `|` what is waited for
 */
function inZsh({ scripts, env }: Scene, typed: string): string {
  const program = `
import os, pty, select, sys, time
directory, typed = sys.argv[1:3]
pid, fd = pty.fork()
if pid == 0:
    os.execvp('zsh', ['zsh', '-f', '-i'])
seen = b''
def until(marks, seconds=25):
    global seen
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if any(mark in seen for mark in marks): return True
        if select.select([fd], [], [], 0.2)[0]:
            try: seen += os.read(fd, 65536)
            except OSError: return False
    return False
os.write(fd, ("PS1='ready> '; fpath=(%s $fpath); autoload -Uz compinit; compinit -u -D; unsetopt zle_bracketed_paste; setopt no_beep; print lo''aded\\n" % directory).encode())
assert until([b'loaded\\r\\n']), seen
seen = b''
os.write(fd, typed.encode() + b'\\t')
found = until([mark.encode() for mark in sys.argv[3:]])
os.write(fd, b'\\x03')
os.write(fd, b'exit\\n')
time.sleep(0.2)
os.kill(pid, 9); os.waitpid(pid, 0)
sys.stdout.write(seen.decode('utf8', 'replace'))
sys.exit(0 if found else 3)
`;
  const [line = '', ...marks] = typed.split('|');
  const { stdout, stderr, status } = spawnSync('python3', ['-c', program, join(scripts.zsh, '..'), line, ...marks], { env, encoding: 'utf8', timeout: shellMs });
  if (status !== 0) throw new Error(`zsh: ${status} ${stderr} ${JSON.stringify(stdout)}`);
  return stdout;
}

t.test('completion', { skip, timeout: 240_000 }, async (t) => {
  const scene = await createScene(t);

  await t.test('bash', (t) => {
    t.same(inBash(scene, ['weft', 'sta']), ['status']);
    t.same(inBash(scene, ['weft', 'endpoints', '--tenant', '']).toSorted(), ['blue', 'red']);
    t.same(inBash(scene, ['weft', 'migrate', 'activate', 'blue', '']), ['db-0']);
    t.same(inBash(scene, ['weft', 'forget', '1001', 'd']), ['db-0']);
    t.same(inBash(scene, ['weft', 'status', '--output', '=', 'j']), ['json'], '= is a word of its own for bash');
    t.same(inBash(scene, ['weft', 'status', 'x']), []);
    const inner = join(scene.bin, 'we');
    t.same(inBash(scene, ['weft', 'doctor', '--launcher', inner]), [join(scene.bin, 'weft')], 'files');
    t.ok(inBash(scene, ['weft', 'explain', 'path-n']).includes('path-narrow'));
    t.end();
  });

  await t.test('fish', (t) => {
    t.same(inFish(scene, 'weft sta'), ['status']);
    t.same(inFish(scene, 'weft endpoints --tenant ').toSorted(), ['blue', 'red']);
    t.same(inFish(scene, 'weft migrate activate blue d'), ['db-0']);
    t.same(inFish(scene, 'weft status -o ').toSorted(), ['json', 'table']);
    t.same(inFish(scene, 'weft status x'), []);
    t.end();
  });

  await t.test('zsh', (t) => {
    t.match(inZsh(scene, 'weft stat|status'), /weft status/, 'the one command is written out');
    t.match(inZsh(scene, 'weft migrate activate bl|activate blue'), /activate blue/, 'a tenant');
    t.match(inZsh(scene, 'weft migrate |endpoint stays'), /prepare[^]*activate[^]*cancel/, 'several are listed with what they do');
    t.end();
  });
});

t.test('a ledger that is damaged, or not there, offers nothing and says nothing', { skip }, (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'ledger.db'), 'this is no database');
  for (const state of [directory, join(directory, 'nowhere')]) {
    const env = { PATH: process.env['PATH'] ?? '', WEFT_STATE_DIR: state, WEFT_CONFIG: join(directory, 'none.yaml') };
    const { stdout, stderr, status } = spawnSync(weftExecutable, ['__complete', 'endpoints', '--tenant', ''], { env, encoding: 'utf8', timeout: shellMs });
    t.same({ stdout, stderr, status }, { stdout: '', stderr: '', status: 0 });
  }
  t.end();
});
