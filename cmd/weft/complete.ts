/** What could stand at a place of the command line: from commander's own tree, and from the node where it is quickly known. */
import { Option, type Argument, type Command } from 'commander';

/** One word that could stand there. */
export interface Candidate {
  readonly word: string;
  readonly meaning: string;
}

/** Words that only the node knows, by the name of the argument or option that takes them. */
export type LiveWords = (of: string, before: readonly string[]) => readonly Candidate[];

/** The candidates; `files`: whether a file or directory could stand there. */
export interface Completion {
  readonly candidates: readonly Candidate[];
  readonly files: boolean;
}

/** Arguments of options that are places of the file system. */
const paths: ReadonlySet<string> = new Set(['directory', 'path']);

/** @param words those behind `weft` up to the cursor; the last one, perhaps empty, is to be completed */
export function complete(program: Command, words: readonly string[], live: LiveWords): Completion {
  const { current, before } = splitAtCursor(words);
  const place = findPlace(program, before);
  const inline = /^(--[^=]+)=(.*)$/.exec(current);
  if (inline !== null) {
    const [, flag = '', value = ''] = inline;
    const { candidates, files } = matching(ofOption(findOption(place.command, flag), { place, live }), value);
    return { candidates: candidates.map(({ word, meaning }) => ({ word: `${flag}=${word}`, meaning })), files };
  }
  if (place.pending !== undefined) {
    const own = matching(ofOption(place.pending, { place, live }), current);
    // A value that may be left out may as well be the next option.
    return needsValue(place) || !current.startsWith('-') ? own : matching({ candidates: optionsOf(place.command), files: false }, current);
  }
  if (current.startsWith('-') && !place.isPastOptions) return matching({ candidates: optionsOf(place.command), files: false }, current);
  return matching({ candidates: ofPosition(place, live), files: false }, current);
}

interface Place {
  readonly command: Command;
  readonly positionals: readonly string[];
  /** The option whose value comes next. */
  readonly pending: Option | undefined;
  /** It takes several, and has one. */
  readonly isServed: boolean;
  readonly isPastOptions: boolean;
}

/** bash makes a word of `=`. */
function splitAtCursor(words: readonly string[]): { readonly current: string; readonly before: readonly string[] } {
  const last = words.at(-1) ?? '';
  return { current: last === '=' ? '' : last, before: words.slice(0, -1).filter((word) => word !== '=') };
}

function findPlace(program: Command, words: readonly string[]): Place {
  let place: Place = { command: program, positionals: [], pending: undefined, isServed: false, isPastOptions: false };
  for (const word of words) place = next(place, word);
  return place;
}

function next(place: Place, word: string): Place {
  const { command, positionals, pending, isPastOptions } = place;
  if (pending !== undefined && (needsValue(place) || !word.startsWith('-'))) return { ...place, pending: pending.variadic ? pending : undefined, isServed: true };
  if (isPastOptions || !word.startsWith('-')) {
    const inner = positionals.length === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    return inner === undefined ? { ...place, pending: undefined, positionals: [...positionals, word] } : { ...place, command: inner, pending: undefined };
  }
  if (word === '--') return { ...place, pending: undefined, isPastOptions: true };
  const option = word.includes('=') ? undefined : findOption(command, word);
  return { ...place, pending: option !== undefined && (option.required || option.optional) ? option : undefined, isServed: false };
}

/** Whether the next word is the option's, whatever it looks like. */
function needsValue({ pending, isServed }: Place): boolean {
  return pending?.required === true && !isServed;
}

function findOption(command: Command, flag: string): Option | undefined {
  return command.options.find(({ long, short }) => long === flag || short === flag);
}

function optionsOf(command: Command): readonly Candidate[] {
  const help = command.createHelp();
  return help.visibleOptions(command).map(({ long, short, description }) => ({ word: long ?? short ?? '', meaning: description }));
}

interface Surroundings {
  readonly place: Place;
  readonly live: LiveWords;
}

function ofOption(option: Option | undefined, { place, live }: Surroundings): Completion {
  if (option === undefined) return { candidates: [], files: false };
  const argument = /[<[]([^\].>]+)/.exec(option.flags)?.[1] ?? '';
  const own = (option.argChoices ?? []).map((word) => ({ word, meaning: '' }));
  return { candidates: own.length > 0 ? own : live(option.attributeName(), place.positionals), files: paths.has(argument) };
}

function ofPosition({ command, positionals }: Place, live: LiveWords): readonly Candidate[] {
  if (command.commands.length > 0) {
    if (positionals.length > 0) return [];
    return command.createHelp().visibleCommands(command).map((one) => ({ word: one.name(), meaning: one.description().split('\n')[0] ?? '' }));
  }
  const argument: Argument | undefined = command.registeredArguments[positionals.length];
  if (argument === undefined) return [];
  return argument.argChoices?.map((word) => ({ word, meaning: '' })) ?? live(argument.name(), positionals);
}

/** What begins like the word so far, each once, and nothing that a shell would take for two words. */
function matching({ candidates, files }: Completion, current: string): Completion {
  const byWord = new Map(candidates.filter(({ word }) => word.startsWith(current) && /^[!-~]+$/.test(word)).map((one) => [one.word, one]));
  return { candidates: [...byWord.values()], files };
}

/** A line for each candidate, and `:files` where files are candidates too. */
export function renderCompletion({ candidates, files }: Completion): string {
  const lines = candidates.map(({ word, meaning }) => `${word}\t${meaning.replaceAll(/\s+/g, ' ')}\n`);
  return `${lines.join('')}${files ? ':files\n' : ''}`;
}
