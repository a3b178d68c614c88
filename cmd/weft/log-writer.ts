/** The daemon's log: lines of JSON on stderr, which systemd's journal and Kubernetes collect. */
import pino from 'pino';
import type { Log, LogLevel } from '../../pkg/log/log.ts';

const stderr = 2;

/** Written at once: what was said before a crash is there. */
export function openLog(level: LogLevel): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    pino.destination({ fd: stderr, sync: true }),
  );
}
