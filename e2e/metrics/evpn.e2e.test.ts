/** With BGP EVPN: the sessions are told, up and down. */
import { appendFileSync } from 'node:fs';
import t from 'tap';
import { createEvpnScene, eventually, nodeOf, skipWithoutEvpnLab } from '../evpn/scene.ts';
import { attachGuest, blue } from '../harness/tenant.ts';
import { port } from './scene.ts';
import { answers, lint, request, samplesOf, sumOf } from './scrape.ts';

t.setTimeout(180_000);

t.test('sessions', { skip: skipWithoutEvpnLab('python3', 'promtool') }, async (t) => {
  const scene = await createEvpnScene(t, { nodes: 2 });
  const [one, two] = [nodeOf(scene, 1), nodeOf(scene, 2)];
  appendFileSync(one.node.configPath, `metrics: { listen: "${one.node.ipv4}:${port}" }\n`);
  for (const number of [1, 2]) await attachGuest(scene.lab, { ...blue, extra: { peers: undefined } }, number, { label: `blue-${number}` });
  const end = { netns: scene.lab.underlayNetns, host: one.node.ipv4, port };
  await eventually('it answers', () => answers(end), () => one.daemon.describe());
  await eventually('the session stands, and the other node has told of its endpoint', () => sumOf(request(end).body, 'weft_bgp_session_up') === 1 && sumOf(request(end).body, 'weft_bgp_prefixes_received') > 0, () => request(end).body);
  const { body } = request(end);
  t.equal(lint(body), '');
  t.match(samplesOf(body, 'weft_bgp_session_up').map(({ labels, value }) => [labels['neighbor'], value]), [[two.node.ipv4, 1]]);
  t.match(samplesOf(body, 'weft_tenant_info')[0]?.labels, { tenant: 'blue', control_plane: 'evpn' });
  await two.frr.kill('bgpd');
  await eventually('the session is down', () => samplesOf(request(end).body, 'weft_bgp_session_up').some(({ value }) => value === 0), () => request(end).body);
});
