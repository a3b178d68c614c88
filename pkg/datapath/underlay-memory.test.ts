import t from 'tap';
import { addressBytes, parseAddress, parsePrefix, type Address } from '../netaddr/netaddr.ts';
import { attribute, attributeString, attributeU32 } from '../netlink/codec.ts';
import type { KernelEvent } from '../netlink/monitor.ts';
import { UnderlayMemory } from './underlay-memory.ts';

const [peer, other] = [parseAddress('198.51.100.2'), parseAddress('203.0.113.2')];
const underlay = { vtepAddress: parseAddress('192.0.2.1'), mtu: 1500, linkMtu: 1500, limit: 'the MTU of eth0', links: [{ index: 7, name: 'eth0', mtu: 1500 }] };
const [newLink, delLink, newAddress, delAddress, newRoute, delRoute] = [16, 17, 20, 21, 24, 25];
const [ifName, ifMtu, rtaDst] = [3, 4, 1];
const flagUp = 1;

function event(type: number, payload: Buffer, nsid?: number): KernelEvent {
  return { protocol: 'route', message: { type, flags: 0, sequence: 0, portId: 0, payload }, ...(nsid === undefined ? {} : { nsid }) };
}

interface LinkNews {
  readonly type?: number;
  readonly family?: number;
  readonly index?: number;
  readonly name?: string;
  readonly mtu?: number;
  readonly flags?: number;
  readonly change?: number;
  readonly nsid?: number;
}

/** struct ifinfomsg and two attributes. */
function link({ type = newLink, family = 0, index = 7, name = 'eth0', mtu = 1500, flags = flagUp, change = 0, nsid }: LinkNews): KernelEvent {
  const header = Buffer.alloc(16);
  header.writeUInt8(family, 0);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(change, 12);
  return event(type, Buffer.concat([header, attributeString(ifName, name), attributeU32(ifMtu, mtu)]), nsid);
}

/** struct rtmsg of table main, and the destination. */
function route(type: number, text: string): KernelEvent {
  const { family, base, length } = parsePrefix(text);
  const header = Buffer.from([family === 4 ? 2 : 10, length, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
  return event(type, Buffer.concat([header, attribute(rtaDst, addressBytes({ family, value: base }))]));
}

interface Scene {
  readonly memory: UnderlayMemory;
  readonly asked: () => number;
  readonly said: string[];
}

const withoutAddress = 9;

function create(): Scene {
  let asked = 0;
  const said: string[] = [];
  const find = (): typeof underlay => {
    asked += 1;
    return underlay;
  };
  return { memory: new UnderlayMemory(find, (reason) => said.push(reason), (index) => index !== withoutAddress), asked: () => asked, said };
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
  memory.find({}, 4, [peer]);
  memory.find({}, 4, [peer, other]);
  t.equal(asked(), 7, 'other peers are other ways');
  memory.find({}, 4, [peer]);
  t.equal(asked(), 7);
  memory.look({}, 4, [peer]);
  t.equal(asked(), 8, 'whoever wants to know how it is now asks');
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

t.test('what a control plane’s peers leave behind has an end', async (t) => {
  const { memory, asked } = create();
  const peers = (n: number): Address[] => [{ family: 4, value: BigInt(n) }];
  for (let n = 0; n < 1000; n += 1) memory.find({}, 4, peers(n));
  memory.find({}, 4, peers(999));
  t.equal(asked(), 1000, 'the newest is there');
  memory.find({}, 4, peers(0));
  t.equal(asked(), 1001, 'the oldest is not');
});

interface Row {
  readonly what: string;
  readonly news: KernelEvent;
  readonly isForgotten: boolean;
  /** What those who run over it are told. */
  readonly said?: string;
}

const rows: readonly Row[] = [
  { what: 'an address that comes', news: event(newAddress, Buffer.alloc(16)), isForgotten: true },
  { what: 'an address that goes', news: event(delAddress, Buffer.alloc(16)), isForgotten: true },
  { what: 'a route that comes and leads to the peer', news: route(newRoute, '198.51.100.0/24'), isForgotten: true, said: 'the route to 198.51.100.0/24 has changed' },
  { what: 'a route that goes', news: route(delRoute, '0.0.0.0/0'), isForgotten: true, said: 'the route to 0.0.0.0/0 has changed' },
  { what: 'a route to somewhere else', news: route(newRoute, '203.0.113.0/24'), isForgotten: true },
  { what: 'a route of the other family', news: route(newRoute, '::/0'), isForgotten: true },
  { what: 'its link has another MTU', news: link({ mtu: 1400 }), isForgotten: true, said: 'the MTU of eth0 is 1400 instead of 1500' },
  { what: 'its link changes in something else', news: link({}), isForgotten: true },
  { what: 'its link goes down', news: link({ flags: 0, change: flagUp }), isForgotten: true, said: 'eth0 is down' },
  { what: 'its link comes up', news: link({ change: flagUp }), isForgotten: true, said: 'eth0 is up' },
  { what: 'its link goes', news: link({ type: delLink }), isForgotten: true, said: 'eth0 is gone' },
  { what: 'its link leaves a bridge', news: link({ type: delLink, family: 7 }), isForgotten: false },
  { what: 'another link has another MTU', news: link({ index: 8, mtu: 1400 }), isForgotten: false },
  { what: 'another link comes up, by which the peer may be reached', news: link({ index: 8, name: 'eth1', change: flagUp }), isForgotten: true, said: 'eth1 is up' },
  { what: 'another link comes up, which leads nowhere', news: link({ index: withoutAddress, name: 'veth1', change: flagUp }), isForgotten: false },
  { what: 'a container’s link comes up', news: link({ index: 8, name: 'weft-pabcdefghi', change: flagUp }), isForgotten: false },
  { what: 'another link is there, as before', news: link({ index: 8, name: 'eth1' }), isForgotten: false },
  { what: 'an address inside a container', news: event(delAddress, Buffer.alloc(16), 3), isForgotten: false },
  { what: 'a link of that number inside a container', news: link({ mtu: 1400, nsid: 3 }), isForgotten: false },
  { what: 'a forwarding entry', news: event(29, Buffer.alloc(16)), isForgotten: false },
  { what: 'nf_tables', news: { ...event(newAddress, Buffer.alloc(16)), protocol: 'netfilter' }, isForgotten: false },
];
for (const { what, news, isForgotten, said } of rows) {
  const scene = create();
  scene.memory.find({}, 4, [peer]);
  scene.memory.noteEvents([news]);
  t.same(scene.said, said === undefined ? [] : [said], what);
  scene.memory.find({}, 4, [peer]);
  t.equal(scene.asked(), isForgotten ? 2 : 1, what);
}

t.test('what comes before anybody has asked again is told all the same', async (t) => {
  const { memory, said } = create();
  memory.noteEvents([link({ mtu: 1400 })]);
  t.same(said, [], 'nobody runs over it yet');
  memory.find({}, 4, [peer]);
  memory.noteEvents([event(newAddress, Buffer.alloc(16)), link({ mtu: 1400 }), route(newRoute, '198.51.100.0/24')]);
  t.same(said, ['the MTU of eth0 is 1400 instead of 1500', 'the route to 198.51.100.0/24 has changed']);
});
