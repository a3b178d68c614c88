import t from 'tap';
import { run, runIn } from '../testing/command.ts';
import { createNetns } from '../testing/netns.ts';
import { ipJson } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { decodeLinkCounters, listLinkCounters } from './link-counters.ts';
import { openNetlinkIn } from './test-socket.ts';

interface Shown {
  readonly ifindex: number;
  readonly stats64: { readonly rx: Readonly<Record<'bytes' | 'packets' | 'dropped', number>>; readonly tx: Readonly<Record<'bytes' | 'packets' | 'dropped', number>> };
}

void t.test('they are those that ip shows, of every link', { skip: skipUnless({ root: true, tools: ['ip', 'ping'] }) }, async (t) => {
  const netns = createNetns(t, 'counters');
  const other = createNetns(t, 'counted');
  run('ip', ['-n', netns, 'link', 'add', 'a0', 'type', 'veth', 'peer', 'name', 'b0', 'netns', other]);
  for (const [at, name, address] of [[netns, 'a0', '192.0.2.1/24'], [other, 'b0', '192.0.2.2/24']] as const) {
    run('ip', ['-n', at, 'addr', 'add', address, 'dev', name]);
    run('ip', ['-n', at, 'link', 'set', name, 'up']);
  }
  runIn(netns, 'ping', '-c', '3', '-i', '0.01', '-s', '1000', '192.0.2.2');
  // What the kernel sends by itself, such as neighbour discovery, may come in between.
  let [read, shown]: [unknown, unknown] = [undefined, {}];
  for (let attempt = 0; attempt < 20 && JSON.stringify(read) !== JSON.stringify(shown); attempt += 1) {
    read = openNetlinkIn(t, netns).dump(listLinkCounters()).map(decodeLinkCounters);
    shown = ipJson<readonly Shown[]>(netns, '-s', 'link', 'show').map(({ ifindex, stats64: { rx, tx } }) => ({
      index: ifindex, receivedPackets: rx.packets, sentPackets: tx.packets, receivedBytes: rx.bytes, sentBytes: tx.bytes, receivedDropped: rx.dropped, sentDropped: tx.dropped,
    }));
  }
  t.strictSame(read, shown);
  const veth = (read as readonly { readonly receivedBytes: number }[]).at(-1);
  t.ok((veth?.receivedBytes ?? 0) > 3000, 'three answers of a thousand bytes have come');
});

t.test('a message without counters', async (t) => {
  const message = { type: 92, flags: 0, sequence: 1, portId: 0, payload: Buffer.alloc(12) };
  t.equal(decodeLinkCounters(message), undefined);
});
