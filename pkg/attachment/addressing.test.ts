import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { noEndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf } from '../config/net-conf.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import type { Pool } from '../ipam/pool.ts';
import { openLedger, type Ledger, type LedgerTransaction } from '../ledger/ledger.ts';
import { formatInterfaceAddress, parseAddress, parseInterfaceAddress, parseMac, parseVni } from '../netaddr/netaddr.ts';
import { gatewayMac } from '../overlay/gateway-mac.ts';
import { chooseMac, choosePoolAddresses, identityMatches, type AddressQuestion } from './addressing.ts';

const vni = parseVni(1001);

function poolOf(...ranges: readonly Readonly<Record<string, string>>[]): Pool {
  const json = { cniVersion: '1.1.0', name: 'blue', type: 'weft', vni, ipam: { type: 'weft', ranges: ranges.map((range) => [range]) } };
  const { ipam } = parseNetConf(json, { node: emptyNodeConf, args: noEndpointArgs });
  if (ipam.type !== 'weft') throw new Error('the pool is weft’s own');
  return ipam.pool;
}

const both = poolOf({ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.12' }, { subnet: 'fd00:1::/64' });

/** A ledger of its own for each test. */
function emptyLedger(scope: { teardown(undo: () => void): void }): Ledger {
  const directory = mkdtempSync(join(tmpdir(), 'weft-addressing-'));
  const ledger = openLedger({ directory, bootId: 'boot' });
  scope.teardown(() => {
    ledger.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return ledger;
}

function choose(tx: LedgerTransaction, changes: Partial<AddressQuestion> = {}): string[] {
  return choosePoolAddresses(tx, { vni, tenant: 'blue', pool: both, requested: [], ...changes }).map(({ address }) => formatInterfaceAddress(address));
}

/** Another endpoint keeps an address. */
function keep(tx: LedgerTransaction, endpoint: string, address: string): void {
  tx.putIdentity({ vni, endpoint, mac: parseMac(`02:00:00:00:00:${endpoint.length.toString(16).padStart(2, '0')}`), addresses: [parseInterfaceAddress(address)], updatedAt: 0 });
}

t.test('choosePoolAddresses() takes one of each set, and the next one the next time', (t) => {
  emptyLedger(t).write((tx) => {
    t.same(choose(tx), ['10.1.1.10/24', 'fd00:1::2/64']);
    t.same(choose(tx), ['10.1.1.11/24', 'fd00:1::3/64']);
    t.same(choose(tx), ['10.1.1.12/24', 'fd00:1::4/64']);
    t.same(choose(tx), ['10.1.1.10/24', 'fd00:1::5/64'], 'round again, since nothing was taken');
  });
  t.end();
});

t.test('choosePoolAddresses() gives what is asked for and fills up the rest', (t) => {
  emptyLedger(t).write((tx) => {
    t.same(choose(tx, { requested: [parseAddress('fd00:1::77')] }), ['10.1.1.10/24', 'fd00:1::77/64']);
    t.throws(() => choose(tx, { requested: [parseAddress('10.1.1.99')] }), { code: 'invalidConfiguration', message: /10\.1\.1\.10.*10\.1\.1\.12/ });
    t.throws(() => choose(tx, { requested: [parseAddress('10.1.1.10'), parseAddress('10.1.1.11')] }), { code: 'invalidConfiguration', message: /at most one/ });
  });
  t.end();
});

t.test('choosePoolAddresses() leaves kept addresses alone, also when nothing else is left', (t) => {
  emptyLedger(t).write((tx) => {
    for (const [endpoint, address] of [['a', '10.1.1.10/24'], ['bb', '10.1.1.11/24'], ['ccc', '10.1.1.12/24']] as const) keep(tx, endpoint, address);
    t.throws(() => choose(tx), { code: 'rangeExhausted', details: /3 endpoints that are not attached keep theirs/ });
    t.throws(() => choose(tx, { requested: [parseAddress('10.1.1.11')] }), { code: 'addressTaken', message: /belongs to endpoint bb/ });
    t.same(choose(tx, { endpoint: 'bb' })[0], '10.1.1.11/24', 'its own endpoint gets it');
  });
  t.end();
});

t.test('choosePoolAddresses() drops what the pool no longer has from an identity', (t) => {
  emptyLedger(t).write((tx) => {
    keep(tx, 'moved', '10.9.9.9/24');
    t.same(choose(tx, { endpoint: 'moved' })[0], '10.1.1.10/24');
  });
  t.end();
});

t.test('chooseMac() prefers the request, then the identity, then the address', (t) => {
  const fallback = (attempt: number): ReturnType<typeof parseMac> => parseMac(`06:77:00:00:00:0${attempt}`);
  const question = { vni, tenant: 'blue', addresses: [parseInterfaceAddress('10.1.1.10/24')], fallback };
  emptyLedger(t).write((tx) => {
    t.equal(chooseMac(tx, question), '02:77:0a:01:01:0a');
    t.equal(chooseMac(tx, { ...question, addresses: [] }), '06:77:00:00:00:00', 'a layer 2 attachment has none to make one from');
    tx.putIdentity({ vni, endpoint: 'web', mac: parseMac('02:77:0a:01:01:0a'), addresses: [], updatedAt: 0 });
    t.equal(chooseMac(tx, question), '06:77:00:00:00:01', 'the derived one is kept for another endpoint');
    t.equal(chooseMac(tx, { ...question, endpoint: 'web' }), '02:77:0a:01:01:0a');
    t.equal(chooseMac(tx, { ...question, endpoint: 'web', requested: parseMac('02:00:00:00:00:09') }), '02:00:00:00:00:09');
    t.throws(() => chooseMac(tx, { ...question, requested: parseMac('02:77:0a:01:01:0a') }), { code: 'addressTaken' });
    t.throws(() => chooseMac(tx, { ...question, requested: gatewayMac(vni) }), { code: 'addressTaken' }, 'the gateway’s MAC is nobody else’s');
  });
  t.end();
});

t.test('identityMatches() is exact', (t) => {
  const mac = parseMac('02:00:00:00:00:01');
  const addresses = [parseInterfaceAddress('10.1.1.10/24')];
  const identity = { vni, endpoint: 'web', mac, addresses, updatedAt: 0 };
  t.equal(identityMatches(identity, mac, addresses), true);
  t.equal(identityMatches(undefined, mac, addresses), false);
  t.equal(identityMatches(identity, parseMac('02:00:00:00:00:02'), addresses), false);
  t.equal(identityMatches(identity, mac, [parseInterfaceAddress('10.1.1.10/25')]), false);
  t.equal(identityMatches(identity, mac, [...addresses, parseInterfaceAddress('fd00::1/64')]), false);
  t.end();
});
