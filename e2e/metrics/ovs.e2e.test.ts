/** With Open vSwitch: containers' traffic as with bridges, and the switch's one tunnel, which has all tenants. */
import t from 'tap';
import { runIn } from '../../pkg/testing/command.ts';
import { skipWithoutDaemonLabOf } from '../harness/weft-executable.ts';
import { createMetricsScene, endOf, eventually } from './scene.ts';
import { lint, request, samplesOf, sumOf } from './scrape.ts';

t.setTimeout(180_000);

t.test('Open vSwitch', { skip: skipWithoutDaemonLabOf(['ovs'], 'python3', 'promtool') }, async (t) => {
  const scene = await createMetricsScene(t, 'ovs');
  const [sender, other] = scene.senders;
  const address = other?.result.ips?.[0]?.address.split('/')[0] ?? '';
  // The userspace datapath may lose the first one.
  await eventually('the senders reach each other', () => {
    try {
      return runIn(sender?.netns ?? '', 'ping', '-c', '5', '-i', '0.05', '-s', '1000', address).includes('bytes from');
    } catch {
      return false;
    }
  });
  const scrape = (): string => request(endOf(scene, 1)).body;
  await eventually('the switch has counted it', () => sumOf(scrape(), 'weft_tunnel_transmit_bytes_total') > 5000, scrape);
  const body = scrape();
  t.equal(lint(body), '');
  t.match(samplesOf(body, 'weft_tenant_info').map(({ labels }) => labels), [{ tenant: 'blue', datapath: 'ovs' }]);
  const tunnels = samplesOf(body, 'weft_tunnel_transmit_packets_total');
  t.equal(tunnels.length, 1);
  t.match(tunnels[0]?.labels, { device: /^weft-t/, tenant: undefined });
  for (const direction of ['receive', 'transmit']) {
    t.ok(sumOf(body, `weft_endpoint_${direction}_bytes_total`, { container_id: sender?.attach.containerId ?? '' }) > 5000, direction);
    t.ok(sumOf(body, `weft_tenant_${direction}_packets_total`, { tenant: 'blue' }) >= 5);
    t.ok(sumOf(body, `weft_tunnel_${direction}_packets_total`) >= 5);
    t.ok(sumOf(body, `weft_underlay_${direction}_packets_total`) >= 5);
  }
});
