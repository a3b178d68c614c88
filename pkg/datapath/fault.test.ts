import t from 'tap';
import { WeftError } from '../errors/weft-error.ts';
import { faultsInWords, joinRepairs, minor, nothingWrong, repairInRounds, type Fault } from './fault.ts';

/** A node whose faults are numbers; mending one may bring another to light. */
class FakeNode {
  readonly present: Set<number>;
  readonly applied: number[] = [];
  constructor(...present: readonly number[]) {
    this.present = new Set(present);
  }
  look(mend: (node: FakeNode, number: number) => void): readonly Fault<FakeNode>[] {
    return [...this.present].map((number) => ({ what: `fault ${number}`, remedy: { done: 'mended', apply: (node) => (node.applied.push(number), mend(node, number)) } }));
  }
}

const vanish = (node: FakeNode, number: number): void => void node.present.delete(number);

t.test('what is whole is looked at once', async (t) => {
  let looks = 0;
  t.same(repairInRounds(() => (looks++, []), undefined), nothingWrong);
  t.equal(looks, 1);
});

t.test('everything is mended, and what shows behind it', async (t) => {
  const node = new FakeNode(1, 2);
  const mend = (_node: FakeNode, number: number): void => {
    vanish(node, number);
    if (number === 2) node.present.add(3);
  };
  t.same(repairInRounds(() => node.look(mend), node), { repaired: ['fault 1: mended', 'fault 2: mended', 'fault 3: mended'], left: [], failed: [] });
});

t.test('a refusal stops none of the others, and is a failure with its reason', async (t) => {
  const node = new FakeNode(1, 2);
  const mend = (_node: FakeNode, number: number): void => {
    if (number === 1) throw new WeftError('kernelRefused', 'Cannot do it');
    vanish(node, number);
  };
  t.same(repairInRounds(() => node.look(mend), node), { repaired: ['fault 2: mended'], left: [], failed: ['fault 1: Cannot do it'] });
  t.same(node.applied, [1, 2]);
});

t.test('a remedy that does not help is applied once', async (t) => {
  const node = new FakeNode(1);
  t.same(repairInRounds(() => node.look(() => undefined), node).failed, ['fault 1']);
  t.same(node.applied, [1]);
});

t.test('somebody who breaks it again and again is not raced for ever', async (t) => {
  const node = new FakeNode(1);
  repairInRounds(() => node.look((_node, number) => {
    node.present.delete(number);
    node.present.add(number + 1);
  }), node);
  t.same(node.applied, [1, 2, 3]);
});

t.test('what is no refusal is not caught', async (t) => {
  const node = new FakeNode(1);
  t.throws(() => repairInRounds(() => node.look(() => { throw new TypeError('a mistake'); }), node), TypeError);
});

t.test('what has no remedy is left', async (t) => {
  t.same(repairInRounds(() => [{ what: 'a choice' }], undefined), { repaired: [], left: ['a choice'], failed: [] });
});

t.same(faultsInWords([{ what: 'a' }, minor({ what: 'b' })]), ['a'], 'CHECK says nothing of what is minor');
t.same(joinRepairs(nothingWrong, { repaired: ['a'], left: ['b'], failed: ['c'], isGone: true }), { repaired: ['a'], left: ['b'], failed: ['c'], isGone: true });
t.notOk('isGone' in joinRepairs(nothingWrong));
