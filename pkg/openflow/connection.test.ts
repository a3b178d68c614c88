import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { output } from './action.ts';
import { openConnection, type ConnectionOptions, type OpenFlowConnection } from './connection.ts';
import type { SwitchEvent } from './event.ts';
import { barrierRequest, echoRequest, messageTypes, multipartRequest, type Message, type Request } from './message.ts';
import { applyMods, listFlows, probe, sendMods } from './openflow.ts';
import { OpenFlowError } from './openflow-error.ts';
import { answerBarriers, part, refusal, startTestSwitch, wire, type TestSwitch, type TestSwitchOptions } from './test-switch.ts';
import type { TeardownScope } from '../testing/netns.ts';

/** A request that is never answered, only refused. */
function change(name: string): Request {
  return { type: messageTypes.flowMod, body: Buffer.from(name), describe: () => `change ${name}` };
}

async function connectTo(scope: TeardownScope, options: TestSwitchOptions & ConnectionOptions = {}): Promise<{ readonly peer: TestSwitch; readonly connection: OpenFlowConnection }> {
  const peer = await startTestSwitch(scope, options);
  const connection = await openConnection(peer.path, options);
  scope.teardown(() => connection.close());
  return { peer, connection };
}

t.setTimeout(60_000);

t.test('a greeting, and what the switch can do', async (t) => {
  const { peer, connection } = await connectTo(t);
  t.same(connection.features, { datapathId: 1n, tables: 10 });
  t.same(peer.received.map(({ type }) => type), [messageTypes.hello, messageTypes.featuresRequest], 'who does not listen does not ask for events');
  const { peer: other } = await connectTo(t, { onEvent: () => undefined });
  t.match(other.received.map(({ type, body }) => [type, body.toString('hex')]), [[messageTypes.hello], [messageTypes.setConfig, '0000ffff'], [messageTypes.featuresRequest]]);
});

t.test('greetings that are none', async (t) => {
  const versionBitmap = (bits: number): Buffer => Buffer.from([0, 1, 0, 8, 0, 0, 0, bits]);
  const rows: readonly (readonly [string, Buffer, RegExp])[] = [
    ['an older version', wire(messageTypes.hello, 0, Buffer.alloc(0), 1), /does not speak OpenFlow 1\.3/],
    ['a newer version whose bitmap leaves it out', wire(messageTypes.hello, 0, versionBitmap(0x42), 6), /does not speak OpenFlow 1\.3/],
    ['a refusal', refusal(0, 0, 0), /does not speak OpenFlow 1\.3/],
    ['a bitmap that is malformed', wire(messageTypes.hello, 0, Buffer.from([0, 9, 0, 0, 0, 0, 0, 0]), 1), /does not speak OpenFlow 1\.3/],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /Cannot open a connection/],
    ['a length of nothing', Buffer.from('0400000000000000', 'hex'), /Cannot open a connection/],
    ['nothing', Buffer.alloc(0), /did not greet within 50 ms/],
  ];
  for (const [name, greeting, message] of rows) {
    const peer = await startTestSwitch(t, { greeting });
    const deadlineMs = greeting.length === 0 ? 50 : 10_000;
    await t.rejects(openConnection(peer.path, { deadlineMs }), { failure: 'absent', isOutcomeUnknown: false, message }, name);
  }
  for (const greeting of [wire(messageTypes.hello, 0, versionBitmap(0x52), 6), wire(messageTypes.hello, 0, Buffer.alloc(0), 6)]) {
    await connectTo(t, { greeting });
    t.pass('a newer version that speaks 1.3 as well');
  }
  await t.rejects(openConnection('/nonexistent/br.mgmt'), { failure: 'absent', message: 'Cannot open a connection to the switch at /nonexistent/br.mgmt' });
});

t.test('a switch that hangs up while it is greeted', async (t) => {
  const peer = await startTestSwitch(t, { greeting: Buffer.alloc(0) });
  const opening = openConnection(peer.path).catch((error: unknown) => error);
  while (peer.received.length === 0) await new Promise(setImmediate);
  peer.hangUp();
  t.match(await opening, { failure: 'absent', cause: { failure: 'lost' } });
});

t.test('answers find who asked, in whatever order and in whatever pieces', async (t) => {
  const kept: Message[] = [];
  const keep = (message: Message): readonly Buffer[] => {
    kept.push(message);
    return kept.length < 20 ? [] : kept.toReversed().flatMap(answerBarriers);
  };
  const { connection } = await connectTo(t, { behaviour: keep, isSlow: true });
  const answers = await Promise.all(Array.from({ length: 20 }, async (_, index) => (await connection.exchange([echoRequest(Buffer.from(`echo ${index}`))])).answer?.body.toString()));
  t.same(answers, Array.from({ length: 20 }, (_, index) => `echo ${index}`));
});

t.test('what is asked for in one turn is written at once', async (t) => {
  const { peer, connection } = await connectTo(t);
  const chunks: number[] = [];
  await Promise.all(Array.from({ length: 10 }, () => connection.exchange([change('x'), barrierRequest()]).then(() => chunks.push(peer.received.length))));
  t.same(chunks, Array(10).fill(22), 'all had come before the first was answered');
});

t.test('a refusal belongs to the request with its xid', async (t) => {
  const refuseSome = (message: Message): readonly Buffer[] => (message.body.includes('bad') ? [refusal(message.xid, 4, 9)] : answerBarriers(message));
  const { connection } = await connectTo(t, { behaviour: refuseSome });
  const [mixed, clean] = await Promise.all([
    connection.exchange([change('good'), change('bad 1'), change('good'), change('bad 2'), barrierRequest()]),
    connection.exchange([change('good'), barrierRequest()]),
  ]);
  t.same([...mixed.refusals.keys()], [1, 3]);
  t.match(mixed, { answer: { type: messageTypes.barrierReply } });
  t.equal(clean.refusals.size, 0);
  const refused = await connection.exchange([echoRequest(Buffer.from('bad'))]);
  t.same([refused.answer, [...refused.refusals.values()]], [undefined, [{ name: 'OFPBMC_BAD_PREREQ', words: 'a field that another depends on is missing' }]], 'the last one, too');
});

t.test('a request that is too long is not sent, nor what goes with it', async (t) => {
  const { peer, connection } = await connectTo(t);
  const bucket = { actions: [output(1)] };
  const group = { id: 9, type: 'all', buckets: Array.from({ length: 2100 }, () => bucket) } as const;
  const mods = [{ kind: 'delete', filter: {} }, { kind: 'writeGroup', group }] as const;
  for (const carryOut of [applyMods, sendMods]) await t.rejects(carryOut(connection, mods), { name: 'RangeError', message: /write group 9: an OpenFlow message must be at most 65535 bytes long: current value is 67\d+/ });
  await sendMods(connection, [{ kind: 'writeGroup', group: { ...group, buckets: group.buckets.slice(0, 2000) } }]);
  t.same(peer.received.map(({ type }) => type).slice(2), [messageTypes.groupMod, messageTypes.barrierRequest]);
});

t.test('an answer of many parts', async (t) => {
  const inParts = ({ type, xid }: Message): readonly Buffer[] => (type === messageTypes.multipartRequest ? ['a', 'b', 'c'].map((text) => part(xid, Buffer.from(text), { hasMore: text !== 'c' })) : []);
  const { connection } = await connectTo(t, { behaviour: inParts });
  const parts: string[] = [];
  await connection.exchange([multipartRequest(1, Buffer.alloc(0), () => 'ask')], { onPart: (body) => parts.push(body.toString('utf8', 8)) });
  t.same(parts, ['a', 'b', 'c']);
});

t.test('an answer that cannot be read fails who asked, and nobody else', async (t) => {
  const answers: Record<number, (xid: number) => Buffer> = {
    [messageTypes.multipartRequest]: (xid) => part(xid, Buffer.from([0, 200]), { hasMore: false }),
    [messageTypes.flowMod]: (xid) => wire(messageTypes.error, xid, Buffer.from([0])),
  };
  const { connection } = await connectTo(t, { behaviour: (message) => [...answerBarriers(message), ...(answers[message.type] === undefined ? [] : [answers[message.type]!(message.xid)])] });
  await t.rejects(listFlows(connection), { failure: 'garbled', isOutcomeUnknown: true, message: "Cannot list flows of every kind: the switch's answer cannot be read" });
  await t.rejects(connection.exchange([change('x')]), { failure: 'garbled', message: /^Cannot change x: / });
  await probe(connection);
});

t.test('an answer without end is refused', async (t) => {
  const piece = Buffer.alloc(60_000);
  const { connection } = await connectTo(t, { behaviour: ({ type, xid }) => (type === messageTypes.multipartRequest ? Array.from({ length: 2300 }, () => part(xid, piece, { hasMore: true })) : []) });
  await t.rejects(connection.exchange([multipartRequest(1, Buffer.alloc(0), () => 'ask')], { deadlineMs: 60_000 }), { failure: 'garbled', cause: { message: /at most 134217728 bytes/ } });
});

t.test('a stream that is no longer one ends the connection', async (t) => {
  for (const garbage of [Buffer.from('garbage that is no message'), wire(messageTypes.echoRequest, 1, Buffer.alloc(0), 1), wire(messageTypes.packetIn, 0, Buffer.alloc(3))]) {
    const { peer, connection } = await connectTo(t, { behaviour: () => [], onEvent: () => t.fail('no event') });
    const pending = [connection.exchange([barrierRequest()]), sendMods(connection, [{ kind: 'delete', filter: {} }])].map((promise) => promise.catch((error: unknown) => error));
    peer.send(garbage);
    for (const error of await Promise.all(pending)) t.match(error, { failure: 'garbled', isOutcomeUnknown: true });
    t.match(await connection.ended, { failure: 'garbled', message: /does not speak as a switch does/ });
  }
});

t.test('what is under way when the connection ends has an unknown outcome', async (t) => {
  for (const [how, end] of [['hung up', (peer: TestSwitch) => peer.hangUp()], ['closed', (_: TestSwitch, connection: OpenFlowConnection) => connection.close()]] as const) {
    const { peer, connection } = await connectTo(t, { behaviour: () => [] });
    const pending = connection.exchange([change('x'), barrierRequest()]).catch((error: unknown) => error);
    while (!peer.received.some(({ type }) => type === messageTypes.barrierRequest)) await new Promise(setImmediate);
    end(peer, connection);
    const error = await pending;
    t.ok(error instanceof OpenFlowError, how);
    t.match(error, { failure: 'lost', isOutcomeUnknown: true, code: 'tryAgainLater', message: /^Cannot change x and what goes with it: the / });
    await t.rejects(connection.exchange([barrierRequest()]), { failure: 'absent', isOutcomeUnknown: false, message: /^Cannot wait for the switch to finish: the .* before$/ }, 'and what comes later is not sent');
    connection.close();
    t.match(await connection.ended, { failure: 'lost' });
  }
});

t.test('a switch that does not answer is late, and its late answer is nobody’s', async (t) => {
  const held: Message[] = [];
  const { peer, connection } = await connectTo(t, { behaviour: (message) => (message.type === messageTypes.barrierRequest ? (held.push(message), []) : answerBarriers(message)) });
  await t.rejects(connection.exchange([change('x'), barrierRequest()], { deadlineMs: 20 }), { failure: 'late', isOutcomeUnknown: true, message: new RegExp(`^Cannot change x and what goes with it: the switch at ${peer.path} did not answer within 20 ms$`) });
  for (const { xid } of held) peer.send(Buffer.concat([refusal(xid - 1, 4, 9), wire(messageTypes.barrierReply, xid)]));
  await probe(connection);
  t.equal(held.length, 1);
});

t.test('a switch that does not read is late as well, and is not sent what has been given up', async (t) => {
  const { peer, connection } = await connectTo(t);
  peer.stopReading();
  const requests = Array.from({ length: 200 }, () => change('x'.repeat(50_000)));
  await t.rejects(connection.exchange([...requests, barrierRequest()], { deadlineMs: 50 }), { name: 'WeftError', failure: 'late' });
  peer.startReading();
  await probe(connection);
  const changes = peer.received.filter(({ type }) => type === messageTypes.flowMod).length;
  t.ok(changes < requests.length, `${changes} were on their way`);
  t.notOk(peer.received.some(({ type }) => type === messageTypes.barrierRequest));
});

t.test('echoes are answered, events are passed on, the rest is left alone', async (t) => {
  const events: SwitchEvent[] = [];
  const { peer, connection } = await connectTo(t, { onEvent: (event) => events.push(event) });
  const removed = Buffer.concat([Buffer.from('0000000000000009' + '0005' + '00' + '03', 'hex'), Buffer.alloc(12), Buffer.from('00000000000000020000000000000080', 'hex'), Buffer.from('0001000400000000', 'hex')]);
  peer.send(Buffer.concat([
    wire(messageTypes.echoRequest, 77, Buffer.from('still there?')),
    wire(messageTypes.flowRemoved, 0, removed),
    wire(99, 0),
    wire(messageTypes.barrierReply, 123_456),
    refusal(123_457, 1, 1),
  ]));
  await probe(connection);
  t.match(peer.received.filter(({ type }) => type === messageTypes.echoReply), [{ xid: 77, body: Buffer.from('still there?') }]);
  t.match(events, [{ kind: 'flowRemoved', reason: 'idleTimeout', table: 3, priority: 5, cookie: 9n, packets: 2n, bytes: 128n, match: {} }]);
  t.equal(events.length, 1);
});

t.test('an idle connection keeps no process alive, if it is told so', async (t) => {
  const peer = await startTestSwitch(t);
  const source = `
    import { openConnection } from ${JSON.stringify(new URL('connection.ts', import.meta.url).href)};
    (await openConnection(${JSON.stringify(peer.path)})).unref();
    console.log('connected');`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => child.kill());
  const [[text], [status]] = await Promise.all([once(child.stdout, 'data'), once(child, 'exit')]);
  t.same([String(text).trim(), status], ['connected', 0]);
});
