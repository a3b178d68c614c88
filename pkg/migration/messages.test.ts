import t from 'tap';
import { parseAddress, parseInterfaceAddress, parseMac, parseVni } from '../netaddr/netaddr.ts';
import { decodeFound, decodeMessage, decodePhase, encodeBody, sayings, type FindAnswer, type Message } from './messages.ts';

const name = { vni: parseVni(1001), endpoint: 'vm-1' };
const identity = { mac: parseMac('02:00:00:00:00:01'), addresses: [parseInterfaceAddress('10.1.1.5/24'), parseInterfaceAddress('fd00:1::5/64')] };

/** As the other node gets it. */
function travel(body: Parameters<typeof encodeBody>[0]): unknown {
  return JSON.parse(JSON.stringify(encodeBody(body)));
}

t.test('what is said arrives', async (t) => {
  const messages: readonly Message[] = [
    { kind: 'find', ...name },
    { kind: 'ask', id: 'a1', ...name },
    ...sayings.map((saying): Message => ({ kind: 'say', id: 'a1', saying, vtep: parseAddress('192.0.2.2'), ...name })),
  ];
  for (const message of messages) t.same(decodeMessage(travel(message)), message);
  const answers: readonly FindAnswer[] = [{ kind: 'absent' }, { kind: 'moving', words: 'to 192.0.2.3' }, { kind: 'attached', ...identity }, { kind: 'attached', ...identity, addresses: [] }, { kind: 'kept', ...identity, updatedAt: 5 }];
  for (const answer of answers) t.same(decodeFound(travel(answer)), answer);
  t.same(decodePhase(travel({ phase: 'departed' })), { phase: 'departed' });
  t.same(decodePhase(travel({ phase: 'unknown' })), { phase: 'unknown' });
});

t.test('what is not understood', async (t) => {
  const say = { kind: 'say', id: 'a1', saying: 'open', vtep: '192.0.2.2', ...name };
  const rows: readonly (readonly [unknown, RegExp])[] = [
    [undefined, /must be an object: it is missing/], [[], /an array/], [{}, /vni/], [{ ...say, vni: 0 }, /vni/], [{ ...say, endpoint: '' }, /endpoint must be text/],
    [{ ...say, kind: 'shout' }, /kind must be find, ask or say: current value is "shout"/], [{ ...say, saying: 'activate' }, /saying must be one of/],
    [{ ...say, vtep: 'b' }, /./], [{ ...say, id: 7 }, /id must be text: current value is 7/],
  ];
  for (const [body, cause] of rows) {
    t.throws(() => decodeMessage(body), { code: 'invalidConfiguration', message: /does not understand/, cause: { message: cause } }, JSON.stringify(body));
  }
  for (const body of [{ kind: 'found' }, { kind: 'attached', mac: 'x', addresses: [] }, { kind: 'attached', mac: identity.mac }, { kind: 'attached', mac: identity.mac, addresses: ['10.1.1.5'] }]) {
    t.throws(() => decodeFound(body), { code: 'invalidConfiguration' });
  }
  t.throws(() => decodePhase({ phase: 'beaming' }), { code: 'invalidConfiguration' });
});
