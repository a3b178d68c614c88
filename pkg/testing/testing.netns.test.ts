import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { startCapture } from './capture.ts';
import { run, runIn } from './command.ts';
import { createManyNetns, createNetns } from './netns.ts';
import { findLink, ipJson, readAddresses, readRuleset } from './observe.ts';
import { skipUnless } from './requirements.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'nft', 'ping', 'tcpdump'] });

t.test('namespaces go away with the test that made them', { skip }, async (t) => {
  let made: readonly string[] = [];
  await t.test('made here', async (t) => {
    made = [createNetns(t, 'one'), ...createManyNetns(t, 3, 'many')];
    t.ok(made.every((netns) => listNetns().includes(netns)));
  });
  t.notOk(made.some((netns) => listNetns().includes(netns)));
});

t.test('namespaces go away when the process is told to end', { skip }, async (t) => {
  const source = `
    import { createNetns } from ${JSON.stringify(new URL('netns.ts', import.meta.url).href)};
    console.log(createNetns({ teardown() {} }, 'signal'));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const netns = line.toString().trim();
  t.ok(listNetns().includes(netns), 'it exists');
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number | null];
  t.equal(code, 143);
  t.notOk(listNetns().includes(netns), 'it is gone');
});

t.test('observers read links, addresses and rules', { skip }, async (t) => {
  const netns = createNetns(t);
  run('ip', ['-n', netns, 'link', 'add', 'd0', 'type', 'bridge']);
  run('ip', ['-n', netns, 'addr', 'add', '192.0.2.1/24', 'dev', 'd0']);
  runIn(netns, 'nft', 'add', 'table', 'inet', 'probe');
  t.match(findLink(netns, 'd0'), { ifname: 'd0', linkinfo: { info_kind: 'bridge' } });
  t.equal(findLink(netns, 'd1'), undefined);
  t.match(readAddresses(netns, 'd0'), [{ family: 'inet', local: '192.0.2.1', prefixlen: 24 }]);
  t.match(readRuleset(netns), /table inet probe/);
  t.same(ipJson(netns, 'route', 'show', 'default'), [], 'nothing to show is an empty list');
});

t.test('a failing command says what it was and what it wrote', { skip }, async (t) => {
  t.throws(() => run('ip', ['link', 'show', 'no-such-link']), /ip link show no-such-link failed: .*does not exist/);
});

t.test('Capture counts frames with a marker, and drain() misses none', { skip }, async (t) => {
  const [near, far] = [createNetns(t, 'near'), createNetns(t, 'far')];
  run('ip', ['link', 'add', 'v0', 'netns', near, 'address', '02:00:00:00:00:01', 'type', 'veth', 'peer', 'name', 'v0', 'netns', far]);
  for (const [netns, address] of [[near, '192.0.2.1/24'], [far, '192.0.2.2/24']] as const) {
    run('ip', ['-n', netns, 'addr', 'add', address, 'dev', 'v0']);
    run('ip', ['-n', netns, 'link', 'set', 'v0', 'up']);
  }
  const capture = await startCapture(t, far, 'v0');
  const marker = 'marker-of-16-byt';
  runIn(near, 'ping', '-c', '20', '-i', '0.002', '-p', Buffer.from(marker).toString('hex'), '192.0.2.2');
  await capture.drain();
  t.equal(capture.count(marker), 40, '20 requests and 20 replies');
  t.equal(capture.count(marker, { exceptFrom: '02:00:00:00:00:01' }), 20, 'the replies');
  t.equal(capture.count('another marker'), 0);
});

t.test('startCapture() fails with the reason', { skip }, async (t) => {
  const netns = createNetns(t);
  await t.rejects(startCapture(t, netns, 'no-such-link'), /did not start: .*no-such-link/);
});

function listNetns(): readonly string[] {
  return run('ip', ['netns', 'list']).split('\n').map((line) => line.split(' ')[0] ?? '');
}
