/** A reboot, as far as weft can tell: the kernel is empty, and plugin processes see another boot's id. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, runIn } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import type { CniOutcome, Verb } from '../harness/cni-call.ts';
import type { Attach, LabNode } from '../harness/lab-node.ts';
import { rebootSwitch } from '../harness/lab.ts';
import { mounting } from './mount-namespace.ts';

/** Takes what a reboot takes: every link that weft made, and its tables. A switch starts with what its database has. Containers are ended by the test. */
export async function emptyKernel(node: LabNode): Promise<void> {
  if (node.datapath === 'ovs') await rebootSwitch(node);
  const links = readLinks(node.netns).map(({ ifname }) => ifname).filter((name) => /^weft-(br|vx)/.test(name));
  for (const name of links) run('ip', ['-n', node.netns, 'link', 'del', name]);
  // The underlay's table is the node's own, which a reboot would make again.
  const tables = [...runIn(node.netns, 'nft', 'list', 'tables').matchAll(/^table (\w+ weft\S*)$/gm)].map(([, table]) => table ?? '');
  for (const table of tables) runIn(node.netns, 'nft', 'delete', 'table', ...table.split(' '));
}

/** Calls of plugin processes that see another boot's id; the node's executable must be a mountingExecutable(). */
export function afterBoot(scope: TeardownScope, node: LabNode): (verb: Verb, attach: Attach, stdin?: object) => Promise<CniOutcome> {
  const bootIdFile = join(temporaryDirectory(scope), 'boot_id');
  writeFileSync(bootIdFile, '11111111-2222-4333-8444-555555555555\n');
  const commands = `mount --bind ${bootIdFile} /proc/sys/kernel/random/boot_id`;
  return async (verb, attach, stdin = attach.conf) => node.call({ env: mounting(commands, verb, attach), stdin: JSON.stringify(stdin) });
}
