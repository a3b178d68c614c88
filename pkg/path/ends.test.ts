import t from 'tap';
import type { LogFields } from '../log/log.ts';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { pause } from '../sys/timer.ts';
import { Ends, type OpenEnd } from './ends.ts';

const [one, two, six] = ['192.0.2.1', '192.0.2.2', '2001:db8::1'].map((text) => parseAddress(text)) as [ReturnType<typeof parseAddress>, ReturnType<typeof parseAddress>, ReturnType<typeof parseAddress>];

interface Scene {
  readonly ends: Ends;
  /** Opened and not closed. */
  readonly open: Set<string>;
  readonly attempts: string[];
  readonly said: string[];
  /** Addresses that cannot be had. */
  readonly taken: Set<string>;
  readonly returns: () => number;
}

function scene(): Scene {
  const [open, attempts, said, taken] = [new Set<string>(), [] as string[], [] as string[], new Set<string>()];
  let returns = 0;
  const say = (level: string) => (_fields: LogFields, message: string) => void said.push(`${level}: ${message}`);
  const ends = new Ends({
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
    open: ({ address, port }): OpenEnd => {
      const name = `${formatAddress(address)} ${port}`;
      attempts.push(name);
      if (taken.has(name)) throw new Error('bind: address in use (EADDRINUSE)');
      open.add(name);
      return { way: 'underlay', probe: async () => ({ kind: 'silent' }), close: () => void open.delete(name) };
    },
    onOpened: () => (returns += 1),
  });
  return { ends, open, attempts, said, taken, returns: () => returns };
}

t.test('one at each address, and no others', async (t) => {
  const { ends, open, attempts } = scene();
  ends.follow([one, six], 7);
  t.same([...open], ['192.0.2.1 7', '2001:db8::1 7']);
  ends.follow([one, two], 7);
  t.same([...open], ['192.0.2.1 7', '192.0.2.2 7']);
  t.ok(ends.at(one));
  t.notOk(ends.at(six));
  t.equal(attempts.length, 3, 'what stays is left alone');
  ends.follow([one], 8);
  t.same([...open], ['192.0.2.1 8'], 'another port');
  ends.close();
  t.same([...open], []);
});

t.test('an address that cannot be had keeps no other one, and is tried again', async (t) => {
  const { ends, open, taken, said, returns } = scene();
  taken.add('192.0.2.1 7');
  ends.follow([one, two], 7);
  t.same([...open], ['192.0.2.2 7']);
  t.notOk(ends.at(one));
  t.same([said, ends.faults], [[], []], 'a daemon that is replaced has it for a moment yet');
  for (let count = 0; count < 5; count += 1) ends.retry();
  t.match(said, [/^warn: the paths to other nodes cannot be probed/], 'said once');
  t.match(ends.faults, [/UDP port 7 of 192\.0\.2\.1 cannot be had: bind: address in use \(EADDRINUSE\): free it, or choose another path\.port on all nodes$/]);
  taken.clear();
  ends.retry();
  t.ok(ends.at(one));
  t.match([said[1], ends.faults, returns()], [/^info: /, [], 1]);
  ends.close();
});

t.test('it is tried again by itself, less and less often', async (t) => {
  const { ends, attempts, taken } = scene();
  taken.add('192.0.2.1 7');
  ends.follow([one], 7);
  while (attempts.length < 3) await pause(10);
  ends.close();
  const count = attempts.length;
  await pause(600);
  t.equal(attempts.length, count, 'closed, it stays so');
});
