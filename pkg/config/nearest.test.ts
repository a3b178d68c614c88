import t from 'tap';
import { editDistance, nearestOf } from './nearest.ts';

const distances: readonly (readonly [string, string, number])[] = [
  ['', '', 0],
  ['vni', 'vni', 0],
  ['', 'vni', 3],
  ['vni', '', 3],
  ['vin', 'vni', 1],
  ['vnii', 'vni', 1],
  ['peer', 'peers', 1],
  ['mtu', 'mac', 2],
  ['kitten', 'sitting', 3],
];
for (const [a, b, edits] of distances) t.equal(editDistance(a, b), edits, `"${a}" and "${b}"`);

const known = ['name', 'vni', 'vtep', 'peers', 'mtu', 'isGateway', 'ipMasq', 'ipam'];
const nearest: readonly (readonly [string, string])[] = [
  ['vin', 'vni'],
  ['VNI', 'vni'],
  ['isgateway', 'isGateway'],
  ['isDefaultGateway', 'isGateway'],
  ['peer', 'peers'],
  ['ipmasq', 'ipMasq'],
  ['x'.repeat(1_000_000), 'name'],
];
for (const [word, expected] of nearest) t.equal(nearestOf(word, known), expected, `"${word.slice(0, 20)}" is nearest to "${expected}"`);
t.ok(known.includes(nearestOf('', known)), 'even the empty key has a nearest one');
