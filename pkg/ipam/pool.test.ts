import t from 'tap';
import { formatAddress, parseAddress, parsePrefix, prefixOf, parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { buildPool, type Pool, type PoolConf, type RangeConf } from './pool.ts';
import { formatSpan, spanOf, type AddressSpan } from './ranges.ts';

interface RangeText {
  readonly subnet: string;
  readonly rangeStart?: string;
  readonly rangeEnd?: string;
  readonly gateway?: string;
}

function poolConf(ranges: readonly (readonly RangeText[])[], exclude: readonly string[] = []): PoolConf {
  return { ranges: ranges.map((set, setIndex) => set.map((range, index) => rangeConf(range, `ipam.ranges[${setIndex}][${index}]`))), exclude: exclude.map(exclusion) };
}

function rangeConf({ subnet, rangeStart, rangeEnd, gateway }: RangeText, path: string): RangeConf {
  return {
    path,
    subnet: parsePrefix(subnet),
    ...(rangeStart === undefined ? {} : { rangeStart: parseAddress(rangeStart) }),
    ...(rangeEnd === undefined ? {} : { rangeEnd: parseAddress(rangeEnd) }),
    ...(gateway === undefined ? {} : { gateway: parseAddress(gateway) }),
  };
}

function exclusion(text: string): AddressSpan {
  if (text.includes('/')) return spanOf(prefixOf(parseInterfaceAddress(text)));
  return { first: parseAddress(text), last: parseAddress(text) };
}

/** `first-last gateway` of every range. */
function describePool(pool: Pool): readonly (readonly string[])[] {
  return pool.sets.map((set) => set.map((range) => `${formatSpan(range)} ${range.gateway === undefined ? 'none' : formatAddress(range.gateway)}`));
}

const defaults: readonly (readonly [RangeText, string])[] = [
  [{ subnet: '10.1.1.0/24' }, '10.1.1.1-10.1.1.254 10.1.1.1'],
  [{ subnet: '10.1.1.0/30' }, '10.1.1.1-10.1.1.2 10.1.1.1'],
  [{ subnet: '10.1.1.0/31' }, '10.1.1.0-10.1.1.1 none'],
  [{ subnet: '10.1.1.0/31', gateway: '10.1.1.0' }, '10.1.1.0-10.1.1.1 10.1.1.0'],
  [{ subnet: '10.1.1.7/32' }, '10.1.1.7 none'],
  [{ subnet: '10.1.1.128/25', rangeStart: '10.1.1.200' }, '10.1.1.200-10.1.1.254 10.1.1.129'],
  [{ subnet: '10.1.1.0/24', rangeEnd: '10.1.1.9', gateway: '10.1.1.254' }, '10.1.1.1-10.1.1.9 10.1.1.254'],
  [{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.5', rangeEnd: '10.1.1.5' }, '10.1.1.5 10.1.1.1'],
  [{ subnet: '2001:db8::/64' }, '2001:db8::1-2001:db8::ffff:ffff:ffff:ffff 2001:db8::1'],
  [{ subnet: '2001:db8::/126' }, '2001:db8::1-2001:db8::3 2001:db8::1'],
  [{ subnet: '2001:db8::/127' }, '2001:db8::-2001:db8::1 none'],
  [{ subnet: '2001:db8::9/128' }, '2001:db8::9 none'],
];
for (const [range, expected] of defaults) t.same(describePool(buildPool(poolConf([[range]]))), [[expected]], JSON.stringify(range));

const split: readonly RangeText[] = [
  { subnet: '10.1.1.0/24', rangeStart: '10.1.1.100', rangeEnd: '10.1.1.119' },
  { subnet: '10.1.1.0/24', rangeStart: '10.1.1.20', rangeEnd: '10.1.1.29', gateway: '10.1.1.254' },
];
t.same(describePool(buildPool(poolConf([split]))), [['10.1.1.100-10.1.1.119 10.1.1.254', '10.1.1.20-10.1.1.29 10.1.1.254']], 'two ranges of a subnet share its gateway');
t.same(describePool(buildPool(poolConf([[...split].reverse()]))).flat().length, 2, 'in any order');

const apart = poolConf([[{ subnet: '10.1.1.0/25' }, { subnet: '10.1.1.128/25' }], [{ subnet: '2001:db8::/64' }], [{ subnet: '10.2.0.0/16' }]], ['10.1.1.50', '10.2.128.0/17', '2001:db8::/80']);
t.equal(buildPool(apart).sets.length, 3, 'two sets of one family are host-local too');
t.same(buildPool(apart).exclude.map(formatSpan), ['10.1.1.50', '10.2.128.0-10.2.255.255', '2001:db8::-2001:db8::ffff:ffff:ffff']);

const a24 = '10.1.1.0/24';
const usable = 'must be an address that hosts of 10.1.1.0/24 can have (10.1.1.1-10.1.1.254)';
const refused: readonly (readonly [string, PoolConf, string])[] = [
  ['no set', poolConf([]), 'ipam.ranges must have at least one set of ranges: current value is empty'],
  ['empty set', poolConf([[{ subnet: a24 }], []]), 'ipam.ranges[1] must have at least one range: current value is empty'],
  ['start outside', poolConf([[{ subnet: a24, rangeStart: '10.1.2.5' }]]), `ipam.ranges[0][0].rangeStart ${usable}: current value is 10.1.2.5`],
  ['end outside', poolConf([[{ subnet: a24, rangeEnd: '10.1.0.255' }]]), `ipam.ranges[0][0].rangeEnd ${usable}: current value is 10.1.0.255`],
  ['start is the network', poolConf([[{ subnet: a24, rangeStart: '10.1.1.0' }]]), `ipam.ranges[0][0].rangeStart ${usable}: current value is 10.1.1.0`],
  ['end is the broadcast', poolConf([[{ subnet: a24, rangeEnd: '10.1.1.255' }]]), `ipam.ranges[0][0].rangeEnd ${usable}: current value is 10.1.1.255`],
  ['start of the other family', poolConf([[{ subnet: a24, rangeStart: '::10.1.1.5' }]]), `ipam.ranges[0][0].rangeStart ${usable}: current value is ::a01:105`],
  ['gateway outside', poolConf([[{ subnet: a24, gateway: '10.1.2.1' }]]), `ipam.ranges[0][0].gateway ${usable}: current value is 10.1.2.1`],
  ['gateway is the network', poolConf([[{ subnet: a24, gateway: '10.1.1.0' }]]), `ipam.ranges[0][0].gateway ${usable}: current value is 10.1.1.0`],
  [
    'start after end',
    poolConf([[{ subnet: a24, rangeStart: '10.1.1.50', rangeEnd: '10.1.1.40' }]]),
    'ipam.ranges[0][0].rangeStart must not be after rangeEnd: current values are 10.1.1.50 and 10.1.1.40',
  ],
  [
    'both bounds wrong',
    poolConf([[{ subnet: a24, rangeStart: '10.1.2.5', rangeEnd: '10.1.2.9' }]]),
    `ipam.ranges[0][0].rangeStart ${usable}: current value is 10.1.2.5; ipam.ranges[0][0].rangeEnd ${usable}: current value is 10.1.2.9`,
  ],
  [
    'two gateways',
    poolConf([[{ subnet: a24, rangeEnd: '10.1.1.50', gateway: '10.1.1.1' }], [{ subnet: a24, rangeStart: '10.1.1.51', gateway: '10.1.1.2' }]]),
    'ipam.ranges[1][0].gateway must be the same for every range of 10.1.1.0/24: current values are 10.1.1.1 and 10.1.1.2',
  ],
  [
    'mixed families',
    poolConf([[{ subnet: a24 }, { subnet: '2001:db8::/120' }]]),
    'ipam.ranges[0][1] must be of the family of its set: 2001:db8::1-2001:db8::ff of 2001:db8::/120 stands beside 10.1.1.1-10.1.1.254 of 10.1.1.0/24; give each family a set of its own',
  ],
  [
    'the same range twice',
    poolConf([[{ subnet: a24 }], [{ subnet: a24 }]]),
    'ipam.ranges[1][0] must not overlap another range: 10.1.1.1-10.1.1.254 of 10.1.1.0/24 overlaps 10.1.1.1-10.1.1.254 of 10.1.1.0/24 of ipam.ranges[0][0]',
  ],
  [
    'one address shared',
    poolConf([[{ subnet: a24, rangeStart: '10.1.1.50' }, { subnet: a24, rangeEnd: '10.1.1.50' }]]),
    'ipam.ranges[0][0] must not overlap another range: 10.1.1.50-10.1.1.254 of 10.1.1.0/24 overlaps 10.1.1.1-10.1.1.50 of 10.1.1.0/24 of ipam.ranges[0][1]',
  ],
  [
    'the same base, other lengths',
    poolConf([[{ subnet: '10.1.1.0/25', rangeEnd: '10.1.1.9' }, { subnet: a24, rangeStart: '10.1.1.200' }]]),
    'ipam.ranges[0][0].subnet must not overlap another subnet: 10.1.1.0/25 overlaps 10.1.1.0/24 of ipam.ranges[0][1]',
  ],
  [
    'a subnet in another',
    poolConf([[{ subnet: '10.1.0.0/16', rangeEnd: '10.1.0.9' }], [{ subnet: '10.1.200.0/24' }]]),
    'ipam.ranges[1][0].subnet must not overlap another subnet: 10.1.200.0/24 overlaps 10.1.0.0/16 of ipam.ranges[0][0]',
  ],
  [
    'exclude of elsewhere',
    poolConf([[{ subnet: a24 }]], ['10.1.1.7', '10.9.9.0/24']),
    'ipam.exclude[1] must be inside a subnet of ipam.ranges, else it does nothing: current value is 10.9.9.0-10.9.9.255',
  ],
  ['everything excluded', poolConf([[{ subnet: a24 }]], ['10.1.0.0/16']), 'ipam.ranges[0] must leave at least one address: the gateway and ipam.exclude take all of 10.1.1.1-10.1.1.254'],
  ['only the gateway', poolConf([[{ subnet: a24, rangeEnd: '10.1.1.1' }]]), 'ipam.ranges[0] must leave at least one address: the gateway and ipam.exclude take all of 10.1.1.1'],
];
for (const [name, conf, message] of refused) t.throws(() => buildPool(conf), { code: 'invalidConfiguration', cniCode: 7, message }, name);

t.test('thousands of ranges are checked without comparing each with each', (t) => {
  const many = Array.from({ length: 20_000 }, (_, index) => ({ subnet: `10.${index >> 8}.${index & 255}.0/24` }));
  t.equal(buildPool(poolConf([many])).sets[0]?.length, 20_000);
  t.throws(() => buildPool(poolConf([[...many, { subnet: '10.7.0.0/16' }]])), { message: /overlaps 10\.7\.0\.0\/16 of ipam\.ranges\[0\]\[20000\]/ });
  t.end();
});
