/**
 * What a page for readers has them type. Blocks of commands are fenced and say how they are meant:
 *
 *     sh       a script; the blocks of a page run in one shell, one after the other
 *     console  commands behind the prompt `# `, each with what it prints
 *
 * and a comment in the source, which no reader sees, may stand before a block:
 *
 *     <!-- not run: why it cannot be -->       it is only parsed
 *     <!-- instead: weft daemon & -->          what stands in for a block that is not run
 *     <!-- file: /etc/weft/weft.yaml -->       the block is the text of this file, and is written there
 */

export interface Command {
  readonly text: string;
  /** What it prints, as the page shows it. A line of a script prints what it likes, and must succeed. */
  readonly output?: string;
}

/** What is done for one block. */
export interface Step {
  /** Line of the page, from 1. */
  readonly line: number;
  readonly commands: readonly Command[];
}

/** A block that is parsed and not run. */
export interface Omission {
  readonly line: number;
  readonly reason: string;
  readonly text: string;
}

export interface Page {
  readonly steps: readonly Step[];
  readonly omissions: readonly Omission[];
  /** What is wrong with the page itself, each with its line. */
  readonly faults: readonly string[];
}

interface Fence {
  readonly line: number;
  readonly language: string;
  readonly text: string;
  readonly remarks: Readonly<Partial<Record<RemarkName, string>>>;
}

type RemarkName = 'not run' | 'instead' | 'file';

const remarkPattern = /^<!-- (not run|instead|file): (.+) -->$/;
const fencePattern = /^```(.*)$/;
const promptPattern = /^# (.*)$/;
const continuationPattern = /^> (.*)$/;

/** Reads a page. */
export function readPage(text: string): Page {
  const { fences, faults } = readFences(text.split('\n'));
  const steps: Step[] = [];
  const omissions: Omission[] = [];
  for (const fence of fences) {
    const fault = faultOf(fence);
    if (fault !== undefined) faults.push(`line ${fence.line}: ${fault}`);
    const reason = fence.remarks['not run'];
    if (reason !== undefined) omissions.push({ line: fence.line, reason, text: commandsOf(fence).map((command) => command.text).join('\n') });
    const commands = commandsToRun(fence);
    if (commands.length > 0) steps.push({ line: fence.line, commands });
  }
  return { steps, omissions, faults };
}

function readFences(lines: readonly string[]): { readonly fences: readonly Fence[]; readonly faults: string[] } {
  const fences: Fence[] = [];
  const faults: string[] = [];
  let remarks: Partial<Record<RemarkName, string>> = {};
  for (let index = 0; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    const remark = remarkPattern.exec(line);
    const fence = fencePattern.exec(line);
    if (remark !== null) remarks[remark[1] as RemarkName] = remark[2] ?? '';
    else if (fence !== null) {
      const end = lines.indexOf('```', index + 1);
      if (end === -1) return { fences, faults: [...faults, `line ${index + 1}: the block has no end`] };
      fences.push({ line: index + 1, language: fence[1] ?? '', text: lines.slice(index + 1, end).join('\n'), remarks });
      remarks = {};
      index = end;
    } else if (line.trim() !== '') {
      if (Object.keys(remarks).length > 0) faults.push(`line ${index + 1}: the comment above belongs to a block, and none follows`);
      remarks = {};
      if (line.startsWith('    ') && (lines[index - 1] ?? '').trim() === '') faults.push(`line ${index + 1}: an indented block: give it a fence that says what it is`);
      if (/^\s*(```|~~~)/.test(line)) faults.push(`line ${index + 1}: a fence stands at the beginning of its line and is made of three backticks`);
    }
  }
  return { fences, faults };
}

function faultOf({ language, text, remarks }: Fence): string | undefined {
  const isCommands = language === 'sh' || language === 'console';
  if (language === '') return 'the block does not say what it is: sh, console, json, yaml, text, …';
  if (['bash', 'shell', 'shell-session'].includes(language)) return `${language} is called sh here, or console where it shows what is printed`;
  if (!isCommands && /^[$#] [a-z]/.test(text) && remarks.file === undefined) return 'it shows a prompt: call it console, so that it is run';
  if (!isCommands && (remarks['not run'] ?? remarks.instead) !== undefined) return `what is called ${language} is not run anyway`;
  if (remarks.instead !== undefined && remarks['not run'] === undefined) return 'something stands in for the block, and why it is not run is not said';
  if (language === 'console' && !text.startsWith('# ')) return 'it should begin with a command behind the prompt "# "';
  return undefined;
}

function commandsToRun(fence: Fence): readonly Command[] {
  const { remarks: { 'not run': reason, instead, file }, text } = fence;
  if (instead !== undefined) return [{ text: instead }];
  if (reason !== undefined) return [];
  if (file !== undefined) return [{ text: `mkdir -p "$(dirname '${file}')"\ncat >'${file}' <<'END_OF_FILE'\n${text}\nEND_OF_FILE` }];
  return commandsOf(fence);
}

function commandsOf({ language, text }: Fence): readonly Command[] {
  if (language === 'console') return readTranscript(text.split('\n'));
  return language === 'sh' ? [{ text }] : [];
}

function readTranscript(lines: readonly string[]): readonly Command[] {
  const commands: { text: string; output: string[] }[] = [];
  for (const line of lines) {
    const last = commands.at(-1);
    const [prompt, continuation] = [promptPattern.exec(line), continuationPattern.exec(line)];
    if (prompt !== null) commands.push({ text: prompt[1] ?? '', output: [] });
    else if (continuation !== null && last?.output.length === 0) last.text += `\n${continuation[1] ?? ''}`;
    else last?.output.push(line);
  }
  return commands.map(({ text, output }) => ({ text, output: output.join('\n') }));
}

/**
 * Whether something was printed as the page shows it. `…` stands for anything within a line, and alone on its line for any number of lines;
 * how much white space there is does not matter.
 */
export function isAsShown(shown: string, printed: string): boolean {
  const lines = wordsOf(shown).map((line) => (line === '…' ? '(?:[^\\n]*\\n)*?' : `${line.split('…').map(escape).join('[^\\n]*?')}\\n`));
  return new RegExp(`^${lines.join('')}$`).test(wordsOf(printed).map((line) => `${line}\n`).join(''));
}

function wordsOf(text: string): readonly string[] {
  const lines = text.split('\n').map((line) => line.trim().replace(/\s+/g, ' '));
  return lines.filter((line) => line !== '');
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}
