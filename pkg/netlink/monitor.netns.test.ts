import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import t from 'tap';
import { parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { inNetns, run, runIn } from '../testing/command.ts';
import { createNetns, type TeardownScope } from '../testing/netns.ts';
import { findLink, ipJson, readFdb } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { addAddress } from './address.ts';
import { encodeMessage } from './codec.ts';
import { addIfb, decodeLink, delLink, isLinkGone, setLink } from './link.ts';
import { openKernelMonitor, type KernelEvent, type KernelMonitor } from './monitor.ts';
import { openNetlinkIn, withNetns } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'tc', 'nft', 'ping', 'cat'] });
const deadlineMs = 10_000;
const loopback = 1;
const [newLink, delLinkType, newAddress, delAddress, newRoute, delRoute, newNeighbour, delNeighbour, delQdisc, delFilter] = [16, 17, 20, 21, 24, 25, 28, 29, 37, 45];
const afBridge = 7;

/** A monitor of a namespace that keeps what it hears. */
interface Listener {
  readonly monitor: KernelMonitor;
  readonly events: KernelEvent[];
  /** How many events had come when it was said that some are lost. */
  readonly overruns: number[];
  /** Waits for an event, also one that has come already. @throws Error at the deadline */
  waitFor(what: string, isIt: (event: KernelEvent) => boolean): Promise<KernelEvent>;
  /** Waits until it is said that events are lost. @throws Error at the deadline */
  waitForOverrun(): Promise<number>;
}

function listen(scope: TeardownScope, netns: string, options: { receiveBufferBytes?: number } = {}): Listener {
  const events: KernelEvent[] = [];
  const overruns: number[] = [];
  let onChange: () => void = () => undefined;
  const monitor = withNetns(netns, (netnsFd) => openKernelMonitor({
    ...options,
    netnsFd,
    onEvents: (batch) => {
      events.push(...batch);
      onChange();
    },
    onOverrun: () => {
      overruns.push(events.length);
      onChange();
    },
    onFailure: (error) => {
      throw error;
    },
  }));
  scope.teardown(() => monitor.close());
  const wait = <T>(what: string, find: () => T | undefined): Promise<T> => new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no event came: ${what}`)), deadlineMs);
    onChange = () => {
      const found = find();
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    onChange();
  });
  return { monitor, events, overruns, waitFor: (what, isIt) => wait(what, () => events.find(isIt)), waitForOverrun: () => wait('overrun', () => overruns[0]) };
}

function isOf(type: number, options: { nsid?: number | undefined; family?: number } = {}): (event: KernelEvent) => boolean {
  return ({ protocol, message, nsid }) => protocol === 'route' && message.type === type && nsid === options.nsid
    && (options.family === undefined || message.payload[0] === options.family);
}

/** Whether the message is of the link itself, not of its being a port of a bridge. */
function isLink(event: KernelEvent, ...names: readonly string[]): boolean {
  return event.protocol === 'route' && [newLink, delLinkType].includes(event.message.type) && event.message.payload[0] === 0 && names.includes(decodeLink(event.message).name);
}

/** Makes an event of its own: when it has come, so has everything before it. */
async function flush(netns: string, listener: Listener): Promise<void> {
  const name = `mark${listener.events.length}`;
  run('ip', ['-n', netns, 'link', 'add', name, 'type', 'ifb']);
  await listener.waitFor(`link ${name}`, (event) => isLink(event, name));
  run('ip', ['-n', netns, 'link', 'del', name]);
  await listener.waitFor(`end of link ${name}`, (event) => isLinkGone(event.message) && isLink(event, name));
}

void t.test('what happens to a link, in the order in which it happens', { skip }, async (t) => {
  const netns = createNetns(t);
  const listener = listen(t, netns);
  const socket = openNetlinkIn(t, netns);
  const count = 300;
  for (let n = 0; n < count; n += 1) socket.request([setLink('lo', { mtu: 2000 + n })]);
  socket.request([addIfb('i0')]);
  socket.request([delLink('i0')]);
  const gone = await listener.waitFor('the end of i0', (event) => isLinkGone(event.message));
  t.equal(decodeLink(gone.message).name, 'i0');
  const mtus = listener.events.filter((event) => isLink(event, 'lo')).map((event) => decodeLink(event.message).mtu);
  t.same(mtus, Array.from({ length: count }, (_, n) => 2000 + n), 'more than the monitor takes in one turn');
  t.equal(listener.events.at(-1), gone);
  t.ok(listener.events.every(({ nsid }) => nsid === undefined), 'events of the own namespace name no other');
  t.same(listener.overruns, []);
});

void t.test('an event of an address names the socket that asked for it', { skip }, async (t) => {
  const netns = createNetns(t);
  const listener = listen(t, netns);
  const socket = openNetlinkIn(t, netns);
  run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  socket.request([addAddress(loopback, parseInterfaceAddress('10.1.1.1/24'))]);
  const added = await listener.waitFor('the address', (event) => isOf(newAddress)(event) && event.message.portId === socket.portId);
  t.equal(added.message.payload[0], 2);
  run('ip', ['-n', netns, 'addr', 'del', '10.1.1.1/24', 'dev', 'lo']);
  const removed = await listener.waitFor('its end', isOf(delAddress));
  t.not(removed.message.portId, socket.portId, 'this one somebody else did');
});

interface Tenant {
  readonly host: string;
  readonly containers: readonly string[];
}

/** A namespace with the bridge br0 and a VXLAN device vx0 on it, and its ports p0, p1 to eth0 of two others. */
function makeTenant(scope: TeardownScope): Tenant {
  const host = createNetns(scope, 'host');
  const containers = [createNetns(scope, 'c0'), createNetns(scope, 'c1')];
  const lines = ['link add br0 type bridge', 'link set br0 up', 'link add vx0 master br0 type vxlan id 9 local 127.0.0.1 dstport 4789', 'link set vx0 up'];
  containers.forEach((container, n) => lines.push(`link add p${n} master br0 type veth peer name eth0 netns ${container}`, `link set p${n} up`));
  run('ip', ['-n', host, '-batch', '-'], `${lines.join('\n')}\n`);
  containers.forEach((container, n) => {
    run('ip', ['-n', container, '-batch', '-'], `link set lo up\nlink set eth0 up\naddr add 10.1.1.${n + 1}/24 dev eth0\nroute add default via 10.1.1.9\n`);
  });
  return { host, containers };
}

void t.test('what is done inside a container is heard, with the id that the host has for its namespace', { skip }, async (t) => {
  const { host, containers } = makeTenant(t);
  const listener = listen(t, host);
  const ids = ['p0', 'p1'].map((port) => ipJson<readonly { readonly link_netnsid?: number }[]>(host, 'link', 'show', port)[0]?.link_netnsid);
  t.not(ids[0], ids[1]);
  for (const [n, container] of containers.entries()) {
    const nsid = ids[n];
    const from = listener.events.length;
    const waitFor = (what: string, isIt: (event: KernelEvent) => boolean): Promise<KernelEvent> =>
      listener.waitFor(`${what} of container ${n}`, (event) => listener.events.indexOf(event) >= from && isIt(event));
    run('ip', ['-n', container, 'route', 'del', 'default']);
    await waitFor('route', isOf(delRoute, { nsid, family: 2 }));
    run('ip', ['-n', container, 'addr', 'del', `10.1.1.${n + 1}/24`, 'dev', 'eth0']);
    await waitFor('address', isOf(delAddress, { nsid, family: 2 }));
    run('ip', ['-n', container, 'link', 'set', 'eth0', 'mtu', '1300']);
    await waitFor('MTU', (event) => isLink(event, 'eth0') && event.nsid === nsid && decodeLink(event.message).mtu === 1300);
    run('ip', ['-n', container, 'link', 'set', 'eth0', 'down']);
    await waitFor('link that is down', (event) => isLink(event, 'eth0') && event.nsid === nsid && !decodeLink(event.message).isUp);
    const port = await waitFor('port without carrier', (event) => isLink(event, `p${n}`));
    t.equal(decodeLink(port.message).linkNetnsid, nsid, "the port's event names the same id");
    t.equal(port.nsid, undefined);
  }
  run('ip', ['-n', containers[0] as string, 'link', 'del', 'eth0']);
  await listener.waitFor('end of the port', (event) => isLinkGone(event.message) && isLink(event, 'p0'));
});

void t.test('what is taken away from a bridge is heard', { skip }, async (t) => {
  const { host } = makeTenant(t);
  const [mac, flood] = ['02:00:00:00:00:01', '00:00:00:00:00:00'];
  run('bridge', ['-n', host, 'fdb', 'add', mac, 'dev', 'p0', 'master', 'static']);
  run('bridge', ['-n', host, 'fdb', 'add', mac, 'dev', 'vx0', 'dst', '192.0.2.7', 'self', 'dynamic', 'extern_learn']);
  for (const vtep of ['192.0.2.7', '192.0.2.8']) run('bridge', ['-n', host, 'fdb', 'append', flood, 'dev', 'vx0', 'dst', vtep]);
  run('tc', ['-n', host, 'qdisc', 'add', 'dev', 'p0', 'root', 'tbf', 'rate', '10mbit', 'burst', '100k', 'latency', '50ms']);
  run('tc', ['-n', host, 'qdisc', 'add', 'dev', 'p1', 'ingress']);
  const filter = ['dev', 'p1', 'ingress', 'protocol', 'all', 'prio', '1', 'u32'];
  run('tc', ['-n', host, 'filter', 'add', ...filter, 'match', 'u32', '0', '0', 'action', 'mirred', 'egress', 'redirect', 'dev', 'br0']);
  const listener = listen(t, host);
  const index = (name: string): number => findLink(host, name)?.ifindex ?? 0;
  const rows: readonly (readonly [what: string, type: number, link: string, command: readonly string[]])[] = [
    ["a port's entry", delNeighbour, 'p0', ['bridge', '-n', host, 'fdb', 'del', mac, 'dev', 'p0', 'master']],
    ["a control plane's entry", delNeighbour, 'vx0', ['bridge', '-n', host, 'fdb', 'del', mac, 'dev', 'vx0', 'dst', '192.0.2.7', 'self']],
    ['one of two flood entries', delNeighbour, 'vx0', ['bridge', '-n', host, 'fdb', 'del', flood, 'dev', 'vx0', 'dst', '192.0.2.8']],
    ['the last flood entry', delNeighbour, 'vx0', ['bridge', '-n', host, 'fdb', 'del', flood, 'dev', 'vx0', 'dst', '192.0.2.7']],
    ['a token bucket', delQdisc, 'p0', ['tc', '-n', host, 'qdisc', 'del', 'dev', 'p0', 'root']],
    ['a filter', delFilter, 'p1', ['tc', '-n', host, 'filter', 'del', ...filter]],
    ['its queueing discipline', delQdisc, 'p1', ['tc', '-n', host, 'qdisc', 'del', 'dev', 'p1', 'ingress']],
    ['a port', delLinkType, 'p0', ['ip', '-n', host, 'link', 'set', 'p0', 'nomaster']],
  ];
  for (const [what, type, link, [program = '', ...args]] of rows) {
    const [from, ifindex] = [listener.events.length, index(link)];
    run(program, args);
    const event = await listener.waitFor(what, (event) => listener.events.indexOf(event) >= from && isOf(type)(event) && event.message.payload.readInt32LE(4) === ifindex);
    t.notOk(isLinkGone(event.message), `${what}: the link is still there`);
  }
  run('ip', ['-n', host, 'link', 'del', 'br0']);
  await listener.waitFor('the end of the bridge', (event) => isLinkGone(event.message) && isLink(event, 'br0'));
  t.ok(listener.events.some((event) => isOf(delLinkType, { family: afBridge })(event) && decodeLink(event.message).name === 'p1'), 'its last port has left it');
});

void t.test('what a control plane writes is heard', { skip }, async (t) => {
  const { host } = makeTenant(t);
  const [mac, flood] = ['02:00:00:00:00:01', '00:00:00:00:00:00'];
  const listener = listen(t, host);
  const ifindex = findLink(host, 'vx0')?.ifindex;
  const rows: readonly (readonly [what: string, args: readonly string[]])[] = [
    ['a remote MAC at the VXLAN device', ['add', mac, 'dev', 'vx0', 'dst', '192.0.2.7', 'self', 'dynamic', 'extern_learn']],
    ['a remote MAC at its bridge port', ['add', mac, 'dev', 'vx0', 'master', 'dynamic', 'extern_learn']],
    ['a MAC that has moved', ['replace', mac, 'dev', 'vx0', 'dst', '192.0.2.8', 'self', 'dynamic', 'extern_learn']],
    ['a VTEP on the flood list', ['append', flood, 'dev', 'vx0', 'dst', '192.0.2.7']],
  ];
  for (const [what, args] of rows) {
    await flush(host, listener);
    const from = listener.events.length;
    run('bridge', ['-n', host, 'fdb', ...args]);
    const { message } = await listener.waitFor(what, (event) => listener.events.indexOf(event) >= from && isOf(newNeighbour)(event));
    t.equal(message.payload.readInt32LE(4), ifindex, what);
  }
});

void t.test('neighbours and MACs that are learned and forgotten are no event', { skip }, async (t) => {
  const { host, containers } = makeTenant(t);
  const [first = ''] = containers;
  run('ip', ['-n', host, 'addr', 'add', '10.1.1.9/24', 'dev', 'br0']);
  const listener = listen(t, host);
  await flush(host, listener);
  const from = listener.events.length;
  runIn(first, 'ping', '-c', '1', '-W', '5', '10.1.1.2');
  runIn(first, 'ping', '-c', '1', '-W', '5', '10.1.1.9');
  const mac = findLink(first, 'eth0')?.address ?? '';
  t.equal(readFdb(host, 'p0').filter((entry) => entry.mac === mac).length, 1, 'the bridge has learned');
  t.equal(ipJson<readonly unknown[]>(host, 'neigh', 'show', '10.1.1.1').length, 1, 'the host has asked');
  run('bridge', ['-n', host, 'fdb', 'del', mac, 'dev', 'p0', 'master']);
  run('ip', ['-n', host, 'neigh', 'flush', 'all']);
  await flush(host, listener);
  // The kernel still tells of carriers and IPv6 addresses, which it settles some time after the links came up.
  const settling = [newLink, delLinkType, newAddress, delAddress, newRoute, delRoute];
  t.same(listener.events.slice(from).filter(({ message }) => !settling.includes(message.type)), []);
});

void t.test('a transaction of nf_tables: everything in it, its end, and who made it', { skip }, async (t) => {
  const netns = createNetns(t);
  runIn(netns, 'nft', 'add table bridge w; add chain bridge w f; add rule bridge w f accept; add set bridge w s { type ifname; }; add element bridge w s { "a", "b" }');
  const listener = listen(t, netns);
  // NFT_MSG_*, include/uapi/linux/netfilter/nf_tables.h; in the upper byte the subsystem NFNL_SUBSYS_NFTABLES.
  const [subsystem, delTable, delChain, delRule, delSet, delElement, newGeneration] = [0x0a00, 2, 5, 8, 11, 14, 15];
  const rows: readonly (readonly [command: string, types: readonly number[]])[] = [
    ['delete element bridge w s { "a" }', [delElement]],
    ['flush set bridge w s', [delElement]],
    ['flush chain bridge w f', [delRule]],
    ['delete table bridge w', [delSet, delChain, delTable]],
  ];
  for (const [command, types] of rows) {
    const from = listener.events.length;
    // `ip netns exec` becomes nft: it has the process id that spawnSync() gives, and its socket that port.
    const child = spawnSync('ip', inNetns(netns, 'nft', command), { encoding: 'utf8' });
    t.equal(child.status, 0, child.stderr);
    await listener.waitFor(command, (event) => listener.events.indexOf(event) >= from && (event.message.type & 0xff) === newGeneration);
    const events = listener.events.slice(from);
    t.same(events.map((event) => event.message.type), [...types, newGeneration].map((type) => subsystem | type), command);
    t.ok(events.every((event) => event.protocol === 'netfilter' && event.message.portId === child.pid), 'all name the process');
  }
});

// The second one keeps more than the monitor takes in one turn.
for (const [kibibytes, count, keptMin] of [[16, 400, 1], [1024, 3000, 257]] as const) {
  void t.test(`lost events are told once, behind those that ${kibibytes} KiB kept, and hearing goes on`, { skip }, async (t) => {
    const netns = createNetns(t);
    const listener = listen(t, netns, { receiveBufferBytes: kibibytes * 1024 });
    const socket = openNetlinkIn(t, netns);
    // Without a pause for the monitor.
    for (let n = 0; n < count; n += 1) socket.request([setLink('lo', { mtu: 2000 + n })]);
    await listener.waitForOverrun();
    const kept = listener.events.filter((event) => isLink(event, 'lo')).length;
    t.ok(kept >= keptMin && kept < count, `${kept} of ${count} were kept`);
    t.same(listener.overruns, [kept]);
    socket.request([setLink('lo', { mtu: 1500 })]);
    await listener.waitFor('what came later', (event) => isLink(event, 'lo') && decodeLink(event.message).mtu === 1500);
    t.same(listener.events.map((event) => decodeLink(event.message).mtu), [...Array.from({ length: kept }, (_, n) => 2000 + n), 1500], 'the earliest were kept');
    t.equal(listener.overruns.length, 1);
  });
}

void t.test('what another process sends to the monitor is not taken for an event', { skip }, async (t) => {
  const netns = createNetns(t);
  const listener = listen(t, netns);
  const ports = runIn(netns, 'cat', '/proc/net/netlink').split('\n').slice(1).map((line) => Number(line.trim().split(/\s+/)[2])).filter((portId) => portId > 0);
  t.ok(ports.length > 0);
  const forged = encodeMessage({ type: delLinkType, flags: 0, payload: Buffer.alloc(16) }, 0).toString('hex');
  const script = `
    import { openSocket, sendTo } from ${JSON.stringify(new URL('../sys/libc.ts', import.meta.url).href)};
    const address = Buffer.alloc(12);
    address.writeUInt16LE(16, 0);
    address.writeUInt32LE(${ports[0]}, 4);
    sendTo(openSocket(16, 3, 0), Buffer.from('${forged}', 'hex'), address);`;
  const child = spawnSync('ip', inNetns(netns, process.execPath, '--input-type=module', '-e', script), { encoding: 'utf8', timeout: deadlineMs });
  t.equal(child.status, 0, child.stderr);
  await flush(netns, listener);
  t.notOk(listener.events.some((event) => isLink(event, '')));
});

void t.test('a closed monitor says nothing more', { skip }, async (t) => {
  const netns = createNetns(t);
  const [closed, open] = [listen(t, netns), listen(t, netns)];
  const socket = openNetlinkIn(t, netns);
  socket.request([setLink('lo', { mtu: 2000 })]);
  closed.monitor.close();
  closed.monitor.close();
  await open.waitFor('the change', (event) => isLink(event, 'lo'));
  t.same(closed.events, []);

  let heard = 0;
  const monitor = withNetns(netns, (netnsFd) => openKernelMonitor({
    netnsFd,
    onEvents: () => {
      heard += 1;
      monitor.close();
    },
    onOverrun: () => t.fail('nothing was lost'),
    onFailure: (error) => t.fail(String(error)),
  }));
  for (let n = 0; n < 600; n += 1) socket.request([setLink('lo', { mtu: 3000 + n })]);
  await open.waitFor('the last change', (event) => isLink(event, 'lo') && decodeLink(event.message).mtu === 3599);
  t.equal(heard, 1, 'it closed itself while more was waiting');
});

/** Runs a script in a process of its own, inside a namespace, with openKernelMonitor and `options` at hand. */
function runChild(netns: string, body: string): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const script = `
    import { openKernelMonitor } from ${JSON.stringify(new URL('./monitor.ts', import.meta.url).href)};
    const options = { onEvents() {}, onOverrun() {}, onFailure() {} };
    ${body}`;
  return spawnSync('ip', inNetns(netns, process.execPath, '--input-type=module', '-e', script), { encoding: 'utf8', timeout: deadlineMs });
}

void t.test('the process ends when the monitor is closed, and when it exits without closing it', { skip }, async (t) => {
  const netns = createNetns(t);
  t.match(runChild(netns, 'openKernelMonitor(options).close();'), { status: 0, stderr: '' });
  t.match(runChild(netns, "openKernelMonitor(options); process.on('exit', () => process.stdout.write('end')); setImmediate(() => process.exit(7));"), { status: 7, stdout: 'end', stderr: '' });
  const change = "const { execFileSync } = await import('node:child_process'); execFileSync('ip', ['link', 'set', 'lo', 'up']);";
  t.match(runChild(netns, `const monitor = openKernelMonitor({ ...options, onEvents: () => { monitor.close(); process.stdout.write('heard'); } }); ${change}`), { status: 0, stdout: 'heard', stderr: '' }, 'an open one keeps it alive until then');
});

void t.test('a descriptor that is no namespace is refused, and nothing stays open', { skip }, async (t) => {
  const fd = openSync('/dev/null', 'r');
  const before = readdirSync('/proc/self/fd').length;
  t.throws(() => openKernelMonitor({ netnsFd: fd, onEvents: () => undefined, onOverrun: () => undefined, onFailure: () => undefined }), { code: 'EINVAL' });
  t.equal(readdirSync('/proc/self/fd').length, before);
  closeSync(fd);
});
