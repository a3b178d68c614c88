/** Timers; the rest of the code is given them, so that every wait is seen. */

/** Calls the function once, after so many milliseconds, unless the returned function is called before. Keeps no process alive. */
export function startTimer(ms: number, fn: () => void): () => void {
  const timer = setTimeout(fn, ms);
  timer.unref();
  return () => clearTimeout(timer);
}

/** Calls the function again and again until the returned function is called. Keeps no process alive. */
export function startInterval(ms: number, fn: () => void): () => void {
  const timer = setInterval(fn, ms);
  timer.unref();
  return () => clearInterval(timer);
}

/** Fulfilled after so many milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The promise, or what `late` returns when it is not settled in time. */
export async function withDeadline<T, L>(promise: Promise<T>, { ms, late }: { ms: number; late: () => L }): Promise<T | L> {
  let stop: () => void = () => undefined;
  const deadline = new Promise<L>((resolve) => (stop = startTimer(ms, () => resolve(late()))));
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    stop();
  }
}

/** Fulfilled after whatever else waits has had its turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
