/** An environment as execve(2) has it in memory: `KEY=VALUE` and a zero byte, for each variable. */
import { ProtocolError } from './wire.ts';

/** The block of an environment. @throws ProtocolError malformed for a name or a value that cannot be written */
export function encodeEnvironment(env: Readonly<Record<string, string>>): Buffer {
  return Buffer.from(Object.entries(env).map(([name, value]) => `${encodeVariable(name, value)}\0`).join(''));
}

function encodeVariable(name: string, value: string): string {
  if (name === '' || /[=\0]/.test(name)) throw malformed(`the name of a variable must not be empty or contain "=" or a zero byte: current value is ${JSON.stringify(name)}`);
  if (value.includes('\0')) throw malformed(`the value of ${name} must not contain a zero byte`);
  return `${name}=${value}`;
}

/**
 * Reads a block. A variable given twice is refused: which of the two counts differs between C libraries, and a caller that
 * sends it means mischief or is broken.
 * @throws ProtocolError malformed
 */
export function decodeEnvironment(block: Buffer): Readonly<Record<string, string>> {
  if (block.length === 0) return {};
  if (block.at(-1) !== 0) throw malformed('every variable of the environment must end with a zero byte: the last one does not');
  const variables = new Map<string, string>();
  for (const entry of block.toString('utf8', 0, block.length - 1).split('\0')) {
    const at = entry.indexOf('=');
    if (at < 1) throw malformed(`every variable of the environment must be KEY=VALUE: current value is ${JSON.stringify(entry.slice(0, shownCharacters))}`);
    const name = entry.slice(0, at);
    if (variables.has(name)) throw malformed(`a variable must be in the environment once: ${name.slice(0, shownCharacters)} is there twice`);
    variables.set(name, entry.slice(at + 1));
  }
  return Object.fromEntries(variables);
}

/** How much of a hostile text a message repeats. */
const shownCharacters = 64;

function malformed(message: string): ProtocolError {
  return new ProtocolError('malformed', message);
}
