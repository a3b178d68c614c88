/** Addresses from another plugin: Debian's host-local and static, and one made here that misbehaves. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { describeOutcome, type CniOutcome } from '../harness/cni-call.ts';
import { readInterface } from '../harness/container.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { attachEnv } from '../harness/lab-node.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { done, refused, refusedWithRemedy, succeeded } from './outcomes.ts';
import { addressesOf, createSite, endContainer, hasHostIf, newcomer, type Site, type SiteOptions } from './site.ts';

const skip = skipWithoutLab() || skipUnless({ executables: ['/usr/lib/cni/host-local', '/usr/lib/cni/static'] });

interface DelegatedSite extends Site {
  readonly dataDir: string;
  /** What host-local has given: the names of its files for the network. */
  readonly given: (network?: string) => readonly string[];
}

async function createHostLocalSite(t: Parameters<typeof createSite>[0], { datapath = 'bridge' }: Pick<SiteOptions, 'datapath'> = {}): Promise<DelegatedSite> {
  const dataDir = temporaryDirectory(t);
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.11' }], [{ subnet: 'fd00:1::/64', rangeStart: 'fd00:1::10', rangeEnd: 'fd00:1::11' }]];
  const ipam = { type: 'host-local', dataDir, ranges, routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: 'fd00:1::9' }] };
  const site = await createSite(t, { datapath, extra: { ipam } });
  const given = (network = 'blue'): readonly string[] => {
    const directory = join(dataDir, network);
    return existsSync(directory) ? readdirSync(directory).filter((name) => !/^(lock|last_reserved)/.test(name)).sort() : [];
  };
  return { ...site, dataDir, given };
}

t.test('host-local', { skip }, async (t) => {
  const site = await createHostLocalSite(t);
  const { node, conf, given } = site;
  const before = node.snapshot();
  t.match(await node.status(conf), done, 'STATUS');
  const first = await site.lab.attach(node, { label: 'first', conf: { ...conf, cniVersion: '1.1.0' } });
  t.same(addressesOf(first), ['10.1.1.10', 'fd00:1::10'], "the addresses are host-local's");
  t.same(given(), ['10.1.1.10', 'fd00:1::10']);
  t.match(readAttachment(first), { addresses: ['10.1.1.10/24', 'fd00:1::10/64'], routes: ['10.1.1.0/24', 'default via 10.1.1.1', 'default via fd00:1::9', 'fd00:1::/64'] });
  t.match(await node.check(first.attach, first.result), done, 'CHECK');
  await site.lab.attach(node, { label: 'second', conf });
  const third = newcomer(site, 'third');
  const between = node.snapshot();
  const refusal = await node.add(third);
  t.match(refusal, { exitCode: 1, error: { msg: /the delegated plugin "host-local" failed: .*no IP addresses available in range set/ } }, describeOutcome(refusal));
  t.same(node.snapshot(), between);

  t.match(await node.del(first.attach), done, 'DEL');
  t.same(given(), ['10.1.1.11', 'fd00:1::11'], 'DEL gives the addresses back');
  t.match(await node.gc(conf, []), done, 'GC');
  t.same(given(), [], 'so does GC, although this host-local has none of its own');
  t.same(node.snapshot(), before);
});

t.test('host-local: CHECK', { skip }, async (t) => {
  const site = await createHostLocalSite(t);
  const first = await site.lab.attach(site.node, { label: 'first', conf: site.conf });
  for (const address of site.given()) rmSync(join(site.dataDir, 'blue', address));
  t.match(await site.node.check(first.attach, first.result), { exitCode: 1, error: { msg: /the delegated plugin "host-local" failed: .*first-/ } }, 'it no longer knows the container');
});

t.test('host-local: DEL without a configuration, and with the namespace gone', { skip }, async (t) => {
  const site = await createHostLocalSite(t);
  const first = await site.lab.attach(site.node, { label: 'first', conf: site.conf });
  endContainer(first.netns);
  t.match(await site.node.del({ ...first.attach, conf: { cniVersion: '1.0.0', name: 'blue', type: 'weft' } }), done);
  t.same(site.given(), [], 'the configuration of the ADD was kept');
});

t.test('host-local: after the ledger was lost', { skip }, async (t) => {
  const site = await createHostLocalSite(t);
  const first = await site.lab.attach(site.node, { label: 'first', conf: site.conf });
  run('sh', ['-c', `rm ${site.node.stateDirectory}/ledger.db*`]);
  t.match(await site.node.del(first.attach), done);
  t.same(site.given(), [], 'DEL of an unknown container is handed on');
});

testEachDatapath('an ADD that fails after the plugin gave an address', async (t, datapath) => {
  const site = await createHostLocalSite(t, { datapath });
  const { node, conf, given } = site;
  const first = await site.lab.attach(node, { label: 'first', conf });
  const before = node.snapshot();
  const second = { ...conf, name: 'blue-second', tenant: 'blue' };
  const conflict = await node.add(newcomer(site, 'conflict', { conf: second }));
  t.match(conflict, refused(103, /10\.1\.1\.10/), `two networks of one tenant, each with its own pool: ${describeOutcome(conflict)}`);
  t.same(given('blue-second'), [], 'the address is given back');
  t.same(given('blue'), ['10.1.1.10', 'fd00:1::10'], 'and the other network keeps its own');
  t.same(node.snapshot(), before);

  const obstacle = datapath === 'bridge' ? 'weft-br1002' : 'nic1';
  run('ip', ['-n', node.netns, 'link', 'add', obstacle, 'up', 'type', 'veth', 'peer', 'name', 'other']);
  run('ip', ['-n', node.netns, 'route', 'add', '198.51.100.0/24', 'dev', obstacle]);
  const red = { ...conf, name: 'red', vni: 1002, ...(datapath === 'bridge' ? {} : { peers: ['198.51.100.7'] }) };
  const failed = await node.add(newcomer(site, 'foreign', { conf: red }));
  if (datapath === 'bridge') t.match(failed, refusedWithRemedy(112, /Cannot use weft-br1002: it is a veth that weft did not make/, /ip link del weft-br1002/), 'a step in the kernel fails');
  else t.match(failed, refused(50, /packets to the other nodes leave by nic1, which is not a port of Open vSwitch/), 'the switch cannot do it');
  t.same(given('red'), []);
  run('ip', ['-n', node.netns, 'link', 'del', obstacle]);
  t.same(node.snapshot(), before, 'what was in the way was left alone, and nothing else is left');
  t.match(await node.check(first.attach, first.result), done);
});

t.test('static', { skip }, async (t) => {
  const ipam = { type: 'static', addresses: [{ address: '10.1.1.77/24', gateway: '10.1.1.1' }], routes: [{ dst: '192.0.2.0/24' }] };
  const site = await createSite(t, { extra: { ipam } });
  const attached = await site.lab.attach(site.node, { label: 'one', conf: site.conf });
  t.match(readAttachment(attached), { addresses: ['10.1.1.77/24'], routes: ['10.1.1.0/24', '192.0.2.0/24 via 10.1.1.1'] });
  t.match(await site.node.check(attached.attach, attached.result), done);
  t.match(await site.node.add(newcomer(site, 'two')), refused(103, /10\.1\.1\.77/), 'nobody else of the tenant gets the address');
  await site.lab.detach(attached);
  t.match(await site.node.add(newcomer(site, 'three')), succeeded);
});

t.test('a plugin that is not installed', { skip }, async (t) => {
  const site = await createSite(t, { extra: { ipam: { type: 'no-such-plugin' } } });
  const before = site.node.snapshot();
  const words = /the delegated plugin "no-such-plugin" must be installed in a directory of CNI_PATH: searched \/usr\/lib\/cni, \/opt\/cni\/bin/;
  const attach = newcomer(site, 'one');
  t.match(await site.node.add(attach), refused(109, words), 'ADD');
  t.match(await site.node.status(site.conf), refused(50, words), 'STATUS');
  t.match(await site.node.call({ env: { ...attachEnv('ADD', attach), CNI_PATH: '' }, stdin: JSON.stringify(site.conf) }), refused(109, /: CNI_PATH is empty/));
  t.match(await site.node.del(attach), done, 'DEL is no worse for it');
  t.same(site.node.snapshot(), before);
});

t.test('a plugin that fails an ADD', { skip }, async (t) => {
  const { node, call, calls, behave } = await createMoodySite(t);
  const before = node.snapshot();
  behave('ADD) echo nonsense ;;');
  t.match(await call('ADD', 'c1'), refused(109, /the delegated plugin "moody" must print a CNI result/));
  t.same(calls(), ['ADD c1 eth0', 'DEL c1 eth0'], 'it may have kept an address all the same: it is asked for it back');
  behave(`ADD) echo '{"cniVersion":"1.0.0","code":99,"msg":"out of mood","details":"ask again"}'; exit 1 ;;`);
  t.match(await call('ADD', 'c2'), refusedWithRemedy(99, /the delegated plugin "moody" failed: out of mood/, /ask again/), "the plugin's own code and words");
  behave(`ADD) echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.0.1/24"}]}' ;;`);
  t.match(await call('ADD', 'c3'), { exitCode: 1, error: { code: 109 } }, 'an address that is none');
  t.same(calls(), ['ADD c3 eth0', 'DEL c3 eth0']);
  behave(`ADD) echo '{"cniVersion":"1.0.0","ips":[]}' ;;`);
  t.match(await call('ADD', 'c4'), refused(109, /ips must have at least one address/), 'no address at all: nothing could be guarded');
  t.same(calls(), ['ADD c4 eth0', 'DEL c4 eth0']);
  t.same(node.snapshot(), before);
});

t.test('a plugin that fails a DEL', { skip }, async (t) => {
  const { node, netns, call, calls, behave } = await createMoodySite(t);
  const before = node.snapshot();
  const add = `ADD) echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.1.10/24"}]}' ;;`;
  behave(add);
  const added = await call('ADD', 'c1');
  t.match(added, succeeded, describeOutcome(added));
  t.same(readInterface(netns).ipv4, ['10.1.1.10/24']);
  behave(`${add}\nDEL) exit 1 ;;`);
  const deleted = await call('DEL', 'c1');
  t.match(deleted, done, `a DEL that the plugin fails succeeds: ${describeOutcome(deleted)}`);
  t.notOk(hasHostIf(node, added), 'the container has no network any more');
  behave(add);
  t.match(await call('ADD', 'c2'), succeeded);
  t.same(calls(), ['DEL c1 eth0', 'ADD c2 eth0'], 'what is owed to the plugin is done by the next call');
  t.match(await call('DEL', 'c2'), done);
  t.same(node.snapshot(), before);
});

interface MoodySite extends Pick<Site, 'node'> {
  /** The container of every call. */
  readonly netns: string;
  readonly call: (verb: 'ADD' | 'DEL', containerId: string) => Promise<CniOutcome>;
  /** Gives the plugin `moody` the branches of a shell's `case` over the verb, and forgets its calls. */
  readonly behave: (branches: string) => void;
  /** How it was called: verb, container and interface. */
  readonly calls: () => readonly string[];
}

async function createMoodySite(t: Parameters<typeof createSite>[0]): Promise<MoodySite> {
  const { lab, node, conf } = await createSite(t, { extra: { ipam: { type: 'moody' } } });
  const netns = lab.container('moody');
  const directory = temporaryDirectory(t);
  const log = join(directory, 'log');
  return {
    node,
    netns,
    call: (verb, containerId) => node.call({ env: { ...attachEnv(verb, { conf, containerId, netns }), CNI_PATH: directory }, stdin: JSON.stringify(conf) }),
    behave: (branches) => {
      rmSync(log, { force: true });
      writeFileSync(join(directory, 'moody'), `#!/bin/sh\necho "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> ${log}\ncase $CNI_COMMAND in\n${branches}\nesac\n`, { mode: 0o755 });
    },
    calls: () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []),
  };
}
