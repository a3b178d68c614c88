/** The one executable: with CNI_COMMAND set it is the CNI plugin, otherwise the command line. */
import { env } from 'node:process';
import { runCommandLine } from './command-line.ts';
import { runPlugin } from './plugin.ts';

void (env['CNI_COMMAND'] === undefined ? runCommandLine() : runPlugin());
