import { WeftError } from '../errors/weft-error.ts';
import { addressesEqual, formatAddress, type Address, type InterfaceAddress, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { Worker } from './boot.ts';
import { addressKey, encodeAttachment, encodeSegment } from './codec.ts';
import { isConstraint } from './failure.ts';
import { LedgerReader } from './reader.ts';
import type {
  AllocationRecord, AttachmentPatch, AttachmentRecord, Identity, NewAttachment, SegmentRecord,
} from './records.ts';
import { attachmentColumns } from './schema.ts';

/**
 * What can be done to the ledger inside one transaction: all of it is kept, or none of it.
 * A method that throws has changed nothing, so the caller may catch and go on within the same transaction.
 */
export class LedgerTransaction extends LedgerReader {
  #needsDisk = false;

  /** Whether something was written that a power failure must not take: Ledger.write then waits for the disk. */
  get needsDisk(): boolean {
    return this.#needsDisk;
  }

  /**
   * Writes a new attachment down; returns it with its seq.
   * @throws WeftError interfaceExists when the key is attached, addressTaken when the MAC is in use in the VNI or kept
   * for another endpoint, tryAgainLater when another attachment has the same host interface name.
   */
  insertAttachment(attachment: NewAttachment): AttachmentRecord {
    this.#refuseKeptMac(attachment);
    return this.#unlessTaken(attachment, undefined, () => {
      const seq = this.statements.runNamed(insertAttachmentSql, encodeAttachment(attachment));
      return { ...attachment, seq };
    });
  }

  /**
   * Changes some of an attachment's values; returns it as it is now.
   * @throws WeftError unknownContainer when it is gone, addressTaken when the new MAC is in use or kept for another endpoint.
   */
  updateAttachment(seq: number, patch: AttachmentPatch): AttachmentRecord {
    const before = this.findAttachmentBySeq(seq);
    if (before === undefined) throw gone(seq);
    const after = { ...before, ...patch };
    this.#refuseKeptMac(after);
    return this.#unlessTaken(after, seq, () => {
      this.statements.runNamed(updateAttachmentSql, { ...encodeAttachment(after), seq });
      return after;
    });
  }

  /** Makes an attachment one that is being deleted, by this worker. Returns whether it was there: another process may have finished its deletion. */
  claimForDeletion(seq: number, worker: Worker): boolean {
    const sql = "UPDATE attachment SET state = 'deleting', worker_pid = ?, worker_start_time = ? WHERE seq = ?";
    return this.statements.run(sql, worker.pid, worker.startTime, seq) > 0;
  }

  /** Makes an attachment that is being added an attached one. Returns whether it was being added. */
  confirmAttachment(seq: number): boolean {
    return this.statements.run("UPDATE attachment SET state = 'attached' WHERE seq = ? AND state = 'adding'", seq) > 0;
  }

  /** Removes an attachment and its allocations; its endpoint's identity stays. Returns whether it was there. */
  deleteAttachment(seq: number): boolean {
    return this.statements.run('DELETE FROM attachment WHERE seq = ?', seq) > 0;
  }

  /**
   * Writes down a tenant's segment, in place of what was there for its VNI.
   * @throws WeftError tenantMismatch when the tenant has another VNI on this node.
   */
  putSegment({ vni, segment }: SegmentRecord): void {
    const other = this.findSegmentByTenant(segment.tenant);
    if (other !== undefined && other.vni !== vni) {
      throw new WeftError('tenantMismatch', `tenant ${segment.tenant} must have one VNI on a node: it has ${other.vni}, and now ${vni} is asked for`);
    }
    this.statements.run(
      `INSERT INTO segment (vni, tenant, segment) VALUES (?, ?, ?)
       ON CONFLICT (vni) DO UPDATE SET tenant = excluded.tenant, segment = excluded.segment`,
      vni, segment.tenant, encodeSegment(segment),
    );
  }

  /** Returns whether it was there. */
  deleteSegment(vni: Vni): boolean {
    return this.statements.run('DELETE FROM segment WHERE vni = ?', vni) > 0;
  }

  /**
   * Gives an address to an attachment.
   * @throws WeftError addressTaken when an attachment of the VNI, this one too, holds it, or another endpoint keeps it.
   */
  insertAllocation({ vni, address, seq, rangeSet }: AllocationRecord): void {
    const keeper = this.findIdentityByAddress(vni, address);
    if (keeper !== undefined && keeper.endpoint !== this.findAttachmentBySeq(seq)?.endpoint) throw keptAddress(address, keeper);
    const sql = `INSERT INTO allocation (vni, address, seq, range_set) VALUES (?, ?, ?, ?)
                 ON CONFLICT (vni, address) DO NOTHING`;
    if (this.statements.run(sql, vni, addressKey(address), seq, rangeSet) === 0) throw this.#held(vni, address);
  }

  /**
   * Keeps a MAC and addresses for an endpoint, in place of what was kept for it. On the disk when Ledger.write returns.
   * @throws WeftError addressTaken when another endpoint of the VNI keeps the MAC or one of the addresses.
   */
  putIdentity(identity: Identity): void {
    const { vni, endpoint, mac, addresses, updatedAt } = identity;
    const before = this.findIdentity(vni, endpoint);
    if (before !== undefined && before.mac === mac && haveSameAddresses(before.addresses, addresses)) {
      this.statements.run('UPDATE identity SET updated_at = ? WHERE vni = ? AND endpoint = ?', updatedAt, vni, endpoint);
      return;
    }
    this.#refuseKeptMac(identity);
    this.#refuseKeptAddresses(identity);
    this.#needsDisk = true;
    this.statements.run(
      `INSERT INTO identity (vni, endpoint, mac, updated_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (vni, endpoint) DO UPDATE SET mac = excluded.mac, updated_at = excluded.updated_at`,
      vni, endpoint, mac, updatedAt,
    );
    this.statements.run('DELETE FROM identity_address WHERE vni = ? AND endpoint = ?', vni, endpoint);
    for (const [position, { address, length }] of addresses.entries()) {
      const sql = 'INSERT INTO identity_address (vni, address, length, endpoint, position) VALUES (?, ?, ?, ?, ?)';
      this.statements.run(sql, vni, addressKey(address), length, endpoint, position);
    }
  }

  /** Forgets what was kept for an endpoint. Returns whether there was anything. */
  deleteIdentity(vni: Vni, endpoint: string): boolean {
    return this.statements.run('DELETE FROM identity WHERE vni = ? AND endpoint = ?', vni, endpoint) > 0;
  }

  /** Remembers the address that was last given from a range set of the VNI. */
  writeCursor(vni: Vni, rangeSet: string, address: Address): void {
    this.statements.run(
      `INSERT INTO cursor (vni, range_set, address) VALUES (?, ?, ?)
       ON CONFLICT (vni, range_set) DO UPDATE SET address = excluded.address`,
      vni, rangeSet, addressKey(address),
    );
  }

  /** Writes without changing anything: a transaction that writes nothing does not learn that the disk is full or read-only. */
  touch(): void {
    // Twice, because SQLite leaves a row alone that is given the value it has.
    this.statements.run("UPDATE boot SET boot_id = boot_id || ' '");
    this.statements.run('UPDATE boot SET boot_id = rtrim(boot_id)');
  }

  /** Runs a statement that the constraints of table attachment may refuse, and says which of them did. */
  #unlessTaken<T>(attachment: NewAttachment, seq: number | undefined, statement: () => T): T {
    try {
      return statement();
    } catch (error) {
      throw (isConstraint(error) ? this.#explainTaken(attachment, seq) : undefined) ?? error;
    }
  }

  #explainTaken({ key, vni, mac, hostIf }: NewAttachment, seq: number | undefined): WeftError | undefined {
    const sameKey = this.findAttachment(key);
    if (sameKey !== undefined && sameKey.seq !== seq) {
      return new WeftError('interfaceExists', `interface ${key.ifName} of container ${key.containerId} is already attached to network ${key.network}: DEL it first`);
    }
    const sameMac = this.findAttachmentByMac(vni, mac);
    if (sameMac !== undefined && sameMac.seq !== seq) {
      return new WeftError('addressTaken', `MAC ${mac} is in use in VNI ${vni} by ${describeOwner(sameMac)}: ask for another`);
    }
    const sameHostIf = this.findAttachmentByHostIf(hostIf);
    if (sameHostIf === undefined || sameHostIf.seq === seq) return undefined;
    return new WeftError('tryAgainLater', `host interface name ${hostIf} is in use by ${describeOwner(sameHostIf)}: create the container anew, under another ID`);
  }

  #held(vni: Vni, address: Address): WeftError {
    const allocation = this.findAllocation(vni, address);
    const owner = allocation === undefined ? undefined : this.findAttachmentBySeq(allocation.seq);
    const who = owner === undefined ? 'another attachment' : describeOwner(owner);
    return new WeftError('addressTaken', `address ${formatAddress(address)} is in use in VNI ${vni} by ${who}: ask for another`);
  }

  #refuseKeptMac({ vni, mac, endpoint }: { readonly vni: Vni; readonly mac: Mac; readonly endpoint?: string }): void {
    const keeper = this.findIdentityByMac(vni, mac);
    if (keeper !== undefined && keeper.endpoint !== endpoint) throw kept(`MAC ${mac}`, keeper);
  }

  #refuseKeptAddresses({ vni, endpoint, addresses }: Identity): void {
    for (const { address } of addresses) {
      const keeper = this.findIdentityByAddress(vni, address);
      if (keeper !== undefined && keeper.endpoint !== endpoint) throw keptAddress(address, keeper);
    }
  }
}

const insertAttachmentSql = `INSERT INTO attachment (${attachmentColumns.join(', ')})
  VALUES (${attachmentColumns.map((column) => `:${column}`).join(', ')})`;
const updateAttachmentSql = `UPDATE attachment SET ${attachmentColumns.map((column) => `${column} = :${column}`).join(', ')}
  WHERE seq = :seq`;

function haveSameAddresses(a: readonly InterfaceAddress[], b: readonly InterfaceAddress[]): boolean {
  return a.length === b.length && a.every((one, index) => {
    const other = b[index];
    return other !== undefined && one.length === other.length && addressesEqual(one.address, other.address);
  });
}

function describeOwner({ key }: AttachmentRecord): string {
  return `container ${key.containerId} ${key.ifName} of network ${key.network}`;
}

function keptAddress(address: Address, keeper: Identity): WeftError {
  return kept(`address ${formatAddress(address)}`, keeper);
}

function kept(what: string, { vni, endpoint }: Identity): WeftError {
  return new WeftError('addressTaken', `${what} is kept in VNI ${vni} for endpoint ${endpoint}: ask for another`);
}

function gone(seq: number): WeftError {
  return new WeftError('unknownContainer', `attachment ${seq} is no longer in the ledger: another call has removed it`);
}
