import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { entries } from '../../pkg/errors/catalogue.ts';
import { checkErrors, errorsPage } from './check-errors.ts';

const catalogue = {
  later: { cniCode: 11, title: 'Not now', isRetryable: true },
  never: { cniCode: 7, title: 'No', isRetryable: false },
};
const never = '## 7 never\n\nNo. Worth repeating: no.\n\n**When:** Always.\n\n**What to do:** Give up.\n';
const later = '## 11 later\n\nNot now. Worth repeating: yes.\n\n**When:** Now.\n\n**What to do:** Wait.\n';

const rows = [
  { name: 'a page that agrees', page: `# Errors\n\nWords.\n\n${never}\n${later}`, faults: [] },
  { name: 'an entry is missing', page: never, faults: [/an entry "## 11 later" must be there/] },
  { name: 'an entry too many', page: `${never}${later}## 12 more\n`, faults: [/"12 more" is not in/] },
  { name: 'another code', page: `${never}${later.replace('11', '12')}`, faults: [/an entry "## 11 later"/, /"12 later" is not in/] },
  { name: 'another order', page: `${later}${never}`, faults: [/in the order of their codes/] },
  { name: 'an entry twice', page: `${never}${later}${later}`, faults: [/each once/] },
  { name: 'another title', page: `${never.replace('No.', 'Nope.')}${later}`, faults: [/7 never: the first line must be "No. Worth repeating: no."/] },
  { name: 'another verdict', page: `${never}${later.replace('yes', 'no')}`, faults: [/11 later: the first line/] },
  { name: 'nothing to do', page: `${never.replace('Give up.', '')}${later}`, faults: [/7 never: a paragraph must begin with "\*\*What to do:\*\*"/] },
];

for (const { name, page, faults } of rows) {
  const found = checkErrors(page, catalogue).map(({ message }) => message);
  t.equal(found.length, faults.length, `${name}: ${found.join('; ') || 'no fault'}`);
  for (const [index, fault] of faults.entries()) t.match(found[index], fault);
}

t.same(checkErrors(readFileSync(resolve(import.meta.dirname, '../..', errorsPage), 'utf8'), entries), [], 'the page of this project agrees with its catalogue');
