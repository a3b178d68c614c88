/** What a container's end gets when the tenant's MTU changes. */
import t from 'tap';
import { planInside } from './resize.ts';

interface Row {
  readonly what: string;
  /** What it was given, and what it had chosen before that. */
  readonly given: number;
  readonly own?: number;
  readonly has: number;
  readonly wanted: number;
  readonly link?: { readonly kind?: string; readonly master?: number };
  readonly target: number;
  readonly ownMtu?: number;
  readonly keptMtu?: number;
}

const rows: readonly Row[] = [
  { what: 'lowered', given: 1550, has: 1550, wanted: 1450, target: 1450 },
  { what: 'raised', given: 1450, has: 1450, wanted: 8950, target: 8950 },
  { what: 'lowered before the process died', given: 1550, has: 1450, wanted: 1450, target: 1450 },
  { what: 'raised before the process died', given: 1450, has: 8950, wanted: 8950, target: 8950 },
  { what: 'raised before the process died, and to be lowered now', given: 1450, has: 8950, wanted: 1400, target: 1400 },
  { what: 'its own choice, which fits', given: 1550, has: 1400, wanted: 1450, target: 1400, keptMtu: 1400 },
  { what: 'its own choice, not to be raised', given: 1450, has: 1400, wanted: 8950, target: 1400, keptMtu: 1400 },
  { what: 'its own choice, too large now', given: 1450, has: 1400, wanted: 1300, target: 1300, ownMtu: 1400 },
  { what: 'lowered below its own choice a second time', given: 1300, own: 1400, has: 1300, wanted: 1200, target: 1200, ownMtu: 1400 },
  { what: 'raised, but not yet to its own choice', given: 1200, own: 1400, has: 1200, wanted: 1300, target: 1300, ownMtu: 1400 },
  { what: 'raised to its own choice', given: 1300, own: 1400, has: 1300, wanted: 1450, target: 1400, keptMtu: 1400 },
  { what: 'raised just to its own choice', given: 1300, own: 1400, has: 1300, wanted: 1400, target: 1400 },
  { what: 'chosen again, smaller', given: 1300, own: 1400, has: 1280, wanted: 1450, target: 1280, keptMtu: 1280 },
  { what: 'made larger than it was given', given: 1450, has: 1500, wanted: 1400, target: 1400 },
  { what: 'a port of a bridge in there is not raised', given: 1450, has: 1450, wanted: 8950, link: { kind: 'veth', master: 5 }, target: 1450, keptMtu: 1450 },
  { what: 'nor too large for the overlay', given: 1450, has: 1450, wanted: 1400, link: { kind: 'veth', master: 5 }, target: 1400 },
  { what: "something else of that name is the container's", given: 1450, has: 1450, wanted: 1400, link: { kind: 'dummy' }, target: 1450 },
];
for (const { what, given, own, has, wanted, link = { kind: 'veth' }, ...expected } of rows) {
  const port = { mtu: given, ...(own === undefined ? {} : { ownMtu: own }) };
  t.same(planInside(port, { mtu: has, ...link }, wanted), (({ target, ownMtu, keptMtu }) => ({ target, ...(ownMtu === undefined ? {} : { ownMtu }), ...(keptMtu === undefined ? {} : { keptMtu }) }))(expected), what);
}
