/** An IPAM plugin with one address, which ends when the test says so: it holds a call in the middle of an ADD, or of a DEL. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const deadlineMs = 30_000;
/** The plugin gives up by itself: what it waits for may never come, where a test has failed. */
const roundsMax = 600;

export interface DelayingIpam {
  /** The `ipam` of a network configuration. */
  readonly conf: { readonly type: string };
  /** CNI_PATH with the plugin's directory in it. */
  readonly path: string;
  readonly address: string;
  /** Waits until a call that is held has begun. @throws Error when none does */
  readonly begun: () => Promise<void>;
  /** Lets calls end, the one that is held and all to come. */
  readonly release: () => void;
  /** The verbs it was called with, in order. */
  readonly calls: () => readonly string[];
}

/** A plugin in a directory that goes away with the scope. It holds one verb; the other ends at once. */
export function createDelayingIpam(scope: TeardownScope, held: 'ADD' | 'DEL' = 'ADD'): DelayingIpam {
  const directory = mkdtempSync(join(tmpdir(), 'weft-ipam-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  const forget = undoAtExit(remove);
  const [released, log, plugin] = [join(directory, 'released'), join(directory, 'calls'), join(directory, 'delaying-ipam')];
  const release = (): void => writeFileSync(released, '');
  scope.teardown(() => {
    release();
    forget();
    remove();
  });
  const address = '10.1.1.77/24';
  const script = `#!/bin/sh
cat > /dev/null
echo "$CNI_COMMAND" >> ${log}
round=0
while [ "$CNI_COMMAND" = ${held} ] && [ ! -e ${released} ] && [ $round -lt ${roundsMax} ]; do round=$((round + 1)); sleep 0.05; done
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{"cniVersion":"1.0.0","ips":[{"address":"${address}"}]}'
`;
  writeFileSync(plugin, script);
  chmodSync(plugin, 0o755);
  const calls = (): readonly string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  const begun = async (): Promise<void> => {
    const deadline = performance.now() + deadlineMs;
    while (!calls().includes(held)) {
      if (performance.now() > deadline) throw new Error(`the IPAM plugin was not called with ${held}: ${calls().join(', ')}`);
      await delay(10);
    }
  };
  return { conf: { type: 'delaying-ipam' }, path: directory, address, begun, release, calls };
}
