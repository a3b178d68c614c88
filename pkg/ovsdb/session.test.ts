import type { Socket } from 'node:net';
import t from 'tap';
import { nextTurn } from '../sys/timer.ts';
import { openSession } from './session.ts';
import { answer, startTestServer, type Script } from './test-server.ts';
import { collectStates, deadlineMs, openTestSession } from './test-session.ts';

const uuid = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
const tables = { T: { columns: { name: 'string' } } } as const;
const state = { T: { [uuid]: { initial: { name: 'a' } } } };
/** A server with one row. */
const serve: Script = (request, socket) => answer(request, socket, { result: request.method === 'monitor_cond' ? state : {} });

t.test('what a server says that makes no sense ends the connection, and everything is asked anew', async (t) => {
  const rows = [
    `{"method":"update2","params":[1,{"T":{"${uuid}":{"insert":{"name":7}}}}]}`,
    `{"method":"update2","params":[1,{"U":{}}]}`,
    `{"method":"update2","params":[1,{"T":{"${uuid.replace('3f', '40')}":{"modify":{"name":"b"}}}}]}`,
    '{"method":"update2","params":[1,null]}',
    '{"method":"monitor_canceled","params":[1]}',
    'garbage',
  ];
  for (const nonsense of rows) {
    const { path, sockets } = await startTestServer(t, serve);
    const session = await openTestSession(t, path);
    const monitor = await session.monitor(tables, { deadlineMs });
    const changes = collectStates(session, 2);
    sockets[0]?.write(nonsense);
    const states = await changes;
    t.equal(sockets.length, 2, nonsense);
    t.match(states, [{ isConnected: false }, { isConnected: true }]);
    t.same([...monitor.table('T')], [[uuid, { name: 'a' }]]);
  }
});

t.test('what is told of a monitor that nobody has is not looked at', async (t) => {
  const { path, sockets } = await startTestServer(t, serve);
  const session = await openTestSession(t, path);
  const monitor = await session.monitor(tables, { deadlineMs });
  sockets[0]?.write(`{"method":"update2","params":[9,{"T":null}]}{"method":"locked","params":["x"]}{"method":"update2","params":[1,{"T":{"${uuid}":{"modify":{"name":"b"}}}}]}`);
  await monitor.waitFor(() => [...monitor.table('T').values()][0]?.name === 'b' || undefined, { what: 'the change behind it', deadlineMs });
  t.ok(session.state.isConnected);
});

t.test('what is reported in the same piece as the first state is applied on top of it', async (t) => {
  const { path } = await startTestServer(t, (request, socket) => {
    if (request.method !== 'monitor_cond') return answer(request, socket);
    return void socket.write(`${JSON.stringify({ id: request.id, result: state, error: null })}{"method":"update2","params":[1,{"T":{"${uuid}":{"modify":{"name":"b"}}}}]}`);
  });
  const monitor = await (await openTestSession(t, path)).monitor(tables, { deadlineMs });
  t.same([...monitor.table('T').values()], [{ name: 'b' }]);
});

t.test('a monitor that was closed is cancelled', async (t) => {
  const { promise: cancelled, resolve } = Promise.withResolvers<unknown>();
  const { path } = await startTestServer(t, (request, socket) => {
    if (request.method === 'monitor_cancel') resolve(request.params);
    serve(request, socket);
  });
  const monitor = await (await openTestSession(t, path)).monitor(tables, { deadlineMs });
  monitor.close();
  monitor.close();
  t.same(await cancelled, [monitor.id]);
  t.equal(monitor.table('T').size, 0);
  await t.rejects(monitor.waitFor(() => true, { what: 'anything', deadlineMs }), { name: 'WeftError', kind: 'unavailable' });
});

t.test('a server that says nothing to a monitor is given up, and asked anew', async (t) => {
  let asked = 0;
  const { path, sockets } = await startTestServer(t, (request, socket) => {
    if (request.method !== 'monitor_cond' || (asked += 1) > 1) serve(request, socket);
  });
  const session = await openTestSession(t, path, { connectDeadlineMs: 100 });
  const monitor = await session.monitor(tables, { deadlineMs });
  t.equal(monitor.table('T').size, 1);
  t.equal(sockets.length, 2);
});

t.test('a waiter whose function throws is told, and the others go on', async (t) => {
  const { path, sockets } = await startTestServer(t, serve);
  const session = await openTestSession(t, path);
  const monitor = await session.monitor(tables, { deadlineMs });
  let looks = 0;
  const broken = monitor.waitFor(() => {
    looks += 1;
    if (looks > 1) throw new Error('broken');
    return undefined;
  }, { what: 'nothing', deadlineMs });
  const sound = monitor.waitFor(() => [...monitor.table('T').values()][0]?.name === 'b' || undefined, { what: 'b', deadlineMs });
  (sockets[0] as Socket).write(`{"method":"update2","params":[1,{"T":{"${uuid}":{"modify":{"name":"b"}}}}]}`);
  await t.rejects(broken, { message: 'broken' });
  await sound;
  t.ok(session.state.isConnected);
});

t.test('a connection that ends behind its first answer is none', async (t) => {
  const { path, sockets } = await startTestServer(t, (request, socket) => {
    if (sockets.length > 1) return serve(request, socket);
    return void socket.write(`${JSON.stringify({ id: request.id, result: {}, error: null })}garbage`);
  });
  const session = await openTestSession(t, path);
  const monitors = await Promise.all([session.monitor(tables, { deadlineMs }), session.monitor(tables, { deadlineMs })]);
  t.same(monitors.map((monitor) => monitor.table('T').size), [1, 1]);
  t.equal(sockets.length, 2);
});

t.test('a monitor that is asked for at any moment is established once', async (t) => {
  const ids: unknown[] = [];
  const { path } = await startTestServer(t, (request, socket) => {
    if (request.method === 'monitor_cond') ids.push(request.params[1]);
    serve(request, socket);
  });
  const session = openSession({ path, database: 'db' });
  t.teardown(() => session.close());
  const monitors: Promise<unknown>[] = [];
  // Before the connection stands, while it is greeted, and after.
  while (!session.state.isConnected || monitors.length < 10) {
    monitors.push(session.monitor(tables, { deadlineMs }));
    await nextTurn();
  }
  await Promise.all(monitors);
  t.same(ids, [...new Set(ids)]);
  t.equal(ids.length, monitors.length);
});
