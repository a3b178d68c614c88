/** What is waited for, on a terminal: one line of stderr, from the second second on, rewritten, and gone at the end. */
import { startInterval } from '../../pkg/sys/timer.ts';

/** Whoever gets an answer within it has not waited. */
const patienceMs = 1000;
const rewriteMs = 500;
const columnsDefault = 80;
const eraseLine = '\r\u001B[K';

interface Wait {
  readonly startedAt: number;
  readonly stop: () => void;
  words: string;
  isShown: boolean;
}

let wait: Wait | undefined;

/** Begins to wait, or says what is waited for now. Does nothing where nobody looks: no terminal, one that cannot rewrite a line, or `-o json`. */
export function showWaiting(words: string, { output }: { readonly output?: string } = {}): void {
  if (output === 'json' || !process.stderr.isTTY || ['', 'dumb'].includes(process.env['TERM'] ?? '')) return;
  wait ??= { startedAt: performance.now(), stop: startInterval(rewriteMs, write), words, isShown: false };
  wait.words = words;
  // Work that lets no timer run is seen here.
  write();
}

/** Nothing is waited for any more; what was shown is gone. */
export function endWaiting(): void {
  wait?.stop();
  if (wait?.isShown === true) process.stderr.write(eraseLine);
  wait = undefined;
}

function write(): void {
  if (wait === undefined) return;
  const ms = performance.now() - wait.startedAt;
  if (ms < patienceMs) return;
  const line = `${wait.words} (${Math.floor(ms / 1000)} s)`;
  // A line that is longer than the terminal would stay.
  process.stderr.write(`${eraseLine}${line.slice(0, (process.stderr.columns || columnsDefault) - 1)}`);
  wait.isShown = true;
}
