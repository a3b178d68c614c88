import t from 'tap';
import { readEnvironment, type ReadonlyEnv } from './environment.ts';
import { verbs, type Verb } from './versions.ts';

const complete: ReadonlyEnv = {
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/a',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=web',
  CNI_PATH: '/opt/cni/bin:/usr/lib/cni',
};

type Outcome = 'ok' | 'fault';
interface Row {
  readonly variable: string;
  readonly missing: Readonly<Record<Verb, Outcome>>;
  /** A value that is wrong wherever it is looked at. */
  readonly wrong?: string;
  readonly wrongOutcome?: Readonly<Record<Verb, Outcome>>;
}

const attachmentVerbs = { ADD: 'fault', DEL: 'fault', CHECK: 'fault', GC: 'ok', STATUS: 'ok', VERSION: 'ok' } as const;
const never = { ADD: 'ok', DEL: 'ok', CHECK: 'ok', GC: 'ok', STATUS: 'ok', VERSION: 'ok' } as const;

const matrix: readonly Row[] = [
  { variable: 'CNI_CONTAINERID', missing: attachmentVerbs, wrong: '../x', wrongOutcome: attachmentVerbs },
  { variable: 'CNI_NETNS', missing: { ...attachmentVerbs, DEL: 'ok' } },
  { variable: 'CNI_IFNAME', missing: attachmentVerbs, wrong: 'a/b', wrongOutcome: attachmentVerbs },
  { variable: 'CNI_ARGS', missing: never, wrong: 'novalue', wrongOutcome: { ...attachmentVerbs, DEL: 'ok' } },
  { variable: 'CNI_PATH', missing: never },
];

function outcomeOf(env: ReadonlyEnv, variable: string): Outcome {
  try {
    readEnvironment(env);
    return 'ok';
  } catch (error) {
    t.match(error, { code: 'invalidEnvironment', cniCode: 4, message: new RegExp(`^${variable} `) }, `the fault names ${variable}`);
    return 'fault';
  }
}

for (const { variable, missing, wrong, wrongOutcome } of matrix) {
  for (const verb of verbs) {
    const call = { ...complete, CNI_COMMAND: verb };
    t.equal(outcomeOf({ ...call, [variable]: undefined }, variable), missing[verb], `${verb} without ${variable}`);
    t.equal(outcomeOf({ ...call, [variable]: '' }, variable), missing[verb], `${verb} with ${variable} empty`);
    if (wrong !== undefined && wrongOutcome !== undefined) t.equal(outcomeOf({ ...call, [variable]: wrong }, variable), wrongOutcome[verb], `${verb} with ${variable}=${wrong}`);
  }
}

t.strictSame(readEnvironment({ ...complete, CNI_COMMAND: 'ADD' }), {
  verb: 'ADD',
  containerId: 'c1',
  netns: '/run/netns/a',
  ifName: 'eth0',
  args: new Map([['IgnoreUnknown', '1'], ['K8S_POD_NAME', 'web']]),
  path: ['/opt/cni/bin', '/usr/lib/cni'],
}, 'ADD takes everything');

t.strictSame(readEnvironment({ ...complete, CNI_COMMAND: 'GC' }), { verb: 'GC', containerId: '', netns: '', ifName: '', args: new Map(), path: ['/opt/cni/bin', '/usr/lib/cni'] }, 'GC takes the path only');
t.strictSame(
  readEnvironment({ CNI_COMMAND: 'VERSION', CNI_CONTAINERID: '!', CNI_IFNAME: 'dummy', CNI_NETNS: 'dummy', CNI_PATH: 'dummy', CNI_ARGS: '!' }),
  { verb: 'VERSION', containerId: '', netns: '', ifName: '', args: new Map(), path: [] },
  'VERSION looks at no dummy',
);

const verbNames: readonly (readonly [string | undefined, string])[] = [[undefined, 'missing'], ['', '""'], ['add', '"add"'], ['ADD ', '"ADD "'], ['UPDATE', '"UPDATE"'], ['toString', '"toString"']];
for (const [value, shown] of verbNames) {
  t.throws(() => readEnvironment({ ...complete, CNI_COMMAND: value }), { cniCode: 4, message: `CNI_COMMAND must be one of ADD, DEL, CHECK, GC, STATUS, VERSION: current value is ${shown}` });
}

t.throws(
  () => readEnvironment({ CNI_COMMAND: 'ADD', CNI_CONTAINERID: '-x', CNI_IFNAME: 'sixteen-bytes-xx', CNI_ARGS: '=1' }),
  {
    message:
      'CNI_CONTAINERID must begin with a letter or digit and have only letters, digits, "_", "." and "-": current value is "-x"; CNI_NETNS must be set for ADD; ' +
      'CNI_IFNAME must have at most 15 bytes: current value is "sixteen-bytes-xx"; CNI_ARGS must be KEY=VALUE pairs separated by ";": current value is "=1"',
  },
  'one message has every fault',
);

const ifNames: readonly (readonly [string, boolean])[] = [
  ['eth0', true], ['a', true], ['fifteen-bytes-x', true], ['net1.100', true], ['...', true], ['ü', true], ['"', true],
  ['sixteen-bytes-xx', false], ['üüüüüüüü', false], ['.', false], ['..', false], ['a/b', false], ['a:1', false], ['a b', false],
  ['a\tb', false], ['a\nb', false], ['a\vb', false], ['a\fb', false], ['a\rb', false], ['a\u00a0b', false],
  // Its second byte is 0xa0, which the kernel takes for white space.
  ['à', false],
  ['eth%d', false],
];
for (const [ifName, isSound] of ifNames) {
  t.equal(outcomeOf({ ...complete, CNI_COMMAND: 'ADD', CNI_IFNAME: ifName }, 'CNI_IFNAME'), isSound ? 'ok' : 'fault', `interface name ${JSON.stringify(ifName)}`);
}

const argsRows: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
  ['', []],
  [';', []],
  ['A=1;', [['A', '1']]],
  ['A=', [['A', '']]],
  ['A=b=c', [['A', 'b=c']]],
  ['A=1;A=2', [['A', '2']]],
  ['IP=10.0.0.1;MAC=02:00:00:00:00:01', [['IP', '10.0.0.1'], ['MAC', '02:00:00:00:00:01']]],
  ['__proto__=1', [['__proto__', '1']]],
];
for (const [text, expected] of argsRows) t.same([...readEnvironment({ ...complete, CNI_COMMAND: 'ADD', CNI_ARGS: text }).args], expected, `CNI_ARGS=${text}`);
for (const text of ['A', '=1', 'A=1;B', 'A=1; ;B=2']) {
  t.throws(() => readEnvironment({ ...complete, CNI_COMMAND: 'ADD', CNI_ARGS: text }), { cniCode: 4, message: /^CNI_ARGS must be KEY=VALUE/ }, `CNI_ARGS=${text} is refused`);
}
t.same([...readEnvironment({ ...complete, CNI_COMMAND: 'DEL', CNI_ARGS: 'B;WEFT_ENDPOINT=web' }).args], [['WEFT_ENDPOINT', 'web']], 'DEL takes the sound pairs');

t.same(readEnvironment({ ...complete, CNI_COMMAND: 'ADD', CNI_PATH: ':/a::/b:' }).path, ['/a', '/b'], 'empty entries of CNI_PATH do not mean the working directory');
