/** Two nodes' paths over a router: what they find, say, remember and take back; and what they leave alone. */
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { pathDefaults, type PathConf } from '../config/path-conf.ts';
import type { Log, LogFields } from '../log/log.ts';
import { formatAddress, parseAddress, type Address, type Family } from '../netaddr/netaddr.ts';
import { openKernelMonitor } from '../netlink/monitor.ts';
import { openNetlinkIn } from '../netlink/test-socket.ts';
import { run } from '../testing/command.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { netnsPath } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { createRoad, type Road, type RoadEnd } from '../testing/road.ts';
import { findEgress } from './egress.ts';
import type { Path } from './findings.ts';
import { findingsFileIn } from './findings-file.ts';
import { Paths } from './paths.ts';
import { ProbeEnd } from './probe-end.ts';
import { within } from './test-within.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: ['ip', 'nft'] });
const deadlineMs = 30_000;
const quick: PathConf = { ...pathDefaults, intervalSeconds: 1 };

interface Line extends LogFields {
  readonly level: string;
  readonly message: string;
}

interface TestNode {
  readonly paths: Paths;
  readonly log: readonly Line[];
  readonly changes: readonly string[];
  readonly file: string;
}

interface NodeOptions {
  readonly peers: readonly Path[];
  readonly conf?: PathConf;
  readonly directory?: string;
}

function startNode(t: Test, { netns }: RoadEnd, { peers, conf = quick, directory = temporaryDirectory(t) }: NodeOptions): TestNode {
  const [log, changes]: [Line[], string[]] = [[], []];
  const at = (level: string) => (fields: LogFields, message: string) => void log.push({ ...fields, level, message });
  const writer: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const route = openNetlinkIn(t, netns);
  const paths = new Paths({
    log: writer, node: () => netns.replace(/^wt\d+-\d+-/, ''), paths: () => peers, egress: (peer) => findEgress(route, peer),
    openEnd: (options) => within(netns, () => new ProbeEnd(options)), file: findingsFileIn(directory, (message) => writer.warn({ code: 'path-memory' }, message)),
    onChange: (reason) => changes.push(reason), now: Date.now,
  }, conf);
  const fd = openSync(netnsPath(netns), 'r');
  const monitor = openKernelMonitor({ netnsFd: fd, onEvents: (events) => paths.noteEvents(events), onOverrun: () => paths.noteOverrun(), onFailure: (error) => t.fail(String(error)) });
  t.teardown(() => {
    monitor.close();
    closeSync(fd);
    paths.stop();
  });
  paths.follow(conf);
  return { paths, log, changes, file: join(directory, 'paths.json') };
}

async function eventually(what: string, isSo: () => boolean, ...nodes: readonly TestNode[]): Promise<number> {
  const startedAt = performance.now();
  while (!isSo()) {
    if (performance.now() - startedAt > deadlineMs) throw new Error(`late: ${what}: ${JSON.stringify(nodes.map(({ paths, log }) => [paths.status, log]))}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - startedAt;
}

function pathsOf(road: Road, family: Family): { readonly near: Path; readonly far: Path } {
  const [near, far] = [road.near, road.far].map(({ addresses }) => parseAddress(addresses[family])) as [Address, Address];
  return { near: { vtep: near, peer: far }, far: { vtep: far, peer: near } };
}

const stateOf = ({ paths }: TestNode): string | undefined => paths.status.paths[0]?.state;
const narrowBytes = ({ paths }: TestNode, peer: Address): number | undefined => paths.findings.narrowest([peer]);
const alarms = ({ log }: TestNode): readonly string[] => log.filter(({ level }) => level === 'warn').map(({ message }) => message);

for (const family of [4, 6] as const) {
  for (const isSaid of [true, false]) {
    t.test(`IPv${family}, a narrow hop, ${isSaid ? 'with' : 'without'} ICMP`, { skip }, async (t) => {
      const road = createRoad(t);
      road.setIcmp(isSaid);
      const of = pathsOf(road, family);
      const [near, far] = [startNode(t, road.near, { peers: [of.near, of.near] }), startNode(t, road.far, { peers: [of.far] })];
      await eventually('both ways are proven', () => [near, far].every((node) => stateOf(node) === 'whole'), near, far);
      t.match(near.paths.status, { isProbing: true, faults: [], paths: [{ peer: formatAddress(of.near.peer), peerNode: 'far', fullBytes: 1500, proof: { packetBytes: 1500 } }] });
      t.same([near.changes, alarms(near)], [[], []]);

      road.narrow(1400);
      const tookMs = await eventually('it is found by both', () => narrowBytes(near, of.near.peer) === 1400 && narrowBytes(far, of.far.peer) === 1400, near, far);
      t.comment(`found in ${Math.round(tookMs)} ms, with a probe every ${quick.intervalSeconds} s`);
      t.equal(near.changes.length, 1);
      t.equal(alarms(near).length, 1);
      t.match(alarms(near)[0], `the path from near (${formatAddress(of.near.vtep)}) to far (${formatAddress(of.near.peer)}) carries packets of 1400 bytes at most, and the interfaces here say 1500: the MTU of tenants that use it follows`);
      t.match(JSON.parse(readFileSync(near.file, 'utf8')), { version: 1, findings: [{ peer: formatAddress(of.near.peer), packetBytes: 1400, fullBytes: 1500, peerNode: 'far' }] });
      t.equal(near.paths.findings.narrowest([of.near.vtep]), undefined, 'of no other peer');

      road.narrow(1500);
      await eventually('it is taken back', () => narrowBytes(near, of.near.peer) === undefined, near);
      t.equal(near.changes.length, 2);
      t.match(alarms(near)[1], /carries packets of 1500 bytes again$/);
      t.notOk(existsSync(near.file));
    });
  }
}

t.test('a node without a daemon is no finding, and is looked at once it has one', { skip }, async (t) => {
  const road = createRoad(t);
  const of = pathsOf(road, 4);
  const near = startNode(t, road.near, { peers: [of.near] });
  await eventually('nobody answers', () => stateOf(near) === 'unanswered', near);
  t.match(near.paths.status.paths, [{ state: 'unanswered', fullBytes: 1500, narrow: undefined, proof: undefined }]);
  t.same([near.changes, alarms(near), narrowBytes(near, of.near.peer)], [[], [], undefined]);
  startNode(t, road.far, { peers: [of.far] });
  await eventually('it is seen', () => stateOf(near) === 'whole', near);
});

t.test('what an earlier daemon has found holds until the path is proven', { skip }, async (t) => {
  const road = createRoad(t);
  const of = pathsOf(road, 4);
  const directory = temporaryDirectory(t);
  road.narrow(1400);
  startNode(t, road.far, { peers: [of.far] });
  const first = startNode(t, road.near, { peers: [of.near], directory });
  await eventually('it is found', () => narrowBytes(first, of.near.peer) === 1400, first);
  first.paths.stop();
  const second = startNode(t, road.near, { peers: [of.near], directory });
  t.equal(narrowBytes(second, of.near.peer), 1400, 'from its first moment on');
  await eventually('it is proven', () => second.paths.status.paths[0]?.proof?.packetBytes === 1400, second);
  t.same([second.changes, alarms(second)], [[], []], 'and is nothing new');
  road.narrow(1500);
  await eventually('it is taken back', () => narrowBytes(second, of.near.peer) === undefined, second);
});

t.test("a finding of a peer that is one no more goes, and a broken file is none", { skip }, async (t) => {
  const road = createRoad(t);
  const of = pathsOf(road, 4);
  const directory = temporaryDirectory(t);
  const file = join(directory, 'paths.json');
  writeFileSync(file, JSON.stringify({ version: 1, findings: [{ vtep: '10.201.1.10', peer: '10.201.2.10', way: 'underlay', packetBytes: 1400, fullBytes: 1500, since: 1 }] }));
  const gone = startNode(t, road.near, { peers: [], directory });
  t.same([narrowBytes(gone, of.near.peer), gone.paths.status.paths, existsSync(file)], [undefined, [], false]);
  gone.paths.stop();
  writeFileSync(file, '{"version": 1, "findings": [');
  const broken = startNode(t, road.near, { peers: [of.near], directory });
  t.equal(narrowBytes(broken, of.near.peer), undefined);
  t.match(alarms(broken)[0], /^what was known of narrow paths cannot be read from \S+paths\.json, and has to be found again: /);
});

t.test('what is configured', { skip }, async (t) => {
  const road = createRoad(t);
  const of = pathsOf(road, 4);
  road.narrow(1400);
  startNode(t, road.far, { peers: [of.far] });
  const near = startNode(t, road.near, { peers: [of.near], conf: { ...quick, act: 'report' } });
  await eventually('it is said', () => stateOf(near) === 'narrow', near);
  t.equal(narrowBytes(near, of.near.peer), undefined);
  t.match(alarms(near)[0], /no MTU follows it \(path\.act, path\.mtuMin\)$/);
  near.paths.follow({ ...quick, mtuMin: 1401 });
  t.equal(narrowBytes(near, of.near.peer), undefined, 'smaller than it may become');
  near.paths.follow({ ...quick, mtuMin: 1400 });
  t.equal(narrowBytes(near, of.near.peer), 1400);
  t.equal(near.changes.length, 1);
  near.paths.follow({ ...quick, probe: false });
  t.match(near.paths.status, { isProbing: false, paths: [] });
  t.same([narrowBytes(near, of.near.peer), near.changes.length, existsSync(near.file)], [undefined, 2, false]);
  t.equal(run('ip', ['netns', 'exec', road.near.netns, 'cat', '/proc/net/udp']).split('\n').filter((line) => line.includes(':60D6')).length, 0, 'no socket is open');
});

t.test('a port that somebody else has', { skip }, async (t) => {
  const road = createRoad(t);
  const of = pathsOf(road, 4);
  const other = within(road.near.netns, () => new ProbeEnd({ at: { address: of.near.vtep, port: quick.port }, node: () => '', isPeer: () => false }));
  const near = startNode(t, road.near, { peers: [of.near] });
  startNode(t, road.far, { peers: [of.far] });
  await eventually('it is said', () => near.paths.status.faults.length > 0, near);
  t.match(near.paths.status.faults[0], /UDP port 24790 of 10\.201\.1\.10 cannot be had: .*EADDRINUSE.*path\.port/);
  t.match(alarms(near), [/the port cannot be had/]);
  other.close();
  await eventually('it is had', () => stateOf(near) === 'whole', near);
  t.same(near.paths.status.faults, []);
});

t.test("an interface of this node's own", { skip }, async (t) => {
  const road = createRoad(t);
  const of = pathsOf(road, 4);
  const [near] = [startNode(t, road.near, { peers: [of.near], conf: { ...quick, intervalSeconds: 600 } }), startNode(t, road.far, { peers: [of.far] })];
  await eventually('it is proven', () => stateOf(near) === 'whole', near);
  run('ip', ['-n', road.near.netns, 'link', 'set', 'eth0', 'mtu', '1300']);
  await eventually('it is known, and proven at once', () => near.paths.status.paths[0]?.proof?.packetBytes === 1300, near);
  t.match(near.paths.status.paths, [{ state: 'whole', fullBytes: 1300, narrow: undefined }]);
  run('ip', ['-n', road.near.netns, 'link', 'set', 'eth0', 'mtu', '1600']);
  await eventually('wider than the next hop', () => narrowBytes(near, of.near.peer) === 1500, near);
  run('ip', ['-n', road.near.netns, 'link', 'set', 'eth0', 'mtu', '1500']);
  await eventually('as wide as the next hop', () => stateOf(near) === 'whole', near);
  t.equal(narrowBytes(near, of.near.peer), undefined, 'the interface says it by itself');
});
