/**
 * Things to undo before this process ends, however it ends: returning, an uncaught error, a timeout, a signal.
 * Only kill -9 escapes; what a test names carries its process id, so that leftovers can be told from live ones.
 */
const undos = new Set<() => void>();
let isInstalled = false;

/** SIGALRM is how tap ends a test file that is over its time. */
const signals = { SIGHUP: 1, SIGINT: 2, SIGALRM: 14, SIGTERM: 15 } as const;

/**
 * Registers an undo to run when the process ends. It must be synchronous and must not throw.
 * @returns a function that takes the undo back, for when it has been done.
 */
export function undoAtExit(undo: () => void): () => void {
  install();
  undos.add(undo);
  return () => undos.delete(undo);
}

function install(): void {
  if (isInstalled) return;
  isInstalled = true;
  process.on('exit', () => {
    // Last made, first undone: what was built on something goes before it.
    for (const undo of [...undos].reverse()) undo();
    undos.clear();
  });
  for (const [signal, number] of Object.entries(signals)) process.once(signal, () => process.exit(128 + number));
}
