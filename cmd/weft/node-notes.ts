import { WeftError } from '../../pkg/errors/weft-error.ts';
import { ledgerRemarks } from '../../pkg/report/status.ts';
import type { NodeState } from '../../pkg/report/node-state.ts';
import { printNote } from './output.ts';

/**
 * Says on stderr why a list of what the ledger has is empty or short.
 * @throws WeftError where it cannot be read: an empty list would be a lie
 */
export function noteAbsence(node: NodeState): void {
  if (node.ledger.kind === 'unreadable') throw new WeftError('ioFailure', node.ledger.problem);
  for (const remark of ledgerRemarks(node)) printNote(remark);
}
