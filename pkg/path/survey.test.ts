import t from 'tap';
import { randomFrom, testSeed } from '../testing/random.ts';
import type { ProbeOutcome } from './prober.ts';
import { surveyPath, type Survey } from './survey.ts';

interface Path {
  /** What it carries. */
  readonly bytes: number;
  /** Whether a router says so. */
  readonly isSaid?: boolean;
  /** Of a hundred packets, how many are lost. */
  readonly lossPercent?: number;
  readonly isDead?: boolean;
}

interface Looked {
  readonly survey: Survey;
  readonly asked: readonly number[];
  /** Bursts that waited for a deadline. */
  readonly waits: number;
}

const sizes = { fullBytes: 1500, floorBytes: 1330 };

async function look(path: Path, of: Parameters<typeof surveyPath>[1] = sizes, random = (): number => 1): Promise<Looked> {
  const asked: number[] = [];
  let [waits, isWaiting] = [0, false];
  const ask = async (packetBytes: number): Promise<ProbeOutcome> => {
    asked.push(packetBytes);
    const passes = packetBytes <= path.bytes && path.isDead !== true && random() * 100 >= (path.lossPercent ?? 0);
    if (passes) return { kind: 'answered', milliseconds: 1 };
    if (path.isSaid === true && path.isDead !== true && packetBytes > path.bytes) return { kind: 'tooBig', mtuBytes: path.bytes };
    if (!isWaiting) waits += 1;
    isWaiting = true;
    await new Promise((resolve) => setImmediate(resolve));
    isWaiting = false;
    return { kind: 'silent' };
  };
  return { survey: await surveyPath(ask, of), asked, waits };
}

t.test('a path as wide as it should be costs one packet', async (t) => {
  t.same(await look({ bytes: 1500 }), { survey: { kind: 'whole' }, asked: [1500], waits: 0 });
  t.same(await look({ bytes: 9000 }), { survey: { kind: 'whole' }, asked: [1500], waits: 0 });
});

t.test('a narrow one is found to the byte, whether a router says so or not', async (t) => {
  for (const fullBytes of [1500, 1600, 9000]) {
    for (const bytes of [257, 576, 1280, 1329, 1330, 1331, 1377, 1400, 1492, 1499]) {
      for (const isSaid of [true, false]) {
        const { survey, waits } = await look({ bytes, isSaid }, { ...sizes, fullBytes });
        t.same(survey, { kind: 'narrow', packetBytes: bytes, isRefused: isSaid }, `${bytes} of ${fullBytes}, ${isSaid ? 'said' : 'silent'}`);
        // With 250 ms each that leaves 3 s of the 5 for noticing it.
        t.ok(waits <= (isSaid ? 0 : 8), `waited ${waits} times`);
      }
    }
  }
});

t.test('what is known costs three packets', async (t) => {
  t.same(await look({ bytes: 1400 }, { ...sizes, knownBytes: 1400 }), { survey: { kind: 'narrow', packetBytes: 1400, isRefused: false }, asked: [1500, 1400, 1401], waits: 1 });
  t.match(await look({ bytes: 1500 }, { ...sizes, knownBytes: 1400 }), { survey: { kind: 'whole' } });
  t.match(await look({ bytes: 1450 }, { ...sizes, knownBytes: 1400 }), { survey: { kind: 'narrow', packetBytes: 1450 } }, 'it has become wider');
  t.match(await look({ bytes: 1350 }, { ...sizes, knownBytes: 1400 }), { survey: { kind: 'narrow', packetBytes: 1350 } }, 'it has become narrower');
  t.match(await look({ bytes: 1499 }, { ...sizes, knownBytes: 1499 }), { survey: { kind: 'narrow', packetBytes: 1499 } });
  t.match(await look({ bytes: 1500 }, { ...sizes, knownBytes: 1600 }), { survey: { kind: 'whole' } });
});

t.test('nobody who answers is no narrow path', async (t) => {
  const { survey, asked } = await look({ bytes: 1500, isDead: true });
  t.same(survey, { kind: 'unanswered' });
  t.ok(asked.length <= 8);
  t.match(await look({ bytes: 200 }), { survey: { kind: 'unanswered' } });
  t.match(await look({ bytes: 1400, isDead: true }, { ...sizes, knownBytes: 1400 }), { survey: { kind: 'unanswered' } });
});

t.test('packets that are lost by chance are no finding', async (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const source = randomFrom(seed);
  const random = (): number => source(1_000_000) / 1_000_000;
  let whole = 0;
  for (let round = 0; round < 400; round += 1) {
    const { survey } = await look({ bytes: 1500, lossPercent: 5 }, sizes, random);
    t.not(survey.kind, 'narrow');
    if (survey.kind === 'whole') whole += 1;
  }
  t.ok(whole > 350, `${whole} of 400`);
  for (let round = 0; round < 200; round += 1) {
    const { survey } = await look({ bytes: 1400, lossPercent: 5 }, { ...sizes, fullBytes: 9000 }, random);
    if (survey.kind === 'narrow') t.ok(survey.packetBytes <= 1400 && survey.packetBytes >= 1380, `${survey.packetBytes}`);
  }
});
