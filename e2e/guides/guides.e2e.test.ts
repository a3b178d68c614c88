/** Every command of the README and of the guides does what the page says, typed in its order on a node with weft installed. */
import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t, { type Test } from 'tap';
import { frrRequirements } from '../../pkg/testing/frr.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { readPage, type Page } from './page.ts';
import { faultOf, tryPage } from './sandbox.ts';

const root = resolve(import.meta.dirname, '../..');
const pages = ['README.md', ...globSync(['docs/guides/*.md', 'docs/adding-a-*.md'], { cwd: root }).sort()];
const skip = skipWithoutDaemonLab('unshare', 'tcpdump', 'busybox', 'containerd', 'ctr', 'runc', 'openssl', 'jq') || skipUnless(frrRequirements);
t.setTimeout(pages.length * 150_000);

for (const path of pages) {
  t.test(path, { timeout: 150_000 }, async (t) => {
    const page = readPage(readFileSync(join(root, path), 'utf8'));
    t.same(page.faults, [], 'each block says what it is');
    t.ok(page.steps.length + page.omissions.length > 0, 'there is something to be typed');
    checkOmissions(t, page);
    if (page.steps.length > 0) await t.test('its commands do what it says', { skip }, async (t) => checkCommands(t, page));
  });
}

t.test('a page that is wrong is found out', { skip, timeout: 150_000 }, async (t) => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['```console\n# echo one; (exit 3)\none\n# echo one\ntwo\n```', /^it should print:\ntwo\nand prints, with status 0, in the block of line 1: echo one\none\n$/],
    ['```sh\ntrue\n```\n```sh\necho before\nfalse\necho behind\n```\n```console\n# true\n```', /^the shell ended with, or before, the block of line 4: [^]*\nbefore\n$/],
    ['```console\n# true\nwords\n```', /^it should print:\nwords\n/],
    ['```console\n# echo words\n```', /^it should print:\n\nand prints, .*: echo words\nwords\n$/],
  ];
  for (const [text, words] of rows) t.match((await tryPage(t, readPage(text))).map(faultOf).find((fault) => fault !== undefined), words, text);
});

/** What cannot be run is at least what a shell understands, and is told to whoever reads the tests' output. */
function checkOmissions(t: Test, { omissions }: Page): void {
  for (const { line, reason, text } of omissions) {
    const { status, stderr } = spawnSync('bash', ['-n'], { input: text, encoding: 'utf8' });
    t.equal(status, 0, `line ${line} is understood: ${stderr}`);
    t.comment(`line ${line} is not run: ${reason}`);
  }
}

async function checkCommands(t: Test, page: Page): Promise<void> {
  for (const outcome of await tryPage(t, page)) {
    const fault = faultOf(outcome);
    t.equal(fault, undefined, fault ?? `line ${outcome.line}: ${outcome.command.text.split('\n')[0] ?? ''}`);
    // What follows would only fail with it.
    if (fault !== undefined) return;
  }
}
