import t from 'tap';
import { noPathKnowledge } from '../mtu/path-knowledge.ts';
import { parseAddress } from '../netaddr/netaddr.ts';
import { pause } from '../sys/timer.ts';
import { PathFindings } from './findings.ts';
import type { ProbeOutcome, Prober, ProbeWay } from './prober.ts';
import { Round } from './round.ts';

const path = { vtep: parseAddress('192.0.2.1'), peer: parseAddress('192.0.2.2') };
const nothing = (): void => undefined;

/** A way that carries so many bytes. */
class Way implements Prober {
  readonly way: ProbeWay;
  bytes: number;
  isSaid = false;
  isDead = false;
  pauseMs = 1;
  readonly asked: number[] = [];

  constructor(way: ProbeWay, bytes: number) {
    this.way = way;
    this.bytes = bytes;
  }

  async probe({ packetBytes }: { readonly packetBytes: number }): Promise<ProbeOutcome> {
    this.asked.push(packetBytes);
    await pause(this.pauseMs);
    if (packetBytes <= this.bytes && !this.isDead) return { kind: 'answered', milliseconds: 1 };
    return this.isSaid ? { kind: 'tooBig', mtuBytes: this.bytes } : { kind: 'silent' };
  }
}

interface Scene {
  readonly findings: PathFindings;
  readonly round: Round;
  /** Looks once more, and waits until it is over. */
  look(): Promise<void>;
  setFull(bytes: number): void;
  /** At warn. */
  readonly said: readonly string[];
}

function scene(t: { teardown(undo: () => void): void }, [under, inside]: readonly [Prober, Prober?], { intervalMs = 60_000 } = {}): Scene {
  const said: string[] = [];
  const log = { debug: nothing, info: nothing, warn: (_fields: object, message: string) => void said.push(message), error: nothing };
  const findings = new PathFindings({ log, node: () => 'n', file: { read: () => [], write: nothing }, onChange: nothing }, { act: 'lower' });
  let [full, over, done] = [1500, 0, 0];
  const common = {
    path, findings, fullBytes: () => full, floorBytes: () => 1330, intervalMs: () => intervalMs, now: Date.now,
    turn: async (work: () => Promise<void>) => {
      await work();
      over += 1;
    },
  };
  const round = new Round({ ...common, way: 'underlay', prober: () => under });
  const tunnel = inside && new Round({ ...common, way: 'tunnel', prober: () => inside, below: () => round.fresh() });
  t.teardown(() => tunnel?.stop());
  t.teardown(() => round.stop());
  return {
    findings, round, said, setFull: (bytes) => (full = bytes),
    async look() {
      done = over + (tunnel === undefined ? 1 : 2);
      round.soon();
      tunnel?.soon();
      while (over < done) await pause(1);
      await pause(0);
    },
  };
}

t.test('every way is looked at, and named', async (t) => {
  const [underlay, tunnel] = [new Way('underlay', 1500), new Way('tunnel', 1400)];
  const { findings, look } = scene(t, [underlay, tunnel]);
  await look();
  t.match(findings.paths, [{ state: 'narrow', narrow: { packetBytes: 1400, way: 'tunnel' } }]);
  t.equal(findings.narrowest([path.peer]), 1400);
  underlay.bytes = 1400;
  await look();
  t.match(findings.paths, [{ narrow: { packetBytes: 1400, way: 'underlay' } }]);
  [underlay.bytes, tunnel.bytes] = [1500, 1500];
  for (let count = 0; count < 2; count += 1) await look();
  t.match(findings.paths, [{ state: 'whole', narrow: undefined }]);
  t.equal(findings.narrowest([path.peer]), noPathKnowledge.narrowest([]));
});

t.test('what is narrow below is not said of the tunnel, whichever is seen first', async (t) => {
  const [underlay, tunnel] = [new Way('underlay', 1500), new Way('tunnel', 1500)];
  const { findings, look, said } = scene(t, [underlay, tunnel]);
  await look();
  for (const [slow, quick] of [[underlay, tunnel], [tunnel, underlay]] as const) {
    [slow.pauseMs, quick.pauseMs] = [15, 1];
    [underlay.bytes, tunnel.bytes] = [1400, 1400];
    await look();
    t.match(findings.paths, [{ narrow: { packetBytes: 1400, way: 'underlay' } }]);
    [underlay.bytes, tunnel.bytes] = [1500, 1500];
    while (findings.paths[0]?.narrow !== undefined) await look();
  }
  t.match(said, [/^the path .* 1400 bytes at most/, /^the path .* 1500 bytes again/, /^the path .* 1400 bytes at most/, /^the path .* 1500 bytes again/]);
});

t.test("what the kernel refuses to send through the tunnel is the underlay's to say", async (t) => {
  const [underlay, tunnel] = [new Way('underlay', 1500), new Way('tunnel', 1400)];
  tunnel.isSaid = true;
  const { findings, look } = scene(t, [underlay, tunnel]);
  await look();
  t.match(findings.paths, [{ state: 'whole', narrow: undefined }]);
});

t.test('and so is it when that was found before the kernel knew', async (t) => {
  const [underlay, tunnel] = [new Way('underlay', 1400), new Way('tunnel', 1400)];
  const { findings, look, said } = scene(t, [underlay, tunnel]);
  await look();
  t.equal(findings.narrowest([path.peer]), 1400);
  tunnel.isSaid = true;
  await look();
  t.equal(findings.narrowest([path.peer]), 1400, 'the underlay is narrow still');
  underlay.bytes = 1500;
  while (findings.narrowest([path.peer]) !== undefined) await look();
  t.match(findings.paths, [{ state: 'whole', narrow: undefined }]);
  t.equal(said.length, 2);
});

t.test('an interface that becomes narrower meanwhile is no finding', async (t) => {
  const underlay = new Way('underlay', 1500);
  const { findings, look, setFull } = scene(t, [underlay]);
  await look();
  underlay.bytes = 1400;
  const probe = underlay.probe.bind(underlay);
  underlay.probe = (question) => {
    setFull(1400);
    return probe(question);
  };
  await look();
  while (findings.paths[0]?.fullBytes !== 1400) await pause(1);
  while (findings.paths[0]?.state !== 'whole') await pause(1);
  t.match(findings.paths, [{ fullBytes: 1400, narrow: undefined }]);
});

t.test('whoever asks is looked at, if he did not answer before', async (t) => {
  const underlay = new Way('underlay', 1500);
  const { findings, look, round } = scene(t, [underlay]);
  await look();
  const count = underlay.asked.length;
  round.noteAlive();
  await pause(20);
  t.equal(underlay.asked.length, count, 'he is known to be there');
  underlay.isDead = true;
  await look();
  t.equal(findings.paths[0]?.state, 'unanswered');
  underlay.isDead = false;
  round.noteAlive();
  while (findings.paths[0]?.state !== 'whole') await pause(1);
});

t.test('again and again, until it is stopped', async (t) => {
  const underlay = new Way('underlay', 1500);
  const { round, look } = scene(t, [underlay], { intervalMs: 5 });
  await look();
  while (underlay.asked.length < 5) await pause(1);
  t.ok(underlay.asked.every((size) => size === 1500), 'one packet each');
  round.stop();
  await pause(20);
  const count = underlay.asked.length;
  await pause(50);
  t.equal(underlay.asked.length, count);
});
