/** What is shown on a terminal while something is waited for. */
import { spawn } from 'node:child_process';
import t from 'tap';
import { inNetns } from '../../pkg/testing/command.ts';
import { createLab } from '../harness/lab.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';
import { daemonStatus, frame, frameKinds, playDaemon } from './played-daemon.ts';
import { placesOf, runWeft } from './run-weft.ts';

const skip = skipWithoutLab() || skipUnless({ tools: ['python3'] });
const commandMs = 60_000;
const rewritten = '\r\u001B[K';
/** Runs the rest of its arguments on a terminal of their own, and passes on what they write there. */
const onTerminal = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';

async function typed(node: LabNode, words: readonly string[], term = 'xterm'): Promise<string> {
  const { state, run, config } = placesOf(node);
  const env = { PATH: process.env['PATH'] ?? '', TERM: term, WEFT_STATE_DIR: state, WEFT_RUN_DIR: run, WEFT_CONFIG: config };
  const child = spawn('ip', inNetns(node.netns, 'python3', '-c', onTerminal, weftExecutable, ...words), { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: commandMs, killSignal: 'SIGKILL' });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  await new Promise((settle, reject) => {
    child.once('error', reject);
    child.once('close', settle);
  });
  return output;
}

t.test('a daemon that does not answer', { skip, timeout: 120_000 }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  await playDaemon(t, node);
  const [status, doctor, migrate, json, dumb, piped] = await Promise.all([
    typed(node, ['status']), typed(node, ['doctor']), typed(node, ['migrate', 'activate', 'blue', 'vm-1']),
    typed(node, ['status', '-o', 'json']), typed(node, ['status'], 'dumb'), runWeft(node, ['status']),
  ]);
  const shown: readonly (readonly [string, string, RegExp])[] = [
    ['status', status, /waiting for the daemon \(1 s\)/],
    ['doctor', doctor, /waiting for the daemon \(1 s\)/],
    ['migrate', migrate, /waiting for the daemon: activate blue vm-1 \(3 s\)/],
  ];
  for (const [name, output, line] of shown) {
    const pieces = output.split(rewritten);
    t.match(output, line, name);
    t.ok(pieces.length > 2, `${name}: shown, and erased`);
    t.same(pieces.slice(0, -1).filter((piece) => piece.includes('\n')), [], `${name}: on one line`);
    t.notMatch(pieces.at(-1) ?? '', /waiting for/, `${name}: and nothing of it is left`);
    t.match(pieces.at(-1) ?? '', /did not answer|daemon-silent/, `${name}: then the answer`);
  }
  for (const output of [json, dumb, piped.stdout + piped.stderr]) t.notMatch(output, /waiting for|\u001B/, 'not where nobody looks');
});

t.test('an answer that comes at once', { skip, timeout: 60_000 }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  await playDaemon(t, node, Buffer.concat([frame(frameKinds.accepted), frame(frameKinds.answered, JSON.stringify(daemonStatus()))]));
  t.match(await typed(node, ['status']), /process 4242/);
});
