import t from 'tap';
import { testOffloads, type OffloadVerdict } from './offload-test.ts';
import type { Question, Reply } from './station.ts';

type What = 'finished' | 'left' | 'segmented';

function whatIs(question: Question): What {
  return question.kind === 'segmented' ? 'segmented' : question.isLeft ? 'left' : 'finished';
}

const [intact, corrupt]: readonly Reply[] = [{ integrity: 'intact', milliseconds: 1, node: 'node2' }, { integrity: 'corrupt', milliseconds: 1, node: 'node2' }];
const silent = undefined;

/** A peer that answers each kind of question with these in turn, the last for ever. */
async function verdictOf(answers: Readonly<Record<What, readonly (Reply | undefined)[]>>): Promise<{ readonly verdict: OffloadVerdict; readonly asked: number }> {
  const counts = { finished: 0, left: 0, segmented: 0 };
  let asked = 0;
  const { verdict } = await testOffloads((question) => {
    const what = whatIs(question);
    const answer = answers[what][Math.min(counts[what], answers[what].length - 1)];
    counts[what] += 1;
    asked += 1;
    return Promise.resolve(answer);
  });
  return { verdict, asked };
}

const rows: readonly (readonly [string, Readonly<Record<What, readonly (Reply | undefined)[]>>, OffloadVerdict])[] = [
  ['all is well', { finished: [intact], left: [intact], segmented: [intact] }, 'sound'],
  ['nobody is there', { finished: [silent], left: [intact], segmented: [intact] }, 'unknown'],
  ['two of three are lost', { finished: [silent, silent, intact], left: [silent, corrupt, intact], segmented: [silent, silent, intact] }, 'sound'],
  ['checksums come wrong', { finished: [intact], left: [corrupt], segmented: [corrupt] }, 'checksum'],
  ['what has a wrong one never comes', { finished: [intact], left: [silent], segmented: [silent] }, 'checksum'],
  ['some come wrong, some not at all', { finished: [intact], left: [silent, corrupt, silent], segmented: [silent] }, 'checksum'],
  ['pieces do not come', { finished: [intact], left: [intact], segmented: [silent] }, 'segmentation'],
  ['pieces come wrong', { finished: [intact], left: [intact], segmented: [corrupt] }, 'segmentation'],
  ['the peer goes meanwhile', { finished: [intact, silent], left: [silent], segmented: [silent] }, 'unknown'],
  ['the peer goes a little later', { finished: [intact, silent], left: [intact], segmented: [silent] }, 'unknown'],
  ['all comes wrong', { finished: [corrupt], left: [corrupt], segmented: [corrupt] }, 'damaged'],
];
for (const [what, answers, verdict] of rows) t.test(what, async (t) => t.equal((await verdictOf(answers)).verdict, verdict));
t.test('a sound way is cheap', async (t) => t.equal((await verdictOf({ finished: [intact], left: [intact], segmented: [intact] })).asked, 3));
