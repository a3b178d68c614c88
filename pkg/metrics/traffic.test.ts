import t from 'tap';
import { noTraffic, seenFromPeer, TrafficSums, type LinkTraffic, type Traffic } from './traffic.ts';

const all: Traffic = { receiveBytes: 1, receivePackets: 2, receiveDrops: 3, transmitBytes: 4, transmitPackets: 5, transmitDrops: 6 };

function link(key: string, receiveBytes: number, createdAt = 100): LinkTraffic {
  return { key, group: 'blue', createdAt, traffic: { ...noTraffic, receiveBytes } };
}

function played(...notes: readonly (readonly LinkTraffic[])[]): readonly (number | undefined)[] {
  const sums = new TrafficSums(50);
  return notes.map((links) => {
    sums.note(links);
    return sums.sums.get('blue')?.receiveBytes;
  });
}

t.same(seenFromPeer(all), { receiveBytes: 4, receivePackets: 5, receiveDrops: 6, transmitBytes: 1, transmitPackets: 2, transmitDrops: 3 });
t.same(seenFromPeer(seenFromPeer(all)), all);

t.same(played([]), [undefined]);
t.same(played([link('a', 10)], [link('a', 15)]), [10, 15], 'of one that came since all counts');
t.same(played([link('a', 10, 49)], [link('a', 15, 49)]), [0, 5], 'of one that was there before what comes next');
t.same(played([], [link('a', 10, 49)], [link('a', 11, 49)]), [undefined, 0, 1], 'also where it is seen later');
t.same(played([link('a', 10), link('b', 1)], [link('a', 20)], [link('a', 21)]), [11, 21, 22], 'what goes takes nothing with it');
t.same(played([link('a', 10)], [link('a', 3)], [link('a', 4)]), [10, 13, 14], 'a counter that began again');
t.same(played([link('a 1', 10)], [link('a 2', 3)]), [10, 13], 'a link that was made anew');

t.test('every direction for itself, by tenant', async (t) => {
  const sums = new TrafficSums(0);
  sums.note([{ key: 'a', group: 'blue', createdAt: 1, traffic: all }, { key: 'b', group: 'blue', createdAt: 1, traffic: all }, { key: 'c', group: 'red', createdAt: 1, traffic: all }]);
  t.same(sums.sums, new Map([['blue', { receiveBytes: 2, receivePackets: 4, receiveDrops: 6, transmitBytes: 8, transmitPackets: 10, transmitDrops: 12 }], ['red', all]]));
});
