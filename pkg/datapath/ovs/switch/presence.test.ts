import t from 'tap';
import { pause } from '../../../sys/timer.ts';
import { Presence } from './presence.ts';

// The timers under test keep no process alive.
const alive = setInterval(() => undefined, 1000);
t.teardown(() => clearInterval(alive));

/** A switch that answers what it is asked when the test says so. */
class PlayedSwitch {
  readonly questions: PromiseWithResolvers<void>[] = [];
  readonly presence = new Presence({
    ask: () => {
      const question = Promise.withResolvers<void>();
      this.questions.push(question);
      return question.promise;
    },
    describeOutage: () => 'connect ECONNREFUSED',
    patienceMs: 20,
  });

  answer(): void {
    this.questions.at(-1)?.resolve();
  }
}

t.test('who asks is answered, with one question for all who ask at the same time', async (t) => {
  const { presence, questions, answer } = played();
  const asked = [presence.require(), presence.require()];
  answer();
  await Promise.all(asked);
  t.equal(questions.length, 1);
  const again = presence.require();
  t.equal(questions.length, 2, 'an answer says nothing about later');
  questions[1]?.reject(new Error('no'));
  await t.rejects(again, { message: 'no' });
});

t.test('of a switch that is silent the first waits a little, others no longer, and all are told when it is back', async (t) => {
  const { presence, questions, answer } = played();
  let returns = 0;
  presence.onReturn(() => (returns += 1));
  await t.rejects(presence.require(), { code: 'tryAgainLater', message: /does not answer, for \d+ ms by now: connect ECONNREFUSED/, details: /ovs-vswitchd/ });
  await t.rejects(presence.require(), { code: 'tryAgainLater' });
  t.equal(questions.length, 1, 'the others ask nothing of their own');
  questions[0]?.reject(new Error('late'));
  while (questions.length < 2) await pause(1);
  t.equal(returns, 0, 'it is asked again');
  answer();
  await pause(0);
  t.equal(returns, 1);
  const later = presence.require();
  answer();
  await later;
  await pause(0);
  t.equal(returns, 1, 'nobody was turned away meanwhile');
});

t.test('one that is closed asks no more', async (t) => {
  const { presence, questions } = played();
  await t.rejects(presence.require());
  presence.close();
  questions[0]?.reject(new Error('closed'));
  await pause(40);
  t.equal(questions.length, 1);
});

t.test('work is waited for as long as the switch is there', async (t) => {
  const { presence, questions, answer } = played();
  const slow = Promise.withResolvers<string>();
  const waiting = presence.during(slow.promise);
  while (questions.length < 1) await pause(1);
  answer();
  await pause(0);
  slow.resolve('done');
  t.equal(await waiting, 'done');
  await t.rejects(presence.during(Promise.reject(new Error('refused'))), { message: 'refused' });
  const stuck = Promise.withResolvers<void>();
  await t.rejects(presence.during(stuck.promise), { code: 'tryAgainLater' });
  stuck.reject(new Error('nobody listens any more'));
});

function played(): { readonly presence: Presence; readonly questions: PlayedSwitch['questions']; readonly answer: () => void } {
  const ovs = new PlayedSwitch();
  return { presence: ovs.presence, questions: ovs.questions, answer: () => ovs.answer() };
}
