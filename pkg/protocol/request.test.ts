import t from 'tap';
import { configurationBytesMax } from '../cni/configuration.ts';
import { randomFrom, testSeed, type RandomSource } from '../testing/random.ts';
import {
  encodeRequest, environmentBytesMax, headerBytes, ProtocolError, requestBytesMax, RequestDecoder, stdinBytesMax, type ProtocolFault, type Request,
} from './protocol.ts';

const call: Request = {
  kind: 'call',
  env: { CNI_COMMAND: 'ADD', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=a=b', PATH: '', WEFT_CALLER_NETNS: '4:4026531840' },
  stdin: '{"name":"grün","emoji":"🧶"}',
};

function decode(bytes: Uint8Array): Request | undefined {
  return new RequestDecoder().push(bytes);
}

/** A request written by hand: the format is fixed, and the launcher has it in C. */
function raw(fields: { magic?: string; version?: number; kind?: number; env?: string | Buffer; stdin?: string; envBytes?: number; stdinBytes?: number }): Buffer {
  const env = Buffer.from(fields.env ?? '');
  const stdin = Buffer.from(fields.stdin ?? '');
  const header = Buffer.alloc(16);
  header.write(fields.magic ?? 'WEFT', 'latin1');
  header.writeUInt16LE(fields.version ?? 1, 4);
  header.writeUInt16LE(fields.kind ?? 1, 6);
  header.writeUInt32LE(fields.envBytes ?? env.length, 8);
  header.writeUInt32LE(fields.stdinBytes ?? stdin.length, 12);
  return Buffer.concat([header, env, stdin]);
}

t.test('the bytes are those of the format', async (t) => {
  const request: Request = { kind: 'call', env: { CNI_COMMAND: 'VERSION', PATH: '/bin' }, stdin: '{}' };
  t.equal(encodeRequest(request).toString('latin1'), 'WEFT\x01\0\x01\0\x1e\0\0\0\x02\0\0\0CNI_COMMAND=VERSION\0PATH=/bin\0{}');
  t.equal(encodeRequest({ kind: 'question', env: {}, stdin: 'status' }).toString('latin1'), 'WEFT\x01\0\x02\0\0\0\0\0\x06\0\0\0status');
  t.equal(encodeRequest({ kind: 'retire', env: {}, stdin: '' }).toString('latin1'), 'WEFT\x01\0\x03\0\0\0\0\0\0\0\0\0');
  t.equal(requestBytesMax, 16 + 64 * 1024 + 1024 * 1024 + 1);
});

t.test('what was encoded is what is decoded', async (t) => {
  const largest: Request = { kind: 'call', env: { A: 'a'.repeat(environmentBytesMax - 3) }, stdin: 'x'.repeat(configurationBytesMax + 1) };
  const rows: readonly Request[] = [
    call,
    { kind: 'question', env: {}, stdin: 'status' },
    { kind: 'retire', env: {}, stdin: '' },
    { kind: 'command', env: {}, stdin: '{}' },
    largest,
    { kind: 'call', env: { __proto__x: '1', constructor: 'x' }, stdin: '\uFEFF\0 text' },
  ];
  for (const request of rows) t.same(decode(encodeRequest(request)), request);
  t.equal(decode(raw({ env: '__proto__=1\0' }))?.env['isAdmin'], undefined);
  t.same(Object.keys(decode(raw({ env: '__proto__=1\0' }))?.env ?? {}), ['__proto__'], 'a name is only a name');
});

t.test('a request in single bytes', async (t) => {
  const decoder = new RequestDecoder();
  const bytes = encodeRequest(call);
  for (const [index, byte] of bytes.entries()) {
    const request = decoder.push(Uint8Array.of(byte));
    if (index < bytes.length - 1) t.equal(request, undefined);
    else t.same(request, call, 'characters of several bytes are whole');
  }
  decoder.end();
  t.equal(decoder.push(Buffer.alloc(0)), undefined, 'nothing more is nothing');
});

t.test('a request in pieces of any size', async (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  for (let round = 0; round < 300; round += 1) {
    const request = randomRequest(random);
    t.same(decodeInPieces(encodeRequest(request), random), request);
  }
});

interface HostileRow {
  readonly name: string;
  readonly bytes: Buffer;
  readonly fault: ProtocolFault;
  readonly words: RegExp;
}

const hostileRows: readonly HostileRow[] = [
  { name: 'HTTP', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), fault: 'foreign', words: /must begin with "WEFT"/ },
  { name: 'zeros', bytes: Buffer.alloc(64), fault: 'foreign', words: /another protocol/ },
  { name: 'lower case', bytes: raw({ magic: 'weft' }), fault: 'foreign', words: /WEFT/ },
  { name: 'a newer version', bytes: raw({ version: 2 }), fault: 'version', words: /version of the protocol must be 1: current value is 2/ },
  { name: 'a newer version with other limits', bytes: raw({ version: 2, kind: 77, envBytes: 2 ** 32 - 1 }), fault: 'version', words: /current value is 2/ },
  { name: 'version 0', bytes: raw({ version: 0 }), fault: 'version', words: /current value is 0/ },
  { name: 'big-endian numbers', bytes: raw({ version: 0x0100 }), fault: 'version', words: /current value is 256/ },
  { name: 'kind 0', bytes: raw({ kind: 0 }), fault: 'kind', words: /must be of kind 1, 2, 3, 4: current value is 0/ },
  { name: 'an answer', bytes: raw({ kind: 0x81 }), fault: 'kind', words: /current value is 129/ },
  { name: 'an environment one byte too large', bytes: raw({ envBytes: environmentBytesMax + 1 }), fault: 'tooLarge', words: /environment must have at most 65536 bytes: it has 65537/ },
  { name: 'an environment of 4 GiB', bytes: raw({ envBytes: 2 ** 32 - 1 }), fault: 'tooLarge', words: /it has 4294967295/ },
  { name: 'stdin one byte too large', bytes: raw({ stdinBytes: stdinBytesMax + 1 }), fault: 'tooLarge', words: /stdin must have at most 1048577 bytes: it has 1048578/ },
  { name: 'lengths whose sum is small again in 32 bits', bytes: raw({ envBytes: 2 ** 31, stdinBytes: 2 ** 31 }), fault: 'tooLarge', words: /it has 2147483648/ },
  { name: 'bytes behind it', bytes: Buffer.concat([encodeRequest(call), Buffer.from('x')]), fault: 'malformed', words: /one request: 1 bytes follow it/ },
  { name: 'a second request', bytes: Buffer.concat([encodeRequest(call), encodeRequest(call)]), fault: 'malformed', words: /one request/ },
  { name: 'no zero byte at the end', bytes: raw({ env: 'A=1\0B=2' }), fault: 'malformed', words: /must end with a zero byte/ },
  { name: 'no "="', bytes: raw({ env: 'A=1\0B\0' }), fault: 'malformed', words: /KEY=VALUE: current value is "B"/ },
  { name: 'no name', bytes: raw({ env: '=1\0' }), fault: 'malformed', words: /KEY=VALUE: current value is "=1"/ },
  { name: 'an empty variable', bytes: raw({ env: 'A=1\0\0' }), fault: 'malformed', words: /KEY=VALUE: current value is ""/ },
  { name: 'only a zero byte', bytes: raw({ env: '\0' }), fault: 'malformed', words: /KEY=VALUE/ },
  { name: 'a variable twice', bytes: raw({ env: 'CNI_NETNS=/a\0CNI_NETNS=/b\0' }), fault: 'malformed', words: /once: CNI_NETNS is there twice/ },
  { name: 'a long variable without "="', bytes: raw({ env: `${'\n'.repeat(60_000)}\0` }), fault: 'malformed', words: /^.{0,300}$/ },
];

for (const { name, bytes, fault, words } of hostileRows) {
  t.throws(() => decode(bytes), { name: 'ProtocolError', fault, message: words }, name);
  t.throws(() => decodeInPieces(bytes, () => 0), { name: 'ProtocolError', fault }, `${name}, in single bytes`);
}

t.test('a length is refused with the header alone', async (t) => {
  const header = raw({ stdinBytes: 2 ** 32 - 1 }).subarray(0, headerBytes);
  const decoder = new RequestDecoder();
  t.equal(decoder.push(header.subarray(0, headerBytes - 1)), undefined);
  t.throws(() => decoder.push(header.subarray(headerBytes - 1)), { name: 'ProtocolError', fault: 'tooLarge' });
});

t.test('memory is for what has come, not for what was announced', async (t) => {
  const header = raw({ envBytes: environmentBytesMax, stdinBytes: stdinBytesMax });
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 1000 }, () => {
    const decoder = new RequestDecoder();
    decoder.push(header);
    return decoder;
  });
  const grown = process.memoryUsage().arrayBuffers - before;
  t.ok(grown < 64 * 1024 * 1024, `1000 connections that announce a megabyte: ${grown} bytes`);
  t.equal(decoders.length, 1000);
});

t.test('a caller that stops', async (t) => {
  const bytes = encodeRequest(call);
  for (const length of [1, 15, 16, 17, bytes.length - 1]) {
    const decoder = new RequestDecoder();
    t.equal(decoder.push(bytes.subarray(0, length)), undefined, `${length} bytes are no request`);
    t.throws(() => decoder.end(), { name: 'ProtocolError', fault: 'truncated', message: 'the caller stopped in the middle of its request' });
  }
  t.throws(() => new RequestDecoder().end(), { name: 'ProtocolError', fault: 'truncated', message: 'the caller sent no request' });
  const whole = new RequestDecoder();
  whole.push(bytes);
  t.doesNotThrow(() => whole.end());
  t.throws(() => whole.push(Buffer.from('more')), { name: 'ProtocolError', fault: 'malformed', message: /4 bytes follow it/ }, 'what comes later is refused too');
});

t.test('what cannot be sent', async (t) => {
  const rows: readonly (readonly [name: string, request: Partial<Request>, fault: ProtocolFault])[] = [
    ['a name with "="', { env: { 'A=B': '1' } }, 'malformed'],
    ['a name with a zero byte', { env: { 'A\0B': '1' } }, 'malformed'],
    ['an empty name', { env: { '': '1' } }, 'malformed'],
    ['a value with a zero byte', { env: { A: '1\0B=2' } }, 'malformed'],
    ['a large environment', { env: { A: 'a'.repeat(environmentBytesMax) } }, 'tooLarge'],
    ['a large stdin', { stdin: 'x'.repeat(stdinBytesMax + 1) }, 'tooLarge'],
    ['one that is large in UTF-8', { stdin: 'ü'.repeat(stdinBytesMax / 2 + 1) }, 'tooLarge'],
  ];
  for (const [name, change, fault] of rows) t.throws(() => encodeRequest({ ...call, ...change }), { name: 'ProtocolError', fault }, name);
});

t.test('noise', async (t) => {
  const random = randomFrom(testSeed());
  const good = encodeRequest(call);
  for (let round = 0; round < 2000; round += 1) {
    const bytes = Buffer.from(good);
    for (let change = 0; change <= random(4); change += 1) bytes[random(bytes.length)] = random(256);
    try {
      decodeInPieces(bytes, random);
    } catch (error) {
      if (!(error instanceof ProtocolError)) t.fail(`${bytes.toString('latin1')}: ${String(error)}`);
    }
  }
  t.pass('nothing but ProtocolError is thrown');
});

function decodeInPieces(bytes: Buffer, random: RandomSource): Request | undefined {
  const decoder = new RequestDecoder();
  let request: Request | undefined;
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random(1 + random(1 + random(bytes.length)));
    request = decoder.push(bytes.subarray(at, at + size)) ?? request;
    at += size;
  }
  return request;
}

function randomRequest(random: RandomSource): Request {
  const text = (length: number): string => Array.from({ length }, () => 'aé€🧶"='.at(random(6)) ?? '').join('').toWellFormed();
  const env = Object.fromEntries(Array.from({ length: random(6) }, (_, index) => [`V${index}`, text(random(40))]));
  return { kind: (['call', 'question', 'retire', 'command'] as const)[random(4)] ?? 'call', env, stdin: text(random(20_000)) };
}
