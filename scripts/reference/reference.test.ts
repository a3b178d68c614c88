/** The pages and the schema that are made of pkg/config: complete, and true to what the readers take. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { parseNodeConf } from '../../pkg/config/node-conf.ts';
import { integer, objects, page } from './test-shapes.ts';
import { jsonSchemaOf } from './json-schema.ts';
import { referenceFiles } from './reference.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';

const root = resolve(import.meta.dirname, '../..');

t.test('a page', (t) => {
  const text = page({ port: { shape: integer, meaning: 'A | B.', default: 1, unit: 'bytes' }, inner: { shape: objects, meaning: 'Inner.', otherwise: 'none' }, must: { shape: integer, meaning: 'Must.' } }, ['must']);
  const keys = text.split('\n').filter((line) => line.startsWith('| `')).slice(0, 3);
  t.same(keys, [
    '| `must` | whole number from 1 to 9 | **must be given** | Must. |',
    '| `port` | whole number from 1 to 9, bytes | `1` | A \\| B. |',
    '| `inner` | list of things: section [`inner[]`](#inner) | none | Inner. |',
  ]);
  t.match(text, /^## `inner\[\]`$/m);
  t.throws(() => page({ port: { shape: integer, meaning: 'A.' } }, []), { message: /the key port must have a default, or say what happens without it/ });
  t.end();
});

t.test('the committed pages', (t) => {
  for (const [path, text] of referenceFiles()) {
    t.equal(readFileSync(join(root, path), 'utf8'), text, `${path} is what make docs writes`);
    const headings = [...text.matchAll(/^## (.*)$/gm)].map(([, heading = '']) => heading.toLowerCase().replaceAll(/[^a-z0-9_-]/g, ''));
    t.equal(new Set(headings).size, headings.length, 'each heading is a place of its own');
    for (const [, place = ''] of text.matchAll(/\]\(#([^)]*)\)/g)) t.ok(headings.includes(place), `${path} has the place ${place}`);
  }
  t.end();
});

/** What the readers refuse by itself, without regard to other keys, must be refused by the schema, and nothing else; but for `offload: false`, which is read and not advertised. */
const good = [
  '', 'null', 'offload: off', 'offload: {mode: report, interval: 60}', 'mtu: 1450', 'mtu: null', 'tenants: []',
  'tenants: [{name: a, vni: 1, ipam: {type: host-local, dataDir: /x, whatever: 1}}]', 'tenants: [{name: a, ipam: {}}]',
  'controlPlane: {type: evpn, as: 65000, neighbors: [{address: 192.0.2.1}], timers: {holdSeconds: 0}}',
] as const;
const bad = [
  '[]', 'text', 'mtuu: 1450', 'mtu: 67', 'mtu: "1450"', 'mtu: 1450.5', 'datapath: linux', 'offload: on-demand', 'offload: {interval: 0}', 'offload: {every: 3}',
  'tenants: {name: a}', 'tenants: [{vni: 1}]', 'tenants: [{name: a, vni: 0}]', 'tenants: [{name: a, vni: 16777216}]', 'tenants: [{name: -a}]', 'tenants: [{name: a, namespaces: [A_b]}]',
  'tenants: [{name: a, ipam: {type: weft, ranges: [{subnet: 10.0.0.0/8}]}}]', 'tenants: [{name: a, ipam: {type: weft, dataDir: /x, subnet: 10.1.1.0/24}}]',
  'tenants: [{name: a, isGateway: "yes"}]', 'controlPlane: {as: 1}', 'controlPlane: {type: bgp}', 'controlPlane: {type: evpn, as: 1, neighbors: [{address: 192.0.2.1}], timers: {holdSeconds: 2}}',
  'ovs: {database: db.sock}', 'migration: {keyFile: key}', 'path: {port: 65536}',
] as const;

t.test('the JSON Schema, by a foreign validator', { skip: skipUnless({ tools: ['python3'] }) }, (t) => {
  const examples = ['weft.yaml', 'weft-ovs.yaml', 'weft-evpn.yaml'].map((name) => readFileSync(join(root, 'conf', name), 'utf8'));
  const documents = [...examples, ...good, ...bad];
  const verdicts = validate(join(root, 'conf/weft.schema.json'), documents.map((text) => (parse(text) as unknown) ?? null));
  for (const [index, text] of documents.entries()) {
    const isGood = index < examples.length + good.length;
    t.equal(verdicts[index], isGood, `the schema ${isGood ? 'takes' : 'refuses'} ${text.slice(0, 80)}`);
    t.equal(isRead(text), isGood, 'and so does the reader');
  }
  t.end();
});

t.test('what the schema says of keys', (t) => {
  const schema = jsonSchemaOf({ kind: 'object', keys: { one: { shape: integer, meaning: 'See [x.md](../x.md).', default: 3 } }, required: [] }, { title: 'A', id: 'a' });
  t.match(schema, { anyOf: [{ type: 'null' }, { properties: { one: { description: 'See x.md.', default: 3 } }, additionalProperties: false }] });
  t.end();
});

function isRead(text: string): boolean {
  try {
    parseNodeConf(text, 'weft.yaml');
    return true;
  } catch {
    return false;
  }
}

/** By Debian's python3-jsonschema, which also looks at the schema itself. */
function validate(schema: string, documents: readonly unknown[]): readonly boolean[] {
  const program = [
    'import json, sys, jsonschema',
    'schema = json.load(open(sys.argv[1]))',
    'jsonschema.Draft7Validator.check_schema(schema)',
    'print(json.dumps([jsonschema.Draft7Validator(schema).is_valid(one) for one in json.load(sys.stdin)]))',
  ].join('\n');
  return JSON.parse(execFileSync('python3', ['-c', program, schema], { input: JSON.stringify(documents), encoding: 'utf8', timeout: 60_000 })) as readonly boolean[];
}
