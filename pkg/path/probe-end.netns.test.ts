/** Probes over real links: how large they are on the wire, what is answered, what routers say, and what is nobody's business. */
import t, { type Test } from 'tap';
import { formatAddress, parseAddress, type Address, type Family } from '../netaddr/netaddr.ts';
import { openWholeUdp, type WholeUdp } from '../sys/whole-udp.ts';
import { startCapture } from '../testing/capture.ts';
import { skipUnless } from '../testing/requirements.ts';
import { createRoad, type Road } from '../testing/road.ts';
import { answerBytesMax, encodeAnswer, encodeQuestion, headerBytes, packetBytesMin } from './message.ts';
import { ProbeEnd, type ProbeEndOptions } from './probe-end.ts';
import { within } from './test-within.ts';

t.setTimeout(60_000);
const skip = skipUnless({ root: true, tools: ['ip', 'nft', 'tcpdump'] });
const port = 24790;
/** Long enough for any machine; what is awaited to be silent has a shorter one. */
const deadlineMs = 10_000;
const silenceMs = 300;

function endsOf(road: Road, family: Family): readonly [near: Address, far: Address] {
  return [parseAddress(road.near.addresses[family]), parseAddress(road.far.addresses[family])];
}

function openEnd(t: Test, netns: string, options: Partial<ProbeEndOptions> & { readonly address: Address }): ProbeEnd {
  const { address, ...more } = options;
  const end = within(netns, () => new ProbeEnd({ at: { address, port }, node: () => netns.replace(/^wt\d+-\d+-/, ''), isPeer: () => true, ...more }));
  t.teardown(() => end.close());
  return end;
}

function openPlain(t: Test, netns: string, address: Address, { at = port } = {}): WholeUdp {
  const socket = within(netns, () => openWholeUdp({ address, port: at }, { dataBytes: 9000 }));
  t.teardown(() => socket.close());
  return socket;
}

/** Waits until the socket has something, or for the time. */
async function received(socket: WholeUdp, ms: number): Promise<readonly { readonly bytes: number }[]> {
  const until = performance.now() + ms;
  for (;;) {
    const came = socket.receive().map(({ wholeBytes }) => ({ bytes: wholeBytes }));
    if (came.length > 0 || performance.now() > until) return came;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const family of [4, 6] as const) {
  t.test(`IPv${family}`, { skip }, async (t) => {
    const road = createRoad(t);
    const [near, far] = endsOf(road, family);

    await t.test('a packet of exactly the size, never to be fragmented', async (t) => checkWire(t, road, family));

    await t.test('larger than the link', async (t) => {
      const end = openEnd(t, road.near.netns, { address: near });
      t.match(await end.probe({ peer: far, packetBytes: 1501, deadlineMs }), { kind: 'tooBig' });
      t.match(await end.probe({ peer: far, packetBytes: 65_535, deadlineMs }), { kind: 'tooBig' });
    });

    await t.test('a hop in the middle is narrower, and the router says so', async (t) => {
      const end = openNarrow(t, road, family);
      t.same(await end.probe({ peer: far, packetBytes: 1500, deadlineMs }), { kind: 'tooBig', mtuBytes: 1400 });
      t.match(await end.probe({ peer: far, packetBytes: 1401, deadlineMs }), { kind: 'tooBig', mtuBytes: 1400 }, 'what the kernel has learnt keeps nothing from being sent');
      t.match(await end.probe({ peer: far, packetBytes: 1400, deadlineMs }), { kind: 'answered' });
    });

    await t.test('and the router says nothing', async (t) => {
      road.setIcmp(false);
      t.teardown(() => road.setIcmp(true));
      const end = openNarrow(t, road, family);
      t.same(await end.probe({ peer: far, packetBytes: 1500, deadlineMs: silenceMs }), { kind: 'silent' });
      t.match(await end.probe({ peer: far, packetBytes: 1400, deadlineMs }), { kind: 'answered' });
    });

    await t.test('nobody there, and nobody at all', async (t) => {
      const end = openEnd(t, road.near.netns, { address: near });
      const before = performance.now();
      t.same(await end.probe({ peer: far, packetBytes: 1500, deadlineMs }), { kind: 'silent' }, 'a closed port');
      t.ok(performance.now() - before < deadlineMs / 2, 'known at once');
      t.same(await end.probe({ peer: parseAddress(road.far.addresses[family === 4 ? 6 : 4]), packetBytes: 1500, deadlineMs }), { kind: 'silent' }, 'another family');
    });

    await t.test("what is nobody's business is not answered", async (t) => checkStrangers(t, road, family));
    await t.test('what was not asked is no answer', async (t) => checkForgeries(t, road, family));
  });
}

/** The near node's end; 1400 bytes pass until the test is over. */
function openNarrow(t: Test, road: Road, family: Family): ProbeEnd {
  const [near, far] = endsOf(road, family);
  road.narrow(1400);
  t.teardown(() => road.narrow(1500));
  openEnd(t, road.far.netns, { address: far });
  return openEnd(t, road.near.netns, { address: near });
}

async function checkWire(t: Test, road: Road, family: Family): Promise<void> {
  const [near, far] = endsOf(road, family);
  const names: string[] = [];
  const asked: Address[] = [];
  const ends = [openEnd(t, road.near.netns, { address: near, onNamed: (peer, node) => names.push(`${formatAddress(peer)} ${node}`) }), openEnd(t, road.far.netns, { address: far, onAsked: (peer) => asked.push(peer) })];
  const capture = await startCapture(t, road.east, 'outer');
  for (const packetBytes of [packetBytesMin, 1280, 1499, 1500]) t.match(await ends[0]?.probe({ peer: far, packetBytes, deadlineMs }), { kind: 'answered' }, `${packetBytes}`);
  t.match(await ends[1]?.probe({ peer: near, packetBytes: 1500, deadlineMs }), { kind: 'answered' }, 'the other way as well');
  await capture.drain();
  t.same(questionsOf(capture.frames, family), [packetBytesMin, 1280, 1499, 1500, 1500].map((bytes) => ({ bytes, isWhole: true })));
  t.ok(capture.frames.filter(isUdp(family)).every((frame) => frame.length <= 14 + 1500));
  t.equal(names.at(-1), `${formatAddress(far)} far`);
  t.same(asked.map(formatAddress), Array(4).fill(formatAddress(near)));
}

async function checkStrangers(t: Test, road: Road, family: Family): Promise<void> {
  const [near, far] = endsOf(road, family);
  const end = openEnd(t, road.far.netns, { address: far, isPeer: (address) => formatAddress(address) === formatAddress(near), rate: { perSecond: 0.001, burst: 2 } });
  const [peer, stranger] = [openPlain(t, road.near.netns, near), openPlain(t, road.near.netns, near, { at: 4000 })];
  const to = { address: far, port };
  const nonce = '00112233445566778899aabbccddeeff';
  const question = encodeQuestion(nonce, 1000);
  stranger.send(question, to);
  t.same(await received(stranger, silenceMs), [], 'another port');
  for (const garbage of [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(1400), Buffer.from('weft'), question.subarray(0, answerBytesMax - 1), encodeAnswer({ nonce, receivedBytes: 1, node: 'x' })]) peer.send(garbage, to);
  const later = Buffer.from(question);
  later.writeUInt8(2, 4);
  peer.send(later, to);
  t.same(await received(peer, silenceMs), [], 'garbage, and what a later version says');
  peer.send(question, to);
  const [answer] = await received(peer, deadlineMs);
  t.ok(answer !== undefined && answer.bytes <= answerBytesMax, 'it still answers, with less than was asked');
  for (let count = 0; count < 20; count += 1) peer.send(question, to);
  t.equal((await received(peer, deadlineMs)).length, 1, 'what is left of its burst');
  t.same(await received(peer, silenceMs), [], 'and no more');
  end.close();
  const deaf = openEnd(t, road.far.netns, { address: far, isPeer: () => false });
  peer.send(question, to);
  t.same(await received(peer, silenceMs), [], 'no peer of any tenant');
  deaf.close();
}

async function checkForgeries(t: Test, road: Road, family: Family): Promise<void> {
  const [near, far] = endsOf(road, family);
  const end = openEnd(t, road.near.netns, { address: near });
  const forger = openPlain(t, road.far.netns, far);
  const outcome = end.probe({ peer: far, packetBytes: 1400, deadlineMs });
  const nonce = await new Promise<string>((resolve) => {
    const look = (): void => {
      const [question] = forger.receive();
      if (question === undefined) setTimeout(look, 5);
      else resolve(question.data.toString('hex', 8, 24));
    };
    look();
  });
  const to = { address: near, port };
  const receivedBytes = 1400 - headerBytes[family];
  forger.send(encodeAnswer({ nonce: 'ff'.repeat(16), receivedBytes, node: 'forger' }), to);
  forger.send(encodeAnswer({ nonce, receivedBytes: receivedBytes - 1, node: 'forger' }), to);
  forger.send(Buffer.alloc(1400), to);
  t.equal(await Promise.race([outcome, new Promise((resolve) => setTimeout(() => resolve('still waits'), silenceMs))]), 'still waits', 'another nonce, or less than was sent');
  forger.send(encodeAnswer({ nonce, receivedBytes, node: 'far' }), to);
  t.match(await outcome, { kind: 'answered' });
}

function isUdp(family: Family): (frame: Buffer) => boolean {
  return (frame) => frame.readUInt16BE(12) === (family === 4 ? 0x0800 : 0x86dd) && frame.readUInt8(14 + (family === 4 ? 9 : 6)) === 17;
}

/** Lengths of the IP packets with a question in them; of IPv6 none may have a fragment's header, and of IPv4 all must have DF. */
function questionsOf(frames: readonly Buffer[], family: Family): readonly { readonly bytes: number; readonly isWhole: boolean }[] {
  return frames.filter((frame) => isUdp(family)(frame) && frame.readUInt8(14 + headerBytes[family] + 5) === 1).map((frame) => ({
    bytes: family === 4 ? frame.readUInt16BE(14 + 2) : 40 + frame.readUInt16BE(14 + 4),
    isWhole: family === 6 || (frame.readUInt16BE(14 + 6) & 0xffff) === 0x4000,
  }));
}
