import type { SQLInputValue } from 'node:sqlite';
import type { Address, InterfaceAddress, Mac, Vni } from '../netaddr/netaddr.ts';
import type { AttachmentKey } from '../overlay/model.ts';
import {
  addressFromKey, addressKey, decodeAllocation, decodeAttachment, decodeAttachmentName, decodeIdentity, decodeIdentityAddress, decodeSegment,
} from './codec.ts';
import { bytes, decodeRow, integer, type Fields } from './fields.ts';
import type {
  AllocationRecord, AttachmentFilter, AttachmentName, AttachmentRecord, Identity, SegmentRecord,
} from './records.ts';
import type { Row, Statements } from './statements.ts';

/**
 * What can be asked of the ledger, as of one moment. Good only inside the function that Ledger.read or Ledger.write calls.
 * Every method throws WeftError ledgerDamaged when it meets a row that weft did not write.
 */
export class LedgerReader {
  protected readonly statements: Statements;

  constructor(statements: Statements) {
    this.statements = statements;
  }

  findAttachment(key: AttachmentKey): AttachmentRecord | undefined {
    return this.#attachment('container_id = ? AND if_name = ? AND network = ?', key.containerId, key.ifName, key.network);
  }

  findAttachmentBySeq(seq: number): AttachmentRecord | undefined {
    return this.#attachment('seq = ?', seq);
  }

  /** The attachments of one interface in any network: a DEL whose configuration names no network still finds its own. */
  findAttachmentsOf(containerId: string, ifName: string): readonly AttachmentRecord[] {
    return this.#attachments('container_id = ? AND if_name = ?', containerId, ifName);
  }

  findAttachmentByHostIf(hostIf: string): AttachmentRecord | undefined {
    return this.#attachment('host_if = ?', hostIf);
  }

  findAttachmentByMac(vni: Vni, mac: Mac): AttachmentRecord | undefined {
    return this.#attachment('vni = ? AND mac = ?', vni, mac);
  }

  /** The attachments that match, the oldest first. */
  listAttachments(filter: AttachmentFilter = {}): readonly AttachmentRecord[] {
    const { network, vni, state, endpoint } = filter;
    const conditions = Object.entries({ network, vni, state, endpoint }).filter((entry) => entry[1] !== undefined);
    const where = conditions.map(([column]) => `${column} = ?`).join(' AND ');
    return this.#attachments(where === '' ? 'TRUE' : where, ...conditions.map(([, value]) => value ?? null));
  }

  /** Who the attachments are, without all that is known of each: a tenth of what listAttachments() costs. The oldest first. */
  listAttachmentNames(): readonly AttachmentName[] {
    const columns = "seq, network, container_id, if_name, tenant, vni, host_if, state, pod, created_at, json_extract(port, '$.migration.phase') AS phase";
    return this.statements.all(`SELECT ${columns} FROM attachment ORDER BY seq`).map((row) => decodeRow('attachment', row, decodeAttachmentName));
  }

  countAttachments(vni?: Vni): number {
    if (vni === undefined) return this.#count('SELECT count(*) AS n FROM attachment');
    return this.#count('SELECT count(*) AS n FROM attachment WHERE vni = ?', vni);
  }

  findSegment(vni: Vni): SegmentRecord | undefined {
    return decodeFirst('segment', this.statements.first('SELECT * FROM segment WHERE vni = ?', vni), decodeSegment);
  }

  findSegmentByTenant(tenant: string): SegmentRecord | undefined {
    return decodeFirst('segment', this.statements.first('SELECT * FROM segment WHERE tenant = ?', tenant), decodeSegment);
  }

  /** Every segment, by VNI. */
  listSegments(): readonly SegmentRecord[] {
    return this.statements.all('SELECT * FROM segment ORDER BY vni').map((row) => decodeRow('segment', row, decodeSegment));
  }

  findAllocation(vni: Vni, address: Address): AllocationRecord | undefined {
    const row = this.statements.first('SELECT * FROM allocation WHERE vni = ? AND address = ?', vni, addressKey(address));
    return decodeFirst('allocation', row, decodeAllocation);
  }

  /** The allocations of an attachment or of a whole VNI: IPv4 before IPv6, each by value. */
  listAllocations(of: { readonly seq: number } | { readonly vni: Vni }): readonly AllocationRecord[] {
    const rows = 'seq' in of
      ? this.statements.all('SELECT * FROM allocation WHERE seq = ? ORDER BY address', of.seq)
      : this.statements.all('SELECT * FROM allocation WHERE vni = ? ORDER BY address', of.vni);
    return rows.map((row) => decodeRow('allocation', row, decodeAllocation));
  }

  findIdentity(vni: Vni, endpoint: string): Identity | undefined {
    return this.#identity('vni = ? AND endpoint = ?', vni, endpoint);
  }

  /** The identity that keeps the address, attached or not. */
  findIdentityByAddress(vni: Vni, address: Address): Identity | undefined {
    const owner = '(vni, endpoint) = (SELECT vni, endpoint FROM identity_address WHERE vni = ? AND address = ?)';
    return this.#identity(owner, vni, addressKey(address));
  }

  findIdentityByMac(vni: Vni, mac: Mac): Identity | undefined {
    return this.#identity('vni = ? AND mac = ?', vni, mac);
  }

  /** The identities of a VNI, or all, by VNI and name. */
  listIdentities(vni?: Vni): readonly Identity[] {
    const rows = vni === undefined
      ? this.statements.all('SELECT * FROM identity ORDER BY vni, endpoint')
      : this.statements.all('SELECT * FROM identity WHERE vni = ? ORDER BY endpoint', vni);
    return rows.map((row) => this.#decodeIdentity(row));
  }

  /** The address that was last given from a range set of the VNI; allocation goes on after it. */
  readCursor(vni: Vni, rangeSet: string): Address | undefined {
    const row = this.statements.first('SELECT address FROM cursor WHERE vni = ? AND range_set = ?', vni, rangeSet);
    return decodeFirst('cursor', row, (fields) => addressFromKey(bytes(fields, 'address')));
  }

  #attachment(where: string, ...values: readonly SQLInputValue[]): AttachmentRecord | undefined {
    const row = this.statements.first(`SELECT * FROM attachment WHERE ${where}`, ...values);
    return decodeFirst('attachment', row, decodeAttachment);
  }

  #attachments(where: string, ...values: readonly SQLInputValue[]): readonly AttachmentRecord[] {
    const rows = this.statements.all(`SELECT * FROM attachment WHERE ${where} ORDER BY seq`, ...values);
    return rows.map((row) => decodeRow('attachment', row, decodeAttachment));
  }

  #identity(where: string, ...values: readonly SQLInputValue[]): Identity | undefined {
    const row = this.statements.first(`SELECT * FROM identity WHERE ${where}`, ...values);
    return row === undefined ? undefined : this.#decodeIdentity(row);
  }

  #decodeIdentity(row: Row): Identity {
    return decodeRow('identity', row, (fields) => decodeIdentity(fields, this.#identityAddresses(row)));
  }

  #identityAddresses(row: Row): readonly InterfaceAddress[] {
    const sql = 'SELECT address, length FROM identity_address WHERE vni = ? AND endpoint = ? ORDER BY position';
    const rows = this.statements.all(sql, row['vni'] ?? null, row['endpoint'] ?? null);
    return rows.map((address) => decodeRow('identity_address', address, decodeIdentityAddress));
  }

  #count(sql: string, ...values: readonly SQLInputValue[]): number {
    const row = this.statements.first(sql, ...values);
    return row === undefined ? 0 : integer(row, 'n');
  }
}

function decodeFirst<T>(table: string, row: Row | undefined, decode: (fields: Fields) => T): T | undefined {
  return row === undefined ? undefined : decodeRow(table, row, decode);
}
