import t from 'tap';
import { WeftError } from '../errors/weft-error.ts';
import { dispatch, type CniAnswer, type CniPlugin, type CniRequest } from './dispatch.ts';
import type { ReadonlyEnv } from './environment.ts';
import type { JsonObject } from './json-value.ts';
import type { CniResult } from './result.ts';
import { supportedVersions, verbs, type Verb } from './versions.ts';

const result: CniResult = {
  interfaces: [{ name: 'eth0', mtu: 1450, sandbox: '/run/netns/a' }],
  ips: [{ address: '10.1.1.10/24', interface: 0 }],
  routes: [],
  dns: {},
};
const prevResult = { cniVersion: '1.0.0', interfaces: [{ name: 'eth0', sandbox: '/run/netns/a' }], ips: [{ address: '10.1.1.10/24', interface: 0 }] };
const netConf = { cniVersion: '1.1.0', name: 'blue', type: 'weft', prevResult, 'cni.dev/valid-attachments': [{ containerID: 'c1', ifname: 'eth0' }] };

function envFor(verb: Verb): ReadonlyEnv {
  return { CNI_COMMAND: verb, CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/a', CNI_IFNAME: 'eth0', CNI_PATH: '/opt/cni/bin', HOME: '/root' };
}

interface Recorder extends CniPlugin {
  readonly requests: CniRequest[];
}

/** A plugin that remembers what it was asked, and throws `fault` if it is given one. */
function recorder(fault?: unknown): Recorder {
  const requests: CniRequest[] = [];
  const take = async (request: CniRequest): Promise<void> => {
    requests.push(request);
    if (fault !== undefined) throw fault;
  };
  const add = async (request: CniRequest): Promise<CniResult> => {
    await take(request);
    return result;
  };
  return { requests, add, del: take, check: take, gc: take, status: take };
}

interface ErrorObject {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** The error object of a failed call; fails the test when stdout is anything but one line with exactly that. */
function errorOf(answer: CniAnswer): ErrorObject {
  t.equal(answer.exitCode, 1, 'exit status 1');
  t.ok(answer.error !== undefined, 'the error is there for the log');
  t.match(answer.stdout, /^\{.*\}\n$/, 'one line of JSON');
  const object: ErrorObject = JSON.parse(answer.stdout);
  t.same(Object.keys(object).filter((key) => !['cniVersion', 'code', 'msg', 'details'].includes(key)), [], 'only the fields of a CNI error');
  return object;
}

async function call(verb: Verb, conf: JsonObject | string, plugin: CniPlugin = recorder()): Promise<CniAnswer> {
  return dispatch({ env: envFor(verb), stdin: typeof conf === 'string' ? conf : JSON.stringify(conf) }, plugin);
}

for (const version of supportedVersions) {
  const answer = await call('ADD', { ...netConf, cniVersion: version });
  t.equal(answer.exitCode, 0);
  const printed: { readonly cniVersion: string; readonly ips: readonly JsonObject[]; readonly interfaces: readonly JsonObject[] } = JSON.parse(answer.stdout);
  t.equal(printed.cniVersion, version, `ADD answers in ${version}`);
  t.equal(printed.ips[0]?.['version'], version === '0.4.0' ? '4' : undefined, `the form of ${version}`);
  t.equal(printed.interfaces[0]?.['mtu'], version === '1.1.0' ? 1450 : undefined, `the fields of ${version}`);
}

for (const verb of ['DEL', 'CHECK', 'GC', 'STATUS'] as const) {
  const plugin = recorder();
  t.strictSame(await call(verb, netConf, plugin), { stdout: '', exitCode: 0 }, `${verb} prints nothing`);
  t.same(plugin.requests.map((request) => request.verb), [verb], `${verb} reaches the plugin once`);
}

{
  const plugin = recorder();
  await call('ADD', netConf, plugin);
  const expected = { verb: 'ADD', containerId: 'c1', netns: '/run/netns/a', ifName: 'eth0', path: ['/opt/cni/bin'], conf: netConf, cniVersion: '1.1.0', env: envFor('ADD') };
  t.match(plugin.requests[0], expected, 'the plugin gets the call');
  t.same(plugin.requests[0]?.prevResult?.interfaces, prevResult.interfaces, 'and what came before in the chain');
  t.notOk('validAttachments' in (plugin.requests[0] ?? {}), 'the list of valid attachments is GC’s alone');
}
{
  const plugin = recorder();
  await call('ADD', { ...netConf, prevResult: null }, plugin);
  t.notOk('prevResult' in (plugin.requests[0] ?? {}), 'a null prevResult is none');
  await call('GC', netConf, plugin);
  t.same(plugin.requests[1]?.validAttachments, [{ containerID: 'c1', ifname: 'eth0' }]);
  await call('GC', { ...netConf, 'cni.dev/valid-attachments': null }, plugin);
  t.same(plugin.requests[2]?.validAttachments, [], 'null: nothing is valid');
}

const refusedCalls: readonly (readonly [string, Verb, JsonObject | string, number, RegExp])[] = [
  ['stdin empty', 'ADD', '', 6, /stdin is empty/],
  ['stdin truncated', 'ADD', JSON.stringify(netConf).slice(0, -1), 6, /must be JSON: /],
  ['stdin an array', 'CHECK', '[]', 6, /must be a JSON object/],
  ['stdin null', 'STATUS', 'null', 6, /must be a JSON object/],
  ['stdin huge', 'ADD', JSON.stringify({ ...netConf, a: 'x'.repeat(1 << 20) }), 6, /at most 1048576 bytes/],
  ['no JSON even for DEL', 'DEL', '{', 6, /must be JSON: /],
  ['no version', 'ADD', { name: 'blue' }, 1, /^cniVersion must be one of 0\.4\.0, 1\.0\.0, 1\.1\.0: /],
  ['an old version', 'ADD', { ...netConf, cniVersion: '0.3.1' }, 1, /current value is "0\.3\.1"$/],
  ['a version to come', 'STATUS', { ...netConf, cniVersion: '1.2.0' }, 1, /current value is "1\.2\.0"$/],
  ['version before name', 'ADD', { name: '../x' }, 1, /^cniVersion/],
  ['GC in 1.0.0', 'GC', { ...netConf, cniVersion: '1.0.0' }, 1, /1\.1\.0 or newer for GC/],
  ['STATUS in 0.4.0', 'STATUS', { ...netConf, cniVersion: '0.4.0' }, 1, /1\.1\.0 or newer for STATUS/],
  ['no name', 'ADD', { cniVersion: '1.0.0' }, 7, /^name must .*: current value is missing$/],
  ['a name that is a path', 'GC', { ...netConf, name: '../../etc' }, 7, /^name must/],
  ['a name with a NUL', 'CHECK', { ...netConf, name: 'a\0b' }, 7, /^name must/],
  ['CHECK without prevResult', 'CHECK', { ...netConf, prevResult: undefined }, 7, /^prevResult must hold what ADD returned/],
  ['CHECK with a null prevResult', 'CHECK', { ...netConf, prevResult: null }, 7, /^prevResult must hold what ADD returned/],
  ['CHECK with a malformed prevResult', 'CHECK', { ...netConf, prevResult: { ips: [{}] } }, 7, /^prevResult\.ips\[0\]\.address must be/],
  ['ADD with a malformed prevResult', 'ADD', { ...netConf, prevResult: 'x' }, 7, /^prevResult must be a JSON object/],
  ['GC without its list', 'GC', { cniVersion: '1.1.0', name: 'blue' }, 7, /^cni\.dev\/valid-attachments must be an array/],
  ['GC with a malformed list', 'GC', { ...netConf, 'cni.dev/valid-attachments': [{}] }, 7, /\[0\]\.containerID must be/],
];
for (const [name, verb, conf, code, message] of refusedCalls) {
  const plugin = recorder();
  const error = errorOf(await call(verb, conf, plugin));
  t.match(error, { code, msg: message }, `${verb}: ${name}`);
  t.same(plugin.requests, [], `${verb}: ${name}: the plugin is not called`);
}

for (const verb of [undefined, 'UPDATE']) {
  const answer = await dispatch({ env: { ...envFor('ADD'), CNI_COMMAND: verb }, stdin: '{' }, recorder());
  t.match(errorOf(answer), { code: 4, cniVersion: '1.0.0', msg: /^CNI_COMMAND must be one of/ }, 'the environment is looked at before stdin');
}

const errorVersions: readonly (readonly [string, string])[] = [
  ['{"cniVersion":"0.4.0"}', '0.4.0'],
  ['{"cniVersion":"1.1.0"}', '1.1.0'],
  ['{"cniVersion":"0.2.0"}', '1.0.0'],
  ['{"cniVersion":5}', '1.0.0'],
  ['{}', '1.0.0'],
  ['nonsense', '1.0.0'],
];
for (const [stdin, expected] of errorVersions) {
  const answer = await dispatch({ env: { CNI_COMMAND: 'ADD' }, stdin }, recorder());
  t.match(errorOf(answer), { code: 4, cniVersion: expected }, `an error to ${stdin} is in ${expected}`);
}

const soundDel = { cniVersion: '1.0.0', name: 'blue', type: 'weft' };
const lenientDels: readonly (readonly [string, JsonObject, Partial<CniRequest>])[] = [
  ['nothing in it', {}, { cniVersion: '1.0.0' }],
  ['no version', { name: 'blue' }, { cniVersion: '1.0.0' }],
  ['an unsupported version', { ...soundDel, cniVersion: '0.2.0' }, { cniVersion: '1.0.0' }],
  ['a version of the wrong type', { ...soundDel, cniVersion: {} }, { cniVersion: '1.0.0' }],
  ['a supported version', { ...soundDel, cniVersion: '1.1.0' }, { cniVersion: '1.1.0' }],
  ['a bad name', { ...soundDel, name: '../x' }, { cniVersion: '1.0.0' }],
  ['no name', { cniVersion: '1.1.0' }, { cniVersion: '1.1.0' }],
  ['a malformed prevResult', { ...soundDel, prevResult: { ips: 5 } }, { cniVersion: '1.0.0' }],
  ['a null prevResult', { ...soundDel, prevResult: null }, { cniVersion: '1.0.0' }],
  ['a malformed GC list', { ...soundDel, 'cni.dev/valid-attachments': 5 }, { cniVersion: '1.0.0' }],
];
for (const [name, conf, expected] of lenientDels) {
  const plugin = recorder();
  t.strictSame(await call('DEL', conf, plugin), { stdout: '', exitCode: 0 }, `DEL with ${name} succeeds`);
  t.match(plugin.requests[0], { ...expected, containerId: 'c1', ifName: 'eth0', conf }, `DEL with ${name} hands over what is known`);
  t.notOk('prevResult' in (plugin.requests[0] ?? {}), `DEL with ${name} has no prevResult`);
}
{
  const plugin = recorder();
  const { CNI_NETNS: _, ...env } = envFor('DEL');
  t.equal((await dispatch({ env: { ...env, CNI_ARGS: 'broken' }, stdin: JSON.stringify({ ...soundDel, prevResult }) }, plugin)).exitCode, 0);
  t.equal(plugin.requests[0]?.netns, '', 'DEL without namespace');
  t.equal(plugin.requests[0]?.args.size, 0, 'and with broken arguments');
  t.same(plugin.requests[0]?.prevResult?.ips, prevResult.ips, 'DEL takes a sound prevResult');
  t.match(errorOf(await dispatch({ env: { CNI_COMMAND: 'DEL', CNI_IFNAME: 'eth0' }, stdin: '{}' }, plugin)), { code: 4, msg: 'CNI_CONTAINERID must be set for DEL' }, 'DEL of nobody knows what');
}

const thrown: readonly (readonly [string, unknown, JsonObject])[] = [
  ['a WeftError', new WeftError('rangeExhausted', 'full', { details: 'add a range', cause: new Error('secret') }), { cniVersion: '1.1.0', code: 102, msg: 'full', details: 'add a range' }],
  ['a WeftError without details', new WeftError('notAvailable', 'no underlay'), { cniVersion: '1.1.0', code: 50, msg: 'no underlay' }],
  ['a delegate’s code', new WeftError('delegateFailed', 'x', { cniCode: 11 }), { cniVersion: '1.1.0', code: 11, msg: 'x' }],
  ['any other error', new TypeError('x is not a function'), { cniVersion: '1.1.0', code: 100, msg: 'x is not a function' }],
  ['an error without words', new RangeError(), { cniVersion: '1.1.0', code: 100, msg: 'RangeError' }],
  ['no error at all', 'text', { cniVersion: '1.1.0', code: 100, msg: 'text' }],
];
for (const [name, fault, expected] of thrown) {
  for (const verb of verbs.filter((candidate) => candidate !== 'VERSION')) {
    const answer = await call(verb, netConf, recorder(fault));
    t.strictSame(errorOf(answer), expected, `${verb} reports ${name}`);
    t.equal(answer.error, fault, 'and hands it to the log');
  }
}

const versionCalls: readonly (readonly [string, string])[] = [
  ['', '1.1.0'],
  ['{', '1.1.0'],
  ['[]', '1.1.0'],
  ['{}', '1.1.0'],
  ['{"cniVersion":"1.0.0"}', '1.0.0'],
  ['{"cniVersion":"0.2.0"}', '0.2.0'],
  ['{"cniVersion":"2.0.0"}', '2.0.0'],
  ['{"cniVersion":"x"}', '1.1.0'],
  ['{"cniVersion":7}', '1.1.0'],
];
for (const [stdin, cniVersion] of versionCalls) {
  const plugin = recorder();
  const answer = await dispatch({ env: { CNI_COMMAND: 'VERSION', CNI_IFNAME: 'dummy', CNI_NETNS: 'dummy', CNI_CONTAINERID: 'dummy' }, stdin }, plugin);
  t.equal(answer.exitCode, 0);
  t.strictSame(JSON.parse(answer.stdout), { cniVersion, supportedVersions: ['0.4.0', '1.0.0', '1.1.0'] }, `VERSION to ${stdin}`);
  t.same(plugin.requests, [], 'VERSION does not reach the plugin');
}
