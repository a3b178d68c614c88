/** By what a plan is made: the peers that count, and the underlay for them. */
import t from 'tap';
import { noEndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf } from '../config/net-conf.ts';
import { parseNodeConf } from '../config/node-conf.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import { openTestLedger, testSegment } from '../ledger/test-records.ts';
import { formatAddress, parseAddress, type Address } from '../netaddr/netaddr.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import type { EngineParts } from './engine-parts.ts';
import { planOnNode } from './plan.ts';

const json = { cniVersion: '1.1.0', name: 'blue', type: 'weft', vni: 1001 };

t.test('with BGP the peers are those of the ledger, else those of the configuration', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const asked: string[] = [];
  const note = (who: string, peers: readonly Address[] = []): void => void asked.push(`${who} of ${peers.map(formatAddress).join(' ') || 'nobody'}`);
  const parts: Pick<EngineParts, 'ledger' | 'underlay' | 'path' | 'warn'> = {
    ledger: () => ledger,
    underlay(_settings, _family, peers) {
      note('underlay', peers);
      return { vtepAddress: parseAddress('192.0.2.1'), mtu: 1500, linkMtu: 1500, limit: 'the MTU of eth0', links: [] };
    },
    path: { narrowest: (peers) => void note('path', peers) as undefined },
    warn: (_code, message) => t.fail(message),
  };
  planOnNode(parts as EngineParts, parseNetConf({ ...json, peers: ['192.0.2.2'] }, { node: emptyNodeConf, args: noEndpointArgs }));
  const node = parseNodeConf('controlPlane: {type: evpn, as: 65000, neighbors: [{address: 192.0.2.9}]}', 'weft.yaml');
  const byBgp = parseNetConf(json, { node, args: noEndpointArgs });
  planOnNode(parts as EngineParts, byBgp);
  const segment = testSegment({ controlPlane: 'evpn', peers: [parseAddress('192.0.2.7')] });
  ledger.write((tx) => tx.putSegment({ vni: segment.vni, segment }));
  t.match(planOnNode(parts as EngineParts, byBgp), { overlayMtu: 1450 });
  t.same(asked, ['underlay of 192.0.2.2', 'path of 192.0.2.2', 'underlay of nobody', 'path of nobody', 'underlay of 192.0.2.7', 'path of 192.0.2.7']);
});
