import t from 'tap';
import { configurationBytesMax, decodeConfiguration, readValidAttachments, requireNetworkName } from './configuration.ts';

function nested(depth: number): string {
  return `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
}

function sized(bytes: number): string {
  return JSON.stringify({ a: 'x'.repeat(bytes - '{"a":""}'.length) });
}

t.same(decodeConfiguration('{}'), {});
t.same(decodeConfiguration(' {"name":"blue","n":null}\n'), { name: 'blue', n: null });
t.same(decodeConfiguration('{"name":"\uFFFD\uFFFD"}'), { name: '\uFFFD\uFFFD' }, 'replaced bytes are for the field’s own check');
t.equal(decodeConfiguration('{"a":1,"a":2}')['a'], 2, 'of a repeated key the last counts');
t.equal(Object.getPrototypeOf(decodeConfiguration('{"__proto__":{"name":"x"}}')), Object.prototype, '__proto__ is a key like any other');
t.doesNotThrow(() => decodeConfiguration(nested(64)), '64 levels');
t.doesNotThrow(() => decodeConfiguration(sized(configurationBytesMax)), 'as long as allowed');

const undecodable: readonly (readonly [string, string, string | RegExp])[] = [
  ['nothing', '', 'the network configuration on stdin must be a JSON object: stdin is empty'],
  ['white space', ' \n', /stdin is empty/],
  ['truncated', '{"cniVersion":"1.0.0"', /^the network configuration on stdin must be JSON: /],
  ['two documents', '{}{}', /must be JSON: /],
  ['comments', '{} // blue', /must be JSON: /],
  ['single quotes', "{'name':'blue'}", /must be JSON: /],
  ['raw NUL', '{"name":"a\0b"}', /must be JSON: /],
  ['NUL bytes only', '\0\0\0', /must be JSON: /],
  ['a byte order mark and invalid UTF-8', '\uFFFD\uFFFD{}', /must be JSON: /],
  ['null', 'null', 'the network configuration on stdin must be a JSON object: current value is null'],
  ['array', '[{"name":"blue"}]', 'the network configuration on stdin must be a JSON object: current value is an array'],
  ['string', '"blue"', /must be a JSON object: current value is "blue"/],
  ['number', '1e999', /must be a JSON object/],
  ['65 levels', nested(65), 'the network configuration on stdin must be nested at most 64 deep'],
  ['levels to overflow a stack', nested(500_000), /nested at most 64 deep/],
  ['one byte too long', sized(configurationBytesMax + 1), 'the network configuration on stdin must have at most 1048576 bytes: it has more'],
  ['too long in bytes, not in characters', JSON.stringify({ a: 'ü'.repeat(600_000) }), /must have at most 1048576 bytes/],
];
for (const [name, stdin, message] of undecodable) t.throws(() => decodeConfiguration(stdin), { code: 'undecodable', cniCode: 6, message }, name);

for (const name of ['blue', '0', 'a.b_c-d']) t.doesNotThrow(() => requireNetworkName(name), `network ${name}`);
for (const name of [undefined, null, '', '-a', 'a/b', '../a', 'a b', 'a\0', 'bläu', 5, ['blue'], {}]) {
  t.throws(() => requireNetworkName(name), { cniCode: 7, message: /^name must begin with a letter or digit .*: current value is / }, `network ${JSON.stringify(name)}`);
}

const key = 'cni.dev/valid-attachments';
const kept = [{ containerID: 'c1', ifname: 'eth0' }, { containerID: 'c2', ifname: 'net1' }];
t.same(readValidAttachments({ [key]: kept }), kept);
t.same(readValidAttachments({ [key]: null }), [], 'null is the empty list');
t.same(readValidAttachments({ [key]: [] }), []);
t.same(readValidAttachments({ 'cni.dev/attachments': kept }), kept, 'the older name');
t.same(readValidAttachments({ [key]: [], 'cni.dev/attachments': kept }), [], 'the right name wins');
t.strictSame(readValidAttachments({ [key]: [{ ...kept[0], more: 1 }] }), [kept[0]], 'other fields are dropped');

const refused: readonly (readonly [object, string])[] = [
  [{}, `${key} must be an array of the attachments to keep: current value is missing`],
  [{ [key]: {} }, `${key} must be an array of the attachments to keep: current value is an object`],
  [{ [key]: 'c1' }, `${key} must be an array of the attachments to keep: current value is "c1"`],
  [{ [key]: [null] }, `${key}[0] must be a JSON object: current value is null`],
  [{ [key]: [...kept, 'c3'] }, `${key}[2] must be a JSON object: current value is "c3"`],
  [{ [key]: [{ ifname: 'eth0' }] }, `${key}[0].containerID must be a string that is not empty: current value is missing`],
  [{ [key]: [{ containerID: '', ifname: 'eth0' }] }, `${key}[0].containerID must be a string that is not empty: current value is ""`],
  [{ [key]: [{ containerID: 'c1', ifName: 'eth0' }] }, `${key}[0].ifname must be a string that is not empty: current value is missing`],
];
for (const [conf, message] of refused) t.throws(() => readValidAttachments({ ...conf }), { cniCode: 7, message }, message);
