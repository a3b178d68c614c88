import t from 'tap';
import { Vanished, type Absence } from './vanished.ts';

const veth: Absence = { seq: 1, hostIf: 'weft-p1', isPortGone: true };
const lingering: Absence = { ...veth, isPortGone: false };
const clock = { now: 0 };

function create(): Vanished {
  clock.now = 1000;
  return new Vanished(() => clock.now);
}

function after(ms: number): void {
  clock.now = 1000 + ms;
}

t.test('a container is collected at the second observation, ten seconds after the first', (t) => {
  const vanished = create();
  t.equal(vanished.noteGone(veth), false, 'the first says nothing yet: its DEL may be on its way');
  t.same([...vanished.pending], [[1, 'weft-p1']], 'it is to be looked at again');
  after(9999);
  t.equal(vanished.noteGone(veth), false, 'too early');
  after(10_000);
  t.equal(vanished.noteGone(veth), true);
  t.end();
});

t.test('one that comes back begins anew', (t) => {
  const vanished = create();
  vanished.noteGone(veth);
  after(9000);
  vanished.noteThere(1);
  t.equal(vanished.pending.size, 0, 'nothing to be looked at again');
  after(11_000);
  t.equal(vanished.noteGone(veth), false, 'a first observation again');
  t.end();
});

t.test('a namespace that something keeps alive is waited for a minute, from its first absence on', (t) => {
  const vanished = create();
  vanished.noteThere(1);
  t.equal(vanished.noteGone(lingering), false);
  after(59_999);
  t.equal(vanished.noteGone(lingering), false);
  after(60_000);
  t.equal(vanished.noteGone(lingering), true);
  t.end();
});

t.test('when its veth goes too, ten seconds are enough', (t) => {
  const vanished = create();
  vanished.noteThere(1);
  vanished.noteGone(lingering);
  after(10_000);
  t.equal(vanished.noteGone(veth), true, 'counted from when its path was first not there');
  t.end();
});

t.test('a path that this process has never seen is not taken for gone while the veth is there', (t) => {
  const vanished = create();
  t.equal(vanished.noteGone(lingering), false);
  t.equal(vanished.pending.size, 0, 'and is not looked at again and again');
  after(10 * 60_000);
  t.equal(vanished.noteGone(lingering), false, 'however long');
  t.equal(vanished.noteGone(veth), false, 'with the veth gone it is a first observation');
  after(11 * 60_000);
  t.equal(vanished.noteGone(veth), true);
  t.end();
});

t.test('what is forgotten begins anew, and keeps nobody looking', (t) => {
  const vanished = create();
  vanished.noteThere(2);
  vanished.noteGone(veth);
  vanished.noteGone({ seq: 2, hostIf: 'weft-p2', isPortGone: false });
  vanished.forget(1);
  t.same([...vanished.pending.keys()], [2]);
  vanished.retain(new Set([1]));
  t.equal(vanished.pending.size, 0);
  after(60_000);
  t.equal(vanished.noteGone(veth), false);
  t.equal(vanished.noteGone({ seq: 2, hostIf: 'weft-p2', isPortGone: false }), false, 'that it was seen is forgotten as well');
  t.equal(vanished.pending.has(2), false);
  t.end();
});
