/** `weft migrate`: what an operator, or a hypervisor's hook, says and asks about endpoints that move. */
import { Argument, type Command } from 'commander';
import { WeftError } from '../../pkg/errors/weft-error.ts';
import type { MigrateAnswer, MigrateCommand } from '../../pkg/migration/commands.ts';
import { exchange } from '../../pkg/protocol/client.ts';
import { renderMigrations, reportMigrations } from '../../pkg/report/migrations.ts';
import { noteAbsence } from './node-notes.ts';
import { observeNode, socketPathOf } from './node-view.ts';
import { outputOption, printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces } from './places.ts';
import { endWaiting, showWaiting } from './progress.ts';

/** The other node has a second for each of four tries. */
const answerMs = 10_000;

const examples = `
An endpoint moves by an ADD on another node with its WEFT_ENDPOINT: the container there waits, closed, until the machine in it announces itself,
or until \`weft migrate activate\` says that the machine has stopped at the source. docs/migration.md has the whole of it.

Examples:
  weft migrate status
  weft migrate activate blue vm-1                       # on the source: the machine has stopped, send what comes for it to the target
  weft migrate cancel blue vm-1                         # it does not go after all
  weft migrate prepare blue vm-1 --from 192.0.2.1       # on the target, before its ADD, where the source is not among the tenant's peers
`;

/** Adds the command and its own. */
export function addMigrate(program: Command): void {
  const migrate = program.command('migrate').description('endpoints that move between nodes').addHelpText('after', examples);
  migrate
    .command('status')
    .description('which endpoints come and go, and how far they are')
    .addOption(outputOption())
    .addHelpText('after', "\nExamples:\n  weft migrate status\n  weft migrate status -o json | jq '.[].phase'\n")
    .action(showMigrations);
  const [tenant, endpoint] = [new Argument('<tenant>', "the tenant's name, or its VNI"), new Argument('<endpoint>', 'the name given as WEFT_ENDPOINT')];
  migrate
    .command('prepare')
    .description('on the target: the next container of the endpoint takes it over from a VTEP')
    .addArgument(tenant)
    .addArgument(endpoint)
    .requiredOption('--from <vtep>', 'the VTEP of the node that has it now')
    .addHelpText('after', '\nExamples:\n  weft migrate prepare blue vm-1 --from 192.0.2.1\n')
    .action((tenant: string, endpoint: string, { from }: { readonly from: string }) => give({ verb: 'prepare', tenant, endpoint, from }));
  migrate
    .command('activate')
    .description('on either node: the machine has stopped at the source, and is the target’s from now on')
    .addArgument(tenant)
    .addArgument(endpoint)
    .addHelpText('after', '\nExamples:\n  weft migrate activate blue vm-1\n  weft migrate activate 1001 vm-1\n')
    .action((tenant: string, endpoint: string) => give({ verb: 'activate', tenant, endpoint }));
  migrate
    .command('cancel')
    .description('on either node: the endpoint stays where it is')
    .addArgument(tenant)
    .addArgument(endpoint)
    .addHelpText('after', '\nExamples:\n  weft migrate cancel blue vm-1\n')
    .action((tenant: string, endpoint: string) => give({ verb: 'cancel', tenant, endpoint }));
}

async function showMigrations(options: OutputOptions): Promise<void> {
  await reportFailures(async () => {
    const node = await observeNode(findPlaces());
    noteAbsence(node);
    const migrations = reportMigrations(node);
    printReport({ value: migrations, render: () => renderMigrations(migrations, node) }, options);
  });
}

/** Gives the daemon a command, and prints what came of it. */
async function give(command: MigrateCommand): Promise<void> {
  await reportFailures(async () => {
    const socketPath = socketPathOf(findPlaces());
    showWaiting(`waiting for the daemon: ${command.verb} ${command.tenant} ${command.endpoint}`);
    const reply = await exchange(socketPath, { kind: 'command', env: {}, stdin: JSON.stringify(command) }, { deadlineMs: answerMs });
    if (reply.kind === 'absent') throw new WeftError('notAvailable', `no daemon listens on ${socketPath}: only a daemon moves endpoints`);
    if (reply.kind === 'elsewhere') throw new WeftError('tryAgainLater', `the daemon does not take commands now: ${reply.words}`);
    const answer = JSON.parse(reply.body) as Partial<MigrateAnswer> & { readonly error?: string };
    if (reply.status !== 0 || answer.words === undefined) throw new WeftError('invalidConfiguration', answer.error ?? 'the daemon does not know this command');
    endWaiting();
    process.stdout.write(`${answer.words}\n`);
  });
}
