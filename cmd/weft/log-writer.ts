/** The daemon's log: lines of JSON on stderr, which systemd's journal and Kubernetes collect. */
import pino from 'pino';
import type { Log, LogLevel } from '../../pkg/log/log.ts';

const stderr = 2;
/** pino's number for it. */
const warning = 40;

/** Opens the log: what was said before a crash is there, but for what calls that went well said within the last turn of the event loop. */
export function openLog(level: LogLevel): Log {
  const lines = new Lines();
  process.on('exit', () => lines.flush());
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    lines,
  );
}

/** What pino writes to. The lines of one turn of the event loop are one write, at its end; with a warning all leave at once. */
class Lines {
  /** Asks pino to set `lastLevel` before each line. */
  readonly [pino.symbols.needsMetadataGsym] = true as const;
  lastLevel = 0;
  readonly #destination = pino.destination({ fd: stderr, sync: true });
  #text = '';

  write(line: string): void {
    const isFirst = this.#text === '';
    this.#text += line;
    if (this.lastLevel >= warning) this.flush();
    else if (isFirst) setImmediate(() => this.flush());
  }

  flush(): void {
    const text = this.#text;
    this.#text = '';
    if (text !== '') this.#destination.write(text);
  }
}
