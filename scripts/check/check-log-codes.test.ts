import t from 'tap';
import { checkLogCodes } from './check-log-codes.ts';

const catalogue = { 'path-narrow': { level: 'warn', title: 'it is narrow' }, 'daemon-start': { level: 'error', title: 'it cannot start' } } as const;
const narrow = '| `path-narrow` | warn | it is narrow | the path | widen it |\n';
const start = '| `daemon-start` | error | it cannot start | the line | start it |\n';
const sources = [{ path: 'pkg/a.ts', text: "log.warn({ code: 'path-narrow' }); log.error({ code: 'daemon-start' });" }];

const rows = [
  { name: 'a page that agrees', page: narrow + start, faults: [] },
  { name: 'a row is missing', page: narrow, faults: [/a row for daemon-start must be there/] },
  { name: 'a row too many', page: `${narrow}${start}| \`other\` | warn | a | b | c |\n`, faults: [/other: it is not in pkg\/log\/codes\.ts/] },
  { name: 'a row twice', page: narrow + start + start, faults: [/daemon-start: there is a row of it above/] },
  { name: 'another level', page: narrow.replace('warn', 'error') + start, faults: [/its level must be warn/] },
  { name: 'another title', page: narrow.replace('it is narrow', 'narrow') + start, faults: [/what is so must be "it is narrow"/] },
  { name: 'nothing to do', page: narrow.replace('widen it', ' ') + start, faults: [/what to look at and what to do/] },
];

for (const { name, page, faults } of rows) {
  const found = checkLogCodes(page, catalogue, sources).map(({ message }) => message);
  t.equal(found.length, faults.length, `${name}: ${found.join('; ')}`);
  for (const [index, fault] of faults.entries()) t.match(found[index], fault);
}
t.match(checkLogCodes(narrow + start, catalogue, []), [{ path: 'pkg/log/codes.ts', message: /nothing says path-narrow/ }, {}], 'a code that nobody says');
t.match(checkLogCodes(narrow + start, catalogue, [{ path: 'pkg/a.test.ts', text: sources[0]?.text ?? '' }]), [{}, {}], 'a test does not count');
