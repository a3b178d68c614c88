import { execFile } from 'node:child_process';
import t from 'tap';
import { frrRequirements, startFrr } from '../testing/frr.ts';
import { skipUnless } from '../testing/requirements.ts';
import type { FrrError } from './frr-error.ts';
import { openVty } from './vty.ts';

const skip = skipUnless({ ...frrRequirements, tools: [...(frrRequirements.tools ?? []), 'setpriv'] });
const soon = { deadlineMs: 10_000 };

t.test('the real daemons are asked and configured', { skip }, async (t) => {
  const frr = await startFrr(t);
  const { runDirectory } = frr;
  const zebra = await openVty({ daemon: 'zebra', runDirectory }, soon);
  const bgpd = await openVty({ daemon: 'bgpd', runDirectory }, soon);
  t.teardown(() => [zebra, bgpd].forEach((vty) => vty.close()));
  t.match(await zebra.ask('show version', soon), /^FRRouting /);
  await bgpd.configure(['router bgp 65000', 'bgp router-id 192.0.2.1'], soon);
  t.match(await bgpd.ask('show running-config', soon), /^router bgp 65000\n bgp router-id 192\.0\.2\.1$/m);
  t.match(frr.vtysh('show running-config'), /^router bgp 65000\n bgp router-id 192\.0\.2\.1$/m, 'as vtysh sees it');
  await t.rejects(bgpd.configure(['router bgp 65001', 'bgp router-id 192.0.2.9'], soon), { kind: 'refused', message: /bgpd of FRR refused "router bgp 65001": BGP is already running; AS is 65000$/ });
  await t.rejects(bgpd.configure(['router bgp 65000', 'neighbor 192.0.2.2 password hunter2'], soon), { kind: 'refused', message: /refused "neighbor 192\.0\.2\.2 password …": % Specify remote-as/ });
  t.match(await bgpd.ask('show running-config', soon), /bgp router-id 192\.0\.2\.1/, 'it goes on after a refusal');
});

t.test('a large answer arrives whole', { skip }, async (t) => {
  const { runDirectory } = await startFrr(t);
  const bgpd = await openVty({ daemon: 'bgpd', runDirectory }, soon);
  t.teardown(() => bgpd.close());
  const lines = Array.from({ length: 5000 }, (_, index) => `neighbor 10.0.${index >> 8}.${index & 255} remote-as 65001`);
  await bgpd.configure(['router bgp 65000', ...lines.map((line) => `${line}`)], { deadlineMs: 60_000 });
  const text = await bgpd.ask('show running-config', soon);
  t.equal(text.match(/^ neighbor .* remote-as 65001$/gm)?.length, 5000);
  t.ok(text.length > 128 * 1024, `${text.length} bytes`);
});

t.test('passwords of every printable character', { skip }, async (t) => {
  const { runDirectory } = await startFrr(t);
  const bgpd = await openVty({ daemon: 'bgpd', runDirectory }, soon);
  t.teardown(() => bgpd.close());
  const printable = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index)).join('');
  for (const password of [printable.slice(0, 80), printable.slice(14), '!x', '#x', 'x?', '|x', 'x|', '"', '\\', "'"]) {
    await bgpd.configure(['router bgp 65000', 'neighbor 192.0.2.2 remote-as 65000', `neighbor 192.0.2.2 password ${password}`], soon);
    t.ok((await bgpd.ask('show running-config', soon)).includes(` neighbor 192.0.2.2 password ${password}\n`), password);
  }
});

t.test('the end of a daemon is told at once', { skip }, async (t) => {
  const frr = await startFrr(t);
  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    const reason = Promise.withResolvers<FrrError>();
    const bgpd = await openVty({ daemon: 'bgpd', runDirectory: frr.runDirectory, onLost: reason.resolve }, soon);
    await frr.kill('bgpd', signal);
    t.match(await reason.promise, { kind: 'lost' }, signal);
    t.notOk(bgpd.isOpen);
    await t.rejects(openVty({ daemon: 'bgpd', runDirectory: frr.runDirectory }, soon), { name: 'WeftError', kind: 'notRunning' }, `${signal}: its socket may still be there`);
    await frr.start('bgpd');
  }
});

t.test('a daemon that hangs is late', { skip }, async (t) => {
  const frr = await startFrr(t);
  const bgpd = await openVty({ daemon: 'bgpd', runDirectory: frr.runDirectory }, soon);
  frr.signal('bgpd', 'SIGSTOP');
  await t.rejects(bgpd.ask('show version', { deadlineMs: 50 }), { name: 'WeftError', kind: 'late' });
  await t.rejects(openVty({ daemon: 'bgpd', runDirectory: frr.runDirectory }, { deadlineMs: 50 }), { name: 'WeftError', kind: 'late' });
});

t.test('who may not use the socket is told so', { skip }, async (t) => {
  const frr = await startFrr(t);
  const source = `
    import { openVty } from ${JSON.stringify(new URL('vty.ts', import.meta.url).href)};
    const error = await openVty({ daemon: 'bgpd', runDirectory: ${JSON.stringify(frr.runDirectory)} }, { deadlineMs: 5000 }).catch((error) => error);
    console.log(error.kind, error.message, error.details);`;
  const said = await new Promise<string>((resolve) => {
    execFile('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '--input-type=module', '-e', source], { timeout: 20_000 }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  t.match(said, /^noPermission The socket of bgpd of FRR, .*bgpd\.vty, may not be used .*frrvty/);
});
