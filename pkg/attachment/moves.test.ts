import t from 'tap';
import { noEndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf, type NetConf } from '../config/net-conf.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { openTestLedger, testAttachment, testIdentity, testMac } from '../ledger/test-records.ts';
import { formatAddress, formatInterfaceAddress, formatPrefix, parseAddress, parseInterfaceAddress, parseMac, parseVni } from '../netaddr/netaddr.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { assignFound, findEndpoint, type FoundEndpoint } from './moves.ts';

const vni = parseVni(1001);
const found: FoundEndpoint = { mac: testMac(7), addresses: [parseInterfaceAddress('10.1.1.105/24'), parseInterfaceAddress('fd00:1::5/64')] };
const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.19', gateway: '10.1.1.1' }], [{ subnet: 'fd00:1::/64' }]];

/** The tenant as this node's configuration has it, of which only part of a subnet is this node's to give. */
function confOf(json: object = {}, args: object = {}): NetConf {
  const ipam = { type: 'weft', ranges, routes: [{ dst: '0.0.0.0/0' }] };
  return parseNetConf({ cniVersion: '1.1.0', name: 'blue', type: 'weft', vni, ipam, ...json }, { node: emptyNodeConf, args: { ...noEndpointArgs, endpoint: 'vm-1', ...args } });
}

function assign(ledger: Ledger, conf: NetConf, endpoint = found): ReturnType<typeof assignFound> {
  return ledger.read((tx) => assignFound(tx, conf, endpoint));
}

t.test('the addresses come along, wherever in the subnet they lie', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const { addresses, routes } = assign(ledger, confOf());
  t.same(addresses.map(({ address, gateway, rangeSet }) => [formatInterfaceAddress(address), gateway && formatAddress(gateway), rangeSet]), [['10.1.1.105/24', '10.1.1.1', 0], ['fd00:1::5/64', 'fd00:1::1', 1]]);
  t.same(routes.map(({ dst, gateway }) => [formatPrefix(dst), gateway && formatAddress(gateway)]), [['0.0.0.0/0', '10.1.1.1']]);
  t.same(assign(ledger, confOf({}, { addresses: [parseAddress('10.1.1.105')], mac: found.mac })).addresses.length, 2, 'also where they are asked for');
  t.same(assign(ledger, confOf({ ipam: { type: 'none' } }), { ...found, addresses: [] }).addresses, [], 'of a layer 2 attachment there are none');
});

t.test('addresses that cannot come', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const elsewhere = { ...found, addresses: [parseInterfaceAddress('10.9.1.5/24')] };
  t.throws(() => assign(ledger, confOf(), elsewhere), { code: 'invalidConfiguration', message: /ipam\.ranges must have the subnet of 10\.9\.1\.5\/24, which the endpoint vm-1 of tenant blue has on another node: current value has 10\.1\.1\.0\/24, fd00:1::\/64/ });
  t.throws(() => assign(ledger, confOf(), { ...found, addresses: [parseInterfaceAddress('10.1.1.5/25')] }), { code: 'invalidConfiguration' }, 'nor with another prefix');
  t.throws(() => assign(ledger, confOf({}, { addresses: [parseAddress('10.1.1.11')] })), { code: 'addressTaken', message: /has 10\.1\.1\.105, fd00:1::5 on another node, and cannot have 10\.1\.1\.11/ });
  t.throws(() => assign(ledger, confOf({}, { mac: parseMac('02:00:00:00:00:99') })), { code: 'addressTaken', message: /has the MAC 02:00:00:00:00:07 on another node/ });
  ledger.write((tx) => tx.putIdentity(testIdentity('vm-2', { addresses: [parseInterfaceAddress('10.1.1.105/24')] })));
  t.throws(() => assign(ledger, confOf()), { code: 'addressTaken', message: /belongs on this node to endpoint vm-2, for which it is kept: the nodes' ranges of tenant blue must not overlap/ });
});

t.test('the attachment of an endpoint', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const find = (): string | undefined => ledger.read((tx) => findEndpoint(tx, vni, 'vm-1'))?.key.containerId;
  t.equal(find(), undefined);
  ledger.write((tx) => tx.insertAttachment(testAttachment(1, { endpoint: 'vm-1', state: 'deleting' })));
  t.equal(find(), undefined, 'not one that is going');
  ledger.write((tx) => tx.insertAttachment(testAttachment(2, { endpoint: 'vm-1', state: 'attached' })));
  t.equal(find(), 'container-2');
});
