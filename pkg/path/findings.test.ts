import t, { type Test } from 'tap';
import type { PathAct } from '../config/path-conf.ts';
import type { Log } from '../log/log.ts';
import { parseAddress } from '../netaddr/netaddr.ts';
import { PathFindings, rememberedKnowledge, type ActConf, type Path } from './findings.ts';
import { formatFindings, parseFindings, type RememberedFinding } from './findings-file.ts';
import type { ProbeWay } from './prober.ts';
import { newTrack, observed } from './track.ts';

const pathTo = (peer: string, vtep = '192.0.2.1'): Path => ({ vtep: parseAddress(vtep), peer: parseAddress(peer) });
const [toTwo, toThree] = [pathTo('192.0.2.2'), pathTo('192.0.2.3')];

interface Scene {
  readonly findings: PathFindings;
  readonly alarms: string[];
  readonly changes: string[];
  /** What was written last. */
  readonly written: () => readonly RememberedFinding[];
  /** A look at a way that has found this; absent: the full size. */
  see(path: Path, packetBytes?: number, way?: ProbeWay): void;
}

function scene(_t: Test, { act = 'lower' as PathAct, mtuMin, remembered = [] }: { act?: PathAct; mtuMin?: number; remembered?: readonly RememberedFinding[] } = {}): Scene {
  const [alarms, changes]: [string[], string[]] = [[], []];
  let written: readonly RememberedFinding[] = remembered;
  const nothing = (): void => undefined;
  const log: Log = { debug: nothing, info: nothing, warn: (_fields, message) => void alarms.push(message), error: nothing };
  const conf: ActConf = { act, ...(mtuMin === undefined ? {} : { mtuMin }) };
  const findings = new PathFindings({ log, node: () => 'node-1', file: { read: () => written, write: (found) => (written = found) }, onChange: (reason) => void changes.push(reason) }, conf);
  let now = 1000;
  return {
    findings, alarms, changes, written: () => written,
    see(path, packetBytes, way = 'underlay') {
      const before = findings.trackOf(path, way) ?? newTrack(1500);
      findings.note(path, way, observed(before, packetBytes === undefined ? { kind: 'whole' } : { kind: 'narrow', packetBytes, isRefused: false }, (now += 1000)));
    },
  };
}

const peers = [toTwo.peer, toThree.peer];

t.test('the narrowest path to any of the peers counts', async (t) => {
  const { findings, see, changes } = scene(t);
  see(toTwo);
  t.equal(findings.narrowest(peers), undefined);
  see(toTwo, 1450);
  see(toThree, 1400);
  t.same([findings.narrowest(peers), findings.narrowest([toTwo.peer]), findings.narrowest([]), findings.narrowest([parseAddress('192.0.2.4')])], [1400, 1450, undefined, undefined]);
  t.same(changes, ['the path to 192.0.2.2 carries 1450 bytes', 'the path to 192.0.2.3 carries 1400 bytes']);
  see(pathTo('192.0.2.2', '192.0.2.99'), 1350);
  t.equal(findings.narrowest([toTwo.peer]), 1350, 'from whichever VTEP');
  t.same(findings.paths.map(({ peer, state }) => [peer, state]), [['192.0.2.2', 'narrow'], ['192.0.2.2', 'narrow'], ['192.0.2.3', 'narrow']]);
});

t.test('a beginning, a change and an end are said once', async (t) => {
  const { findings, see, alarms } = scene(t);
  for (const bytes of [undefined, 1400, 1400, 1400]) see(toTwo, bytes);
  findings.name(toTwo.peer, 'node-2');
  for (const bytes of [1350, 1350, undefined, 1350, undefined, undefined, undefined, undefined, undefined]) see(toTwo, bytes);
  t.same(alarms, [
    'the path from node-1 (192.0.2.1) to the node (192.0.2.2) carries packets of 1400 bytes at most, and the interfaces here say 1500: the MTU of tenants that use it follows',
    'the path from node-1 (192.0.2.1) to node-2 (192.0.2.2) carries packets of 1350 bytes at most, and the interfaces here say 1500: the MTU of tenants that use it follows',
    'the path from node-1 (192.0.2.1) to node-2 (192.0.2.2) carries packets of 1500 bytes again',
  ]);
});

t.test('a tunnel that is narrower than its underlay is named so', async (t) => {
  const { findings, see, alarms } = scene(t);
  see(toTwo);
  see(toTwo, 1400, 'tunnel');
  t.match(findings.paths, [{ state: 'narrow', narrow: { packetBytes: 1400, way: 'tunnel' } }]);
  t.match(alarms, [/^the tunnel from node-1 .* carries packets of 1400 bytes at most/]);
  see(toTwo, 1400);
  t.match(findings.paths, [{ narrow: { packetBytes: 1400, way: 'underlay' } }], 'the underlay is as narrow: the tunnel has nothing of its own');
  see(toTwo, 1350);
  t.match(findings.paths, [{ narrow: { packetBytes: 1350, way: 'underlay' } }]);
  t.equal(findings.narrowest(peers), 1350);
  see(toThree, undefined, 'tunnel');
  t.match(findings.paths[1], { state: 'whole', fullBytes: 1500 });
});

t.test('what it does for MTUs is bounded, and can be nothing', async (t) => {
  const rows: readonly (readonly [ActConf, number, number | undefined])[] = [
    [{ act: 'lower' }, 1330, 1330], [{ act: 'lower' }, 1329, undefined], [{ act: 'lower', mtuMin: 1000 }, 1000, 1000], [{ act: 'lower', mtuMin: 1000 }, 999, undefined], [{ act: 'report' }, 1400, undefined],
  ];
  for (const [conf, found, lowered] of rows) {
    const { findings, see, alarms } = scene(t, conf);
    see(toTwo, found);
    t.equal(findings.narrowest(peers), lowered, `${JSON.stringify(conf)}, ${found}`);
    t.equal(alarms.length, 1, 'said in any case');
    t.match(findings.paths, [{ narrow: { packetBytes: found, isActedOn: lowered !== undefined } }]);
  }
  const six = scene(t);
  const path = pathTo('2001:db8::2', '2001:db8::1');
  six.see(path, 1349);
  t.equal(six.findings.narrowest([path.peer]), undefined);
  six.see(path, 1350);
  six.see(path, 1350);
  t.equal(six.findings.narrowest([path.peer]), 1350, '1280 + 70 over IPv6');
});

t.test('a configuration that says something else', async (t) => {
  const { findings, see, changes, written } = scene(t, { act: 'report' });
  see(toTwo, 1400);
  t.same(changes, []);
  findings.follow({ act: 'lower' });
  t.equal(findings.narrowest(peers), 1400);
  findings.follow({ act: 'lower', mtuMin: 1401 });
  t.equal(findings.narrowest(peers), undefined);
  t.equal(rememberedKnowledge({ read: written }).narrowest(peers), undefined, 'also without a daemon');
  findings.follow({ act: 'lower', mtuMin: 1401 });
  t.equal(changes.length, 2, 'once for each change');
});

t.test('what is remembered', async (t) => {
  const { findings, see, written } = scene(t);
  findings.name(toTwo.peer, 'node-2');
  see(toTwo, 1400);
  see(toThree);
  see(toThree, 1350, 'tunnel');
  t.match(written(), [{ ...toTwo, way: 'underlay', packetBytes: 1400, fullBytes: 1500, since: 2000, peerNode: 'node-2' }, { ...toThree, way: 'tunnel', packetBytes: 1350, since: 4000 }]);
  const alone = rememberedKnowledge({ read: () => parseFindings(formatFindings(written())) });
  t.same([alone.narrowest(peers), alone.narrowest([toTwo.peer]), alone.narrowest([])], [1350, 1400, undefined], 'without a daemon');
  const later = scene(t, { remembered: parseFindings(formatFindings(written())) });
  t.equal(later.findings.narrowest(peers), 1350);
  t.match(later.findings.paths[0], { state: 'narrow', peerNode: 'node-2' });
  later.findings.keep([toTwo]);
  t.same([later.findings.narrowest(peers), later.written().length, later.changes], [1400, 1, ['peers have gone']]);
  for (let round = 0; round < 2; round += 1) later.see(toTwo);
  t.same([later.findings.narrowest(peers), later.written()], [undefined, []]);
});
