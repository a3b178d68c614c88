import t from 'tap';
import { eui64LinkLocal, formatAddress } from '../../../netaddr/netaddr.ts';
import type { RemoteEndpoint } from '../../../overlay/model.ts';
import { flowsByMac, portFlows, remoteFlows, remotesIn, segmentFlows } from './flows.ts';
import { blueNetwork, bluePort, blueRemote, redNetwork, redRemote } from './test-tenants.ts';

const describe = ({ mac, vtep, addresses }: RemoteEndpoint): string => [mac, formatAddress(vtep), ...addresses.map(formatAddress)].join(' ');
const linkLocal = eui64LinkLocal(blueRemote.mac);

t.same(remotesIn(remoteFlows(blueNetwork, blueRemote)).map(describe), [describe({ ...blueRemote, addresses: [...blueRemote.addresses, linkLocal] })], 'with the link-local address that is asked for too');
t.same(remotesIn(remoteFlows(redNetwork, redRemote)).map(describe), [describe(redRemote)], 'only the MAC, over IPv6');

const again = remotesIn(remoteFlows(blueNetwork, blueRemote)).flatMap((endpoint) => remoteFlows(blueNetwork, endpoint));
t.same(new Set(again.map((flow) => JSON.stringify(flow, asText))), new Set(remoteFlows(blueNetwork, blueRemote).map((flow) => JSON.stringify(flow, asText))), 'what is read back makes the same flows');

t.same(remotesIn([...portFlows(bluePort), ...segmentFlows(blueNetwork)]), [], 'nothing of this node');
const answers = remoteFlows(blueNetwork, blueRemote).slice(0, -1);
t.same(remotesIn(answers), [], 'without a VTEP it is nowhere');
t.equal(flowsByMac(answers).get(blueRemote.mac)?.length, answers.length, 'and yet the flows are its');
t.same(remotesIn([{ table: 30, priority: 60, match: {}, instructions: {} }, { table: 10, priority: 50, match: {}, instructions: { apply: [] } }]), [], 'what weft would not have sent');

function asText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}` : value;
}
