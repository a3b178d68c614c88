/** The CNI plugin, complete on its own: one call, then the process ends. */
import { writeSync } from 'node:fs';
import { env, exit } from 'node:process';
import { configurationBytesMax } from '../../pkg/cni/configuration.ts';
import { dispatch, type CniAnswer, type CniPlugin } from '../../pkg/cni/dispatch.ts';
import { describeError } from '../../pkg/errors/weft-error.ts';
import { readAll } from '../../pkg/sys/read-all.ts';
import { buildEngine } from './build-engine.ts';
import { findPlaces } from './places.ts';

const stdin = 0;
const stdout = 1;
const stderr = 2;
/** A runtime that got no result must not take the call for a success: it follows with DEL. */
const undeliveredExitCode = 1;
/** The runtime has the configuration in memory when it starts the plugin. */
const stdinDeadlineMs = 10_000;

/**
 * Answers the call on stdout, and ends the process: nothing that still waits may keep the runtime waiting. Nothing is
 * closed: the end of the process does that, and the ledger's checkpoint (two fsyncs) is left to a process with more time.
 */
export async function runPlugin(): Promise<never> {
  const answer = await answerCall();
  const isDelivered = writeAll(stdout, answer.stdout);
  exit(isDelivered ? answer.exitCode : undeliveredExitCode);
}

async function answerCall(): Promise<CniAnswer> {
  const engine = await buildEngine(findPlaces());
  try {
    return await dispatch({ env, stdin: readAll(stdin, { bytesMax: configurationBytesMax, deadlineMs: stdinDeadlineMs }) }, engine);
  } catch (error) {
    // Even what goes wrong before the call is read is answered in the protocol.
    return await dispatch({ env, stdin: '{"cniVersion":"1.0.0","name":"unread"}' }, failingPlugin(error));
  }
}

function failingPlugin(error: unknown): CniPlugin {
  const fail = (): Promise<never> => Promise.reject(error);
  return { add: fail, del: fail, check: fail, gc: fail, status: fail };
}

/** To a pipe that another process reads: written whole (true), or the reader is gone (false). */
function writeAll(fd: number, text: string): boolean {
  const bytes = Buffer.from(text);
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(fd, bytes, written);
    return true;
  } catch (error) {
    if (fd !== stderr) writeAll(stderr, `weft: the answer could not be written: ${describeError(error)}\n`);
    return false;
  }
}
