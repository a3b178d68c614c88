import t from 'tap';
import { formatAddress, parseAddress, parseMac, type Mac } from '../netaddr/netaddr.ts';
import type { RemoteEndpoint } from '../overlay/model.ts';
import { Retention, type Announced, type Retained } from './retention.ts';

const [vtep2, vtep3] = [parseAddress('192.0.2.2'), parseAddress('192.0.2.3')];
const endpoint = (n: number, vtep = vtep2): RemoteEndpoint => ({ mac: parseMac(`02:77:0a:01:01:0${n}`), vtep, addresses: [parseAddress(`10.1.1.${n}`)] });
const options = { retainMs: 120_000, withdrawMs: 1000, isLocal: (): boolean => false };
const heard: Announced = { isHearing: true, vteps: [vtep2, vtep3], endpoints: [endpoint(5), endpoint(6, vtep3)] };
const silence: Announced = { isHearing: false, vteps: [], endpoints: [] };

function describe({ vteps, endpoints, lost, dueMs }: Retained): unknown {
  return [vteps.map(formatAddress).join(), endpoints.map(({ mac, vtep }) => `${mac.slice(-1)}@${formatAddress(vtep).slice(-1)}`).sort().join(), lost.map(formatAddress).join(), dueMs];
}

void t.test('what is announced is had', async (t) => {
  t.same(describe(new Retention({ vteps: [], endpoints: [] }).look(0, heard, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '', undefined]);
});

void t.test('while nothing can be heard everything stays, however long', async (t) => {
  const retention = new Retention({ vteps: [], endpoints: [] });
  retention.look(0, heard, options);
  for (const now of [1, 1e6, 1e9]) t.same(describe(retention.look(now, silence, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '192.0.2.2,192.0.2.3', undefined]);
});

void t.test('what was there before the start stays as if it had been announced', async (t) => {
  const retention = new Retention({ vteps: [vtep2], endpoints: [endpoint(5)] });
  t.same(describe(retention.look(0, silence, options)), ['192.0.2.2', '5@2', '192.0.2.2', undefined]);
  t.same(describe(retention.look(10, { isHearing: true, vteps: [], endpoints: [] }, options)), ['192.0.2.2', '5@2', '192.0.2.2', 120_000]);
});

void t.test('a VTEP that was met is had although what was heard before does not have it', async (t) => {
  const retention = new Retention({ vteps: [vtep3], endpoints: [] });
  const only3: Announced = { isHearing: true, vteps: [vtep3], endpoints: [] };
  retention.meet(vtep2);
  t.same(describe(retention.look(0, only3, options)), ['192.0.2.2,192.0.2.3', '', '192.0.2.2', 120_000]);
  retention.meet(vtep2);
  t.same(describe(retention.look(1000, only3, options)), ['192.0.2.2,192.0.2.3', '', '192.0.2.2', 119_000], 'one that is lost is not met');
});

void t.test('a lost VTEP is kept with its endpoints for a while, counted while others are heard', async (t) => {
  const retention = new Retention({ vteps: [], endpoints: [] });
  const without2: Announced = { isHearing: true, vteps: [vtep3], endpoints: [endpoint(6, vtep3)] };
  retention.look(0, heard, options);
  t.same(describe(retention.look(1000, without2, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '192.0.2.2', 120_000]);
  t.same(describe(retention.look(120_999, without2, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '192.0.2.2', 1]);
  t.same(describe(retention.look(121_000, without2, options)), ['192.0.2.3', '6@3', '', undefined]);
  retention.look(200_000, heard, options);
  retention.look(201_000, without2, options);
  retention.look(202_000, silence, options);
  t.same(describe(retention.look(400_000, without2, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '192.0.2.2', 120_000], 'in silence nothing is counted');
  t.same(describe(retention.look(400_500, heard, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '', undefined], 'it is back');
});

void t.test('an endpoint that its VTEP announces no longer goes, not at once', async (t) => {
  const retention = new Retention({ vteps: [], endpoints: [] });
  const without5 = { ...heard, endpoints: [endpoint(6, vtep3)] };
  retention.look(0, heard, options);
  t.same(describe(retention.look(100, without5, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '', 1000]);
  t.same(describe(retention.look(150, { isHearing: true, vteps: [vtep3], endpoints: [endpoint(6, vtep3)] }, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '192.0.2.2', 120_000], 'it was the session that ended');
  t.same(describe(retention.look(200, without5, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '', 1000]);
  t.same(describe(retention.look(1199, without5, options)), ['192.0.2.2,192.0.2.3', '5@2,6@3', '', 1]);
  t.same(describe(retention.look(1200, without5, options)), ['192.0.2.2,192.0.2.3', '6@3', '', undefined]);
});

void t.test('an endpoint that moves is where it was announced last, and here it is kept of nobody', async (t) => {
  const retention = new Retention({ vteps: [], endpoints: [] });
  retention.look(0, heard, options);
  t.same(describe(retention.look(1, { ...heard, endpoints: [endpoint(5, vtep3), endpoint(6, vtep3)] }, options)), ['192.0.2.2,192.0.2.3', '5@3,6@3', '', undefined]);
  const mine = { ...options, isLocal: (mac: Mac): boolean => mac === endpoint(5).mac };
  t.same(describe(retention.look(2, silence, mine)), ['192.0.2.2,192.0.2.3', '6@3', '192.0.2.2,192.0.2.3', undefined]);
});

void t.test('an address that is announced with another MAC is no longer that of one that is only kept', async (t) => {
  const retention = new Retention({ vteps: [], endpoints: [] });
  const address = parseAddress('10.1.1.5');
  const addressesIn = (announced: Announced, at: number): readonly number[] => retention.look(at, announced, options).endpoints.map(({ addresses }) => addresses.length);
  t.same(addressesIn({ isHearing: true, vteps: [vtep2], endpoints: [{ ...endpoint(5), addresses: [address] }] }, 0), [1]);
  const taken = { isHearing: true, vteps: [vtep3], endpoints: [{ ...endpoint(6, vtep3), addresses: [address] }] };
  t.same(addressesIn(taken, 1), [0, 1]);
  t.same(addressesIn(silence, 2), [0, 1], 'nor is it given back');
});
