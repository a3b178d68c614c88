/** The command line. Commander is loaded only here: the plugin's start-up is the user's waiting time. */
import { Command, Option, type CommanderError } from 'commander';
import { addCompletion } from './completion.ts';
import { addDoctor } from './doctor.ts';
import { addExplain } from './explain.ts';
import { endpointsExamples, showEndpoints } from './endpoints.ts';
import { forgetEndpoint } from './forget.ts';
import { addInstall } from './install.ts';
import { logLevels, type LogLevel } from '../../pkg/log/log.ts';
import { addMigrate } from './migrate.ts';
import { outputOption } from './output.ts';
import { evpnExamples, showEvpn } from './evpn.ts';
import { showStatus, statusExamples } from './status.ts';
import { showTenants, tenantsExamples } from './tenants.ts';
import { addTrace } from './trace.ts';
import { addTune } from './tune.ts';
import { version } from './version.ts';
import { startTimer } from '../../pkg/sys/timer.ts';

const programExamples = `
Examples:
  weft status
  weft doctor
  weft endpoints --tenant blue
  weft explain 102
`;

const daemonExamples = `
conf/weft.service is a unit of systemd; docs/daemon.md says what it does.

Examples:
  weft daemon
  weft daemon --log-level debug
  WEFT_CONFIG=/tmp/weft.yaml WEFT_STATE_DIR=/tmp/state WEFT_RUN_DIR=/tmp/run weft daemon
`;

const forgetExamples = `
Examples:
  weft forget blue vm-1
  weft forget 1001 vm-1                # a tenant without containers here is named by its VNI
`;

/** An exit status of its own, so that a script can tell its own mistake from the node's state. */
const wrongUsage = 2;

/** Longer than a person waits for a completion. */
const completionMs = 2000;

/** Runs the command that argv names. */
export async function runCommandLine(): Promise<void> {
  const [, , first, ...words] = process.argv;
  // Not a command of commander's: the words are incomplete, and would be refused.
  if (first === '__complete') await printCompletion(words);
  else await buildProgram().parseAsync();
}

async function printCompletion(words: readonly string[]): Promise<void> {
  startTimer(completionMs, () => process.exit(1));
  const { complete, renderCompletion } = await import('./complete.ts');
  const { liveWords } = await import('./live-words.ts');
  process.stdout.write(renderCompletion(complete(buildProgram(), words, await liveWords())));
}

/** All commands. */
export function buildProgram(): Command {
  const program = new Command('weft')
    .description('One overlay network for each tenant of a container platform.\n\nWith CNI_COMMAND in the environment this is the CNI plugin: CNI_COMMAND=ADD weft < net.conf')
    .version(version)
    .addHelpText('after', programExamples)
    .exitOverride(endWithUsage);
  program
    .command('daemon')
    .description('answer the calls of the launcher, and keep the node as it should be')
    .addOption(new Option('--log-level <level>', 'what is written to the log').choices(logLevels).default('info'))
    .addHelpText('after', daemonExamples)
    // A command that only looks does not wait for all of the daemon to be loaded.
    .action(async (options: { readonly logLevel: LogLevel }) => (await import('./daemon.ts')).runDaemon(options));
  addReports(program);
  addDoctor(program);
  addExplain(program);
  addTrace(program);
  addTune(program);
  addMigrate(program);
  addInstall(program);
  program
    .command('forget')
    .description('give up the address and MAC kept for an endpoint (WEFT_ENDPOINT) that will not come back')
    .argument('<tenant>', "the tenant's name, or its VNI")
    .argument('<endpoint>', 'the name given as WEFT_ENDPOINT')
    .addHelpText('after', forgetExamples)
    .action(forgetEndpoint);
  addCompletion(program);
  return program;
}

/** Commands that look and change nothing. */
function addReports(program: Command): void {
  program
    .command('status')
    .description('is this node well: daemon, ledger, configuration, and room for more endpoints')
    .addOption(outputOption())
    .addHelpText('after', statusExamples)
    .action(showStatus);
  program
    .command('endpoints')
    .description('the containers that are attached on this node')
    .addOption(outputOption())
    .option('--tenant <name>', "only this tenant's, by its name or its VNI")
    .addHelpText('after', endpointsExamples)
    .action(showEndpoints);
  program
    .command('tenants')
    .description("this node's tenants: VNI, tunnel end point, peers, gateway")
    .addOption(outputOption())
    .addHelpText('after', tenantsExamples)
    .action(showTenants);
  program
    .command('evpn')
    .description('what BGP EVPN advertises and receives, and where BGP, ledger and kernel disagree')
    .addOption(outputOption())
    .addHelpText('after', evpnExamples)
    .action(showEvpn);
}

/** Commander has said what is wrong. Help and version that were asked for are no mistakes. */
function endWithUsage({ exitCode }: CommanderError): never {
  process.exit(exitCode === 0 ? 0 : wrongUsage);
}
