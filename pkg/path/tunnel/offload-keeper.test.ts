/** The course of a remedy, over devices and a way to a peer that are made up. */
import t from 'tap';
import { formatAddress, parseAddress, type Address } from '../../netaddr/netaddr.ts';
import { pause } from '../../sys/timer.ts';
import { OffloadKeeper } from './offload-keeper.ts';
import { formatRecords, parseRecords } from './offload-record.ts';
import type { OffloadDevices, Remedy } from './offload-remedy.ts';
import type { Question, Reply } from './station.ts';
import type { TunnelEnd } from './way-tester.ts';

const [own, peer] = [parseAddress('192.0.2.1'), parseAddress('192.0.2.2')];
const probe = 'weft-staaaaaaaa';

/** What the way spoils: packets that leave the probe tunnel with so much left to do. */
type Spoils = 'nothing' | 'segmentation' | 'checksum' | 'everything' | 'all answers';

class World {
  spoils: Spoils = 'nothing';
  names = [probe, 'weft-vx1001'];
  saved: string | undefined;
  asked = 0;
  readonly off = new Map<string, Set<Remedy>>();
  readonly said: string[] = [];
  readonly keeper: OffloadKeeper;

  constructor(saved?: string) {
    this.saved = saved;
    const say = (_fields: object, message: string): void => void this.said.push(message);
    const quiet = (): void => undefined;
    const tunnel = { name: probe, vtepAddress: own, vtepPort: 4789, underlayMtu: 1500, peers: [peer] };
    const end: TunnelEnd = { device: { tunnel }, ask: (to, question) => Promise.resolve(this.#answer(to, question)) };
    const devices: OffloadDevices = {
      apply: (name, remedy) => {
        const off = this.off.get(name) ?? new Set();
        this.off.set(name, off.union(new Set([remedy])));
        return !off.has(remedy);
      },
      revert: (name, remedy) => void this.off.get(name)?.delete(remedy),
    };
    this.keeper = new OffloadKeeper({
      ends: () => [end], devices, namesOf: () => this.names, load: () => this.saved, save: (text) => (this.saved = text), node: () => 'node1', now: () => 0,
      log: { debug: quiet, info: say, warn: say, error: say },
    });
  }

  /** What is off, by device. */
  get state(): readonly string[] {
    return this.names.map((name) => [...(this.off.get(name) ?? [])].sort().join('+'));
  }

  get records(): readonly string[] {
    return parseRecords(this.saved ?? '{"off":[]}').map(({ vtep, remedy, peers }) => `${formatAddress(vtep)} ${remedy} ${peers.map(({ node }) => node).join()}`);
  }

  /** Waits until it is so; the keeper's own pauses are real. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const end = performance.now() + 20_000;
    while (!isSo()) {
      if (performance.now() > end) throw new Error(`it should be that ${what}: ${JSON.stringify({ state: this.state, said: this.said })}`);
      await pause(5);
    }
  }

  #answer(to: Address, question: Question): Reply | undefined {
    this.asked += 1;
    if (to !== peer || this.spoils === 'all answers') return undefined;
    const off = this.off.get(probe) ?? new Set<Remedy>();
    const isSegmented = question.kind === 'segmented' && off.size === 0;
    const isLeft = (question.kind === 'segmented' || question.isLeft) && !off.has('checksum');
    const isSpoiled = this.spoils === 'everything' ? question.kind === 'segmented' || question.isLeft : (this.spoils === 'segmentation' && isSegmented) || (this.spoils === 'checksum' && isLeft);
    return { integrity: isSpoiled ? 'corrupt' : 'intact', node: 'node2', milliseconds: 1 };
  }
}

const often = { mode: 'auto', intervalSeconds: 0.05 } as const;

t.test('found, turned off everywhere, narrowed, and turned on again', async (t) => {
  const world = new World();
  t.teardown(() => world.keeper.stop());
  world.spoils = 'checksum';
  world.keeper.follow(often);
  await world.until('checksums are off', () => world.records.length > 0);
  t.same(world.state, ['checksum', 'checksum']);
  t.same(world.records, ['192.0.2.1 checksum node2']);
  t.match(world.said, [/^from node node1 to node node2 \(VTEP 192\.0\.2\.2\) packets whose checksum is left to the devices come damaged, or not at all: tx-checksum-ip-generic of weft's VXLAN devices is off since 1970/]);
  t.match(world.keeper.faults, [/is off since/]);
  world.names = [...world.names, 'weft-vx1002'];
  world.keeper.noteDevices();
  t.equal(world.off.get('weft-vx1002')?.has('checksum'), true, 'new devices as well');
  world.spoils = 'segmentation';
  await world.until('segmentation alone is off', () => world.records[0]?.includes('segmentation') === true);
  t.same(world.state, ['segmentation', 'segmentation', 'segmentation']);
  world.spoils = 'nothing';
  await world.until('all is on', () => world.records.length === 0);
  t.same(world.state, ['', '', '']);
  t.same(world.keeper.faults, []);
  t.match(world.said.at(-1), /tx-tcp-segmentation and tx-udp-segmentation of weft's VXLAN devices is on again: the way is sound again/);
});

t.test('what does not help is undone, and said once', async (t) => {
  const world = new World();
  t.teardown(() => world.keeper.stop());
  world.spoils = 'everything';
  world.keeper.follow(often);
  await world.until('it is said', () => world.keeper.faults.length > 0);
  const asked = world.asked;
  await world.until('there was another round', () => world.asked > asked + 40);
  t.same(world.records, []);
  t.match(world.said, [/it does not help to turn off what weft's VXLAN devices leave to others/]);
  t.equal(world.said.length, 1);
  await world.keeper.stop();
  t.same(world.state, ['', '']);
});

t.test('a peer that does not answer proves nothing, neither the one nor the other', async (t) => {
  const world = new World();
  t.teardown(() => world.keeper.stop());
  world.spoils = 'all answers';
  world.keeper.follow(often);
  await world.until('it has been asked', () => world.asked >= 9);
  t.same([world.state, world.said, world.keeper.faults], [['', ''], [], []]);
  world.spoils = 'checksum';
  await world.until('checksums are off', () => world.records.length > 0);
  world.spoils = 'all answers';
  const asked = world.asked;
  await world.until('it has been asked again', () => world.asked > asked + 12);
  t.same(world.records, ['192.0.2.1 checksum node2']);
  t.equal(world.off.get('weft-vx1001')?.has('checksum'), true);
});

t.test('what an earlier daemon has turned off is known, and left as it is by nobody who is to leave it alone', async (t) => {
  const saved = formatRecords([{ vtep: own, remedy: 'checksum', since: 0, peers: [{ address: peer, node: 'node2' }] }]);
  const world = new World(saved);
  t.teardown(() => world.keeper.stop());
  world.spoils = 'checksum';
  t.match(world.keeper.faults, [/is off since/]);
  world.keeper.follow({ ...often, intervalSeconds: 3600 });
  await world.until('it is in force', () => world.state.join() === 'checksum,checksum');
  world.keeper.follow({ mode: 'off', intervalSeconds: 3600 });
  await world.until('it is on', () => world.records.length === 0);
  t.same(world.state, ['', '']);
  t.match(world.said.at(-1), /is on again: weft is told to leave them alone/);
});

t.test('of a peer that is none any more nothing remains', async (t) => {
  const world = new World(formatRecords([{ vtep: own, remedy: 'checksum', since: 0, peers: [{ address: parseAddress('192.0.2.3') }] }]));
  t.teardown(() => world.keeper.stop());
  world.keeper.follow(often);
  await world.until('it is on', () => world.records.length === 0);
  t.match(world.said, [/is on again: none of the nodes concerned is a peer any more/]);
});

t.test('a file that cannot be read is said, and does no harm', async (t) => {
  const world = new World('{"off":');
  t.teardown(() => world.keeper.stop());
  t.match(world.said, [/cannot be read: they are tested anew/]);
  world.keeper.follow({ mode: 'report', intervalSeconds: 3600 });
  world.spoils = 'checksum';
  await world.until('it is said', () => world.keeper.faults.length > 0);
  t.match(world.keeper.faults, [/nothing is done about it: set offload to auto, or turn off tx-checksum-ip-generic of weft's VXLAN devices with ethtool -K/]);
  t.same(world.state, ['', '']);
});
