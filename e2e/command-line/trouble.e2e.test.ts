/** A node that is not well, and questions that are wrong. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { createSite, newcomer, rangeOf } from '../engine/site.ts';
import { attachEnv, type LabNode } from '../harness/lab-node.ts';
import { createLab } from '../harness/lab.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';
import { daemonStatus, frame, frameKinds, playDaemon } from './played-daemon.ts';
import { placesOf, runWeft, type CommandOptions, type CommandOutcome } from './run-weft.ts';

const skip = skipWithoutLab();
const deadlineMs = 20_000;

interface Status {
  readonly isWell: boolean;
  readonly attention: readonly string[];
  readonly remarks: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
}

async function statusOf(node: LabNode, options: CommandOptions = {}): Promise<Status & { readonly exitCode: number }> {
  const { exitCode, stdout } = await runWeft(node, ['status', '-o', 'json'], options);
  return { exitCode, ...(JSON.parse(stdout) as Status) };
}

t.test('wrong usage is exit status 2', { skip }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  const rows: readonly (readonly [args: readonly string[], words: RegExp])[] = [
    [['status', '-o', 'yaml'], /argument 'yaml' is invalid\. Allowed choices are table, json/],
    [['endpoints', '-o', ''], /Allowed choices are table, json/],
    [['tenants', '-o'], /argument missing/],
    [['endpoints', '--tenant'], /argument missing/],
    [['status', 'now'], /too many arguments/],
    [['statsu'], /unknown command 'statsu'/],
    [['status', '--verbose'], /unknown option '--verbose'/],
    [[], /Usage: weft/],
  ];
  for (const [args, words] of rows) t.match(await runWeft(node, args), { exitCode: 2, stdout: '', stderr: words }, `weft ${args.join(' ')}`);
  for (const command of ['status', 'endpoints', 'tenants']) {
    t.match(await runWeft(node, [command, '--help']), { exitCode: 0, stdout: /-o, --output <format>[^]*Examples:/ }, `weft ${command} --help`);
  }
});

t.test('a damaged ledger', { skip }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  const ledger = join(placesOf(node).state, 'ledger.db');
  writeFileSync(ledger, 'noise\n'.repeat(1000));
  t.match(await statusOf(node), { exitCode: 1, isWell: false, attention: [/^the ledger: the ledger \S+ is damaged: .*Drain the node/], ledger: { state: 'unreadable' } });
  t.match(await runWeft(node, ['status']), { exitCode: 1, stdout: /^weft needs attention:\n {2}- the ledger: / });
  for (const command of ['endpoints', 'tenants']) {
    t.match(await runWeft(node, [command, '-o', 'json']), { exitCode: 1, stdout: '', stderr: /ledger\.db is damaged/ }, 'an empty list would be a lie');
  }
  t.equal(readFileSync(ledger, 'utf8'), 'noise\n'.repeat(1000), 'it is left alone');
});

t.test('a wrong node configuration', { skip }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  writeFileSync(placesOf(node).config, 'node: node1\ntenants:\n  - name: blue\n    vni: 0\n');
  t.match(await statusOf(node), { exitCode: 1, attention: [/^the node configuration: .*weft\.yaml line 4: .*vni must be a whole number/] });
  t.match(await runWeft(node, ['tenants']), { exitCode: 1, stdout: 'no tenants\n', stderr: /tenants of the node configuration are missing here: .*line 4/ });
  t.match(await statusOf(node, { variables: { WEFT_CONFIG: '/nonexistent/weft.yaml' } }), { exitCode: 1, attention: [/Cannot read the node configuration \/nonexistent/] });
});

t.test('a range that is used up, and a DEL that cannot be read', { skip }, async (t) => {
  const site = await createSite(t, { range: rangeOf('10.1.1.10') });
  await site.lab.attach(site.node, { label: 'one', conf: site.conf });
  const folder = join(placesOf(site.node).state, 'pending-dels');
  mkdirSync(folder);
  writeFileSync(join(folder, '0123456789abcdef.json'), '{');
  t.match(await statusOf(site.node), { exitCode: 1, attention: [/tenant blue \(VNI 1001\) has no free address in 10\.1\.1\.10: enlarge the range/, /0123456789abcdef\.json cannot be read/] });
});

t.test('a DEL that was written down', { skip }, async (t) => {
  const site = await createSite(t);
  const folder = join(placesOf(site.node).run, 'pending-dels');
  mkdirSync(folder);
  const write = (requestedAt: number): void => writeFileSync(join(folder, '1.json'), JSON.stringify({ version: 1, containerId: 'gone', ifName: 'eth0', requestedAt }));
  write(Date.now());
  t.match(await statusOf(site.node), { exitCode: 0, attention: [], counts: { pendingDels: 1 } }, 'just now: the next call does it');
  write(Date.now() - 3_600_000);
  t.match(await statusOf(site.node), { exitCode: 1, attention: [/DEL of container gone eth0, written down in \S+1\.json, still waits/] });
});

/** Gives the one address; at a DEL it tells the test who called it, and does not come to an end. */
const stuckIpam = `#!/bin/sh
if [ "$CNI_COMMAND" = ADD ]; then
  echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.10/24"}]}'
elif [ "$CNI_COMMAND" = DEL ]; then
  echo "$PPID $$" > "$0.draft" && mv "$0.draft" "$0.called"
  exec sleep 60
fi
`;

t.test('a DEL that was killed in the middle', { skip, timeout: 60_000 }, async (t) => {
  const plugins = temporaryDirectory(t);
  writeFileSync(join(plugins, 'stuck'), stuckIpam, { mode: 0o755 });
  const site = await createSite(t, { extra: { ipam: { type: 'stuck' } } });
  const attach = newcomer(site, 'one');
  const call = async (verb: 'ADD' | 'DEL'): Promise<{ exitCode: number }> =>
    site.node.call({ env: { ...attachEnv(verb, attach), CNI_PATH: plugins }, stdin: JSON.stringify(attach.conf) });
  t.match(await call('ADD'), { exitCode: 0 });
  const del = call('DEL');
  const [weft, plugin] = await readWhenThere(join(plugins, 'stuck.called'));
  try {
    t.match(await statusOf(site.node), { exitCode: 0, counts: { interrupted: 0 } }, 'somebody is at it');
    process.kill(Number(weft), 'SIGKILL');
  } finally {
    process.kill(Number(plugin), 'SIGKILL');
  }
  await del;
  t.match(await statusOf(site.node), { exitCode: 1, counts: { interrupted: 1 }, attention: [/container one eth0 of tenant blue was interrupted: its next DEL, or a GC/] });
  t.match((await runWeft(site.node, ['endpoints'])).stdout, / deleting \(interrupted\) /);
});

async function readWhenThere(path: string): Promise<readonly string[]> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    try {
      return readFileSync(path, 'utf8').trim().split(' ');
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

t.test('after a reboot, before the first call', { skip }, async (t) => {
  const site = await createSite(t);
  await site.lab.attach(site.node, { label: 'one', conf: site.conf });
  const directory = temporaryDirectory(t);
  const [bootId, executable] = [join(directory, 'boot_id'), join(directory, 'weft')];
  writeFileSync(bootId, '00000000-0000-4000-8000-000000000002\n');
  // `ip netns exec` has given it a mount namespace of its own.
  writeFileSync(executable, `#!/bin/sh\nmount --bind ${bootId} /proc/sys/kernel/random/boot_id\nexec ${weftExecutable} "$@"\n`, { mode: 0o755 });
  const rebooted = async (command: string): Promise<CommandOutcome> => runWeft(site.node, [command], { executable });
  t.match(await rebooted('status'), { exitCode: 0, stdout: /1 endpoint of the last boot ended with it: the next call clears the ledger of them/ });
  t.match(await rebooted('endpoints'), { exitCode: 0, stdout: 'no endpoints\n', stderr: /1 endpoint of the last boot ended with it/ });
  t.match((await runWeft(site.node, ['endpoints'])).stdout, /^blue +1001 +one-/m, 'and looking has cleared nothing');
});

t.test('a daemon', { skip }, async (t) => {
  const answer = (body: unknown, status = 0): Buffer => Buffer.concat([frame(frameKinds.accepted), frame(frameKinds.answered, typeof body === 'string' ? body : JSON.stringify(body), status)]);

  await t.test('that is well', async (t) => {
    const node = createLab(t, { nodes: 1 }).node(1);
    const daemon = await playDaemon(t, node, answer(daemonStatus()));
    const status = await statusOf(node);
    t.match(status, { exitCode: 0, daemon: { state: 'running', socket: placesOf(node).socket, status: { pid: 4242, version: '9.9.9' } } });
    t.match(status.remarks, [/the daemon is version 9\.9\.9, this weft /, /no ledger/]);
    t.equal(daemon.requests[0]?.toString('latin1'), 'WEFT\x01\0\x02\0\0\0\0\0\x06\0\0\0status', 'it was asked as the protocol says');
    t.match((await runWeft(node, ['status'])).stdout, /^daemon +process 4242, version 9\.9\.9, since .*\n.*node node1, without a configuration, 70 MiB of memory\ncalls +ADD 3, 0 in flight\nreconciler .*\n.* a repair of the test$/m);
  });

  interface Row {
    readonly name: string;
    readonly answer?: Buffer;
    readonly words: RegExp;
  }
  const rows: readonly Row[] = [
    { name: 'that has refused a configuration', answer: answer(daemonStatus({ configError: 'line 3: vni' })), words: /the daemon has refused the node configuration and keeps the one before: line 3: vni/ },
    { name: 'that could not repair something', answer: answer(daemonStatus({ reconciler: { passes: 1, repairs: [], openFaults: ['the bridge weft-br7'] } })), words: /could not repair: the bridge weft-br7/ },
    { name: 'that never answers', words: /the daemon: the daemon that listens on \S+ did not answer within 2000 ms/ },
    { name: 'that is shutting down', answer: frame(frameKinds.elsewhere, 'shutting down', 5), words: /it does not answer questions now: shutting down/ },
    { name: 'that fails', answer: answer('out of memory', 1), words: /it could not answer: out of memory/ },
    { name: 'of another time', answer: answer({ hello: 'world' }), words: /its answer is not one that this weft understands: calls must be an object/ },
    { name: 'that is another program', answer: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), words: /did not answer as a daemon of this weft/ },
    { name: 'that dies in the middle', answer: frame(frameKinds.accepted), words: /closed the connection after it had begun/ },
  ];
  for (const { name, answer: bytes, words } of rows) {
    await t.test(name, async (t) => {
      const node = createLab(t, { nodes: 1 }).node(1);
      await playDaemon(t, node, bytes);
      t.match(await statusOf(node), { exitCode: 1, isWell: false, attention: [words] });
    });
  }
});
