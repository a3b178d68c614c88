/**
 * Plugin processes that see other files than the rest of the machine. `ip netns exec` gives each process a mount
 * namespace of its own, whose mounts go with it: a shell that mounts and then becomes the plugin needs no clean-up.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { attachEnv, type Attach } from '../harness/lab-node.ts';
import { weftExecutable } from '../harness/weft-executable.ts';
import type { Verb } from '../harness/cni-call.ts';

/** An executable that runs the shell commands in $BEFORE_WEFT, where there are any, and becomes weft. */
export function mountingExecutable(scope: TeardownScope): string {
  const path = join(temporaryDirectory(scope), 'weft');
  writeFileSync(path, `#!/bin/sh\nset -eu\neval "\${BEFORE_WEFT:-}"\nexec ${weftExecutable}\n`, { mode: 0o755 });
  return path;
}

/** The environment of a call before which the commands are run. */
export function mounting(commands: string, verb: Verb, attach: Attach): Readonly<Record<string, string>> {
  return { ...attachEnv(verb, attach), BEFORE_WEFT: commands };
}

export const stateDirectoryReadOnly = 'mount --bind "$WEFT_STATE_DIR" "$WEFT_STATE_DIR"; mount -o remount,bind,ro "$WEFT_STATE_DIR"';
export const runDirectoryReadOnly = 'mount --bind "$WEFT_RUN_DIR" "$WEFT_RUN_DIR"; mount -o remount,bind,ro "$WEFT_RUN_DIR"';
export const stateDirectoryNoExec = 'mount --bind "$WEFT_STATE_DIR" "$WEFT_STATE_DIR"; mount -o remount,bind,noexec "$WEFT_STATE_DIR"';

/** The state directory as it is, on a file system of its own that has not a byte left. What is written there is lost. */
export const stateDirectoryFull: string = [
  'mkdir "$WEFT_RUN_DIR/full"',
  'mount -t tmpfs -o size=16m none "$WEFT_RUN_DIR/full"',
  'cp -a "$WEFT_STATE_DIR/." "$WEFT_RUN_DIR/full"',
  'dd if=/dev/zero of="$WEFT_RUN_DIR/full/filler" bs=4k status=none 2>&- || true',
  'mount --move "$WEFT_RUN_DIR/full" "$WEFT_STATE_DIR"',
  'rmdir "$WEFT_RUN_DIR/full"',
].join('\n');
