/** `weft explain`. */
import { Argument, type Command } from 'commander';
import { nearestOf } from '../../pkg/config/nearest.ts';
import { codesOf, entriesOf, findEntries } from '../../pkg/explain/entries.ts';
import { renderEntries } from '../../pkg/explain/render.ts';
import { outputOption, printNote, printReport, type OutputOptions } from './output.ts';
import { readPages } from './pages.ts';

const examples = `
A code is the number in a CNI error, the id of a finding of \`weft doctor\`, or the code of a line of the daemon's log. What is printed is
what docs/errors.md, docs/doctor.md and docs/logs.md say of it; nothing is asked of the node or the network.

Exit status: 0 when it is known, 2 when not.

Examples:
  weft explain 102
  weft explain path-narrow
  weft explain
`;

/** As of commander. */
const wrongUsage = 2;

/** Adds the command. */
export function addExplain(program: Command): void {
  program
    .command('explain')
    .description('what a code means and what to do: of an error, of a finding, or of a line of the log')
    .addArgument(new Argument('[code]', 'the code (default: all are listed)'))
    .addOption(outputOption())
    .addHelpText('after', examples)
    .action(explain);
}

function explain(code: string | undefined, options: OutputOptions): void {
  const entries = entriesOf(readPages());
  if (code === undefined) {
    printReport({ value: entries, render: () => entries.map((entry) => `${entry.code}\t${entry.kind}\t${entry.parts[0]?.[1] ?? ''}\n`).join('') }, options);
    return;
  }
  const found = findEntries(entries, code);
  if (found.length === 0) {
    printNote(`there is no code ${JSON.stringify(code)}: the nearest one is ${nearestOf(code, codesOf(entries))}; weft explain lists all`);
    process.exitCode = wrongUsage;
    return;
  }
  printReport({ value: found, render: () => renderEntries(found) }, options);
}

/** For completion. */
export function knownCodes(): readonly string[] {
  return codesOf(entriesOf(readPages()));
}
