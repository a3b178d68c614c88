/** The command line. Commander is loaded only here: the plugin's start-up is the user's waiting time. */
import { Command } from 'commander';
import { forgetEndpoint } from './forget.ts';

declare const WEFT_VERSION: string | undefined;

/** The version baked in by the build; in the source tree there is none. */
const version = typeof WEFT_VERSION === 'string' ? WEFT_VERSION : 'development';

/** Runs the command that argv names. */
export async function runCommandLine(): Promise<void> {
  const program = new Command('weft')
    .description('One overlay network for each tenant of a container platform.\n\nWith CNI_COMMAND in the environment this is the CNI plugin: CNI_COMMAND=ADD weft < net.conf')
    .version(version);
  program
    .command('forget')
    .description('give up the address and MAC kept for an endpoint (WEFT_ENDPOINT) that will not come back')
    .argument('<tenant>', "the tenant's name, or its VNI")
    .argument('<endpoint>', 'the name given as WEFT_ENDPOINT')
    .action(forgetEndpoint);
  await program.parseAsync();
}
