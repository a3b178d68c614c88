import t from 'tap';
import type { SeenRemotes } from '../datapath/remotes.ts';
import { formatAddress, parseAddress, parseMac, type Mac } from '../netaddr/netaddr.ts';
import type { RemoteEndpoint } from '../overlay/model.ts';
import { planRemotes } from './remote-plan.ts';
import type { Announced } from './retention.ts';

const [vtep2, vtep3] = [parseAddress('192.0.2.2'), parseAddress('192.0.2.3')];
const endpoint = (n: number, vtep = vtep2): RemoteEndpoint => ({ mac: parseMac(`02:77:0a:01:01:0${n}`), vtep, addresses: [parseAddress(`10.1.1.${n}`)] });
const [five, six] = [endpoint(5), endpoint(6, vtep3)];
const unheard: Announced = { isHearing: false, vteps: [], endpoints: [] };

interface Row {
  readonly what: string;
  readonly kept?: readonly RemoteEndpoint[];
  readonly announced?: Partial<Announced>;
  readonly seen?: Partial<SeenRemotes>;
  readonly local?: Mac;
  readonly away?: Mac;
  readonly plan: Readonly<Partial<Record<'hold' | 'restore' | 'drop', string>>>;
}

const [both, whole] = [[five, six], { held: [five, six], present: [five, six] }];
const rows: readonly Row[] = [
  { what: 'all is there', seen: whole, plan: {} },
  { what: 'new ones are held', seen: { present: both }, plan: { hold: '5@2,6@3' } },
  { what: 'one that has moved', kept: [endpoint(5, vtep3), six], announced: { endpoints: [endpoint(5, vtep3), six] }, seen: { held: both, present: [endpoint(5, vtep3), six] }, plan: { hold: '5@3' } },
  { what: 'FRR has taken everything away', announced: unheard, seen: { held: both }, plan: { restore: '5@2,6@3' } },
  { what: 'one VTEP is missed', announced: { vteps: [vtep3], endpoints: [six] }, seen: { held: both, present: [six] }, plan: { restore: '5@2' } },
  { what: 'its neighbour is missing', seen: { held: both, present: [{ ...five, addresses: [] }, six] }, plan: { restore: '5@2' } },
  { what: 'somebody has removed an entry that is announced', seen: { held: both, present: [six] }, plan: { restore: '5@2' } },
  { what: 'one is withdrawn, and kept for a moment', announced: { endpoints: [six] }, seen: { held: both, present: [six] }, plan: {} },
  { what: 'one is withdrawn', kept: [six], announced: { endpoints: [six] }, seen: { held: both, present: [six] }, plan: { drop: '5@2' } },
  { what: 'what FRR has left behind', kept: [six], announced: { endpoints: [six] }, seen: whole, plan: { drop: '5@2' } },
  { what: 'what nobody knows while nothing can be heard', kept: [six], announced: unheard, seen: whole, plan: {} },
  { what: 'one that is here by now', kept: [six], announced: unheard, seen: whole, local: five.mac, plan: { drop: '5@2 without its neighbours' } },
  { what: 'one that has left, of which BGP does not know yet', kept: [six], announced: { endpoints: [six] }, seen: whole, away: five.mac, plan: {} },
];

function describe(endpoints: readonly RemoteEndpoint[]): string {
  return [...new Map(endpoints.map((endpoint) => [endpoint.mac, endpoint])).values()].map(({ mac, vtep, addresses }) => `${mac.slice(-1)}@${formatAddress(vtep).slice(-1)}${addresses.length === 0 ? ' without its neighbours' : ''}`).join();
}

for (const { what, kept = both, announced = {}, seen = {}, local, away, plan } of rows) {
  const { hold, restore, drop } = planRemotes({
    kept: { vteps: [vtep2, vtep3], endpoints: kept, lost: [] },
    announced: { isHearing: true, vteps: [vtep2, vtep3], endpoints: both, ...announced },
    seen: { held: [], present: [], ...seen },
    isLocal: (mac) => mac === local,
    isAway: (mac) => mac === away,
  });
  t.same({ hold: describe(hold), restore: describe(restore), drop: describe(drop) }, { hold: '', restore: '', drop: '', ...plan }, what);
}
