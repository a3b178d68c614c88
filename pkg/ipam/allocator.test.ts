import t from 'tap';
import { addAddress, formatAddress, parseAddress, parsePrefix, type Address } from '../netaddr/netaddr.ts';
import { randomFrom, testSeed, type RandomSource } from '../testing/random.ts';
import { checkRequested, chooseAddress, placeRequested, poolSize } from './allocator.ts';
import { buildPool } from './pool.ts';
import type { AddressRange, AddressSpan, RangeSet } from './ranges.ts';

const seed = testSeed();
t.comment(`WEFT_TEST_SEED=${seed}`);

/** The random sets are of 64 addresses from here on. */
const base: Address = parseAddress('10.0.0.0');

const nothingTaken = (): boolean => false;

interface RangeText {
  readonly subnet: string;
  readonly first: string;
  readonly last: string;
  readonly gateway?: string;
}

function rangeOf({ subnet, first, last, gateway }: RangeText): AddressRange {
  const range = { subnet: parsePrefix(subnet), first: parseAddress(first), last: parseAddress(last) };
  return gateway === undefined ? range : { ...range, gateway: parseAddress(gateway) };
}

function spanOfText(first: string, last: string): AddressSpan {
  return { first: parseAddress(first), last: parseAddress(last) };
}

t.test('chooseAddress() goes round the set', (t) => {
  const set = [
    rangeOf({ subnet: '10.1.1.0/24', first: '10.1.1.20', last: '10.1.1.22' }),
    rangeOf({ subnet: '10.1.1.0/24', first: '10.1.1.10', last: '10.1.1.13', gateway: '10.1.1.11' }),
  ];
  const exclude = [spanOfText('10.1.1.12', '10.1.1.12')];
  const rows: readonly (readonly [string | undefined, string])[] = [
    [undefined, '10.1.1.20'],
    ['10.1.1.20', '10.1.1.21'],
    ['10.1.1.22', '10.1.1.10'],
    ['10.1.1.10', '10.1.1.13'],
    ['10.1.1.11', '10.1.1.13'],
    ['10.1.1.12', '10.1.1.13'],
    ['10.1.1.13', '10.1.1.20'],
    ['10.9.9.9', '10.1.1.20'],
    ['::1', '10.1.1.20'],
  ];
  for (const [after, expected] of rows) {
    const choice = chooseAddress(set, { exclude, isTaken: nothingTaken, ...(after === undefined ? {} : { after: parseAddress(after) }) });
    t.equal(choice && formatAddress(choice.address), expected, `after ${after ?? 'nothing'}`);
  }
  t.end();
});

t.test('an address that was freed comes last', (t) => {
  const set = [rangeOf({ subnet: '10.1.1.0/29', first: '10.1.1.1', last: '10.1.1.6' })];
  const taken = new Set<bigint>();
  const isTaken = ({ value }: Address): boolean => taken.has(value);
  const given: string[] = [];
  let after: Address | undefined;
  for (let round = 0; round < 7; round++) {
    const choice = chooseAddress(set, { exclude: [], isTaken, ...(after === undefined ? {} : { after }) });
    if (choice === undefined) break;
    given.push(formatAddress(choice.address));
    taken.add(choice.address.value);
    // The third address is freed at once.
    if (given.length === 3) taken.delete(choice.address.value);
    after = choice.address;
  }
  t.same(given, ['10.1.1.1', '10.1.1.2', '10.1.1.3', '10.1.1.4', '10.1.1.5', '10.1.1.6', '10.1.1.3']);
  t.equal(chooseAddress(set, { exclude: [], isTaken, after: parseAddress('10.1.1.3') }), undefined, 'and then the set is exhausted');
  t.end();
});

t.test('chooseAddress() jumps over what is excluded', (t) => {
  const set = [rangeOf({ subnet: '2001:db8::/48', first: '2001:db8::1', last: '2001:db8:0:ffff:ffff:ffff:ffff:ffff', gateway: '2001:db8::1' })];
  const exclude = [spanOfText('2001:db8:0:0:8000::', '2001:db8:0:7fff:ffff:ffff:ffff:ffff'), spanOfText('2001:db8::', '2001:db8:0:0:8000::')];
  let asked = 0;
  const isTaken = (): boolean => ++asked < 3;
  const choice = chooseAddress(set, { exclude, isTaken });
  t.equal(choice && formatAddress(choice.address), '2001:db8:0:8000::2');
  t.equal(asked, 3, 'only addresses that may be given were looked at');
  t.equal(poolSize(set, exclude), 1n << 79n);
  t.end();
});

t.test('chooseAddress() and poolSize() agree with a list of all addresses', (t) => {
  const random = randomFrom(seed);
  for (let round = 0; round < 1500; round++) {
    const { set, exclude } = randomSet(random);
    const allowed = listAllowed(set, exclude);
    const taken = new Set(allowed.filter(() => random(3) > 0));
    const after = random(4) === 0 ? undefined : addAddress(base, BigInt(random(70)));
    const isTaken = (address: Address): boolean => taken.has(formatAddress(address));
    const choice = chooseAddress(set, { exclude, isTaken, ...(after === undefined ? {} : { after }) });
    const chosen = choice && formatAddress(choice.address);
    const expected = listTurned(set, after).find((text) => allowed.includes(text) && !taken.has(text));
    if (chosen !== expected) t.fail(`round ${round}: ${chosen} in place of ${expected}`);
    if (poolSize(set, exclude) !== BigInt(allowed.length)) t.fail(`round ${round}: size ${poolSize(set, exclude)} in place of ${allowed.length}`);
  }
  t.pass('1500 sets');
  t.end();
});

const pool = buildPool({
  ranges: [
    [
      { path: 'ipam.ranges[0][0]', subnet: parsePrefix('10.1.1.0/24'), rangeStart: parseAddress('10.1.1.10'), rangeEnd: parseAddress('10.1.1.99') },
      { path: 'ipam.ranges[0][1]', subnet: parsePrefix('10.1.2.0/31') },
    ],
    [{ path: 'ipam.ranges[1][0]', subnet: parsePrefix('2001:db8::/64'), gateway: parseAddress('2001:db8::ff') }],
  ],
  exclude: [spanOfText('10.1.1.64', '10.1.1.79')],
});

const possible: readonly (readonly [string, number, string])[] = [
  ['10.1.1.10', 0, '10.1.1.0/24'],
  ['10.1.1.99', 0, '10.1.1.0/24'],
  ['10.1.2.0', 0, '10.1.2.0/31'],
  ['2001:db8::1', 1, '2001:db8::/64'],
];
for (const [text, setIndex, subnet] of possible) {
  const placement = checkRequested(pool, parseAddress(text));
  t.equal(placement.setIndex, setIndex, `${text} is of set ${setIndex}`);
  t.same(placement.range.subnet, parsePrefix(subnet), `${text} is of ${subnet}`);
}

const ranges = '10\\.1\\.1\\.10-10\\.1\\.1\\.99, 10\\.1\\.2\\.0-10\\.1\\.2\\.1, 2001:db8::1-2001:db8::ffff:ffff:ffff:ffff';
const impossible: readonly (readonly [string, number, RegExp])[] = [
  ['10.1.1.9', 7, new RegExp(`^the requested address must be in a range of ipam \\(${ranges}\\): current value is 10\\.1\\.1\\.9$`)],
  ['10.1.1.100', 7, /must be in a range/],
  ['10.1.1.0', 7, /must be in a range/],
  ['10.1.1.255', 7, /must be in a range/],
  ['192.0.2.1', 7, /must be in a range/],
  ['2001:db8::', 7, /must be in a range/],
  ['::10.1.1.10', 7, /must be in a range/],
  ['10.1.1.64', 7, /must not be in ipam\.exclude \(10\.1\.1\.64-10\.1\.1\.79\)/],
  ['10.1.1.1', 103, /must not be the gateway of 10\.1\.1\.0\/24: current value is 10\.1\.1\.1$/],
  ['2001:db8::ff', 103, /must not be the gateway of 2001:db8::\/64/],
];
for (const [text, cniCode, message] of impossible) t.throws(() => checkRequested(pool, parseAddress(text)), { cniCode, message }, `${text} is refused`);

t.same(placeRequested(pool, [parseAddress('2001:db8::7'), parseAddress('10.1.2.1')]).map(({ setIndex }) => setIndex), [1, 0]);
t.same(placeRequested(pool, []), []);
t.throws(() => placeRequested(pool, [parseAddress('10.1.1.11'), parseAddress('10.1.2.1')]), {
  cniCode: 7,
  message: 'an endpoint must request at most one address of each set of ranges: 10.1.1.11 and 10.1.2.1 are both of ipam.ranges[0]',
});

/** One to three ranges that share no address, in any order; some addresses are excluded, some more than once. */
function randomSet(random: RandomSource): { readonly set: RangeSet; readonly exclude: readonly AddressSpan[] } {
  const subnet = parsePrefix('10.0.0.0/26');
  const gateway = addAddress(base, BigInt(random(64)));
  const cuts = Array.from({ length: 2 * (1 + random(3)) }, () => random(64)).sort((a, b) => a - b);
  const set: AddressRange[] = [];
  for (let index = 0; index < cuts.length; index += 2) {
    const first = addAddress(base, BigInt(cuts[index] ?? 0));
    const last = addAddress(base, BigInt(cuts[index + 1] ?? 0));
    if ((set.at(-1)?.last.value ?? -1n) < first.value) set.push({ subnet, gateway, first, last });
  }
  const exclude = Array.from({ length: random(4) }, () => {
    const first = addAddress(base, BigInt(random(64)));
    return { first, last: addAddress(first, BigInt(random(12))) };
  });
  return { set: random(2) === 0 ? set : set.reverse(), exclude };
}

function listSpan({ first, last }: AddressSpan): readonly string[] {
  return Array.from({ length: Number(last.value - first.value) + 1 }, (_, index) => formatAddress(addAddress(first, BigInt(index))));
}

function listAllowed(set: RangeSet, exclude: readonly AddressSpan[]): readonly string[] {
  const refused = new Set(exclude.flatMap(listSpan));
  return set.flatMap((range) => listSpan(range).filter((text) => !refused.has(text) && !(range.gateway && formatAddress(range.gateway) === text)));
}

/** Every address of the set once, from the one behind `after` on. */
function listTurned(set: RangeSet, after: Address | undefined): readonly string[] {
  const all = set.flatMap(listSpan);
  const at = after === undefined ? -1 : all.indexOf(formatAddress(after));
  return [...all.slice(at + 1), ...all.slice(0, at + 1)];
}
