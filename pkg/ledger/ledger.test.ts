import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseAddress, parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { openLedger, type LedgerReader, type LedgerTransaction } from './ledger.ts';
import { blueVni, bootOne, bootTwo, openTestLedger, redVni, testAttachment, testIdentity, testMac, testSegment } from './test-records.ts';

const address = parseAddress('10.1.1.10');
const other = parseAddress('10.1.1.11');
const worker = { pid: 77, startTime: '12345' };

t.test('an attachment is read back as it was written, by every key', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const plain = testAttachment(1);
  const full = testAttachment(2, { endpoint: 'db-0', pod: 'default/db-0', state: 'attached' });
  const [first, second] = ledger.write((tx) => [tx.insertAttachment(plain), tx.insertAttachment(full)]);
  t.strictSame(first, { ...plain, seq: 1 });
  ledger.read((reader) => {
    t.strictSame(reader.findAttachment(plain.key), first);
    t.strictSame(reader.findAttachmentBySeq(2), second);
    t.strictSame(reader.findAttachmentsOf('container-2', 'eth0'), [second]);
    t.strictSame(reader.findAttachmentByHostIf('weft-p2'), second);
    t.strictSame(reader.findAttachmentByMac(blueVni, testMac(2)), second);
    t.equal(reader.findAttachment({ ...plain.key, network: 'red' }), undefined);
    t.equal(reader.findAttachmentByMac(redVni, testMac(2)), undefined);
  });
});

t.test('listAttachments() and countAttachments() take every filter', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  ledger.write((tx) => {
    tx.insertAttachment(testAttachment(1, { endpoint: 'a' }));
    tx.insertAttachment(testAttachment(2, { vni: redVni, state: 'attached' }));
    tx.insertAttachment(testAttachment(3, { key: { network: 'green', containerId: 'c', ifName: 'eth0' } }));
  });
  const rows = [
    { filter: {}, seqs: [1, 2, 3] }, { filter: { vni: redVni }, seqs: [2] }, { filter: { network: 'green' }, seqs: [3] },
    { filter: { network: 'blue', state: 'adding' }, seqs: [1] }, { filter: { endpoint: 'a' }, seqs: [1] },
    { filter: { network: "x' OR '1'='1" }, seqs: [] },
  ] as const;
  ledger.read((reader) => {
    for (const { filter, seqs } of rows) t.strictSame(reader.listAttachments(filter).map(({ seq }) => seq), seqs, JSON.stringify(filter));
    t.strictSame([reader.countAttachments(), reader.countAttachments(blueVni), reader.countAttachments(redVni)], [3, 2, 1]);
  });
});

t.test('what must be unique is refused, and the refusal names the owner', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  ledger.write((tx) => {
    tx.putIdentity(testIdentity('db-0'));
    tx.insertAttachment(testAttachment(1));
    tx.insertAttachment(testAttachment(2));
    tx.insertAllocation({ vni: blueVni, address, seq: 1, rangeSet: 0 });
    tx.putSegment({ vni: blueVni, segment: testSegment() });
  });
  const rows: readonly { name: string; change: (tx: LedgerTransaction) => unknown; code: string; message: RegExp }[] = [
    { name: 'key', change: (tx) => tx.insertAttachment({ ...testAttachment(3), key: testAttachment(1).key }), code: 'interfaceExists', message: /container-1 is already attached to network blue/ },
    { name: 'MAC', change: (tx) => tx.insertAttachment(testAttachment(3, { mac: testMac(1) })), code: 'addressTaken', message: /MAC 02:00:00:00:00:01 is in use in VNI 1001 by container container-1 eth0/ },
    { name: 'MAC by update', change: (tx) => tx.updateAttachment(2, { mac: testMac(1) }), code: 'addressTaken', message: /container-1/ },
    { name: 'kept MAC', change: (tx) => tx.insertAttachment(testAttachment(3, { mac: testMac(0x100) })), code: 'addressTaken', message: /kept in VNI 1001 for endpoint db-0/ },
    { name: 'kept MAC by update', change: (tx) => tx.updateAttachment(2, { mac: testMac(0x100) }), code: 'addressTaken', message: /endpoint db-0/ },
    { name: 'host interface', change: (tx) => tx.insertAttachment(testAttachment(3, { hostIf: 'weft-p1' })), code: 'tryAgainLater', message: /weft-p1 is in use by container container-1/ },
    { name: 'address', change: (tx) => tx.insertAllocation({ vni: blueVni, address, seq: 2, rangeSet: 0 }), code: 'addressTaken', message: /10\.1\.1\.10 is in use in VNI 1001 by container container-1/ },
    { name: 'own address', change: (tx) => tx.insertAllocation({ vni: blueVni, address, seq: 1, rangeSet: 0 }), code: 'addressTaken', message: /container-1/ },
    { name: 'kept address', change: (tx) => tx.insertAllocation({ vni: blueVni, address: parseAddress('10.1.1.40'), seq: 2, rangeSet: 0 }), code: 'addressTaken', message: /kept in VNI 1001 for endpoint db-0/ },
    { name: 'identity MAC', change: (tx) => tx.putIdentity(testIdentity('db-1', { addresses: [] })), code: 'addressTaken', message: /endpoint db-0/ },
    { name: 'identity address', change: (tx) => tx.putIdentity(testIdentity('db-1', { mac: testMac(9) })), code: 'addressTaken', message: /10\.1\.1\.40 is kept/ },
    { name: "a tenant's second VNI", change: (tx) => tx.putSegment({ vni: redVni, segment: testSegment({ vni: redVni }) }), code: 'tenantMismatch', message: /it has 1001, and now 1002/ },
    { name: 'allocation of nobody', change: (tx) => tx.insertAllocation({ vni: blueVni, address: other, seq: 99, rangeSet: 0 }), code: 'internal', message: /FOREIGN KEY/ },
    { name: 'update of nobody', change: (tx) => tx.updateAttachment(99, {}), code: 'unknownContainer', message: /attachment 99 is no longer/ },
  ];
  const before = ledger.read(contents);
  for (const { name, change, code, message } of rows) {
    t.throws(() => ledger.write(change), { code, message }, name);
    t.strictSame(ledger.read(contents), before, `${name}: nothing is changed`);
    if (code === 'internal') continue;
    ledger.write((tx) => { t.throws(() => change(tx), { code }, `${name}, caught within the transaction`); });
    t.strictSame(ledger.read(contents), before, `${name}: nothing is changed by a transaction that goes on`);
  }
});

t.test('the same address, MAC and endpoint name in two VNIs do not meet', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  ledger.write((tx) => {
    for (const [n, vni] of [blueVni, redVni].entries()) {
      const { seq } = tx.insertAttachment(testAttachment(n, { vni, mac: testMac(50), endpoint: 'a' }));
      tx.insertAllocation({ vni, address, seq, rangeSet: 0 });
      tx.putIdentity(testIdentity('a', { vni }));
      tx.writeCursor(vni, '10.1.1.0/24', address);
    }
  });
  t.strictSame(ledger.read((reader) => reader.listIdentities().map(({ vni }) => vni)), [blueVni, redVni]);
  t.strictSame(ledger.read((reader) => reader.findAllocation(redVni, address)?.seq), 2);
});

t.test('an attachment changes, and goes with what it holds', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  ledger.write((tx) => {
    tx.insertAttachment(testAttachment(1, { endpoint: 'db-0' }));
    tx.insertAllocation({ vni: blueVni, address, seq: 1, rangeSet: 0 });
    t.equal(tx.claimForDeletion(99, worker), false, 'nobody');
    t.equal(tx.claimForDeletion(1, worker), true);
    t.equal(tx.confirmAttachment(1), false, 'what is being deleted is not attached any more');
    const changed = tx.updateAttachment(1, { mac: testMac(8), netnsId: '4:9' });
    t.strictSame(changed, { ...testAttachment(1, { endpoint: 'db-0' }), seq: 1, state: 'deleting', worker, mac: testMac(8), netnsId: '4:9' });
    t.strictSame(tx.findAttachmentBySeq(1), changed);
    const { seq } = tx.insertAttachment(testAttachment(2, { mac: testMac(1), endpoint: 'db-0' }));
    tx.insertAllocation({ vni: blueVni, address: other, seq, rangeSet: 0 });
    t.equal(tx.deleteAttachment(1), true);
    t.equal(tx.deleteAttachment(1), false, 'a second time it is not there');
    t.strictSame(tx.listAllocations({ vni: blueVni }), [{ vni: blueVni, address: other, seq: 2, rangeSet: 0 }]);
  });
  ledger.write((tx) => tx.deleteAttachment(2));
  t.equal(ledger.write((tx) => tx.insertAttachment(testAttachment(3))).seq, 3, 'a seq is not used again');
  t.strictSame(ledger.read((reader) => reader.listAllocations({ vni: blueVni })), []);
});

t.test('segments', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const { gateway: _, ...withoutGateway } = testSegment({ peers: [], vtepAddress: parseAddress('2001:db8::1') });
  const red = { vni: redVni, segment: { ...withoutGateway, tenant: 'red', vni: redVni } };
  ledger.write((tx) => {
    tx.putSegment(red);
    tx.putSegment({ vni: blueVni, segment: testSegment({ overlayMtu: 1400 }) });
    tx.putSegment({ vni: blueVni, segment: testSegment() });
    t.strictSame(tx.listSegments(), [{ vni: blueVni, segment: testSegment() }, red]);
    t.strictSame(tx.findSegmentByTenant('red'), red);
    t.equal(tx.deleteSegment(redVni), true);
    t.equal(tx.findSegment(redVni), undefined);
    t.equal(tx.deleteSegment(redVni), false);
  });
});

t.test('allocations are listed in the order of their addresses', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const texts = ['10.1.1.9', '10.1.1.100', '10.1.1.255', '10.1.2.0', '2001:db8::9', '2001:db8::1:0'];
  ledger.write((tx) => {
    tx.insertAttachment(testAttachment(1));
    for (const text of [...texts].reverse()) tx.insertAllocation({ vni: blueVni, address: parseAddress(text), seq: 1, rangeSet: 0 });
    tx.insertAttachment(testAttachment(2, { endpoint: 'db-0' }));
    tx.putIdentity(testIdentity('db-0'));
    tx.insertAllocation({ vni: blueVni, address: parseAddress('10.1.1.40'), seq: 2, rangeSet: 0 });
  });
  ledger.read((reader) => {
    t.strictSame(reader.listAllocations({ seq: 1 }).map((allocation) => allocation.address), texts.map((text) => parseAddress(text)));
  });
});

t.test('an identity is kept, found by all it holds, replaced and forgotten', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const addresses = ['10.1.1.90/24', '10.1.1.7/24', '2001:db8::7/64'].map((text) => parseInterfaceAddress(text));
  const identity = testIdentity('db-0', { addresses });
  ledger.write((tx) => tx.putIdentity(testIdentity('db-0')));
  ledger.write((tx) => tx.putIdentity(identity));
  ledger.read((reader) => {
    t.strictSame(reader.findIdentity(blueVni, 'db-0'), identity, 'in the order given');
    t.strictSame(reader.findIdentityByAddress(blueVni, parseAddress('2001:db8::7')), identity);
    t.strictSame(reader.findIdentityByMac(blueVni, identity.mac), identity);
    t.strictSame(reader.listIdentities(blueVni), [identity]);
    t.equal(reader.findIdentityByAddress(blueVni, parseAddress('10.1.1.40')), undefined, 'the old address is free');
    t.equal(reader.findIdentityByAddress(redVni, parseAddress('10.1.1.90')), undefined);
  });
  ledger.write((tx) => tx.putIdentity({ ...identity, updatedAt: 2 }));
  t.equal(ledger.read((reader) => reader.findIdentity(blueVni, 'db-0')?.updatedAt), 2);
  t.equal(ledger.write((tx) => tx.deleteIdentity(blueVni, 'db-0')), true);
  t.equal(ledger.write((tx) => tx.deleteIdentity(blueVni, 'db-0')), false);
  t.equal(ledger.read((reader) => reader.findIdentityByAddress(blueVni, parseAddress('10.1.1.90'))), undefined);
});

t.test('only a new or changed identity waits for the disk', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const rows: readonly [string, boolean, (tx: LedgerTransaction) => void][] = [
    ['attachment', false, (tx) => { tx.insertAttachment(testAttachment(1)); }],
    ['new identity', true, (tx) => tx.putIdentity(testIdentity('a'))],
    ['the same later', false, (tx) => tx.putIdentity(testIdentity('a', { updatedAt: 9 }))],
    ['another MAC', true, (tx) => tx.putIdentity(testIdentity('a', { mac: testMac(7) }))],
    ['another prefix length', true, (tx) => tx.putIdentity(testIdentity('a', { mac: testMac(7), addresses: [parseInterfaceAddress('10.1.1.40/25')] }))],
  ];
  for (const [name, needsDisk, change] of rows) {
    ledger.write((tx) => { change(tx); t.equal(tx.needsDisk, needsDisk, name); });
  }
});

t.test('a cursor is per VNI and range set', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  ledger.write((tx) => {
    tx.writeCursor(blueVni, 'a', address);
    tx.writeCursor(blueVni, 'a', other);
    tx.writeCursor(blueVni, 'b', parseAddress('2001:db8::1'));
    t.strictSame([tx.readCursor(blueVni, 'a'), tx.readCursor(blueVni, 'b')], [other, parseAddress('2001:db8::1')]);
    t.equal(tx.readCursor(redVni, 'a'), undefined);
  });
});

t.test('a transaction is kept whole or not at all, and is not begun within another', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const fault = new Error('stop');
  t.throws(() => ledger.write((tx) => { tx.insertAttachment(testAttachment(1)); throw fault; }), fault);
  t.equal(ledger.read((reader) => reader.countAttachments()), 0);
  t.throws(() => ledger.write(() => ledger.read(() => 1)), { code: 'internal' });
  ledger.write((tx) => tx.insertAttachment(testAttachment(1)));
  t.equal(ledger.read((reader) => reader.countAttachments()), 1, 'and goes on');
});

t.test('a read sees one moment while another connection writes', async (t) => {
  const directory = temporaryDirectory(t);
  const [reading, writing] = [openTestLedger(t, directory), openTestLedger(t, directory)];
  reading.read((reader) => {
    writing.write((tx) => tx.insertAttachment(testAttachment(1)));
    t.equal(reader.countAttachments(), 0);
  });
  t.equal(reading.read((reader) => reader.countAttachments()), 1);
});

t.test('who waits for a lock to the deadline is told so', async (t) => {
  const directory = temporaryDirectory(t);
  const holder = openTestLedger(t, directory);
  const waiter = openLedger({ directory, bootId: bootOne, deadlineMs: 20 });
  t.teardown(() => waiter.close());
  holder.write(() => {
    t.throws(() => waiter.write(() => t.fail('entered')), { code: 'tryAgainLater', message: /locked by another process for 20 ms/ });
    t.equal(waiter.read((reader) => reader.countAttachments()), 0, 'readers do not wait');
  });
});

t.test('a reboot drops attachments, allocations and segments, and keeps identities, cursors and numbers', async (t) => {
  const directory = temporaryDirectory(t);
  const before = openTestLedger(t, directory);
  const dropped = before.write((tx) => {
    tx.putIdentity(testIdentity('db-0'));
    tx.writeCursor(blueVni, 'a', address);
    tx.putSegment({ vni: blueVni, segment: testSegment() });
    const attachment = tx.insertAttachment(testAttachment(1));
    tx.insertAllocation({ vni: blueVni, address, seq: attachment.seq, rangeSet: 0 });
    return attachment;
  });
  t.strictSame(openTestLedger(t, directory).takeDroppedFromLastBoot(), [], 'the same boot');
  before.close();
  const after = openTestLedger(t, directory, bootTwo);
  t.strictSame(after.takeDroppedFromLastBoot(), [dropped]);
  t.strictSame(after.takeDroppedFromLastBoot(), [], 'once');
  t.strictSame(openTestLedger(t, directory, bootTwo).takeDroppedFromLastBoot(), [], 'only the first is told');
  after.write((tx) => {
    t.strictSame([tx.listAttachments(), tx.listAllocations({ vni: blueVni }), tx.listSegments()], [[], [], []]);
    t.strictSame(tx.listIdentities(), [testIdentity('db-0')]);
    t.strictSame(tx.readCursor(blueVni, 'a'), address);
    t.equal(tx.insertAttachment(testAttachment(1)).seq, 2);
  });
});

function contents(reader: LedgerReader): unknown {
  return [
    reader.listAttachments(), reader.listAllocations({ vni: blueVni }), reader.listIdentities(), reader.listSegments(),
  ];
}

t.test('touch() writes and changes nothing', async (t) => {
  const directory = temporaryDirectory(t);
  const ledger = openTestLedger(t, directory);
  ledger.write((tx) => tx.insertAttachment(testAttachment(1)));
  const walBytes = (): number => statSync(join(directory, 'ledger.db-wal')).size;
  const before = walBytes();
  ledger.write(() => undefined);
  t.equal(walBytes(), before, 'a transaction without a change writes nothing');
  ledger.write((tx) => tx.touch());
  t.ok(walBytes() > before);
  const again = openTestLedger(t, directory);
  t.same(again.takeDroppedFromLastBoot(), [], 'it is the same boot');
  t.equal(again.read((reader) => reader.countAttachments()), 1);
});

t.test('changes that come together are one transaction, and each stands or falls alone', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t));
  const [one, refused, two] = await Promise.allSettled([
    ledger.writeTogether((tx) => tx.insertAttachment(testAttachment(1)).seq),
    ledger.writeTogether((tx) => {
      tx.insertAttachment(testAttachment(2));
      throw new RangeError('not this one');
    }),
    ledger.writeTogether((tx) => tx.insertAttachment(testAttachment(3)).seq),
  ]);
  t.match(one, { status: 'fulfilled', value: 1 });
  t.match(refused, { status: 'rejected', reason: { name: 'RangeError', message: 'not this one' } });
  t.match(two, { status: 'fulfilled' });
  t.strictSame(ledger.read((tx) => tx.listAttachments().map(({ key }) => key.containerId)), [testAttachment(1), testAttachment(3)].map(({ key }) => key.containerId));
  await t.rejects(ledger.writeTogether((tx) => tx.insertAttachment(testAttachment(1))), { code: 'interfaceExists' }, 'an error of the ledger is told as ever');
  t.equal(await ledger.writeTogether((tx) => tx.countAttachments()), 2, 'and the next goes on');
});


t.test('listAttachmentNames() says who they are, and no more', async (t) => {
  const ledger = openTestLedger(t, temporaryDirectory(t), bootOne);
  ledger.write((tx) => {
    for (const record of [testAttachment(1, { pod: 'web/front' }), testAttachment(2, { state: 'attached', port: { ...testAttachment(2).port, migration: { id: 'm', phase: 'relaying', other: parseAddress('192.0.2.2'), since: 1 } } })]) tx.insertAttachment(record);
  });
  const [names, records] = ledger.read((tx) => [tx.listAttachmentNames(), tx.listAttachments()]);
  t.strictSame(names, records.map(({ seq, key, tenant, vni, hostIf, state, pod, createdAt, port }) => ({ seq, key, tenant, vni, hostIf, state, createdAt, ...(pod === undefined ? {} : { pod }), ...(port.migration === undefined ? {} : { phase: port.migration.phase }) })));
  t.match(names, [{ pod: 'web/front', phase: undefined }, { phase: 'relaying' }]);
});
