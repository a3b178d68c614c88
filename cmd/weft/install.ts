/** The options of `weft install` and `weft uninstall`. What they do is loaded when it is done: other commands do not wait for it. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { defaultConfListName, places as installed } from '../../pkg/install/layout.ts';

/** A program that waits for longer is started again by whoever needs it. */
const waitSecondsMax = 86_400;

const installExamples = `
Puts this executable, the launcher, the node configuration and the conflist where they belong under --host-root. Each file is on the disk
before the first is replaced, none is ever there by half, and the conflist, which makes a node ready for pods, is the last. What is right
already is left alone. The configuration is checked before, and copied as it is. docs/kubernetes.md says more.

Exit status: 0 when everything is in place, 1 when something forbids it or went wrong, 2 for wrong usage.

Examples:
  weft install --config weft.yaml --conflist 10-weft.conflist
  weft install --host-root /host --config /config/node-1.yaml --conflist /config/10-weft.conflist
  weft install --config weft.yaml --conflist 10-weft.conflist --dry-run
`;

const uninstallExamples = `
Waits until no endpoint is left on the node, and then removes what weft install has put there, the conflist first. Until then nothing is
removed: a runtime cannot delete a pod without the conflist and the launcher. Keep new pods away meanwhile: kubectl cordon. A
kubelet has a pod that it has stopped removed a minute or two later, for which the runtime wants the conflist again: give it --linger. The
ledger stays.

Exit status: 0 when weft is gone, 1 when endpoints are left or something went wrong, 2 for wrong usage.

Examples:
  weft uninstall
  weft uninstall --wait 600
  weft uninstall --host-root /host --wait 3600 --linger 120
`;

/** What the command line gives `weft install`. */
export interface InstallFlags {
  readonly config: string;
  readonly conflist: string;
  readonly conflistName: string;
  readonly hostRoot: string;
  readonly launcher: string;
  readonly overwrite?: true;
  readonly besideOthers?: true;
  readonly dryRun?: true;
}

/** What the command line gives `weft uninstall`. */
export interface UninstallFlags {
  readonly hostRoot: string;
  readonly wait: number;
  readonly linger: number;
}

/** Adds both commands. */
export function addInstall(program: Command): void {
  program
    .command('install')
    .description('put weft and its configuration on a node: every file whole, the conflist last')
    .requiredOption('--config <file>', "the node's configuration, for /etc/weft/weft.yaml")
    .requiredOption('--conflist <file>', 'the network, for /etc/cni/net.d')
    .addOption(new Option('--conflist-name <name>', "the conflist's name there").default(defaultConfListName))
    .addOption(hostRootOption())
    .addOption(new Option('--launcher <file>', 'the launcher that belongs to this executable').default(installed.launcher))
    .option('--overwrite', 'also overwrite configuration that somebody else wrote or changed')
    .option('--beside-others', "also where another network's configuration comes before weft's")
    .option('--dry-run', 'say what would be done')
    .addHelpText('after', installExamples)
    .action(async (flags: InstallFlags) => (await import('./install-node.ts')).installNode(flags));
  program
    .command('uninstall')
    .description('take weft from a node once no endpoint is left on it')
    .addOption(hostRootOption())
    .addOption(new Option('--wait <seconds>', 'how long to wait for the last endpoint to be deleted').default(0).argParser(parseSeconds))
    .addOption(new Option('--linger <seconds>', 'how long there must have been none before anything is removed').default(0).argParser(parseSeconds))
    .addHelpText('after', uninstallExamples)
    .action(async (flags: UninstallFlags) => (await import('./install-node.ts')).uninstallNode(flags));
}

function hostRootOption(): Option {
  return new Option('--host-root <directory>', "where the node's root is, or its directories below one, for this process").default('/');
}

function parseSeconds(text: string): number {
  const value = /^[0-9]{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= waitSecondsMax) return value;
  throw new InvalidArgumentError(`It must be a whole number of seconds from 0 to ${waitSecondsMax}.`);
}
