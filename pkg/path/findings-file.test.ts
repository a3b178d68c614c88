import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseAddress } from '../netaddr/netaddr.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { findingsFileIn, formatFindings, parseFindings, type RememberedFinding } from './findings-file.ts';

const one: RememberedFinding = { vtep: parseAddress('192.0.2.1'), peer: parseAddress('192.0.2.2'), way: 'underlay', packetBytes: 1400, fullBytes: 1500, since: 1, peerNode: 'node-2', isActedOn: true };
const { peerNode: _name, isActedOn: _acted, ...nameless } = one;
const two: RememberedFinding = { ...nameless, vtep: parseAddress('2001:db8::1'), peer: parseAddress('2001:db8::2'), way: 'tunnel' };

t.test('what is written is read', async (t) => {
  const directory = join(temporaryDirectory(t), 'state');
  const warnings: string[] = [];
  const file = findingsFileIn(directory, (message) => warnings.push(message));
  t.same(file.read(), [], 'nothing there yet');
  file.write([one, two]);
  t.same(findingsFileIn(directory, () => undefined).read(), [one, two]);
  t.equal(statSync(join(directory, 'paths.json')).mode & 0o777, 0o600);
  file.write([two]);
  t.same(file.read(), [two]);
  t.same(readdirSync(directory), ['paths.json'], 'no draft is left');
  file.write([]);
  t.notOk(existsSync(join(directory, 'paths.json')), 'without findings there is no file');
  file.write([]);
  t.same(warnings, []);
});

t.test('a file that is broken is none, and is said', async (t) => {
  const rows: readonly (readonly [string, string | RegExp])[] = [
    ['', /JSON/], ['{', /JSON/], ['null', /not of this version/], ['[]', /not of this version/], ['{"version": 2, "findings": []}', /not of this version/], ['{"version": 1}', /not of this version/],
    ['{"version": 1, "findings": [1]}', /must be an object/],
    ...([['vtep', 1], ['vtep', 'x'], ['peer', null], ['way', 'pigeon'], ['since', '1'], ['packetBytes', 1400.5], ['packetBytes', 0], ['packetBytes', 65_536], ['fullBytes', '1500']] as const).map(([key, value]) => {
      const row = { vtep: '192.0.2.1', peer: '192.0.2.2', way: 'underlay', packetBytes: 1400, fullBytes: 1500, since: 1, [key]: value };
      return [JSON.stringify({ version: 1, findings: [row] }), new RegExp(`${key}|must`)] as const;
    }),
  ];
  for (const [text, words] of rows) {
    t.throws(() => parseFindings(text), { name: 'SyntaxError', message: words }, text);
    const directory = temporaryDirectory(t);
    const warnings: string[] = [];
    writeFileSync(join(directory, 'paths.json'), text);
    const file = findingsFileIn(directory, (message) => warnings.push(message));
    t.same(file.read(), []);
    t.match(warnings, [/^what was known of narrow paths cannot be read from \S+paths\.json, and has to be found again: /]);
    file.write([one]);
    t.same(file.read(), [one], 'the next one takes its place');
  }
});

t.test('a directory that cannot be written to is said once', async (t) => {
  const directory = temporaryDirectory(t);
  mkdirSync(join(directory, 'paths.json'));
  const warnings: string[] = [];
  const file = findingsFileIn(directory, (message) => warnings.push(message));
  for (let count = 0; count < 3; count += 1) file.write([one]);
  t.match(warnings, [/^what is known of narrow paths cannot be written to /]);
  t.same(readdirSync(directory), ['paths.json'], 'no draft is left');
  t.match(file.read(), []);
});

t.test('a newer weft may say more', async (t) => {
  const text = formatFindings([one]).replace('"way"', '"colour": "red", "way"');
  t.same(parseFindings(text), [one]);
});
