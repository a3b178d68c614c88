/**
 * The flows of an overlay with real packets: two containers on one bridge, whose switch answers ARP and neighbour discovery for them,
 * lets each send as itself only, and tells the controller of a RARP.
 *
 *     c1 (10.0.0.1, fd00::1) ── port 101 ── br-int ── port 102 ── c2 (10.0.0.2, fd00::2)
 */
import t from 'tap';
import { macBytes, parseAddress, parseMac, type Address, type Mac } from '../netaddr/netaddr.ts';
import { startCapture } from '../testing/capture.ts';
import { run, runIn } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { openVSwitchTools, startOpenVSwitch, type OpenVSwitch } from '../testing/openvswitch.ts';
import { skipUnless } from '../testing/requirements.ts';
import { move, output, ports, resubmit, setField, toController, toGroup, type Action } from './action.ts';
import { openConnection, type OpenFlowConnection } from './connection.ts';
import type { SwitchEvent } from './event.ts';
import type { Flow } from './flow.ts';
import { etherTypes, ipProtocols, untagged, type Match } from './match.ts';
import { applyMods, listFlows, sendMods, sendPacket } from './openflow.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'ping', 'tcpdump'] });
const bridge = 'br-int';
const vni = 1001n;
const broadcast = parseMac('ff:ff:ff:ff:ff:ff');

interface Endpoint {
  readonly netns: string;
  readonly port: number;
  readonly mac: Mac;
  readonly address: Address;
  readonly address6: Address;
}

interface Scene {
  readonly openVSwitch: OpenVSwitch;
  readonly connection: OpenFlowConnection;
  readonly events: Events;
  readonly first: Endpoint;
  readonly second: Endpoint;
}

/** What the switch has said, to be waited for. */
class Events {
  readonly all: SwitchEvent[] = [];
  #wake: () => void = () => undefined;

  readonly take = (event: SwitchEvent): void => {
    this.all.push(event);
    this.#wake();
  };

  async next<K extends SwitchEvent['kind']>(kind: K, isMeant: (event: Extract<SwitchEvent, { kind: K }>) => boolean = () => true): Promise<Extract<SwitchEvent, { kind: K }>> {
    for (;;) {
      const found = this.all.find((event): event is Extract<SwitchEvent, { kind: K }> => event.kind === kind && isMeant(event as Extract<SwitchEvent, { kind: K }>));
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

async function createScene(scope: TeardownScope): Promise<Scene> {
  const openVSwitch = await startOpenVSwitch(scope);
  openVSwitch.addBridge(bridge);
  const events = new Events();
  const connection = await openConnection(openVSwitch.managementSocket(bridge), { onEvent: events.take });
  scope.teardown(() => connection.close());
  return { openVSwitch, connection, events, first: createEndpoint(scope, openVSwitch, 1), second: createEndpoint(scope, openVSwitch, 2) };
}

function createEndpoint(scope: TeardownScope, openVSwitch: OpenVSwitch, number: number): Endpoint {
  const netns = createNetns(scope, `c${number}`);
  const mac = `02:00:00:00:00:0${number}`;
  const hostIf = `v${number}`;
  run('ip', ['-n', openVSwitch.netns, 'link', 'add', hostIf, 'type', 'veth', 'peer', 'name', 'eth0', 'address', mac, 'netns', netns]);
  run('ip', ['-n', openVSwitch.netns, 'link', 'set', hostIf, 'addrgenmode', 'none', 'up']);
  run('ip', ['-n', netns, 'link', 'set', 'eth0', 'addrgenmode', 'none', 'up']);
  run('ip', ['-n', netns, 'address', 'add', `10.0.0.${number}/24`, 'dev', 'eth0']);
  run('ip', ['-n', netns, 'address', 'add', `fd00::${number}/64`, 'dev', 'eth0', 'nodad']);
  openVSwitch.vsctl('add-port', bridge, hostIf, '--', 'set', 'interface', hostIf, `ofport_request=10${number}`);
  return { netns, port: 100 + number, mac: parseMac(mac), address: parseAddress(`10.0.0.${number}`), address6: parseAddress(`fd00::${number}`) };
}

/** Table 0: who sends. */
function sourceFlows({ port, mac, address, address6 }: Endpoint): readonly Flow[] {
  const asItself = { inPort: port, ethSrc: mac, vlanVid: untagged } as const;
  const goesOn = { apply: [setField('tunnelId', vni)], writeMetadata: vni, gotoTable: 10 };
  const matches: readonly Match[] = [
    { ...asItself, ethType: etherTypes.arp, arpSpa: address, arpSha: mac },
    { ...asItself, ethType: etherTypes.ipv4, ipv4Src: address },
    { ...asItself, ethType: etherTypes.ipv6, ipv6Src: address6 },
  ];
  const announces: Flow = { table: 0, priority: 210, cookie: 7n, match: { inPort: port, ethType: etherTypes.rarp, ethSrc: mac }, instructions: { apply: [toController({ maxBytes: 128 })] } };
  return [announces, ...matches.map((match) => ({ table: 0, priority: 100, match, instructions: goesOn }))];
}

/** Table 10: who receives, and what the switch says in the receiver's place. */
function destinationFlows({ port, mac, address, address6 }: Endpoint): readonly Flow[] {
  const request = { metadata: vni, ethType: etherTypes.arp, arpOp: 1, arpTpa: address } as const;
  const solicitation = { metadata: vni, ethType: etherTypes.ipv6, ipProto: ipProtocols.icmpv6, icmpv6Type: 135, icmpv6Code: 0, ndTarget: address6 } as const;
  return [
    { table: 10, priority: 60, match: request, instructions: { apply: arpAnswer({ mac, address }) } },
    { table: 10, priority: 60, match: solicitation, instructions: { apply: neighbourAnswer({ mac, address6 }), gotoTable: 11 } },
    { table: 11, priority: 60, match: { ...solicitation, icmpv6Type: 136 }, instructions: { apply: [setField('ndTll', mac), output(ports.inPort)] } },
    { table: 10, priority: 50, match: { metadata: vni, ethDst: mac }, instructions: { apply: [output(port)] } },
  ];
}

function arpAnswer({ mac, address }: Pick<Endpoint, 'mac' | 'address'>): readonly Action[] {
  return [
    move('ethSrc', 'ethDst'),
    setField('ethSrc', mac),
    setField('arpOp', 2),
    move('arpSha', 'arpTha'),
    move('arpSpa', 'arpTpa'),
    setField('arpSha', mac),
    setField('arpSpa', address),
    output(ports.inPort),
  ];
}

/**
 * A solicitation's first option, the sender's link-layer address, becomes the target's. Its value is set in the next table: only what
 * matches an advertisement may set ndTll.
 */
function neighbourAnswer({ mac, address6 }: Pick<Endpoint, 'mac' | 'address6'>): readonly Action[] {
  const solicitedAndOverride = 0x60000000;
  return [
    move('ethSrc', 'ethDst'),
    setField('ethSrc', mac),
    move('ipv6Src', 'ipv6Dst'),
    setField('ipv6Src', address6),
    setField('icmpv6Type', 136),
    setField('ndOptionsType', 2),
    setField('ndReserved', solicitedAndOverride),
  ];
}

function add(flows: readonly Flow[]): readonly { readonly kind: 'add'; readonly flow: Flow }[] {
  return flows.map((flow) => ({ kind: 'add', flow }));
}

/** Packets that came back. */
function ping({ netns }: Endpoint, address: string): number {
  try {
    return Number(/(\d+) received/.exec(runIn(netns, 'ping', '-c', '2', '-i', '0.1', '-W', '1', address))?.[1]);
  } catch {
    return 0;
  }
}

function rarp(mac: Mac): Buffer {
  const bytes = Buffer.from(macBytes(mac));
  return Buffer.concat([macBytes(broadcast), bytes, Buffer.from('80350001080006040003', 'hex'), bytes, Buffer.alloc(4), bytes, Buffer.alloc(22)]);
}

t.test('containers reach each other through the flows of an overlay', { skip }, async (t) => {
  const { connection, first, second } = await createScene(t);
  t.equal(ping(first, '10.0.0.2'), 0, 'without flows they do not');
  await applyMods(connection, add([first, second].flatMap((endpoint) => [...sourceFlows(endpoint), ...destinationFlows(endpoint)])));
  const inSecond = await startCapture(t, second.netns, 'eth0');
  t.equal(ping(first, '10.0.0.2'), 2, 'IPv4');
  t.equal(ping(second, 'fd00::1'), 2, 'IPv6');
  await inSecond.drain();
  t.equal(inSecond.frames.filter((frame) => frame.toString('hex', 0, 12) === 'ffffffffffff020000000001').length, 0, 'the switch has answered ARP itself');
  t.match(JSON.parse(run('ip', ['-n', second.netns, '-j', 'neighbour', 'show', 'fd00::1'])), [{ lladdr: first.mac }], 'and neighbour discovery');
  const used = (await listFlows(connection, { table: 10 })).filter(({ packets }) => packets > 0n);
  t.ok(used.length >= 4, 'the flows have counted them');

  await t.test('as themselves only', (t) => {
    run('ip', ['-n', first.netns, 'address', 'add', '10.0.0.77/24', 'dev', 'eth0']);
    t.throws(() => runIn(first.netns, 'ping', '-c', '1', '-W', '1', '-I', '10.0.0.77', '10.0.0.2'));
    t.equal(ping(first, '10.0.0.2'), 2);
    t.end();
  });

  await t.test('and are out of reach as soon as their flow is gone', async (t) => {
    await sendMods(connection, [{ kind: 'delete', filter: { outPort: second.port } }]);
    t.equal(ping(first, '10.0.0.2'), 0);
    await sendMods(connection, add(destinationFlows(second)));
    t.equal(ping(first, '10.0.0.2'), 2);
  });
});

t.test('a group gives a copy to each of its buckets, and a lookup in another table comes back', { skip }, async (t) => {
  const { connection, first, second } = await createScene(t);
  const group = { id: 1, type: 'all', buckets: [{ actions: [setField('ethSrc', parseMac('02:00:00:00:00:aa')), output(second.port)] }, { actions: [output(second.port)] }] } as const;
  await applyMods(connection, [{ kind: 'addGroup', group }, ...add([
    { table: 0, priority: 1, match: {}, instructions: { apply: [resubmit(7), toGroup(1)] } },
    { table: 7, priority: 1, match: {}, instructions: { apply: [setField('ethDst', broadcast)] } },
  ])]);
  const inSecond = await startCapture(t, second.netns, 'eth0');
  await sendPacket(connection, { data: rarp(first.mac), inPort: first.port, actions: [output(ports.table)] });
  t.ok(await inSecond.waitFor((capture) => capture.count(Buffer.from('8035', 'hex')) >= 2, 10_000));
  t.same(inSecond.frames.map((frame) => frame.toString('hex', 6, 12)).sort(), ['020000000001', '0200000000aa']);
});

t.test('the controller is told of a RARP, and sends packets', { skip }, async (t) => {
  const { connection, events, first, second } = await createScene(t);
  await applyMods(connection, add(sourceFlows(first)));
  await sendPacket(connection, { data: rarp(second.mac), inPort: first.port, actions: [output(ports.table)] });
  await sendPacket(connection, { data: rarp(first.mac), inPort: first.port, actions: [output(ports.table)] });
  const packet = await events.next('packetIn');
  t.match(packet, { reason: 'action', table: 0, cookie: 7n, match: { inPort: first.port }, length: 60 });
  t.equal(packet.data.toString('hex'), rarp(first.mac).toString('hex'), 'whole, and of the one that may');

  const inSecond = await startCapture(t, second.netns, 'eth0');
  await sendPacket(connection, { data: packet.data, actions: [output(second.port)] });
  t.ok(await inSecond.waitFor((capture) => capture.count(packet.data) > 0, 10_000));
  await t.rejects(sendPacket(connection, { data: packet.data, actions: [toGroup(99)] }), { failure: 'refused', message: /^Cannot send a packet of 60 bytes: .*\(OFPBAC_BAD_OUT_GROUP\)$/ });
});

t.test('a switch that learns by itself needs no controller', { skip }, async (t) => {
  const { connection, first } = await createScene(t);
  const learns: Action = {
    kind: 'learn', table: 5, priority: 100, cookie: 3n, idleTimeoutSeconds: 0, hardTimeoutSeconds: 0,
    specs: [
      { kind: 'match', source: { field: 'ethSrc', offset: 0, bits: 48 }, to: { field: 'ethDst', offset: 0, bits: 48 } },
      { kind: 'output', source: { field: 'inPort', offset: 0, bits: 32 } },
    ],
  };
  await sendMods(connection, add([{ table: 0, priority: 1, match: { ethType: etherTypes.rarp }, instructions: { apply: [learns] } }]));
  await sendPacket(connection, { data: rarp(first.mac), inPort: first.port, actions: [output(ports.table)] });
  const learned = await listFlows(connection, { table: 5 });
  t.match(learned, [{ priority: 100, cookie: 3n, match: { ethDst: first.mac }, instructions: { apply: [{ kind: 'output', port: first.port }] } }]);
});

t.test('the switch tells of ports and of flows that are gone', { skip }, async (t) => {
  const { openVSwitch, connection, events } = await createScene(t);
  const added = await events.next('portStatus', ({ change }) => change === 'added');
  t.match(added.port, { name: /^v[12]$/, isDown: false });
  openVSwitch.vsctl('del-port', bridge, 'v1');
  t.match(await events.next('portStatus', ({ change }) => change === 'deleted'), { port: { name: 'v1', port: 101 } });

  const flow: Flow = { table: 3, priority: 8, cookie: 9n, match: { metadata: vni }, instructions: {}, flags: ['sendFlowRemoved'] };
  await sendMods(connection, [...add([flow]), { kind: 'deleteStrict', flow }]);
  t.match(await events.next('flowRemoved'), { reason: 'deleted', table: 3, priority: 8, cookie: 9n, match: { metadata: vni }, packets: 0n, bytes: 0n });
});

t.test('who does not ask for events gets none', { skip }, async (t) => {
  const { openVSwitch, connection, events, first } = await createScene(t);
  const silent = await openConnection(openVSwitch.managementSocket(bridge));
  t.teardown(() => silent.close());
  await sendMods(silent, add(sourceFlows(first)));
  await sendPacket(silent, { data: rarp(first.mac), inPort: first.port, actions: [output(ports.table)] });
  await events.next('packetIn');
  t.equal((await listFlows(silent)).length, 4, 'and its answers are not disturbed');
  t.not(connection, silent);
});
