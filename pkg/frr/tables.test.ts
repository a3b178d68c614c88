import { readFileSync } from 'node:fs';
import t from 'tap';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { decodeRoutes, decodeSessions, type EvpnRoute } from './bgp-tables.ts';
import { decodeMacs, decodeNeighbours, decodeVnis } from './zebra-tables.ts';

/** What FRR 8.4.4 answered: node 192.0.2.1 after its endpoint 02:00:00:00:00:01 has moved to 192.0.2.2 (WEFT_RECORD=1, tables.netns.test.ts). */
function recorded(name: string): string {
  return readFileSync(new URL(`testdata/${name}.json`, import.meta.url), 'utf8');
}

function garbled(message: RegExp): { name: string; kind: string; code: string; message: RegExp } {
  return { name: 'WeftError', kind: 'garbled', code: 'ioFailure', message };
}

t.test('sessions', (t) => {
  const sessions = decodeSessions(recorded('summary'), recorded('neighbors'));
  t.match(sessions, [
    { name: '192.0.2.2', address: parseAddress('192.0.2.2'), as: 65000, hostName: 'node', peerGroup: 'weft', state: 'Established', isUp: true, establishedCount: 1 },
    { name: '192.0.2.99', as: 65000, peerGroup: 'weft', isUp: false, prefixesReceived: 0, prefixesSent: 0, establishedCount: 0, reason: 'Waiting for peer OPEN' },
    { name: '192.0.2.3', as: 65003, peerGroup: 'weft-ebgp', isUp: true, establishedCount: 1 },
  ]);
  t.ok((sessions[0]?.sinceMs ?? -1) >= 0);
  t.notOk('sinceMs' in (sessions[1] ?? {}), 'never up');
  t.notOk('reason' in (sessions[0] ?? {}), 'up needs no reason');
  const peer = (more: object): string => JSON.stringify({ peers: { x: { remoteAs: 1, state: 'Idle', peerUptime: '00:00:01', peerUptimeMsec: 1000, pfxRcd: 0, connectionsEstablished: 3, ...more } } });
  t.same(decodeSessions(peer({}), '{"x":{"lastResetDueTo":"BGP Notification received","lastNotificationReason":"Cease/Administrative Shutdown"}}'), [
    { name: 'x', as: 1, state: 'Idle', isUp: false, sinceMs: 1000, prefixesReceived: 0, prefixesSent: 0, establishedCount: 3, reason: 'BGP Notification received: Cease/Administrative Shutdown' },
  ]);
  t.match(decodeSessions(peer({}), '{"x":{"lastResetDueTo":"Peer closed the session","lastNotificationReason":"old"}}'), [{ reason: 'Peer closed the session' }]);
  t.match(decodeSessions(peer({}), '{"x":{"adminShutDown":true,"lastResetDueTo":"a"}}'), [{ reason: 'shut down by configuration' }]);
  t.match(decodeSessions(peer({}), ''), [{ isUp: false, reason: undefined }]);
  for (const none of ['', '{}\n', '{"peers":{}}']) t.same(decodeSessions(none, none), [], JSON.stringify(none));
  t.throws(() => decodeSessions(peer({ state: 7 }), ''), garbled(/^The answer of FRR to "show bgp l2vpn evpn summary json" must have a string at peers x state: it has 7$/));
  t.throws(() => decodeSessions(peer({ pfxRcd: -1 }), ''), garbled(/a whole number at peers x pfxRcd/));
  t.throws(() => decodeSessions('{"peers":{"x":{}}}', ''), garbled(/must have "state" at peers x/));
  t.throws(() => decodeSessions('% BGP instance not found', ''), garbled(/must be JSON: it begins with "% BGP instance not found"/));
  t.end();
});

function describe(route: EvpnRoute): string {
  const what = route.kind === 'vtep' ? formatAddress(route.originator) : `${route.mac}${route.address === undefined ? '' : ` ${formatAddress(route.address)}`}`;
  return `${route.kind} ${route.vni} ${what} ${formatAddress(route.nextHop)} ${route.origin.kind === 'own' ? 'own' : route.origin.from} ${route.sequence}`;
}

t.test('routes', (t) => {
  const routes = decodeRoutes(recorded('routes'));
  t.ok(routes.every(({ isBest }) => isBest));
  const without = routes.filter((route) => route.kind === 'vtep' || route.mac.startsWith('02:00:00:00:00')).map(describe);
  t.same(without.toSorted(), [
    'endpoint 1001 02:00:00:00:00:01 192.0.2.2 192.0.2.2 1',
    'endpoint 1001 02:00:00:00:00:02 10.1.1.2 192.0.2.2 192.0.2.2 0',
    'endpoint 1001 02:00:00:00:00:02 192.0.2.2 192.0.2.2 0',
    'endpoint 1001 02:00:00:00:00:03 10.1.1.3 192.0.2.3 192.0.2.3 0',
    'endpoint 1001 02:00:00:00:00:03 192.0.2.3 192.0.2.3 0',
    'vtep 1001 192.0.2.1 192.0.2.1 own 0',
    'vtep 1001 192.0.2.2 192.0.2.2 192.0.2.2 0',
    'vtep 1001 192.0.2.3 192.0.2.3 192.0.2.3 0',
    'vtep 1002 192.0.2.1 192.0.2.1 own 0',
    'vtep 1002 192.0.2.2 192.0.2.2 192.0.2.2 0',
  ]);
  for (const none of ['', '{"numPrefix":0,"numPaths":0}\n']) t.same(decodeRoutes(none), []);
  t.end();
});

t.test('routes of other makers', (t) => {
  const route = (route: object, path: object): string => JSON.stringify({ '1.1.1.1:1': { rd: '1.1.1.1:1', '[x]': { routeType: 2, mac: '02:00:00:00:00:01', ...route, paths: [[{ nexthops: [{ ip: '192.0.2.9' }], peer: { peerId: '192.0.2.8' }, ...path }]] } } });
  t.match(decodeRoutes(route({}, { vni: '1001/5001' })), [{ kind: 'endpoint', vni: 1001, rd: '1.1.1.1:1', isBest: false, sequence: 0, origin: { kind: 'received', from: '192.0.2.8' } }], 'with a VNI of layer 3');
  t.match(decodeRoutes(route({}, { vni: 1001, bestpath: { overall: true }, extendedCommunity: { string: 'RT:1:2 MM:4294967295, sticky MAC ET:8' } })), [{ isBest: true, sequence: 4294967295 }]);
  t.notOk('vni' in (decodeRoutes(route({}, {}))[0] ?? {}));
  t.same(decodeRoutes(route({ routeType: 5 }, {})), [], 'other types');
  t.throws(() => decodeRoutes(route({ mac: 'x' }, {})), garbled(/"show bgp l2vpn evpn route detail json" must have a MAC at 1\.1\.1\.1:1 \[x\] mac: it has "x"/));
  t.throws(() => decodeRoutes(route({}, { nexthops: [] })), garbled(/must have an item at .* nexthops/));
  t.throws(() => decodeRoutes(route({}, { vni: '16777216' })), garbled(/must have a VNI at/));
  t.throws(() => decodeRoutes('{"a":{"b":{"routeType":2,"mac":"02:00:00:00:00:01","paths":{}}}}'), garbled(/an array at a b paths: it has \{\}/));
  t.throws(() => decodeRoutes('[]'), garbled(/an object at its top: it has \[\]/));
  t.throws(() => decodeRoutes('{"a":'), garbled(/must be JSON/));
  t.end();
});

t.test('VNIs', (t) => {
  const vnis = decodeVnis(recorded('vnis'));
  t.same(vnis.map(({ vtep, remoteVteps, ...vni }) => ({ ...vni, vtep: formatAddress(vtep), remoteVteps: remoteVteps.map(formatAddress).toSorted() })).toSorted((a, b) => a.vni - b.vni).map(({ macCount: _, ...vni }) => vni), [
    { vni: 1001, vxlanInterface: 'vx1001', bridge: 'br1001', vtep: '192.0.2.1', remoteVteps: ['192.0.2.2', '192.0.2.3'], neighbourCount: 4 },
    { vni: 1002, vxlanInterface: 'vx1002', bridge: 'br1002', vtep: '192.0.2.1', remoteVteps: ['192.0.2.2'], neighbourCount: 0 },
  ]);
  const vni = (more: object): string => JSON.stringify([{ vni: 7, type: 'L2', vxlanInterface: 'vx7', vtepIp: '192.0.2.1', numMacs: 0, numArpNd: 0, ...more }]);
  for (const [more, expected] of [[{}, []], [{ numRemoteVteps: 0 }, []], [{ numRemoteVteps: 1, remoteVteps: [{ ip: '192.0.2.2', flood: 'HER' }] }, ['192.0.2.2']], [{ remoteVteps: ['192.0.2.3'] }, ['192.0.2.3']]] as const) {
    t.same(decodeVnis(vni(more))[0]?.remoteVteps.map(formatAddress), expected, JSON.stringify(more));
  }
  t.same(decodeVnis(vni({ type: 'L3' })), [], 'those of VRFs');
  t.same(decodeVnis(''), []);
  t.throws(() => decodeVnis(vni({ vni: 0 })), garbled(/"show evpn vni detail json" must have a VNI at 0 vni: it has 0/));
  t.throws(() => decodeVnis('{}'), garbled(/an array at its top/));
  t.end();
});

t.test('MACs', (t) => {
  const macs = decodeMacs(recorded('macs')).filter(({ mac }) => mac.startsWith('02:00:00:00:00'));
  const remote = (vtep: string): object => ({ kind: 'remote', vtep: parseAddress(vtep) });
  t.same(macs.map(({ mac, origin }) => [mac, origin]).toSorted(), [['02:00:00:00:00:01', remote('192.0.2.2')], ['02:00:00:00:00:02', remote('192.0.2.2')], ['02:00:00:00:00:03', remote('192.0.2.3')]]);
  const mac = (fields: object, key = '02:00:00:00:00:AA'): string => JSON.stringify({ 1001: { numMacs: 1, macs: { [key]: fields } }, 1002: { numMacs: 0 } });
  t.same(decodeMacs(mac({ type: 'local', intf: 'eth0', isDuplicate: true })), [{ vni: 1001, mac: '02:00:00:00:00:aa', origin: { kind: 'own', interface: 'eth0' }, isDuplicate: true }]);
  t.same(decodeMacs(mac({ type: 'auto' }))[0]?.origin, { kind: 'auto' });
  t.same(decodeMacs(mac({ type: 'remote', remoteEs: '03:00' }))[0]?.origin, { kind: 'remote', vtep: undefined });
  for (const none of ['', '{}\n']) t.same(decodeMacs(none), []);
  t.throws(() => decodeMacs(mac({ type: 'new' })), garbled(/must have "local", "remote" or "auto" at 1001 macs .*type: it has "new"/));
  t.throws(() => decodeMacs(mac({ type: 'auto' }, 'x')), garbled(/must have a MAC at the key of 1001 macs x/));
  t.throws(() => decodeMacs(mac({ type: 'remote', remoteVtep: 'x' })), garbled(/an address at/));
  t.throws(() => decodeMacs('{"0":{"macs":{"02:00:00:00:00:01":{"type":"auto"}}}}'), garbled(/a VNI/));
  t.end();
});

t.test('addresses', (t) => {
  t.same(decodeNeighbours(recorded('neighbours')).map(({ address, mac, origin }) => `${formatAddress(address)} ${mac} ${origin.kind}`).toSorted().slice(1, 3), [
    '10.1.1.2 02:00:00:00:00:02 remote',
    '10.1.1.3 02:00:00:00:00:03 remote',
  ]);
  const one = (fields: object, key = 'fd00::1'): string => JSON.stringify({ 1001: { numArpNd: 1, [key]: { type: 'local', state: 'active', mac: '02:00:00:00:00:01', ...fields } } });
  t.same(decodeNeighbours(one({ state: 'inactive' })), [{ vni: 1001, address: parseAddress('fd00::1'), mac: '02:00:00:00:00:01', origin: { kind: 'own' }, isActive: false }]);
  for (const none of ['', '{}', '{"1002":{"numArpNd":0}}']) t.same(decodeNeighbours(none), []);
  t.throws(() => decodeNeighbours(one({}, 'x')), garbled(/"show evpn arp-cache vni all json" must have an address at the key of/));
  t.throws(() => decodeNeighbours(one({ mac: undefined })), garbled(/must have "mac" at 1001 fd00::1/));
  t.end();
});
