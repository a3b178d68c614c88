/** Names that this node knows, for completion: read without a daemon, quickly or not at all, and never complained about. */
import { readdirSync } from 'node:fs';
import type { NodeConf } from '../../pkg/config/node-model.ts';
import { observeLedger, type LedgerReader } from '../../pkg/ledger/ledger.ts';
import { formatAddress, type Vni } from '../../pkg/netaddr/netaddr.ts';
import { readNodeConf } from './build-engine.ts';
import type { Candidate, LiveWords } from './complete.ts';
import { knownCodes } from './explain.ts';
import { findPlaces, type Places } from './places.ts';

/** A person waits for it with a finger on the key. */
const ledgerDeadlineMs = 300;

/** The node's names, each read when it is asked for. */
export async function liveWords(): Promise<LiveWords> {
  const places = findPlaces();
  const conf = await quietly(() => readNodeConf(places));
  return (of, before) => {
    if (of === 'tenant') return [...fromLedger(places, tenantsOf), ...(conf?.tenants ?? []).map(({ name, vni }) => ({ word: name, meaning: describeVni(vni) }))];
    if (of === 'endpoint') return fromLedger(places, (reader) => endpointsOf(reader, before[0] ?? '', conf));
    if (of === 'from') return fromLedger(places, (reader) => reader.listSegments().flatMap(({ segment }) => segment.peers.map((peer) => ({ word: formatAddress(peer), meaning: 'peer' }))));
    if (of === 'link') return readdirSync('/sys/class/net').map((word) => ({ word, meaning: 'interface' }));
    return of === 'code' ? knownCodes().map((word) => ({ word, meaning: '' })) : [];
  };
}

function tenantsOf(reader: LedgerReader): readonly Candidate[] {
  return reader.listSegments().map(({ segment, vni }) => ({ word: segment.tenant, meaning: describeVni(vni) }));
}

function describeVni(vni: Vni | undefined): string {
  return vni === undefined ? 'tenant' : `VNI ${vni}`;
}

/** Of the tenant that stands before, by its name or its VNI. */
function endpointsOf(reader: LedgerReader, tenant: string, conf: NodeConf | undefined): readonly Candidate[] {
  const names = [...reader.listSegments().map(({ segment, vni }) => ({ name: segment.tenant, vni })), ...(conf?.tenants ?? [])];
  const vni = names.find(({ name }) => name === tenant)?.vni ?? Number(tenant);
  return reader.listIdentities().filter((identity) => identity.vni === vni).map(({ endpoint }) => ({ word: endpoint, meaning: `endpoint of ${tenant}` }));
}

function fromLedger(places: Places, read: (reader: LedgerReader) => readonly Candidate[]): readonly Candidate[] {
  try {
    const ledger = observeLedger({ directory: places.stateDirectory, deadlineMs: ledgerDeadlineMs });
    if (ledger === undefined) return [];
    try {
      return ledger.read(read);
    } finally {
      ledger.close();
    }
  } catch {
    return [];
  }
}

async function quietly<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch {
    return undefined;
  }
}
