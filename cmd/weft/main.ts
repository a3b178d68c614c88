/**
 * The one executable: with CNI_COMMAND set it is the CNI plugin, otherwise the command line. Each is loaded only when it is
 * wanted: what a CNI call loads is the user's waiting time.
 */
import { env } from 'node:process';

void main();

async function main(): Promise<void> {
  if (env['CNI_COMMAND'] !== undefined) await (await import('./plugin.ts')).runPlugin();
  else await (await import('./command-line.ts')).runCommandLine();
}
