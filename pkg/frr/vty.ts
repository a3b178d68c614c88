/**
 * A client of a daemon of FRR, by the socket that vtysh uses: a command and a NUL out, an answer back (vtysh_read() of
 * lib/vty.c). The daemon takes one command at a time, and remembers between them where in its configuration the client is.
 */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { startTimer } from '../sys/timer.ts';
import { AnswerReader, type Answer } from './answer.ts';
import { FrrError, isFrrError, withoutPassword } from './frr-error.ts';

/** The daemons weft speaks to: the one that knows the kernel, and the one that knows the other nodes. */
export type FrrDaemon = 'zebra' | 'bgpd';

/** A deadline for what is asked. */
export interface AskOptions {
  /** In milliseconds from now; the waiting for earlier commands counts. */
  readonly deadlineMs: number;
}

/** How a single command is asked. */
export interface CommandOptions extends AskOptions {
  /** A warning (CMD_WARNING) is taken for an answer like any other. @default false: it is a refusal */
  readonly takesWarning?: boolean;
}

/** Where a daemon is found, and who is told when it ends. */
export interface VtyOptions {
  readonly daemon: FrrDaemon;
  /** Where `<daemon>.vty` is: /var/run/frr unless FRR was told another. */
  readonly runDirectory: string;
  /** Called once, at once, when the connection ends other than by close(): the daemon has ended, or is not to be understood. */
  readonly onLost?: (reason: FrrError) => void;
}

/** CMD_SUCCESS and CMD_WARNING (lib/command.h). */
const success = 0;
const warning = 1;
/** VTY_BUFSIZ (lib/vty.h), bytes with the NUL; to a longer command FRR never sends the end of an answer. */
const commandBytesMax = 4096 - 1;
/** How many may wait for their turn; more is a fault of the caller. */
const jobsMax = 1024;

interface Job {
  readonly commands: readonly string[];
  readonly texts: string[];
  readonly stopTimer: () => void;
  /** What was asked last is always sent: it brings the daemon back to where every job begins. */
  readonly last: string | undefined;
  readonly takesWarning: boolean;
  refusal?: FrrError;
  readonly resolve: (texts: readonly string[]) => void;
  readonly reject: (error: FrrError) => void;
}

/**
 * Connects to a daemon.
 * @throws FrrError notRunning, noPermission, late
 */
export async function openVty(options: VtyOptions, { deadlineMs }: AskOptions): Promise<Vty> {
  const vty = new Vty(connect({ path: join(options.runDirectory, `${options.daemon}.vty`) }), options);
  try {
    // Without it the daemon shows no configuration and takes none.
    await vty.ask('enable', { deadlineMs });
    return vty;
  } catch (error) {
    vty.close();
    throw error;
  }
}

/** A connection to a daemon, from openVty() to close(). It keeps the process alive only while something is asked. */
export class Vty {
  readonly daemon: FrrDaemon;
  readonly #socket: Socket;
  readonly #path: string;
  readonly #onLost: (reason: FrrError) => void;
  readonly #jobs: Job[] = [];
  readonly #reader = new AnswerReader();
  #ended: FrrError | undefined;
  #wasOpen = false;

  constructor(socket: Socket, { daemon, runDirectory, onLost = () => undefined }: VtyOptions) {
    this.daemon = daemon;
    this.#socket = socket;
    this.#path = join(runDirectory, `${daemon}.vty`);
    this.#onLost = onLost;
    socket.on('connect', () => (this.#wasOpen = true));
    socket.on('data', (piece: Buffer) => this.#receive(piece));
    socket.on('error', (error) => this.#end(this.#describe(error)));
    socket.on('close', () => this.#end(new FrrError('lost', `${daemon} of FRR has ended its connection`)));
  }

  /** False from the moment the connection has ended. */
  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  /**
   * Asks a command, after those that were asked before. Where its answer is late the connection ends: it would be taken for the next one's.
   * @returns the answer's text
   * @throws FrrError refused with the daemon's words, late, lost, notRunning (nothing was sent), garbled
   */
  async ask(command: string, options: CommandOptions): Promise<string> {
    const [text = ''] = await this.#enqueue([command], options);
    return text;
  }

  /**
   * Changes the daemon's configuration: the lines, as they stand in a configuration file, without the ends of their blocks where the
   * next line says so itself. Those before a line that is refused count; those behind it are not sent. Nothing comes in between.
   * @throws FrrError as ask() does
   */
  async configure(lines: readonly string[], options: AskOptions): Promise<void> {
    if (lines.length > 0) await this.#enqueue(['configure terminal', ...lines], { ...options, last: 'end' });
  }

  /** Ends the connection; what is open is settled. May be repeated. */
  close(): void {
    this.#end(new FrrError('lost', `The connection to ${this.daemon} of FRR was closed`), { isOwn: true });
  }

  #enqueue(commands: readonly string[], { deadlineMs, last, takesWarning = false }: CommandOptions & { readonly last?: string }): Promise<readonly string[]> {
    for (const command of commands) requireOneLine(command);
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) return reject(new FrrError('notRunning', `Cannot ask ${this.daemon} of FRR: ${this.#ended.message}`, { cause: this.#ended }));
      if (this.#jobs.length >= jobsMax) return reject(new FrrError('late', `Cannot ask ${this.daemon} of FRR: ${jobsMax} commands wait for their turn`));
      const job: Job = { commands, texts: [], last, takesWarning, resolve, reject, stopTimer: startTimer(deadlineMs, () => this.#giveUp(job, deadlineMs)) };
      this.#jobs.push(job);
      this.#socket.ref();
      if (this.#jobs.length === 1) this.#sendNext(job);
    });
  }

  #sendNext(job: Job): void {
    const next = job.refusal === undefined ? job.commands[job.texts.length] : undefined;
    this.#socket.write(`${next ?? job.last ?? ''}\0`);
  }

  #receive(piece: Buffer): void {
    try {
      const answer = this.#reader.push(piece);
      if (answer !== undefined) this.#settle(answer);
    } catch (error) {
      if (!isFrrError(error)) throw error;
      this.#end(error);
    }
  }

  #settle(answer: Answer): void {
    const [job] = this.#jobs;
    if (job === undefined) throw new FrrError('garbled', `${this.daemon} of FRR answered what was not asked`);
    const command = job.refusal === undefined ? job.commands[job.texts.length] : undefined;
    if (command === undefined) return this.#finish(job);
    if (answer.status === success || (job.takesWarning && answer.status === warning)) job.texts.push(answer.text);
    else job.refusal = this.#refusal(command, answer);
    const isDone = job.last === undefined && (job.refusal !== undefined || job.texts.length === job.commands.length);
    return isDone ? this.#finish(job) : this.#sendNext(job);
  }

  #finish(job: Job): void {
    this.#drop(job);
    const [next] = this.#jobs;
    if (next === undefined) this.#socket.unref();
    else this.#sendNext(next);
    if (job.refusal === undefined) job.resolve(job.texts);
    else job.reject(job.refusal);
  }

  #drop(job: Job): void {
    job.stopTimer();
    this.#jobs.splice(this.#jobs.indexOf(job), 1);
  }

  #giveUp(job: Job, deadlineMs: number): void {
    const asked = withoutPassword(job.commands[job.texts.length] ?? job.last ?? '');
    const late = new FrrError('late', `${this.daemon} of FRR did not answer "${asked}" within ${deadlineMs} ms`);
    if (job === this.#jobs[0]) return this.#end(late);
    this.#drop(job);
    return job.reject(late);
  }

  #refusal(command: string, { text, status }: Answer): FrrError {
    const words = withoutPassword(text).trim().replaceAll(/\s*\n\s*/g, '; ') || `status ${status}`;
    return new FrrError('refused', `${this.daemon} of FRR refused "${withoutPassword(command)}": ${words}`);
  }

  #describe(cause: Error): FrrError {
    const code = 'code' in cause ? cause.code : undefined;
    if (code === 'EACCES' || code === 'EPERM') {
      return new FrrError('noPermission', `The socket of ${this.daemon} of FRR, ${this.#path}, may not be used`, { cause, details: 'run weft as root, or as a member of the group frrvty' });
    }
    if (this.#wasOpen) return new FrrError('lost', `The connection to ${this.daemon} of FRR failed`, { cause });
    return new FrrError('notRunning', `${this.daemon} of FRR does not run: nobody listens at ${this.#path}`, { cause, details: `start FRR with ${this.daemon}=yes in /etc/frr/daemons, or set controlPlane.runDirectory to where its sockets are` });
  }

  #end(reason: FrrError, { isOwn = false } = {}): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    this.#socket.destroy();
    for (const job of this.#jobs.splice(0)) {
      job.stopTimer();
      job.reject(reason);
    }
    if (!isOwn && this.#wasOpen) this.#onLost(reason);
  }
}

/** @throws TypeError for what would be several commands, or none that FRR can read */
function requireOneLine(command: string): void {
  if (/[\0\n\r]/.test(command) || command === '') throw new TypeError('a command of FRR is one line');
  if (Buffer.byteLength(command) > commandBytesMax) throw new TypeError(`a command of FRR has at most ${commandBytesMax} bytes`);
}
