/** What is no finding: a node without a daemon, garbage, tenants; and a daemon that has nobody to ask. */
import { spawn } from 'node:child_process';
import t from 'tap';
import { startCapture } from '../../pkg/testing/capture.ts';
import { inNetns, run } from '../../pkg/testing/command.ts';
import { readInterface } from '../harness/container.ts';
import { createDaemonLab, Daemon } from '../harness/daemon.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { attachGuest, blue } from '../harness/tenant.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { alarmsOf, createPathScene, pathOf, untilPath } from './scene.ts';

t.setTimeout(120_000);
const skip = skipWithoutDaemonLab('tcpdump', 'python3');
const port = 24790;
/** The port in a UDP header. */
const portBytes = Buffer.from([port >> 8, port & 0xff]);

/** Sends datagrams to the port of an address from a namespace, and prints how many answers came within a second. */
const sender = `
import os, socket, sys
address, port, source, marker = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].encode()
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
if source: s.bind(("", source))
question = b"weft\\x01\\x01\\0\\0" + os.urandom(16)
rows = [marker + os.urandom(1300)] if marker else [b"", b"x", os.urandom(1400), b"weft", question, question + b"\\0" * 60, question + os.urandom(1300), b"weft\\x02" + os.urandom(1300), b"weft\\x01\\x02\\0\\0" + os.urandom(24) + b"\\xff", b"weft\\x01\\x09" + os.urandom(1300)]
for count in range(50):
    for row in rows: s.sendto(row, (address, port))
answers = 0
try:
    while s.recvfrom(65536): answers += 1
except (TimeoutError, ConnectionError): pass
print(answers)
`;

/** Garbage, and questions; with a marker that alone. */
function send(netns: string, address: string, { source = 0, marker = '', port: to = port } = {}): number {
  return Number(run('ip', inNetns(netns, 'python3', '-c', sender, address, String(to), String(source), marker)));
}

t.test('a node without a daemon', { skip }, async (t) => {
  const { lab, guests, daemons } = await createPathScene(t, { family: 4, daemons: [1] });
  const [one] = daemons as readonly [Daemon];
  await untilPath(daemons, (path) => path?.state === 'unanswered');
  t.match(await pathOf(one), { peer: lab.node(2).ipv4, narrow: undefined, proof: undefined });
  t.same(alarmsOf(one), []);
  t.equal(readInterface(guests[0].netns).mtu, 1450, 'the MTU is what the interfaces say');
  t.match(await runWeft(lab.node(1), ['status']), { exitCode: 0, stdout: /^paths +1 peer, each probed every 2s, 0 at full size, 1 without an answer$/m });

  await t.test('that has one later', async (t) => {
    const two = await Daemon.start(t, lab.node(2));
    await untilPath([one, two], (path) => path?.state === 'whole');
  });
});

for (const family of [4, 6] as const) {
  t.test(`garbage, over IPv${family}`, { skip }, async (t) => {
    const { lab, road, daemons } = await createPathScene(t, { family, daemons: [1, 2] });
    const [one] = daemons as readonly [Daemon];
    const here = family === 4 ? lab.node(1).ipv4 : lab.node(1).ipv6;
    await untilPath(daemons, (path) => path?.state === 'whole');
    t.equal(send(road.east, here), 0, 'a router is no peer');
    t.equal(send(road.far.netns, here), 0, 'a peer answers from its own port alone');
    const before = (await pathOf(one))?.proof?.at ?? 0;
    await untilPath([one], (path) => (path?.proof?.at ?? 0) > before);
    t.match(await pathOf(one), { state: 'whole', fullBytes: 1500, proof: { packetBytes: 1500 } });
    t.same([alarmsOf(one), one.noise], [[], []]);
  });
}

t.test('tenants reach it neither on their own node nor, as the node itself, on another one', { skip }, async (t) => {
  const { lab, guests, daemons } = await createPathScene(t, { family: 4, daemons: [1, 2], hasGateway: true });
  await untilPath(daemons, (path) => path?.state === 'whole');
  const captures = await Promise.all(lab.nodes.map(({ netns }) => startCapture(t, netns, 'eth0')));
  const marked = (count: number): number => captures.reduce((sum, capture) => sum + capture.count(Buffer.from(`tenant${count}`)), 0);
  for (const [count, { ipv4 }] of lab.nodes.entries()) {
    t.equal(send(guests[0].netns, ipv4), 0);
    t.equal(send(guests[0].netns, ipv4, { source: port, marker: `tenant${count}` }), 0, "from the daemon's own port");
  }
  t.equal(send(guests[0].netns, '10.201.2.1', { marker: 'tenant9', port: 5000 }), 0);
  await Promise.all(captures.map((capture) => capture.drain()));
  t.same([marked(0), marked(1)], [0, 0], 'none of it has left the node');
  t.ok(marked(9) > 0, 'what goes elsewhere has');
  await untilPath(daemons, (path) => path?.state === 'whole');
});

t.test('nobody to ask: nothing is sent', { skip }, async (t) => {
  const { lab, daemons } = await createDaemonLab(t, { nodes: 2 });
  const capture = await startCapture(t, lab.underlayNetns, 'br0');
  await attachGuest(lab, { ...blue, extra: { peers: [] } }, 1, { label: 'alone' });
  await lab.settle();
  await daemons[0]?.status();
  t.same(await pathOf(daemons[0] as Daemon), undefined);
  t.equal(run('ip', inNetns(lab.node(1).netns, 'cat', '/proc/net/udp', '/proc/net/udp6')).split('\n').filter((line) => line.includes(`:${port.toString(16).toUpperCase()}`)).length, 0, 'no socket is open');
  await capture.drain();
  t.equal(capture.frames.filter((frame) => frame.readUInt16BE(12) === 0x0800 && frame.subarray(14 + 20, 14 + 24).includes(portBytes)).length, 0);
});

t.test('path.probe: false', { skip }, async (t) => {
  const { daemons, lab } = await createPathScene(t, { family: 4, daemons: [1] });
  const [one] = daemons as readonly [Daemon];
  await untilPath(daemons, (path) => path?.state === 'unanswered');
  run('sh', ['-c', 'printf "node: node1\\npath: { probe: false }\\n" > "$0"', lab.node(1).configPath]);
  await one.logged(/another node configuration is in force/);
  await untilPath(daemons, (path) => path === undefined);
  t.match(await runWeft(lab.node(1), ['status']), { exitCode: 0, stdout: /^paths +not probed \(path\.probe\)$/m });
  run('sh', ['-c', 'printf "node: node1\\npath: { prob: false }\\n" > "$0"', lab.node(1).configPath]);
  t.match(await one.logged(/was refused/), { error: /unknown key "path\.prob": the nearest known key is "path\.probe"/ });
});

t.test('a port that somebody else has stops no daemon', { skip }, async (t) => {
  const { daemons, lab, road } = await createPathScene(t, { family: 4, daemons: [2] });
  const holder = `import socket,sys,time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(("0.0.0.0", ${port}))\ntime.sleep(600)`;
  const child = spawn('ip', inNetns(road.near.netns, 'python3', '-c', holder), { stdio: 'ignore' });
  t.teardown(() => void child.kill('SIGKILL'));
  await new Promise<void>((resolve) => {
    const look = (): void => void (run('ip', inNetns(road.near.netns, 'cat', '/proc/net/udp')).includes(':60D6') ? resolve() : setTimeout(look, 20));
    look();
  });
  const one = await Daemon.start(t, lab.node(1));
  await one.logged(/the paths to other nodes cannot be probed/);
  t.match(await runWeft(lab.node(1), ['status']), { exitCode: 1, stdout: /UDP port 24790 of 10\.201\.1\.10 cannot be had: .*EADDRINUSE/ });
  child.kill('SIGKILL');
  await untilPath([one, ...daemons], (path) => path?.state === 'whole');
  t.match(await runWeft(lab.node(1), ['status']), { exitCode: 0 });
});
