import { resolve } from 'node:path';
import { skipUnless } from '../../pkg/testing/requirements.ts';

/** The executable under test: $WEFT_BIN, or dist/weft of this checkout. */
export const weftExecutable: string = process.env['WEFT_BIN'] ?? resolve(import.meta.dirname, '../../dist/weft');

/** Reason to skip a black-box test of weft on this machine, or false. @throws Error under WEFT_TEST_STRICT=1 */
export function skipWithoutLab(...tools: readonly string[]): string | false {
  return skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', ...tools], executables: [weftExecutable] });
}
