/** What a node tells others of an endpoint. Pure. */
import type { AttachmentRecord, Identity } from '../ledger/ledger.ts';
import { formatAddress } from '../netaddr/netaddr.ts';
import type { FindAnswer } from './messages.ts';

/** The answer to whoever asks where an endpoint is. */
export function answerFind(record: AttachmentRecord | undefined, identity: Identity | undefined): FindAnswer {
  const migration = record?.port.migration;
  if (record !== undefined && migration === undefined) return { kind: 'attached', mac: record.mac, addresses: record.port.addresses };
  switch (migration?.phase) {
    case 'relaying':
    case 'departed':
      return { kind: 'moving', words: `it is on its way to VTEP ${formatAddress(migration.other)}: weft migrate cancel gives that up` };
    case 'arrived':
      return { kind: 'moving', words: `it has just come from VTEP ${formatAddress(migration.other)}` };
    case 'waiting':
      // It is not here yet. Whoever has it says so.
      return { kind: 'absent' };
    default:
      return identity === undefined ? { kind: 'absent' } : { kind: 'kept', mac: identity.mac, addresses: identity.addresses, updatedAt: identity.updatedAt };
  }
}
