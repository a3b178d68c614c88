/** The guard's rules as nft(8) lists them, against a golden file; UPDATE_GOLDEN=1 writes it anew. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openNetlinkIn } from '../../netlink/test-socket.ts';
import { commitBatch } from '../../nftables/nftables.ts';
import { run } from '../../testing/command.ts';
import { createNetns } from '../../testing/netns.ts';
import { readRuleset } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { gatewayTables } from './gateway-rules.ts';
import { guardTables } from './guard-rules.ts';

const golden = join(import.meta.dirname, 'testdata', 'guard.nft');
const skip = skipUnless({ root: true, tools: ['ip', 'nft'] });

void t.test('nft lists the guard as it is written down', { skip }, async (t) => {
  const netns = createNetns(t);
  const socket = openNetlinkIn(t, netns, 'netfilter');
  commitBatch(socket, guardTables());
  commitBatch(socket, gatewayTables());
  // Its version stands first: another one may list the same rules in other words.
  const listing = `# ${run('nft', ['--version'])}${readRuleset(netns)}`;
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(golden, listing);
  const expected = readFileSync(golden, 'utf8');
  const version = (text: string): string | undefined => text.split('\n')[0];
  if (version(listing) === version(expected)) t.equal(listing, expected);
  else t.comment(`not compared: written with ${version(expected)}, this is ${version(listing)}`);
  t.equal(countRules(listing), guardTables().concat(gatewayTables()).filter(({ what }) => what.startsWith('add a rule')).length, 'every rule is listed');
  t.throws(() => commitBatch(socket, guardTables()), { code: 'kernelRefused', errnoCode: 'EEXIST' }, 'a second time is refused whole');
  t.equal(`# ${run('nft', ['--version'])}${readRuleset(netns)}`, listing);
});

/** Lines inside chains that are rules: those that end in a verdict or statement, two tabs deep, but for the hook's own line. */
function countRules(listing: string): number {
  const chains = listing.split('\n\tchain ').slice(1).map((text) => text.slice(0, text.indexOf('\n\t}')));
  return chains.flatMap((chain) => chain.split('\n').slice(1)).filter((line) => line.startsWith('\t\t') && !line.startsWith('\t\ttype ')).length;
}
