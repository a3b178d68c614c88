import t from 'tap';
import { tableCommands } from '../frr/table-commands.ts';
import type { Speaker } from '../frr/speaker.ts';
import type { Vty } from '../frr/vty.ts';
import type { Log } from '../log/log.ts';
import type { ZebraMac } from '../frr/zebra-tables.ts';
import { parseAddress, parseMac, parseVni } from '../netaddr/netaddr.ts';
import { isStale, ZebraCheck } from './zebra-check.ts';

const log: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const speaker: Speaker = { as: 65000, vtep: parseAddress('192.0.2.1'), neighbors: [], timers: { keepaliveSeconds: 3, holdSeconds: 9, connectSeconds: 1 } };
const asking = { deadlineMs: 1000 };
const isHere = (): boolean => true;
const [own, vnis] = [parseVni(1001), [parseVni(1001)]];
const connected = 'Name      Connect Time\n------\nbgp           00:00:01\nvnc           00:00:01\n';
const tableOf = (vxlanInterface: string): string => JSON.stringify([{ vni: 1001, type: 'L2', vxlanInterface, vtepIp: '192.0.2.1', numMacs: 0, numArpNd: 0 }]);

interface Played extends Pick<Vty, 'ask' | 'configure'> {
  readonly told: string[];
}

/** A daemon of FRR that answers so, and nothing to any other command. */
function play(answers: Readonly<Record<string, string>>): Vty & Played {
  const told: string[] = [];
  const played: Played = {
    told,
    ask: async (command) => answers[command] ?? '{}',
    configure: async (lines) => void told.push(...lines.map((line) => line.trim()).filter((line) => line.includes('advertise-all-vni'))),
  };
  return played as unknown as Vty & Played;
}

const zebraOf = (vxlanInterface = 'weft-vx1001', clients = connected): Vty => play({ [tableCommands.clients]: clients, [tableCommands.vnis]: tableOf(vxlanInterface) });

void t.test('a zebra that has started anew', async (t) => {
  const [check, bgpd] = [new ZebraCheck(log, isHere), play({})];
  t.same(await check.look({ zebra: zebraOf(), bgpd }, { speaker, vnis }, asking), { isComplete: true });
  t.same(await check.look({ zebra: zebraOf('weft-vx1001', 'Name      Connect Time\n'), bgpd }, { speaker, vnis }, asking), { isComplete: false });
  t.same(bgpd.told, [], 'before bgpd has found it, it is not told to begin again');
  const zebra = zebraOf();
  t.same(await check.look({ zebra, bgpd }, { speaker, vnis }, asking), { isComplete: false });
  t.same(bgpd.told, ['no advertise-all-vni', 'advertise-all-vni'], 'then it is');
  t.same(await check.look({ zebra, bgpd }, { speaker, vnis }, asking), { isComplete: true });
  t.equal(bgpd.told.length, 2, 'once');
});

void t.test('both anew, and a bgpd that is not for weft to tell', async (t) => {
  const [check, first, second] = [new ZebraCheck(log, isHere), play({}), play({})];
  await check.look({ zebra: zebraOf(), bgpd: first }, { speaker, vnis }, asking);
  t.same(await check.look({ zebra: zebraOf(), bgpd: second }, { speaker, vnis }, asking), { isComplete: true });
  t.same(await check.look({ zebra: zebraOf(), bgpd: second }, { vnis }, asking), { isComplete: true });
  t.same([...first.told, ...second.told], []);
});

void t.test('another device with the VNI', async (t) => {
  const check = new ZebraCheck(log, isHere);
  const { isComplete, fault } = await check.look({ zebra: zebraOf('rival0'), bgpd: play({}) }, { speaker, vnis }, asking);
  t.equal(isComplete, true);
  t.match(fault, /^another VXLAN device of this node, rival0, has VNI 1001/);
  t.equal(check.rivalOf(own), fault);
  t.equal(check.rivalOf(parseVni(1002)), undefined);
  t.equal((await check.look({ zebra: zebraOf('weft-sx1001'), bgpd: play({}) }, { vnis }, asking)).fault, undefined, 'a stand-in is the tenant\'s own');
});

void t.test('a MAC that zebra alone takes for one of this node', async (t) => {
  const [check, bgpd] = [new ZebraCheck(log, isHere), play({})];
  const keeping = play({ [tableCommands.clients]: connected, [tableCommands.vnis]: tableOf('weft-vx1001'), [tableCommands.macs]: JSON.stringify({ 1001: { numMacs: 1, macs: { '02:77:0a:01:01:15': { type: 'local' } } } }) });
  check.noteMacs([{ vni: own, mac: parseMac('02:77:0a:01:01:15'), origin: { kind: 'own' }, isDuplicate: false }]);
  t.equal((await check.look({ zebra: keeping, bgpd }, { speaker, vnis }, asking)).isComplete, false);
  t.same(bgpd.told, [], 'it may just be going');
  check.noteMacs([{ vni: own, mac: parseMac('02:77:0a:01:01:15'), origin: { kind: 'own', interface: 'weft-paaaaaaaaa' }, isDuplicate: false }]);
  t.equal((await check.look({ zebra: keeping, bgpd }, { speaker, vnis }, asking)).isComplete, true);
});

void t.test('whom zebra may take for this node\'s', async (t) => {
  const mac = parseMac('02:77:0a:01:01:15');
  const seen = (origin: ZebraMac['origin']): ZebraMac => ({ vni: own, mac, origin, isDuplicate: false });
  const rows: readonly (readonly [what: string, origin: ZebraMac['origin'], isHere: boolean, stale: boolean])[] = [
    ['a container', { kind: 'own', interface: 'weft-paaaaaaaaa' }, true, false],
    ['a container that the ledger does not have yet', { kind: 'own', interface: 'weft-paaaaaaaaa' }, false, false],
    ['an endpoint at the stand-in', { kind: 'own', interface: 'weft-se1001' }, true, false],
    ['one that has gone from the stand-in', { kind: 'own', interface: 'weft-se1001' }, false, true],
    ['one that is nowhere', { kind: 'own' }, true, true],
    ['one of another node', { kind: 'remote', vtep: parseAddress('192.0.2.2') }, false, false],
  ];
  for (const [what, origin, isHere, stale] of rows) t.equal(isStale(seen(origin), () => isHere), stale, what);

  const there = JSON.stringify({ 1001: { numMacs: 1, macs: { [mac]: { type: 'local', intf: 'weft-se1001' } } } });
  const zebra = play({ [tableCommands.clients]: connected, [tableCommands.vnis]: tableOf('weft-sx1001'), [tableCommands.macs]: there });
  const check = new ZebraCheck(log, () => false);
  check.noteMacs([seen({ kind: 'own', interface: 'weft-se1001' })]);
  t.equal((await check.look({ zebra, bgpd: play({}) }, { speaker, vnis }, asking)).isComplete, false, 'zebra still has it');
  t.equal((await check.look({ zebra: zebraOf('weft-sx1001'), bgpd: play({}) }, { vnis }, asking)).isComplete, true, 'it was just going');
});
