/** What a transaction is answered with (RFC 7047 §4.1.3). Pure. */
import { isObject } from './message.ts';
import type { Operation } from './operations.ts';
import { OvsdbError, type RefusedOperation } from './ovsdb-error.ts';
import { decodeRow, parseUuid, type Columns, type RowOf, type Uuid } from './values.ts';

/** The result of one operation, still as it was received; insertedUuid(), countOf() and rowsOf() read it. */
export type OperationResult = Readonly<Record<string, unknown>>;

/** The error of an operation that waited in vain (RFC 7047 §5.2.6). */
const waitedInVain = 'timed out';

/**
 * The results of a transaction that was applied, one for each operation.
 *
 * A refusal may be anywhere: at the operation, with null for those behind it, or in one element more than there were operations,
 * for constraints that are looked at last.
 * @throws OvsdbError refused or waitFailed, with the operation; garbled where it is no result of these operations
 */
export function checkResults(operations: readonly Operation[], results: unknown): readonly OperationResult[] {
  if (!Array.isArray(results)) throw new OvsdbError('garbled', 'The result of a transaction must be an array');
  for (const [index, result] of results.entries()) {
    if (isObject(result) && result['error'] !== undefined && result['error'] !== null) throw refusalOf(result, operationAt(operations, index));
  }
  if (results.length !== operations.length || !results.every(isObject)) {
    throw new OvsdbError('garbled', `The result of a transaction of ${operations.length} operations must have as many elements: it has ${results.length}`);
  }
  return results;
}

/**
 * What the server answers in place of a result, and as one: an object with `error` and perhaps `details`, or a text.
 * @param operation which of a transaction's operations it is about
 */
export function refusalOf(error: unknown, operation?: RefusedOperation): OvsdbError {
  const [refusal, details] = isObject(error) ? [String(error['error']), error['details'] ?? error['syntax']] : [String(error), undefined];
  const isWait = operation?.op === 'wait' && refusal === waitedInVain;
  const what = operation === undefined ? '' : ` to ${operation.op}${operation.table === undefined ? '' : ` in the table ${operation.table}`}`;
  const because = details === undefined ? refusal : `${refusal}: ${String(details)}`;
  const message = isWait ? `The OVSDB table ${operation.table} is not as expected: ${because}` : `The OVSDB server refused${what}: ${because}`;
  return new OvsdbError(isWait ? 'waitFailed' : 'refused', message, { refusal, ...(operation === undefined ? {} : { operation }) });
}

function operationAt(operations: readonly Operation[], index: number): RefusedOperation | undefined {
  const operation = operations[index];
  if (operation === undefined) return undefined;
  return { index, op: operation.op, ...('table' in operation ? { table: operation.table } : {}) };
}

/** The identity of the row that was inserted. @throws OvsdbError garbled where it is no result of an insert */
export function insertedUuid(result: OperationResult | undefined): Uuid {
  const uuid = result?.['uuid'];
  if (Array.isArray(uuid) && uuid[0] === 'uuid') return parseUuid(uuid[1]);
  throw new OvsdbError('garbled', 'The result of an insert must have the UUID of its row');
}

/** How many rows were updated, mutated or deleted. @throws OvsdbError garbled where it is no such result */
export function countOf(result: OperationResult | undefined): number {
  const count = result?.['count'];
  if (typeof count === 'number') return count;
  throw new OvsdbError('garbled', 'The result of an update, mutate or delete must have a count of rows');
}

/** The rows that were selected, decoded. @throws OvsdbError garbled where it is no result of a select, or a column has another type */
export function rowsOf<C extends Columns>(result: OperationResult | undefined, columns: C): readonly RowOf<C>[] {
  const rows = result?.['rows'];
  if (!Array.isArray(rows) || !rows.every(isObject)) throw new OvsdbError('garbled', 'The result of a select must have rows');
  return rows.map((row) => decodeRow(columns, row));
}
