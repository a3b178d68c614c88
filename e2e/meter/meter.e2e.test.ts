/** The meter itself: what it must see, and what it must not make up. */
import t, { type Test } from 'tap';
import { setTimeout as delay } from 'node:timers/promises';
import { run, runIn } from '../../pkg/testing/command.ts';
import { createNetns } from '../../pkg/testing/netns.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { describeReport, totalsOf } from './describe.ts';
import { Meter, meterMagic, meterPort, type FlowReport } from './meter.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'nft', 'gcc', 'python3'] });
const deadlineMs = 20_000;

const addresses = { left4: '10.77.0.1', right4: '10.77.0.2', left6: 'fd00:77::1', right6: 'fd00:77::2' } as const;

interface Pair {
  readonly left: string;
  readonly right: string;
  readonly meter: Meter;
}

t.test('on a veth pair every packet arrives once and in order', { skip }, async (t) => {
  const { meter } = await createPair(t);
  await meter.mesh(['left4', 'right4']);
  await meter.mesh(['left6', 'right6']);
  await sentAtLeast(meter, 1000);
  const report = await meter.finish();
  t.match(report, { foreign: 0, socketDrops: 0 });
  t.equal(report.flows.length, 4);
  for (const flow of report.flows) t.match(flow, { lost: 0, duplicated: 0, reordered: 0, misdelivered: 0, refused: 0, gaps: [] }, `${flow.from} to ${flow.to}`);
  t.ok(report.flows.every(({ sent, received }) => sent >= 1000 && sent === received), describeReport(report));
});

t.test('packets that are dropped on purpose are counted one by one', { skip }, async (t) => {
  const { meter, right } = await createPair(t);
  // By the packet's number: behind the UDP header (64 bits), magic and flow (32 each), the lower half of it.
  const number = '@th,160,32';
  runIn(right, 'nft', `add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c udp dport ${meterPort} ${number} { 100-136, 500 } drop`);
  const before = Date.now();
  await meter.flow('left4', 'right4');
  await meter.flow('left6', 'right6');
  await meter.flow('right4', 'left4');
  await sentAtLeast(meter, 700);
  const report = await meter.finish();
  const [first, second, back] = report.flows;
  for (const flow of [first, second]) {
    t.match(flow, { lost: 38, refused: 0, gaps: [{ first: 100, count: 37 }, { first: 500, count: 1 }] });
    const at = flow?.gaps[0]?.at ?? 0;
    t.ok(at >= before && at <= Date.now(), 'it says when');
  }
  t.match(back, { lost: 0, gaps: [] }, 'the other way nothing is lost');
  t.match(report, { socketDrops: 0 }, 'and not by the meter');
  t.match(describeReport(report), /76 lost, 0 duplicated[^]*left4 to right4: 38 lost: 37 from number 100 at /);
});

t.test('what the sender’s kernel refuses is lost, and says why', { skip }, async (t) => {
  const { meter, left } = await createPair(t);
  runIn(left, 'nft', `add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c udp dport ${meterPort} @th,160,32 7 drop`);
  await meter.flow('left4', 'right4');
  await sentAtLeast(meter, 100);
  t.match((await meter.finish()).flows, [{ lost: 1, refused: 1, refusal: /not permitted/i, gaps: [{ first: 7, count: 1 }] }]);
});

t.test('packets that come twice, late, to somebody else, or from strangers', { skip }, async (t) => {
  const { meter, left } = await createPair(t);
  run('ip', ['-n', left, 'addr', 'add', '10.77.0.9/24', 'dev', 'eth0']);
  await meter.open('other4', { netns: left, address: '10.77.0.9' });
  await meter.flow('right4', 'left4');
  await sentAtLeast(meter, 50);
  const twice = packet(0, 10n);
  sendFrom(left, [[addresses.left4, twice], [addresses.left4, twice], ['10.77.0.9', packet(0, 11n)]]);
  sendFrom(left, [[addresses.left4, '68656c6c6f'], [addresses.left4, packet(5, 0n)], [addresses.left4, packet(0, 1n << 40n)], [addresses.left4, `${twice}00`]]);
  const report = await meter.finish();
  t.match(report, { foreign: 4, flows: [{ lost: 0, duplicated: 2, misdelivered: 1, reordered: 0 }] });
});

t.test('a packet that overtakes others', { skip }, async (t) => {
  const { meter, left } = await createPair(t);
  // Of those dropped the one is sent again, later, by hand.
  runIn(left, 'nft', `add table inet t; add chain inet t c { type filter hook input priority 0; }; add rule inet t c iifname eth0 udp dport ${meterPort} @th,160,32 20 drop`);
  await meter.flow('right4', 'left4');
  await sentAtLeast(meter, 50);
  sendFrom(left, [[addresses.left4, packet(0, 20n)]]);
  t.match((await meter.finish()).flows, [{ lost: 0, duplicated: 0, reordered: 1 }]);
});

t.test('a station that moves to another namespace', { skip }, async (t) => {
  const { meter, right } = await createPair(t);
  await meter.mesh(['left4', 'right4']);
  await sentAtLeast(meter, 100);
  await meter.close('right4');
  const away = await sentAtLeast(meter, 300, ({ from }) => from === 'left4');
  t.ok((away.find(({ from }) => from === 'right4')?.sent ?? 0) < 300, 'a station without an address sends nothing');
  await meter.open('right4', { netns: right, address: addresses.right4 });
  await sentAtLeast(meter, 600);
  const [to, from] = (await meter.finish()).flows;
  t.ok((to?.lost ?? 0) > 0 && to?.gaps.length === 1, `what was sent to it meanwhile is lost, in one piece: ${JSON.stringify(to)}`);
  t.match(from, { lost: 0, duplicated: 0 }, 'what it sent is not, and goes on with the next number');
});

t.test('wrong use is refused in words', { skip }, async (t) => {
  const { meter, left } = await createPair(t);
  await t.rejects(meter.flow('left4', 'nowhere'), /no such station/);
  await t.rejects(meter.flow('left4', 'right6'), /two families/);
  await t.rejects(meter.close('nowhere'), /no such station/);
  await t.rejects(meter.open('x', { netns: 'no-such-namespace', address: '10.77.0.1' }), /No such file/);
  await t.rejects(meter.open('x', { netns: left, address: 'nonsense' }), /address is none/);
  await t.rejects(meter.open('x', { netns: left, address: '10.99.0.1' }), /Cannot assign/);
  t.match(await meter.finish(), { flows: [], foreign: 0 }, 'and it goes on');
});

/** Two namespaces joined by a veth pair, and the meter with a station of each family in each. */
async function createPair(t: Test): Promise<Pair> {
  const [left, right] = [createNetns(t, 'left'), createNetns(t, 'right')];
  run('ip', ['-n', left, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', right]);
  for (const [netns, side] of [[left, 'left'], [right, 'right']] as const) {
    for (const device of ['lo', 'eth0']) run('ip', ['-n', netns, 'link', 'set', device, 'up']);
    run('ip', ['-n', netns, 'addr', 'add', `${addresses[`${side}4`]}/24`, 'dev', 'eth0']);
    run('ip', ['-n', netns, 'addr', 'add', `${addresses[`${side}6`]}/64`, 'dev', 'eth0', 'nodad']);
  }
  const meter = Meter.start(t, { seconds: 60 });
  for (const [station, address] of Object.entries(addresses)) await meter.open(station, { netns: station.startsWith('left') ? left : right, address });
  return { left, right, meter };
}

/** Waits until so many packets of the flows have been sent. */
async function sentAtLeast(meter: Meter, count: number, isMeant: (flow: FlowReport) => boolean = () => true): Promise<readonly FlowReport[]> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const report = await meter.report();
    if (report.flows.filter(isMeant).every(({ sent }) => sent >= count)) return report.flows;
    if (performance.now() > deadline) throw new Error(`the meter should have sent ${count} packets of each flow: ${totalsOf(report).sent} in all`);
    await delay(20);
  }
}

/** A packet of the meter's, in hexadecimal. */
function packet(flow: number, number: bigint): string {
  const bytes = Buffer.alloc(24);
  bytes.writeUInt32BE(meterMagic, 0);
  bytes.writeUInt32BE(flow, 4);
  bytes.writeBigUInt64BE(number, 8);
  return bytes.toString('hex');
}

/** Sends payloads from a namespace by somebody who is not the meter. */
function sendFrom(netns: string, packets: readonly (readonly [address: string, payload: string])[]): void {
  const script = `import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for pair in sys.argv[1:]:
    address, payload = pair.split("=")
    s.sendto(bytes.fromhex(payload), (address, ${meterPort}))`;
  runIn(netns, 'python3', '-c', script, ...packets.map(([address, payload]) => `${address}=${payload}`));
}
