/** What every command's help must have. */
import type { Command } from 'commander';
import t from 'tap';
import { buildProgram } from './command-line.ts';

interface Named {
  /** As it is typed behind `weft`. */
  readonly path: string;
  readonly command: Command;
}

function commandsOf(command: Command, path = ''): readonly Named[] {
  return [{ path, command }, ...command.commands.flatMap((inner) => commandsOf(inner, `${path} ${inner.name()}`.trim()))];
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (words) => void (text += words) }).outputHelp();
  return text;
}

/** The lines of a help's examples that call weft, each as a shell would take it apart. */
function examplesOf(help: string): readonly string[][] {
  const lines = help.split(/^Examples:$/m)[1]?.split('\n').filter((line) => /^  \S/.test(line)) ?? [];
  return lines.map((line) => {
    const call = line.trim().replace(/^(?:[A-Z_]+=\S+ )*/, '').replace(/ +#.*$/, '').split(/ [|><] /)[0] ?? '';
    return [...call.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, single, double, bare]) => single ?? double ?? bare ?? '');
  });
}

/** What a command line comes to, without being carried out; what commander refuses is thrown. */
async function parse(words: readonly string[]): Promise<string | undefined> {
  const program = buildProgram();
  let ran: string | undefined;
  for (const { path, command } of commandsOf(program)) {
    command.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
    if (command.commands.length === 0) command.action(() => void (ran = path));
  }
  await program.parseAsync(words, { from: 'user' });
  return ran;
}

t.test('every command has examples, and each is one that it takes', async (t) => {
  const all = commandsOf(buildProgram());
  t.ok(all.length > 14, 'commands within commands are among them');
  for (const { path, command } of all) {
    const examples = examplesOf(helpOf(command));
    t.ok(examples.length > 0, `weft ${path} --help has examples`);
    for (const [program, ...words] of examples) {
      const ran = await parse(words).catch((error: unknown) => String(error));
      t.equal(program, 'weft');
      t.ok(ran === path || (command.commands.length > 0 && ran?.startsWith(path) === true && ran !== ''), `weft ${words.join(' ')}: ${ran}`);
    }
    t.ok(command.description().length > 10, `weft ${path} says what it does`);
    for (const option of command.options) t.ok(option.description.length > 3, `${path} ${option.flags}`);
    for (const argument of command.registeredArguments) t.ok(argument.description.length > 3, `${path} ${argument.name()}`);
  }
});

t.test('what is misspelt is told from what was meant', async (t) => {
  const rows = [
    [['statsu'], /unknown command 'statsu'\n\(Did you mean status\?\)/],
    [['migrate', 'prepair', 'a', 'b'], /unknown command 'prepair'\n\(Did you mean prepare\?\)/],
    [['endpoints', '--tennant', 'a'], /unknown option '--tennant'\n\(Did you mean --tenant\?\)/],
    [['completion', 'csh'], /Allowed choices are bash, zsh, fish/],
  ] as const;
  for (const [words, message] of rows) await t.rejects(parse(words), { message }, words.join(' '));
});
