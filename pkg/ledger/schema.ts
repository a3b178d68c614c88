/**
 * The tables of the ledger. They are weft's own business, not a contract: whatever reads them goes through Ledger.
 *
 * What belongs to an attachment goes with it (allocation); what belongs to an endpoint stays (identity). The UNIQUE
 * constraints are the last line of "no double": even a fault elsewhere cannot give an address or a MAC twice.
 */

/** `weft` in ASCII; tells weft's file from any other SQLite database (header bytes 68–71). */
export const applicationId = 0x77656674;

/** Grows by one with each change of the tables; kept in the header's user_version (bytes 60–63). */
export const schemaVersion = 1;

/** An attachment's columns besides seq, in the order of the table. */
export const attachmentColumns = [
  'network', 'container_id', 'if_name', 'tenant', 'vni', 'netns', 'netns_id', 'host_if', 'mac', 'state',
  'worker_pid', 'worker_start_time', 'endpoint', 'pod', 'ipam', 'conf', 'port', 'created_at',
] as const;

/**
 * Addresses are blobs: the family in one byte, then the address in network order, so that they sort by family and value
 * and a range is one BETWEEN. AUTOINCREMENT, because a seq that was used once must never name another attachment.
 */
export const schemaSql = `
CREATE TABLE boot (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  boot_id TEXT NOT NULL
) STRICT;

CREATE TABLE segment (
  vni INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL UNIQUE,
  segment TEXT NOT NULL
) STRICT;

CREATE TABLE attachment (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  network TEXT NOT NULL,
  container_id TEXT NOT NULL,
  if_name TEXT NOT NULL,
  tenant TEXT NOT NULL,
  vni INTEGER NOT NULL,
  netns TEXT NOT NULL,
  netns_id TEXT NOT NULL,
  host_if TEXT NOT NULL UNIQUE,
  mac TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('adding', 'attached', 'deleting')),
  worker_pid INTEGER NOT NULL,
  worker_start_time TEXT NOT NULL,
  endpoint TEXT,
  pod TEXT,
  ipam TEXT NOT NULL,
  conf TEXT NOT NULL,
  port TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (container_id, if_name, network),
  UNIQUE (vni, mac)
) STRICT;

CREATE TABLE allocation (
  vni INTEGER NOT NULL,
  address BLOB NOT NULL,
  seq INTEGER NOT NULL REFERENCES attachment (seq) ON DELETE CASCADE,
  range_set INTEGER NOT NULL,
  PRIMARY KEY (vni, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX allocation_seq ON allocation (seq);

CREATE TABLE identity (
  vni INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  mac TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (vni, endpoint),
  UNIQUE (vni, mac)
) STRICT, WITHOUT ROWID;

CREATE TABLE identity_address (
  vni INTEGER NOT NULL,
  address BLOB NOT NULL,
  length INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (vni, address),
  FOREIGN KEY (vni, endpoint) REFERENCES identity (vni, endpoint) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX identity_address_endpoint ON identity_address (vni, endpoint, position);

CREATE TABLE cursor (
  vni INTEGER NOT NULL,
  range_set TEXT NOT NULL,
  address BLOB NOT NULL,
  PRIMARY KEY (vni, range_set)
) STRICT, WITHOUT ROWID;
`;
