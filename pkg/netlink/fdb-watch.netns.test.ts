/** Being told of what a bridge learns at a port, and what a link hands on as if another had received it. */
import t from 'tap';
import { insideNetns } from '../sys/netns.ts';
import { startCapture } from '../testing/capture.ts';
import { run, runIn } from '../testing/command.ts';
import { createNetns } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { watchFdb } from './fdb-watch.ts';
import { decodeLink, getLink } from './link.ts';
import type { NetlinkMessage } from './codec.ts';
import { addIngress, addRedirectAsReceived, decodeRedirect, listFilters } from './qdisc.ts';
import { openNetlinkIn, withNetns } from './test-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'tc', 'ping', 'tcpdump'] });
const eventDeadlineMs = 5000;

void t.test('watchFdb() tells of entries of its port alone', { skip }, async (t) => {
  const netns = createNetns(t, 'bridge');
  run('ip', ['-n', netns, '-batch', '-'], ['link add br0 type bridge', 'link add p0 master br0 type veth peer name q0', 'link add p1 master br0 type veth peer name q1', ...['br0', 'p0', 'p1', 'q0', 'q1'].map((name) => `link set ${name} up`)].map((line) => `${line}\n`).join(''));
  const { index } = decodeLink(openNetlinkIn(t, netns).request([getLink('p1')])[0]?.[0] as NetlinkMessage);
  let count = 0;
  const changed = Promise.withResolvers<void>();
  const watch = withNetns(netns, (fd) => insideNetns(fd, () => watchFdb(index, () => void (count += 1, changed.resolve()))));
  t.teardown(() => watch.close());
  const deadline = setTimeout(() => changed.reject(new Error('nothing was told')), eventDeadlineMs);
  const put = (port: string): void => void run('bridge', ['-n', netns, 'fdb', 'replace', '02:00:00:00:00:01', 'dev', port, 'master', 'dynamic']);
  put('p0');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(count, 0, 'another port');
  put('p1');
  await changed.promise;
  clearTimeout(deadline);
  t.equal(count, 1);
  watch.close();
  watch.close();
  put('p0');
  put('p1');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(count, 1, 'closed');
});

void t.test('addRedirectAsReceived()', { skip }, async (t) => {
  const [netns, far] = [createNetns(t, 'near'), createNetns(t, 'far')];
  run('ip', ['-n', netns, '-batch', '-'], [`link add a0 type veth peer name b0 netns ${far}`, 'link add c0 type veth peer name c1', 'link set a0 up', 'link set c0 up', 'link set c1 up'].map((line) => `${line}\n`).join(''));
  run('ip', ['-n', far, '-batch', '-'], ['link set b0 up', 'address add 192.0.2.1/24 dev b0', 'neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev b0'].map((line) => `${line}\n`).join(''));
  const route = openNetlinkIn(t, netns);
  const [from, to] = ['a0', 'c0'].map((name) => decodeLink(route.request([getLink(name)])[0]?.[0] as NetlinkMessage).index) as [number, number];
  route.request([addIngress(from), addRedirectAsReceived(from, to)]);
  t.match(run('tc', ['-n', netns, 'filter', 'show', 'dev', 'a0', 'ingress']), /mirred \(Ingress Redirect to device c0\) stolen/);
  t.same(route.dump(listFilters(from)).map(decodeRedirect).filter((link) => link !== undefined), [to]);
  const capture = await startCapture(t, netns, 'c0');
  t.throws(() => runIn(far, 'ping', '-n', '-c', '2', '-i', '0.01', '-W', '0.1', '192.0.2.9', '-p', '77656674'), 'nobody answers');
  t.ok(await capture.waitFor(() => capture.count('weft') === 2, eventDeadlineMs), 'the other link seems to have received them');
});
