/**
 * The catalogue of everything weft reports as an error: one entry, one name, one CNI code.
 *
 * Codes 1–11 and 50–51 are the CNI specification's (SPEC.md 1.1.0, "Error"); from 100 up they are weft's own.
 * docs/errors.md is the reader's copy; a test keeps the two equal.
 */

export interface CatalogueEntry {
  /** The number in the CNI error object's `code`. */
  readonly cniCode: number;
  /** What went wrong, as the heading of the error's entry in docs/errors.md. */
  readonly title: string;
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly isRetryable: boolean;
}

export const catalogue = {
  incompatibleVersion: { cniCode: 1, title: 'The configuration asks for a CNI version weft does not speak', isRetryable: false },
  unsupportedField: { cniCode: 2, title: 'The network configuration has a field that weft does not know or cannot honour', isRetryable: false },
  unknownContainer: { cniCode: 3, title: 'The container is unknown or does not exist', isRetryable: false },
  invalidEnvironment: { cniCode: 4, title: 'A CNI_* environment variable is missing or invalid', isRetryable: false },
  ioFailure: { cniCode: 5, title: 'Reading or writing failed', isRetryable: true },
  undecodable: { cniCode: 6, title: 'The network configuration is not JSON', isRetryable: false },
  invalidConfiguration: { cniCode: 7, title: 'The network configuration is invalid', isRetryable: false },
  tryAgainLater: { cniCode: 11, title: 'Something transient is in the way', isRetryable: true },
  notAvailable: { cniCode: 50, title: 'The plugin cannot serve an ADD now', isRetryable: true },
  limitedConnectivity: { cniCode: 51, title: 'The plugin cannot serve an ADD, and existing containers are limited', isRetryable: true },
  internal: { cniCode: 100, title: 'A fault in weft itself', isRetryable: false },
  kernelRefused: { cniCode: 101, title: 'The kernel refused a request', isRetryable: true },
  rangeExhausted: { cniCode: 102, title: 'No free address is left in a range', isRetryable: true },
  addressTaken: { cniCode: 103, title: 'The requested address or MAC is not free', isRetryable: false },
  subnetConflict: { cniCode: 104, title: 'A subnet overlaps one that is already in use here', isRetryable: false },
  ledgerDamaged: { cniCode: 105, title: 'The ledger cannot be read', isRetryable: false },
  ledgerNewer: { cniCode: 106, title: 'The ledger was written by a newer weft', isRetryable: false },
  tenantMismatch: { cniCode: 107, title: 'The tenant is in use on this node with other settings', isRetryable: false },
  checkFailed: { cniCode: 108, title: 'CHECK found the attachment damaged', isRetryable: false },
  delegateFailed: { cniCode: 109, title: 'The delegated IPAM plugin is missing or did not answer as the specification says', isRetryable: true },
  bridgeFull: { cniCode: 110, title: "The tenant's bridge has no port left", isRetryable: true },
  interfaceExists: { cniCode: 111, title: 'The interface name is already in use in the container', isRetryable: false },
  foreignObject: { cniCode: 112, title: "A kernel object of weft's name exists that weft did not make", isRetryable: false },
} as const;

export type ErrorName = keyof typeof catalogue;

/** The catalogue by name, for code that walks over all of it. */
export const entries: Readonly<Record<ErrorName, CatalogueEntry>> = catalogue;
