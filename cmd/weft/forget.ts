/** `weft forget`: kept addresses are kept for ever, so there must be a way to give one up. */
import { writeDownDropped } from '../../pkg/attachment/pending.ts';
import { describeError, WeftError } from '../../pkg/errors/weft-error.ts';
import { readBootId } from '../../pkg/ledger/boot.ts';
import { openLedger, type LedgerTransaction } from '../../pkg/ledger/ledger.ts';
import { parseVni, type Vni } from '../../pkg/netaddr/netaddr.ts';
import { findPlaces } from './places.ts';

/** Deletes an identity. Prints what was given up; exit status 1 and a message where there is nothing or it is in use. */
export function forgetEndpoint(tenant: string, endpoint: string): void {
  try {
    const { stateDirectory, runDirectory } = findPlaces();
    const ledger = openLedger({ directory: stateDirectory, bootId: readBootId() });
    try {
      writeDownDropped({ ledger: () => ledger, pendingDirectories: [stateDirectory, runDirectory], now: Date.now, warn: (_code, message) => warn(message) });
      ledger.write((tx) => forget(tx, findVni(tx, tenant), endpoint));
    } finally {
      ledger.close();
    }
    process.stdout.write(`forgot endpoint ${endpoint} of tenant ${tenant}\n`);
  } catch (error) {
    warn(describeError(error));
    process.exitCode = 1;
  }
}

function warn(message: string): void {
  process.stderr.write(`weft: ${message}\n`);
}

/** Identities are kept by VNI; a name is known while the tenant has containers here. */
function findVni(tx: LedgerTransaction, tenant: string): Vni {
  const segment = tx.findSegmentByTenant(tenant);
  if (segment !== undefined) return segment.vni;
  if (/^[0-9]+$/.test(tenant)) return parseVni(Number(tenant));
  throw new WeftError('invalidConfiguration', `Tenant ${tenant} has no container on this node: name it by its VNI`);
}

function forget(tx: LedgerTransaction, vni: Vni, endpoint: string): void {
  const [holder] = tx.listAttachments({ vni, endpoint });
  if (holder !== undefined) throw new WeftError('addressTaken', `Endpoint ${endpoint} is attached to container ${holder.key.containerId}: delete that first`);
  if (!tx.deleteIdentity(vni, endpoint)) throw new WeftError('unknownContainer', `VNI ${vni} keeps nothing for an endpoint ${endpoint} on this node`);
}
