/**
 * A process of the ledger's tests, as a plugin process would be.
 *
 *     test-child.ts attach DIRECTORY NUMBER COUNT   says `ready`, and at the end of its stdin opens the ledger and attaches
 *                                                   COUNT times, the n-th as NUMBER × 1000 + n
 *     test-child.ts churn DIRECTORY NUMBER          says `ready`, and attaches and detaches until it is killed
 *
 * attach and churn give each attachment the lowest free address of 10.1.0.0/16.
 */
import { once } from 'node:events';
import { argv, stdin, stdout } from 'node:process';
import type { Address } from '../netaddr/netaddr.ts';
import { openLedger, type LedgerTransaction } from './ledger.ts';
import { blueVni, bootOne, testAttachment, testIdentity } from './test-records.ts';

const firstAddress = 0x0a_01_00_01n;
const rangeSet = '10.1.0.0/16';

const [, , command, directory = '', number = '0', count = '0'] = argv;
if (command === 'attach') await attachMany();
if (command === 'churn') churn();

async function attachMany(): Promise<void> {
  stdout.write('ready\n');
  await once(stdin.resume(), 'end'); // So that all processes begin together.
  const ledger = openLedger({ directory, bootId: bootOne });
  for (let n = 0; n < Number(count); n += 1) ledger.write((tx) => attach(tx, Number(number) * 1000 + n));
  ledger.close();
}

function churn(): never {
  stdout.write('ready\n');
  const ledger = openLedger({ directory, bootId: bootOne });
  for (let n = 0; ; n = (n + 1) % 1000) {
    const seq = ledger.write((tx) => attach(tx, Number(number) * 1000 + n));
    ledger.write((tx) => tx.updateAttachment(seq, { state: 'attached' }));
    if (n % 3 !== 0) ledger.write((tx) => tx.deleteAttachment(seq));
  }
}

function attach(tx: LedgerTransaction, n: number): number {
  const existing = tx.findAttachment(testAttachment(n).key);
  if (existing !== undefined) tx.deleteAttachment(existing.seq);
  const { seq } = tx.insertAttachment(testAttachment(n));
  const address = freeAddress(tx);
  tx.insertAllocation({ vni: blueVni, address, seq, rangeSet: 0 });
  tx.writeCursor(blueVni, rangeSet, address);
  if (n % 10 === 0) tx.putIdentity(testIdentity(`endpoint-${n}`, { mac: testAttachment(n).mac, addresses: [] }));
  return seq;
}

function freeAddress(tx: LedgerTransaction): Address {
  for (let value = firstAddress; ; value += 1n) {
    const address: Address = { family: 4, value };
    if (tx.findAllocation(blueVni, address) === undefined) return address;
  }
}
