import t from 'tap';
import type { CniPlugin } from '../cni/dispatch.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { Request } from '../protocol/protocol.ts';
import { netnsId, ownNetns } from '../sys/netns.ts';
import { CallLog } from './call-log.ts';
import { Calls } from './calls.ts';
import { eventually, recordingLog, type LoggedLine } from './test-daemon.ts';

interface Scene {
  readonly calls: Calls;
  readonly lines: readonly LoggedLine[];
  /** What the plugin was asked, `verb container`, when each began. */
  readonly begun: string[];
  /** Lets the oldest call of the container that is under way end, with an error or without. */
  readonly end: (containerId: string, error?: Error) => void;
}

/** Calls to a plugin whose verbs end when the test says so. */
function createScene({ isHeld = true } = {}): Scene {
  const { log, lines } = recordingLog();
  const begun: string[] = [];
  const held: { readonly containerId: string; readonly settle: (error?: Error) => void }[] = [];
  const hold = async (verb: string, containerId: string): Promise<void> => {
    begun.push(`${verb} ${containerId}`.trim());
    if (!isHeld) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    held.push({ containerId, settle: (error) => (error === undefined ? resolve() : reject(error)) });
    await promise;
  };
  const plugin: CniPlugin = {
    add: async ({ containerId }) => {
      await hold('ADD', containerId);
      return { interfaces: [], ips: [], routes: [], dns: {} };
    },
    del: ({ containerId }) => hold('DEL', containerId),
    check: ({ containerId }) => hold('CHECK', containerId),
    gc: () => hold('GC', ''),
    status: ({ env }) => hold('STATUS', Object.keys(env).filter((name) => name.startsWith('WEFT_')).join()),
  };
  const end = (containerId: string, error?: Error): void => {
    const index = held.findIndex((call) => call.containerId === containerId);
    if (index < 0) throw new Error(`no call of ${containerId} is under way`);
    held.splice(index, 1)[0]?.settle(error);
  };
  const callLog = new CallLog({ log, onQuiet: () => undefined });
  return { calls: new Calls({ plugin, callLog, log }), lines, begun, end };
}

function request(verb: string, containerId = '', env: Readonly<Record<string, string>> = {}): Request {
  const ids = containerId === '' ? {} : { CNI_CONTAINERID: containerId, CNI_IFNAME: 'eth0', CNI_NETNS: '/run/netns/c' };
  return { kind: 'call', env: { CNI_COMMAND: verb, CNI_PATH: '/opt/cni/bin', ...ids, ...env }, stdin: '{"cniVersion":"1.1.0","name":"blue","type":"weft"}' };
}

const stays = (): boolean => true;

t.test('what the plugin says is the answer', async (t) => {
  const { calls, begun, end } = createScene();
  const added = calls.answer(request('ADD', 'c1'), stays);
  await eventually('it has begun', () => begun.length === 1);
  end('c1');
  t.match(await added, { status: 0, body: /^\{"cniVersion":"1\.1\.0"/ });
  const failed = calls.answer(request('DEL', 'c1'), stays);
  await eventually('it has begun', () => begun.length === 2);
  end('c1', new WeftError('ioFailure', 'the disk is full'));
  t.match(await failed, { status: 1, body: /"code":5,"msg":"the disk is full"/ });
  t.match(await calls.answer({ kind: 'call', env: {}, stdin: '' }, stays), { status: 1, body: /CNI_COMMAND/ }, 'a call without a verb');
});

t.test('calls of a container one after the other, of others beside them', async (t) => {
  const { calls, begun, end } = createScene();
  const answers = [calls.answer(request('ADD', 'c1'), stays), calls.answer(request('DEL', 'c1'), stays), calls.answer(request('ADD', 'c2'), stays), calls.answer(request('STATUS'), stays)];
  await eventually('three have begun', () => begun.length === 3);
  t.same([...begun].sort(), ['ADD c1', 'ADD c2', 'STATUS']);
  let isAlone = false;
  const exclusive = calls.exclusively('c1', () => {
    isAlone = true;
    return Promise.resolve('looked');
  });
  end('c1');
  await eventually('the DEL has begun', () => begun.includes('DEL c1'));
  t.equal(isAlone, false, 'what needs the container for itself waits too');
  for (const container of ['c1', 'c2', '']) end(container);
  t.equal(await exclusive, 'looked');
  for (const { status } of await Promise.all(answers)) t.equal(status, 0);
});

t.test('at most 64 at once', async (t) => {
  const { calls, begun, end } = createScene();
  const answers = Array.from({ length: 70 }, (_, number) => calls.answer(request('ADD', `c${number}`), stays));
  await eventually('the first have begun', () => begun.length >= 64);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(begun.length, 64);
  for (let number = 0; number < 6; number += 1) end(`c${number}`);
  await eventually('the others have begun', () => begun.length === 70);
  for (let number = 6; number < 70; number += 1) end(`c${number}`);
  await Promise.all(answers);
});

t.test('an ADD whose caller has gone is taken back before the container’s next call', async (t) => {
  const { calls, begun, end, lines } = createScene();
  let isThere = true;
  const left = calls.answer(request('ADD', 'c1'), () => isThere);
  const next = calls.answer(request('ADD', 'c1'), stays);
  await eventually('it has begun', () => begun.length === 1);
  isThere = false;
  end('c1');
  await eventually('it is taken back', () => begun.length === 2);
  t.same(begun, ['ADD c1', 'DEL c1']);
  end('c1');
  await left;
  await eventually('the next one has begun', () => begun.length === 3);
  end('c1');
  t.match(await next, { status: 0 });
  t.same(begun, ['ADD c1', 'DEL c1', 'ADD c1']);
  t.match(lines, [{ message: 'ADD done' }, { level: 'warn', message: /taken back/, containerId: 'c1' }, { message: 'DEL done' }, { message: 'ADD done' }]);
});

t.test('what is not taken back: an ADD that failed, other verbs', async (t) => {
  const { calls, begun, end } = createScene();
  for (const [verb, error] of [['ADD', new WeftError('ioFailure', 'failed')], ['DEL', undefined], ['CHECK', undefined]] as const) {
    let isThere = true;
    const before = begun.length;
    const left = calls.answer(verb === 'CHECK' ? { ...request(verb, 'c1'), stdin: '{"cniVersion":"1.1.0","name":"blue","type":"weft","prevResult":{"cniVersion":"1.1.0"}}' } : request(verb, 'c1'), () => isThere);
    await eventually(`${verb} has begun`, () => begun.length === before + 1);
    isThere = false;
    end('c1', error);
    await left;
    t.same(begun.slice(before), [`${verb} c1`]);
  }
});

t.test('a call whose caller has gone before its turn is not begun', async (t) => {
  const { calls, begun, end, lines } = createScene();
  const first = calls.answer(request('ADD', 'c1'), stays);
  const second = calls.answer(request('DEL', 'c1'), () => false);
  await eventually('the first has begun', () => begun.length === 1);
  end('c1');
  await first;
  t.match(await second, { status: 1, body: '' });
  t.same(begun, ['ADD c1']);
  t.match(lines.at(-1), { level: 'warn', verb: 'DEL', outcome: 'failed', error: /went away before its turn/ });
});

t.test('whose call is done here', async (t) => {
  const { calls, begun } = createScene({ isHeld: false });
  const own = netnsId(ownNetns);
  const here = { WEFT_CALLER_NETNS: own };
  const rows: readonly (readonly [string, Request, RegExp | undefined])[] = [
    ['a caller here', request('STATUS', '', here), undefined],
    ['a caller that does not say where it is', request('STATUS'), /another network namespace than the caller/],
    ['a caller elsewhere', request('STATUS', '', { WEFT_CALLER_NETNS: '4:1' }), /another network namespace than the caller/],
    ['a container that is the same for both', request('ADD', 'c1', { ...here, CNI_NETNS: ownNetns, WEFT_TARGET_NETNS: own }), undefined],
    ['a container that is another one for the caller', request('ADD', 'c1', { ...here, CNI_NETNS: ownNetns, WEFT_TARGET_NETNS: '4:1' }), /does not see the caller's \/proc\/self\/ns\/net/],
    ['a container that only the caller sees', request('ADD', 'c1', { ...here, CNI_NETNS: '/no/such', WEFT_TARGET_NETNS: '4:1' }), /does not see/],
    ['a container that nobody sees', request('DEL', 'c1', { ...here, CNI_NETNS: '/no/such' }), undefined],
  ];
  for (const [what, asked, words] of rows) {
    const refusal = calls.refuse(asked);
    t.match(refusal, words === undefined ? undefined : { reason: 'otherNamespace', words }, what);
    t.equal(refusal === undefined, words === undefined, what);
  }
  await calls.answer(request('STATUS', '', { ...here, WEFT_TARGET_NETNS: own }), stays);
  t.same(begun, ['STATUS'], 'what the protocol says of the caller is no variable of the call');
});
