import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import t from 'tap';
import type { DelegateExecutor, DelegateExit, DelegateProcess } from './delegate-executor.ts';
import { delegateAdd, delegateCheck, delegateDel, delegateGc, delegateStatus, type DelegateRequest } from './delegate.ts';
import { supportedVersions } from './versions.ts';

const request: DelegateRequest = {
  env: { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'c1', CNI_NETNS: '/run/netns/a', CNI_IFNAME: 'eth0', CNI_PATH: '/a:/b', PATH: '/usr/bin:/bin' },
  path: ['/a', '/b'],
  conf: { cniVersion: '1.1.0', name: 'blue', type: 'weft', ipam: { type: 'pool' } },
  cniVersion: '1.1.0',
};
const success: DelegateExit = { exitCode: 0, killedBy: null, stdout: '', stderr: '' };

function refusal(code: number, msg: string, details?: string): DelegateExit {
  return { ...success, exitCode: 1, stdout: JSON.stringify({ code, msg, details }) };
}

interface FakeExecutor extends DelegateExecutor {
  readonly started: DelegateProcess[];
}

/** An executor of the plugin /b/pool, which `answer` plays: called with the verb and the configuration's version. */
function fake(answer: (verb: string, version: string) => DelegateExit): FakeExecutor {
  const started: DelegateProcess[] = [];
  return {
    started,
    isExecutable: (file) => file === '/b/pool',
    run: async (plugin) => {
      started.push(plugin);
      return answer(String(plugin.env['CNI_COMMAND']), JSON.parse(plugin.stdin).cniVersion);
    },
  };
}

/** A plugin that speaks the given versions and refuses others as the reference plugins do. */
function speaking(versions: readonly string[], stdout: string): FakeExecutor {
  return fake((verb, version) => {
    if (verb === 'VERSION') return { ...success, stdout: JSON.stringify({ cniVersion: '1.0.0', supportedVersions: versions }) };
    if ((verb === 'GC' || verb === 'STATUS') && !versions.includes('1.1.0')) return refusal(4, `unknown CNI_COMMAND: ${verb}`);
    if (!versions.includes(version)) return refusal(1, 'incompatible CNI versions');
    return { ...success, stdout: verb === 'ADD' ? stdout : '' };
  });
}

function startsOf(executor: FakeExecutor): readonly string[] {
  return executor.started.map((plugin) => `${plugin.env['CNI_COMMAND']} ${JSON.parse(plugin.stdin).cniVersion}`);
}

const printed = '{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.10/24","gateway":"10.1.1.1"}],"dns":{}}';
const parsed = { interfaces: [], ips: [{ address: '10.1.1.10/24', gateway: '10.1.1.1' }], routes: [], dns: {} };
const delegates = { ADD: delegateAdd, DEL: delegateDel, CHECK: delegateCheck, GC: delegateGc, STATUS: delegateStatus } as const;
const verbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS'] as const;

for (const verb of verbs) {
  const executor = speaking(supportedVersions, printed);
  t.strictSame(await delegates[verb]('pool', request, { executor }), verb === 'ADD' ? parsed : undefined, `${verb} of a plugin of today`);
  t.same(startsOf(executor), [`${verb} 1.1.0`], `${verb} costs one process`);
  t.strictSame(executor.started[0]?.env, { ...request.env, CNI_COMMAND: verb }, 'the environment is the call’s but for the verb');
  t.same(JSON.parse(executor.started[0]?.stdin ?? ''), request.conf, 'the configuration is handed on');
  t.equal(executor.started[0]?.file, '/b/pool', 'the directories of CNI_PATH are searched in order');
}

const older: readonly (readonly [readonly string[], (typeof verbs)[number], readonly string[]])[] = [
  [['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0'], 'ADD', ['ADD 1.1.0', 'VERSION 1.1.0', 'ADD 1.0.0']],
  [['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0'], 'CHECK', ['CHECK 1.1.0', 'VERSION 1.1.0', 'CHECK 1.0.0']],
  [['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0'], 'DEL', ['DEL 1.1.0', 'VERSION 1.1.0', 'DEL 1.0.0']],
  [['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0'], 'GC', ['GC 1.1.0', 'VERSION 1.1.0']],
  [['0.1.0', '0.2.0', '0.3.1', '0.4.0', '1.0.0'], 'STATUS', ['STATUS 1.1.0', 'VERSION 1.1.0']],
  [['0.3.0', '0.3.1'], 'ADD', ['ADD 1.1.0', 'VERSION 1.1.0', 'ADD 0.3.1']],
];
for (const [versions, verb, expected] of older) {
  const executor = speaking(versions, printed);
  t.strictSame(await delegates[verb]('pool', request, { executor }), verb === 'ADD' ? parsed : undefined);
  t.same(startsOf(executor), expected, `${verb} of a plugin that speaks ${versions.join(' ')}`);
}

const nothingCommon: readonly (readonly [string, readonly string[], (typeof verbs)[number], string])[] = [
  ['0.2.0 has another form of result', ['0.1.0', '0.2.0'], 'ADD', 'incompatible CNI versions'],
  ['0.3.1 has no CHECK', ['0.3.1'], 'CHECK', 'incompatible CNI versions'],
  ['it says nothing of versions', [], 'GC', 'unknown CNI_COMMAND: GC'],
];
for (const [name, versions, verb, msg] of nothingCommon) {
  const executor = speaking(versions, printed);
  const called: Promise<unknown> = delegates[verb]('pool', request, { executor });
  await t.rejects(called, { code: 'delegateFailed', message: `the delegated plugin "pool" failed: ${msg}` }, name);
  t.equal(executor.started.length, 2, `${name}: not tried again`);
}
{
  const executor = fake((verb) => (verb === 'VERSION' ? { ...success, stdout: '{"supportedVersions":["1.1.0"]}' } : refusal(1, 'no')));
  await t.rejects(delegateAdd('pool', request, { executor }), { code: 'delegateFailed', cniCode: 1 });
  t.same(startsOf(executor), ['ADD 1.1.0', 'VERSION 1.1.0'], 'a plugin that contradicts itself is not asked for ever');
}
{
  const executor = fake((verb, version) => (verb === 'VERSION' ? { ...success, stdout: '{"supportedVersions":["1.0.0"]}' } : refusal(version === '1.1.0' ? 1 : 11, version)));
  await t.rejects(delegateAdd('pool', request, { executor }), { cniCode: 11, message: /failed: 1\.0\.0$/ }, 'the error of the second try counts');
}
{
  const executor = fake((verb) => (verb === 'VERSION' ? { ...success, stdout: '{"supportedVersions":["1.1.0"]}' } : refusal(50, 'pool is full')));
  await t.rejects(delegateStatus('pool', request, { executor }), { cniCode: 50, message: 'the delegated plugin "pool" failed: pool is full' }, 'STATUS of a plugin that knows it is passed on');
}

const failures: readonly (readonly [string, Partial<DelegateExit>, object])[] = [
  ['an error object', refusal(11, 'busy', 'lock held'), { cniCode: 11, message: 'the delegated plugin "pool" failed: busy', details: 'lock held' }],
  ['an error object without words', { exitCode: 1, stdout: '{"code":7}' }, { cniCode: 7, message: 'the delegated plugin "pool" failed: error 7', details: '' }],
  ['nothing', { exitCode: 1 }, { cniCode: 109, message: 'the delegated plugin "pool" ended with exit status 1 and printed no CNI error object', details: '' }],
  ['words on stderr', { exitCode: 127, stderr: 'not found\n' }, { cniCode: 109, details: 'not found' }],
  ['words on stdout', { exitCode: 1, stdout: 'panic: x' }, { cniCode: 109, details: 'panic: x' }],
  ['an error whose code is a string', { exitCode: 1, stdout: '{"code":"7","msg":"x"}' }, { cniCode: 109 }],
  ['an error whose code is 0', { exitCode: 1, stdout: '{"code":0,"msg":"x"}' }, { cniCode: 109 }],
  ['a signal', { exitCode: null, killedBy: 'SIGSEGV' }, { cniCode: 109, message: 'the delegated plugin "pool" was killed by SIGSEGV and printed no CNI error object' }],
  ['success and nothing', {}, { cniCode: 109, message: /^the delegated plugin "pool" must print a CNI result: / }],
  ['success and garbage', { stdout: 'OK' }, { cniCode: 109, message: /must print a CNI result/ }],
  ['success and an array', { stdout: '[]' }, { cniCode: 109, message: 'the delegated plugin "pool" must print a CNI result: result must be a JSON object: current value is an array' }],
  ['success and a bad address', { stdout: '{"ips":[{"address":"x"}]}' }, { cniCode: 109, message: /result\.ips\[0\]\.address must be/ }],
];
for (const [name, exit, expected] of failures) {
  await t.rejects(delegateAdd('pool', request, { executor: fake(() => ({ ...success, ...exit })) }), { code: 'delegateFailed', ...expected }, `ADD: ${name}`);
}

const executor = speaking(supportedVersions, printed);
await t.rejects(delegateAdd('none', request, { executor }), { cniCode: 109, message: 'the delegated plugin "none" must be installed in a directory of CNI_PATH: searched /a, /b' });
await t.rejects(delegateAdd('pool', { ...request, path: [] }, { executor }), { cniCode: 109, message: /"pool" must be installed .*: CNI_PATH is empty$/ });
for (const type of ['', '/b/pool', '../b/pool', 'pool\0']) {
  await t.rejects(delegateAdd(type, request, { executor }), { cniCode: 109, message: /^the type of a delegated plugin must be the name of a file in CNI_PATH/ }, `type ${JSON.stringify(type)}`);
}
t.same(executor.started, [], 'nothing was started');

const directory = mkdtempSync(`${tmpdir()}/weft-cni-delegate-`);
t.teardown(() => rmSync(directory, { recursive: true }));

/** A request whose plugin is a shell script with the given body. */
function scripted(name: string, body: string): DelegateRequest {
  mkdirSync(`${directory}/${name}`);
  writeFileSync(`${directory}/${name}/pool`, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return { ...request, path: [`${directory}/none`, `${directory}/${name}`] };
}

void t.test('plugins that are shell scripts', async (t) => {
  t.strictSame(await delegateAdd('pool', scripted('good', `[ "$CNI_COMMAND" = ADD ] && grep -q '"name":"blue"' && echo '${printed}'`)), parsed, 'a script that answers');
  await t.rejects(delegateAdd('pool', scripted('error', `echo '{"code":11,"msg":"busy"}'; exit 1`)), { code: 'delegateFailed', cniCode: 11 }, 'a script that prints an error object');
  await t.rejects(delegateDel('pool', scripted('silent', 'exit 1')), { message: /ended with exit status 1/ }, 'a script that says nothing');
  await t.rejects(delegateAdd('pool', scripted('garbage', 'echo 0k')), { message: /must print a CNI result/ }, 'a script that prints garbage');
  await t.rejects(delegateAdd('pool', scripted('flood', 'exec cat /dev/zero')), { message: 'the delegated plugin "pool" could not finish ADD: it printed more than 1048576 bytes' });
  await t.rejects(delegateAdd('pool', scripted('no-interpreter', ''), { executor: { isExecutable: () => true, run: async () => Promise.reject(new Error('spawn ENOEXEC')) } }), {
    message: 'the delegated plugin "pool" could not finish ADD: spawn ENOEXEC',
  });
  const hanging = scripted('hangs', 'exec sleep 600');
  await t.rejects(delegateDel('pool', hanging, { timeoutMs: 50 }), { code: 'delegateFailed', message: 'the delegated plugin "pool" did not finish DEL within 50 ms and was killed' });
  await t.rejects(delegateDel('pool', hanging, { signal: AbortSignal.abort() }), { message: /could not finish DEL: The operation was aborted/ }, 'the caller may stop it');
});

const pluginDirectory = '/usr/lib/cni';
const missing = ['host-local', 'static'].filter((type) => !existsSync(`${pluginDirectory}/${type}`));
const skip = missing.length === 0 ? false : `${missing.join(' and ')} not in ${pluginDirectory}: install containernetworking-plugins`;

void t.test('the real host-local', { skip }, async (t) => {
  for (const cniVersion of supportedVersions) {
    const dataDir = `${directory}/host-local-${cniVersion}`;
    const ipam = { type: 'host-local', dataDir, ranges: [[{ subnet: '10.1.1.0/29' }], [{ subnet: 'fd00:1::/64' }]], routes: [{ dst: '0.0.0.0/0' }] };
    const held = (): readonly string[] => readdirSync(`${dataDir}/blue`).filter((name) => name.startsWith('10.'));
    const real = { ...request, path: [pluginDirectory], cniVersion, conf: { ...request.conf, ipam } };
    const result = await delegateAdd('host-local', real);
    t.same(result.ips, [{ address: '10.1.1.2/29', gateway: '10.1.1.1' }, { address: 'fd00:1::2/64', gateway: 'fd00:1::1' }], `ADD in ${cniVersion}`);
    t.same(result.routes, [{ dst: '0.0.0.0/0' }]);
    t.same(held(), ['10.1.1.2'], 'the address is held');
    await delegateCheck('host-local', { ...real, conf: { ...real.conf, prevResult: { cniVersion, ips: result.ips } } });
    await delegateGc('host-local', { ...real, conf: { ...real.conf, 'cni.dev/valid-attachments': [] } });
    await delegateStatus('host-local', real);
    await delegateDel('host-local', real);
    await delegateDel('host-local', { ...real, env: { ...real.env, CNI_NETNS: '' } });
    t.same(held(), [], 'DEL, and a second one, release it');
    await t.rejects(delegateAdd('host-local', { ...real, conf: { ...real.conf, ipam: { type: 'host-local', dataDir } } }), { code: 'delegateFailed', message: /^the delegated plugin "host-local" failed: ./ }, 'its error is passed on');
  }
});

void t.test('the real static', { skip }, async (t) => {
  const ipam = { type: 'static', addresses: [{ address: '10.2.2.2/24', gateway: '10.2.2.1' }], routes: [{ dst: '10.3.0.0/16', gw: '10.2.2.9' }], dns: { nameservers: ['10.2.2.53'] } };
  for (const cniVersion of supportedVersions) {
    const result = await delegateAdd('static', { ...request, path: [pluginDirectory], cniVersion, conf: { ...request.conf, ipam } });
    t.strictSame(result, { interfaces: [], ips: ipam.addresses, routes: ipam.routes, dns: ipam.dns }, `ADD in ${cniVersion}`);
  }
});
