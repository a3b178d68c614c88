/** Four files as a test installs them. */
import { digestOfText } from './files.ts';
import { places } from './layout.ts';
import type { WantedFile } from './plan.ts';

export const pathsForTest: readonly [string, string, string, string] = [places.executable, places.launcher, places.nodeConf, `${places.networkDirectory}/10-weft.conflist`];

/** All with one text, so that a mixture is seen. */
export function wantedForTest(text: string): readonly WantedFile[] {
  return pathsForTest.map((path, index) => ({ path, mode: index < 2 ? 0o755 : 0o600, digest: digestOfText(text), content: { kind: 'text', text }, isConfiguration: index >= 2 }));
}
