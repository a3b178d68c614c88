import { closeSync } from 'node:fs';
import t from 'tap';
import { openNetlink } from '../netlink/netlink-socket.ts';
import { insideNetns, openNetns } from '../sys/netns.ts';
import { runIn } from '../testing/command.ts';
import { createNetns, netnsPath } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { decodeBaseChain, ipFamilies, listBaseChains } from './base-chains.ts';

void t.test('chains of others at their hooks', { skip: skipUnless({ root: true, tools: ['nft'] }) }, (t) => {
  const netns = createNetns(t);
  const fd = openNetns(netnsPath(netns));
  t.teardown(() => closeSync(fd));
  const socket = insideNetns(fd, () => openNetlink('netfilter'));
  t.teardown(() => socket.close());
  const list = (): readonly string[] => ipFamilies.flatMap((family) => socket.dump(listBaseChains(family)).flatMap((message) => decodeBaseChain(message) ?? []).map(({ name, hook, dropsByDefault }) => `${name} ${hook} ${dropsByDefault ? 'drop' : 'accept'}`)).sort();
  t.same(list(), []);
  for (const family of ['ip', 'ip6', 'inet']) runIn(netns, 'nft', 'add', 'table', family, 'mine');
  runIn(netns, 'nft', 'add chain ip mine FORWARD { type filter hook forward priority 0; policy drop; }');
  runIn(netns, 'nft', 'add chain ip6 mine in { type filter hook input priority 0; }');
  runIn(netns, 'nft', 'add chain inet mine out { type nat hook postrouting priority 100; policy accept; }');
  runIn(netns, 'nft', 'add chain inet mine jumped');
  t.same(list(), ['inet mine out postrouting accept', 'ip mine FORWARD forward drop', 'ip6 mine in input accept'], 'a chain that hangs nowhere is none of them');
  t.end();
});
