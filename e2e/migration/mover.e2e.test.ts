/** The mover itself, on a bridge that knows nothing of weft: what it must see, and what it must not make up. */
import t, { type Test } from 'tap';
import { setTimeout as delay } from 'node:timers/promises';
import { run, runIn } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { createNetns } from '../../pkg/testing/netns.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { ping } from '../harness/container.ts';
import { furnish, type MachineKind } from './carrier.ts';
import { Mover, type MovedFlow, type Party, type PlaceKind, type Window } from './mover.ts';
import { tapDrops } from './tap-container.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'gcc', 'ping', 'mkfifo', 'sh', 'tc'] });
t.setTimeout(120_000);

const peer: Party = { name: 'peer', ipv4: '10.78.0.1', ipv6: 'fd00:78::1', mac: '02:00:5e:78:00:01' };
const machine: Party = { name: 'machine', ipv4: '10.78.0.2', ipv6: 'fd00:78::2', mac: '02:00:5e:78:00:02' };
/** The meter's packets by the number's lower half: behind the UDP header (64 bits), magic and flow (32 each), the upper half (32). */
const number = 'udp dport 7017 @th,160,32';

interface Bench {
  readonly mover: Mover;
  /** Where the bridge is, whose ports are p-peer, p-source and p-target. */
  readonly hub: string;
  readonly peer: string;
  readonly source: string;
  readonly target: string;
}

t.test('nothing is lost where nothing happens', { skip }, async (t) => {
  const { mover } = await createBench(t);
  await flowBothWays(mover, 1000);
  const report = await lookAt(mover, 400);
  t.equal(report.flows.length, 4);
  for (const flow of report.flows) t.match(flow, { lost: 0, duplicated: 0, reordered: 0, refused: 0, dead: 0, early: 0, runs: [] }, title(flow));
  t.ok(report.flows.every(({ sent }) => sent >= 400), 'a thousand packets a second');
  t.match(report, { socketDrops: 0, timeline: {} });
});

t.test('what is dropped, comes twice, or does not come for a while', { skip }, async (t) => {
  const { mover, peer: netns } = await createBench(t);
  const rules = ['100-299 drop', '400 drop', `500 meta mark != 1 meta mark set 1 dup to eth0`].map((rule) => `add rule netdev t c ip protocol udp ${number} ${rule}`);
  runIn(netns, 'nft', `add table netdev t; add chain netdev t c { type filter hook egress device eth0 priority 0; }; ${rules.join('; ')}`);
  await mover.begin();
  await mover.flow('peer', 'machine', { family: 4, rate: 1000 });
  await mover.flow('peer', 'machine', { family: 6, rate: 1000 });
  await delay(700);
  const [dropped, whole] = (await mover.end()).flows;
  t.match(dropped, { lost: 201, lostBefore: 201, duplicated: 1, runs: [{ first: 100, count: 200 }, { first: 400, count: 1 }] });
  t.match(whole, { lost: 0, duplicated: 0 });
  const silence = dropped?.longestSilenceMs ?? 0;
  t.ok(silence > 190 && silence < 260, `200 packets of a millisecond are 201 ms without one: ${silence} ms`);
});

t.test('a machine that says where it is', { skip }, async (t) => {
  for (const announcement of ['rarp', 'garp', 'na'] as const) {
    const { mover, target } = await createBench(t);
    await flowBothWays(mover, 1000);
    await mover.place('machine', 'target', { netns: target });
    await lookAt(mover, 100);
    await mover.begin();
    await delay(50);
    await mover.move({ machine: 'machine', place: 'target', pauseMs: 50, announcement, trigger: 'never' });
    t.equal(await mover.reached(2000), true);
    const report = await mover.end();
    for (const flow of report.flows.filter(({ to }) => to === 'machine')) {
      t.ok(flow.lostDuring >= 40 && flow.lostDuring <= 60, `${title(flow)}, ${announcement}: those of the pause are lost: ${JSON.stringify(flow)}`);
      t.equal(flow.early, 0, 'none is at the target before it says so');
      t.ok(flow.dead > 0 && flow.dead <= flow.lost, 'those that came to the machine that stood still are among the lost');
      t.ok(flow.activationToFirstMs !== undefined && flow.activationToFirstMs >= 0, `it says how soon the first came: ${flow.activationToFirstMs} ms`);
      t.ok(flow.longestSilenceMs >= 48, `and how long none came: ${flow.longestSilenceMs} ms`);
    }
    for (const flow of report.flows.filter(({ from }) => from === 'machine')) t.match(flow, { lost: 0, duplicated: 0 }, 'what the machine sends is not lost, and not sent while it stands still');
    const { stopped = 0, resumed = 0, announced = 0 } = report.timeline;
    t.ok(resumed - stopped >= 50 && announced >= resumed, `times: ${JSON.stringify(report.timeline)}`);
  }
});

t.test('what is armed is sent at the stop, and a waiting machine’s queue holds the pause', { skip }, async (t) => {
  for (const kind of ['veth', 'tap', 'bridged-tap'] as const) {
    const bench = await createBench(t, kind);
    const { mover, target } = bench;
    await flowBothWays(mover, 1000);
    await mover.place('machine', 'target', { netns: target, kind: placeKind(kind) });
    await lookAt(mover, 100);
    const path = bridgeBatch(t, bench.hub);
    // A tap that nobody has opened yet has room for nothing.
    const dropped = kind === 'veth' ? 0 : tapDrops(target);
    await mover.begin();
    await mover.arm({ path, request: Buffer.from(`fdb replace ${machine.mac} dev p-target master static\n`) });
    await mover.move({ machine: 'machine', place: 'target', pauseMs: 100, announcement: 'none', trigger: 'stop' });
    t.equal(await mover.reached(2000), true);
    const report = await mover.end();
    for (const flow of report.flows.filter(({ to }) => to === 'machine')) {
      t.ok(flow.lost < 50, `${kind}, ${title(flow)}: what was sent while it stood still is there when it goes on: ${JSON.stringify(flow)}`);
    }
    if (kind !== 'veth') t.equal(tapDrops(target), dropped, 'and the tap had room');
    const { stopped = 0, triggered = 0, resumed = 0 } = report.timeline;
    t.ok(triggered >= stopped && triggered < resumed, JSON.stringify(report.timeline));
  }
});

t.test('what comes to where the machine was is counted as long as its place is there', { skip }, async (t) => {
  for (const kind of ['veth', 'tap'] as const) {
    const { mover, hub, target } = await createBench(t, kind);
    await flowBothWays(mover, 1000);
    await mover.place('machine', 'target', { netns: target, kind: placeKind(kind) });
    await lookAt(mover, 100);
    await mover.begin();
    await mover.move({ machine: 'machine', place: 'target', pauseMs: 0, announcement: 'rarp', trigger: 'never' });
    t.equal(await mover.reached(2000), true);
    await mover.end();
    const whole = await lookAt(mover, 100);
    t.ok(whole.flows.every(({ dead, sent, lost }) => dead === 0 && lost < sent), `${kind}: ${JSON.stringify(whole.flows)}`);
    // Sticky: the machine goes on speaking at the target, and would be learned there again.
    run('bridge', ['-n', hub, 'fdb', 'replace', machine.mac, 'dev', 'p-source', 'master', 'static', 'sticky']);
    const astray = (await lookAt(mover, 100)).flows.filter(({ to }) => to === 'machine');
    t.ok(astray.every(({ dead, sent, lost }) => dead > 0 && lost === sent), `${kind}: ${JSON.stringify(astray)}`);
  }
});

t.test('the mover as a guest answers for its addresses', { skip }, async (t) => {
  for (const kind of ['tap', 'bridged-tap'] as const) {
    const { peer: netns } = await createBench(t, kind);
    t.equal(await ping(netns, machine.ipv4), 1, `ARP and echo: ${kind}`);
    t.equal(await ping(netns, machine.ipv6), 1, 'neighbour discovery and echo');
    t.equal(await ping(netns, '10.78.0.3'), 0, 'and for no other');
    t.match(run('ip', ['-n', netns, 'neigh']), new RegExp(`${machine.ipv6} dev eth0 lladdr ${machine.mac}`));
  }
});

t.test('TCP connections move', { skip }, async (t) => {
  const { mover, target } = await createBench(t);
  for (const family of [4, 6] as const) {
    for (const kind of ['push', 'pull', 'ask'] as const) await mover.stream('peer', 'machine', { family, kind });
  }
  await mover.place('machine', 'target', { netns: target });
  await mover.begin();
  await delay(300);
  await mover.move({ machine: 'machine', place: 'target', pauseMs: 0, announcement: 'rarp', trigger: 'never' });
  await delay(700);
  const { streams, fault, flows } = await mover.end();
  t.match({ fault, flows }, { fault: undefined, flows: [] });
  t.equal(streams.length, 6);
  for (const stream of streams) {
    t.equal(stream.broken, undefined, `${stream.kind}: ${JSON.stringify(stream)}`);
    t.ok(stream.kind === 'ask' ? stream.requests > 300 : stream.bytes > 1_000_000, `${stream.kind} goes on at the target: ${JSON.stringify(stream)}`);
    t.ok(Number.isInteger(stream.retransmitted), `what was sent twice is counted: ${JSON.stringify(stream)}`);
  }
});

t.test('TCP that loses segments, or is reset', { skip }, async (t) => {
  const { mover, source } = await createBench(t);
  await mover.stream('peer', 'machine', { family: 4, kind: 'ask' });
  await mover.stream('peer', 'machine', { family: 6, kind: 'push' });
  await mover.begin();
  await delay(100);
  runIn(source, 'nft', 'add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c ip protocol tcp drop; add rule inet t c ip6 nexthdr tcp reject with tcp reset');
  await delay(800);
  runIn(source, 'nft', 'delete table inet t');
  await delay(800);
  const [asked, pushed] = (await mover.end()).streams;
  t.ok((asked?.timeouts ?? 1) > 0 && (asked?.retransmitted ?? 0) > 0 && (asked?.longestStallMs ?? 0) > 500, `timeouts are counted: ${JSON.stringify(asked)}`);
  t.equal(asked?.broken, undefined);
  t.match(pushed?.broken, /reset|pipe/i, 'and a reset is seen');
});

t.test('wrong use is refused in words', { skip }, async (t) => {
  const { mover, target } = await createBench(t, 'tap');
  await t.rejects(mover.flow('peer', 'nobody', { family: 4, rate: 1000 }), /no such party/);
  await t.rejects(mover.flow('peer', 'machine', { family: 4, rate: 0 }), /rate must be/);
  await t.rejects(mover.place('machine', 'source', { netns: target }), /such a place already/);
  await t.rejects(mover.place('machine', 'x', { netns: 'no-such-namespace' }), /No such file/);
  await t.rejects(mover.move({ machine: 'machine', place: 'nowhere', pauseMs: 0, announcement: 'none', trigger: 'never' }), /no such place/);
  await t.rejects(mover.stream('peer', 'machine', { family: 4, kind: 'ask' }), /no TCP/);
  await t.rejects(mover.arm({ path: '/nonexistent', request: Buffer.from('x') }), /No such file/);
});

function title({ from, to, family }: MovedFlow): string {
  return `from ${from} to ${to} by IPv${family}`;
}

function placeKind(kind: MachineKind): PlaceKind {
  return kind === 'veth' ? 'veth' : 'tap';
}

async function flowBothWays(mover: Mover, rate: number): Promise<void> {
  for (const family of [4, 6] as const) {
    await mover.flow('peer', 'machine', { family, rate });
    await mover.flow('machine', 'peer', { family, rate });
  }
}

async function lookAt(mover: Mover, ms: number): Promise<Window> {
  // A neighbour's address is asked for by the first packet only.
  await delay(50);
  await mover.begin();
  await delay(ms);
  return mover.end();
}

/** A bridge with three containers: a peer, and two for the machine, which runs at the first. */
async function createBench(t: Test, kind: MachineKind = 'veth'): Promise<Bench> {
  const names = ['hub', 'peer', 'source', 'target'] as const;
  const [hub, peerNetns, source, target] = names.map((name) => createNetns(t, name)) as [string, string, string, string];
  ip(hub, 'link set lo up', 'link add br0 type bridge mcast_snooping 0 forward_delay 0', 'link set br0 up');
  runIn(hub, 'nft', 'add table netdev t');
  for (const [name, netns, { ipv4, ipv6, mac }] of [['peer', peerNetns, peer], ['source', source, machine], ['target', target, machine]] as const) {
    ip(hub, `link add p-${name} type veth peer name eth0 address ${mac} netns ${netns}`, `link set p-${name} master br0 up`);
    // What a waiting machine's kernel says by itself, to multicast routers, the bridge would take for an announcement.
    runIn(hub, 'nft', `add chain netdev t ${name} { type filter hook ingress device p-${name} priority 0; }; add rule netdev t ${name} ip6 daddr ff02::16 drop`);
    ip(netns, 'link set lo up', 'link set eth0 addrgenmode none', 'link set eth0 up', `addr add ${ipv4}/24 dev eth0`, `addr add ${ipv6}/64 dev eth0 nodad`);
    if (name !== 'peer') furnish(netns, kind);
  }
  const mover = Mover.start(t, { seconds: 100 });
  for (const party of [peer, machine]) await mover.party(party);
  await mover.place('peer', 'peer', { netns: peerNetns });
  await mover.place('machine', 'source', { netns: source, kind: placeKind(kind) });
  return { mover, hub, peer: peerNetns, source, target };
}

/** A `bridge` that does what is written into a named pipe, whose path is returned. */
function bridgeBatch(t: Test, netns: string): string {
  const path = `${temporaryDirectory(t)}/pipe`;
  run('mkfifo', [path]);
  // Opened for both, so that neither end waits for the other; it ends by an empty line's fault, or with its namespace.
  const pid = run('sh', ['-c', `ip netns exec ${netns} bridge -batch - <>${path} >/dev/null 2>&1 & echo $!`]).trim();
  t.teardown(() => void process.kill(Number(pid), 'SIGKILL'));
  return path;
}

function ip(netns: string, ...lines: readonly string[]): void {
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}
