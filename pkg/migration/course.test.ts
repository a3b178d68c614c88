import t from 'tap';
import { isSource, stepFrom, type MigrationEvent, type Phase } from './course.ts';

const phases: readonly Phase[] = ['none', 'relaying', 'departed', 'left', 'waiting', 'arrived'];
const events: readonly MigrationEvent[] = ['begin', 'activate', 'cancel', 'open', 'opened', 'abandoned', 'cancelled', 'left', 'gone', 'spoke', 'quiet', 'late'];

t.test('every event in every phase', async (t) => {
  const drawn = phases.flatMap((phase) => events.flatMap((event) => {
    const step = stepFrom(phase, event);
    if (step === undefined) return [];
    const what = [step.work, step.tell === undefined ? undefined : `tell ${step.tell}`, step.announces === true ? 'announce' : undefined].filter((word) => word !== undefined);
    return [`${phase} --${event}--> ${step.to}${what.length === 0 ? '' : `: ${what.join(', ')}`}`];
  }));
  t.same(drawn, [
    'none --begin--> relaying: startRelay',
    'none --opened--> departed: depart',
    'relaying --begin--> relaying: startRelay',
    'relaying --activate--> departed: depart, tell open',
    'relaying --cancel--> none: takeBack, tell cancelled',
    'relaying --opened--> departed: depart',
    'relaying --abandoned--> none: takeBack',
    'relaying --late--> none: takeBack, tell cancelled',
    'departed --activate--> departed: tell open',
    'departed --cancel--> none: takeBack, tell cancelled, announce',
    'departed --opened--> departed',
    'departed --abandoned--> none: takeBack, announce',
    'departed --quiet--> left: leave, tell left',
    'departed --late--> none: takeBack, tell cancelled, announce',
    'left --opened--> left: tell left',
    'waiting --activate--> arrived: open, tell opened, announce',
    'waiting --cancel--> waiting: tell abandoned',
    'waiting --open--> arrived: open, tell opened, announce',
    'waiting --cancelled--> waiting',
    'waiting --gone--> arrived: open, tell opened, announce',
    'waiting --spoke--> arrived: open, tell opened, announce',
    'arrived --activate--> arrived: tell opened',
    'arrived --open--> arrived: tell opened',
    'arrived --opened--> arrived',
    'arrived --left--> none: settle',
    'arrived --gone--> none: settle',
    'arrived --spoke--> arrived',
    'arrived --late--> none: settle',
  ]);
});

t.test('each end keeps to its own phases', async (t) => {
  for (const phase of phases.filter((phase) => phase !== 'none')) {
    for (const event of events) {
      const to = stepFrom(phase, event)?.to;
      if (to !== undefined && to !== 'none') t.equal(isSource(to), isSource(phase), `${phase}, ${event}`);
    }
  }
});

/** Both nodes, and what one says to the other. */
interface Pair {
  readonly source: Phase;
  readonly target: Phase;
}

/** Lets an event happen at one node, and what follows at the other until nobody has anything to say. */
function happen(pair: Pair, at: keyof Pair, event: MigrationEvent, { isCut = false } = {}): Pair {
  const step = stepFrom(pair[at], event);
  if (step === undefined) return pair;
  const now = { ...pair, [at]: step.to };
  return step.tell === undefined || isCut ? now : happen(now, at === 'source' ? 'target' : 'source', step.tell);
}

function isOpenAt({ source, target }: Pair): readonly string[] {
  return [...(source === 'none' || source === 'relaying' ? ['source'] : []), ...(target === 'arrived' || target === 'none' ? ['target'] : [])];
}

t.test('the endpoint is at one node, whatever happens in whatever order, while the two can talk', async (t) => {
  const atSource: readonly MigrationEvent[] = ['activate', 'cancel', 'late'];
  const atTarget: readonly MigrationEvent[] = ['activate', 'cancel', 'spoke'];
  const begun: Pair = { source: 'relaying', target: 'waiting' };
  const seen = new Set<string>();
  const walk = (pair: Pair, depth: number): void => {
    t.equal(isOpenAt(pair).length, 1, `${pair.source} and ${pair.target}: open at ${isOpenAt(pair).join(' and ') || 'none'}`);
    seen.add(`${pair.source} ${pair.target}`);
    if (depth === 0) return;
    for (const event of [...atSource, ...(pair.target === 'arrived' ? ['quiet' as const] : [])]) {
      // Before either of them the target is asked whether it has opened.
      if ((event === 'late' || event === 'cancel') && pair.target === 'arrived') continue;
      walk(happen(pair, 'source', event), depth - 1);
    }
    for (const event of atTarget) walk(happen(pair, 'target', event), depth - 1);
  };
  walk(begun, 4);
  t.same([...seen].sort(), ['departed arrived', 'left none', 'none waiting', 'relaying waiting'], 'and nowhere else');
});

t.test('what one says and the other does not hear', async (t) => {
  const stopped = happen({ source: 'relaying', target: 'waiting' }, 'source', 'activate', { isCut: true });
  t.same(stopped, { source: 'departed', target: 'waiting' }, 'nobody has it');
  t.same(isOpenAt(happen(stopped, 'source', 'late', { isCut: true })), ['source'], 'it goes on at the source when the target does not answer in time');
  t.same(happen(stopped, 'source', 'activate'), { source: 'departed', target: 'arrived' }, 'or at the target, when it is told again');
  t.same(happen(stopped, 'target', 'spoke'), { source: 'departed', target: 'arrived' }, 'or when the machine speaks there');
  const spoken = happen({ source: 'relaying', target: 'waiting' }, 'target', 'spoke', { isCut: true });
  t.same(spoken, { source: 'relaying', target: 'arrived' });
  t.same(happen(spoken, 'target', 'activate'), { source: 'departed', target: 'arrived' }, 'until it is said again');
  t.same(happen({ source: 'none', target: 'arrived' }, 'target', 'activate'), { source: 'departed', target: 'arrived' }, 'also to one who has given up');
  t.same(happen({ source: 'left', target: 'arrived' }, 'target', 'activate'), { source: 'left', target: 'none' });
});
