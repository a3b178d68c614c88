/** Nodes for the tests of this folder. */
import { emptyNodeConf, type NodeConf } from '../config/node-model.ts';
import { parseNodeConf } from '../config/node-conf.ts';
import type { AttachmentRecord, NewAttachment } from '../ledger/records.ts';
import { testAttachment, testSegment } from '../ledger/test-records.ts';
import { parseAddress, parseVni, type Vni } from '../netaddr/netaddr.ts';
import { emptyLedgerContent, type LedgerContent, type NodeState } from './node-state.ts';

/** 2026-01-01T00:00:00Z, when the test records are made. */
export const recordsMadeAt = 1_767_225_600_000;
const hourMs = 3_600_000;

/** A node that is well, an hour after its records were made. */
export function testNode(overrides: Partial<NodeState> = {}): NodeState {
  return {
    now: recordsMadeAt + hourMs,
    ledgerPath: '/var/lib/weft/ledger.db',
    ledger: { kind: 'readable', content: emptyLedgerContent, leftByLastBoot: 0 },
    configurationPath: '/etc/weft/weft.yaml',
    configuration: { kind: 'absent' },
    pendingDels: { entries: [], unreadable: [] },
    interrupted: new Set(),
    endpointsMaxOf: () => 1022,
    ...overrides,
  };
}

/** A node whose ledger has this. */
export function nodeWith(content: Partial<LedgerContent>, overrides: Partial<NodeState> = {}): NodeState {
  return testNode({ ledger: { kind: 'readable', content: { ...emptyLedgerContent, ...content }, leftByLastBoot: 0 }, ...overrides });
}

/** The n-th attachment as the ledger has it, attached. */
export function testRecord(n: number, overrides: Partial<NewAttachment> = {}): AttachmentRecord {
  return { seq: n, ...testAttachment(n, { state: 'attached', ...overrides }) };
}

/** A node configuration as somebody writes it. */
export function nodeConf(yaml: string): NodeConf {
  return { ...emptyNodeConf, ...parseNodeConf(yaml, '/etc/weft/weft.yaml') };
}

/** An address that an attachment holds. */
export function testAllocation(seq: number, address: string, vni: Vni = parseVni(1001)): LedgerContent['allocations'][number] {
  return { vni, address: parseAddress(address), seq, rangeSet: 0 };
}

/** The segment of a tenant. */
export function segmentOf(tenant: string, vniNumber: number, overrides: Parameters<typeof testSegment>[0] = {}): LedgerContent['segments'][number] {
  const vni = parseVni(vniNumber);
  return { vni, segment: testSegment({ tenant, vni, ...overrides }) };
}
