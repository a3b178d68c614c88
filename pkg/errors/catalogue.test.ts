import t from 'tap';
import { catalogue, entries } from './catalogue.ts';

/** SPEC.md 1.1.0, "Error": the codes a plugin may use for itself begin here. */
const ownCodesFrom = 100;
/** The codes of the specification, those of STATUS included. */
const specificationCodes: ReadonlySet<number> = new Set([1, 2, 3, 4, 5, 6, 7, 11, 50, 51]);

t.equal(entries, catalogue);
const codes = Object.values(entries).map((entry) => entry.cniCode);
t.equal(new Set(codes).size, codes.length, 'every code stands for one error');

const own = codes.filter((code) => !specificationCodes.has(code));
t.same(codes.filter((code) => specificationCodes.has(code)), [...specificationCodes], 'every code of the specification has its entry');
t.same(own, own.map((_, index) => ownCodesFrom + index), "weft's own codes are numbered without gaps, in the order of the catalogue");

for (const [name, entry] of Object.entries(entries)) {
  t.match(name, /^[a-z][A-Za-z]+$/);
  t.match(entry.title, /^[A-Z].*[^.]$/, `${name} has a heading`);
}
t.equal(entries.tryAgainLater.cniCode, 11);
t.ok(entries.tryAgainLater.isRetryable, 'the specification: "Try again later"');
