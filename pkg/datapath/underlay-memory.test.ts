import t from 'tap';
import { parseAddress } from '../netaddr/netaddr.ts';
import type { KernelEvent } from '../netlink/monitor.ts';
import { UnderlayMemory } from './underlay-memory.ts';

const underlay = { vtepAddress: parseAddress('192.0.2.1'), mtu: 1500, linkIndex: 7 };

/** An event about a link; of addresses and routes nothing but the type is looked at. */
function event(type: number, { index = 7, nsid }: { readonly index?: number; readonly nsid?: number } = {}): KernelEvent {
  const payload = Buffer.alloc(16);
  payload.writeInt32LE(index, 4);
  return { protocol: 'route', message: { type, flags: 0, sequence: 0, portId: 0, payload }, ...(nsid === undefined ? {} : { nsid }) };
}

function create(): { readonly memory: UnderlayMemory; readonly asked: () => number } {
  let asked = 0;
  const memory = new UnderlayMemory(() => {
    asked += 1;
    return underlay;
  });
  return { memory, asked: () => asked };
}

t.test('what is asked again is remembered, what is asked otherwise is not', async (t) => {
  const { memory, asked } = create();
  t.equal(memory.find({ interface: 'eth0' }), underlay);
  t.equal(memory.find({ interface: 'eth0' }), underlay);
  t.equal(asked(), 1);
  memory.find({ interface: 'eth0' }, 6);
  memory.find({ interface: 'eth1' });
  memory.find({ address: parseAddress('192.0.2.1') });
  memory.find({});
  t.equal(asked(), 5);
});

t.test('a failure is not remembered', async (t) => {
  let isThere = false;
  const memory = new UnderlayMemory(() => {
    if (!isThere) throw new Error('not yet');
    return underlay;
  });
  t.throws(() => memory.find({}), { message: 'not yet' });
  isThere = true;
  t.equal(memory.find({}), underlay);
});

const rows: readonly (readonly [what: string, event: KernelEvent, isForgotten: boolean])[] = [
  ['an address that comes', event(20), true],
  ['an address that goes', event(21), true],
  ['a route that comes', event(24), true],
  ['a route that goes', event(25), true],
  ['its link changes', event(16), true],
  ['its link goes', event(17), true],
  ['another link changes', event(16, { index: 8 }), false],
  ['an address inside a container', event(21, { nsid: 3 }), false],
  ['a link of that number inside a container', event(16, { nsid: 3 }), false],
  ['a forwarding entry', event(29), false],
  ['nf_tables', { ...event(20), protocol: 'netfilter' }, false],
];
for (const [what, news, isForgotten] of rows) {
  const { memory, asked } = create();
  memory.find({});
  memory.noteEvents([news]);
  memory.find({});
  t.equal(asked(), isForgotten ? 2 : 1, what);
}
