import t from 'tap';
import { isAsShown, readPage } from './page.ts';

const fence = '```';

const example = `# Title

${fence}sh
one
two
${fence}

<!-- not run: no systemd here -->
<!-- instead: weft daemon & -->
${fence}sh
systemctl start weft
${fence}

<!-- file: /etc/x/y.yaml -->

${fence}yaml
a: 1
${fence}

${fence}text
a drawing
${fence}

${fence}console
# first \\
> again
# second
prints
  this
${fence}

<!-- not run: no Debian has it -->
${fence}console
# crictl ps
CONTAINER …
${fence}
`;

t.test('blocks of a page', (t) => {
  const page = readPage(example);
  t.same(page.faults, []);
  t.same(page.steps, [
    { line: 3, commands: [{ text: 'one\ntwo' }] },
    { line: 10, commands: [{ text: 'weft daemon &' }] },
    { line: 16, commands: [{ text: `mkdir -p "$(dirname '/etc/x/y.yaml')"\ncat >'/etc/x/y.yaml' <<'END_OF_FILE'\na: 1\nEND_OF_FILE` }] },
    { line: 24, commands: [{ text: 'first \\\nagain', output: '' }, { text: 'second', output: 'prints\n  this' }] },
  ]);
  t.same(page.omissions, [
    { line: 10, reason: 'no systemd here', text: 'systemctl start weft' },
    { line: 33, reason: 'no Debian has it', text: 'crictl ps' },
  ]);
  t.end();
});

t.test('a command that nobody would run is a fault', (t) => {
  const rows: readonly (readonly [string, RegExp])[] = [
    [`${fence}\nip link\n${fence}`, /line 1: the block does not say what it is/],
    [`text\n\n    ip link\n`, /line 3: an indented block/],
    [`${fence}bash\nip link\n${fence}`, /bash is called sh here/],
    [`${fence}text\n$ weft doctor\nnode1\n${fence}`, /it shows a prompt/],
    [`${fence}console\nip link\n${fence}`, /should begin with a command/],
    [`<!-- instead: x -->\n${fence}sh\nip link\n${fence}`, /why it is not run is not said/],
    [`<!-- not run: x -->\ntext\n${fence}sh\nip link\n${fence}`, /line 2: the comment above belongs to a block/],
    [`<!-- not run: x -->\n${fence}json\n{}\n${fence}`, /what is called json is not run anyway/],
    [`${fence}sh\nip link`, /line 1: the block has no end/],
    [`1. text\n   ${fence}sh\n   ip link\n   ${fence}`, /a fence stands at the beginning of its line/],
  ];
  for (const [text, words] of rows) t.match(readPage(text).faults.join('\n'), words, text);
  t.end();
});

t.test('what is shown and what is printed', (t) => {
  const rows: readonly (readonly [string, string, boolean])[] = [
    ['a  b', 'a b\n', true],
    ['', '', true],
    ['', 'words', false],
    ['a', '', false],
    ['a (1) … c.', 'a (1) b b c.', true],
    ['a (1) … c.', 'a (1) b b cx', false],
    ['a … c', 'a b\nb c', false],
    ['a\n…\nc', 'a\nb\nb\nc', true],
    ['a\n…\nc', 'a\nc', true],
    ['a\n…\nc', 'a\nb', false],
    ['…', 'whatever\nelse', true],
    ['…\na', 'b\na\nc', false],
  ];
  for (const [shown, printed, isIt] of rows) t.equal(isAsShown(shown, printed), isIt, JSON.stringify([shown, printed]));
  t.end();
});
