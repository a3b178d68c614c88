/** What the outcomes of attacks mean, in words and as a table. Pure. */
import { renderTable } from '../harness/text-table.ts';
import type { AttackOutcome } from './stage.ts';

/** The attacks that got somewhere they must not, in words. */
export function describeLeaks(outcomes: readonly AttackOutcome[]): readonly string[] {
  return outcomes.flatMap(({ attack, sent, reachedVictims, reachedOwn, isDisturbed }) => [
    ...(reachedVictims > 0 ? [`${attack.name}: ${reachedVictims} frames reached the other tenant`] : []),
    ...(reachedOwn > 0 && !attack.mayReachOwn ? [`${attack.name}: ${reachedOwn} frames reached the own tenant`] : []),
    ...(isDisturbed ? [`${attack.name}: afterwards a container no longer gets its own tenant's broadcasts`] : []),
    ...(sent === 0 ? [`${attack.name}: nothing was sent`] : []),
  ]);
}

/** The honest frames that did not reach every member of the tenant: without them an attack's 0 proves nothing. */
export function describeDeafness(controls: readonly AttackOutcome[], members: number): readonly string[] {
  return controls.flatMap(({ attack, ownMembersReached }) =>
    ownMembersReached === members ? [] : [`${attack.name}: reached ${ownMembersReached} of ${members} members of the own tenant`],
  );
}

/** A line for each attack: what was sent, and how much of it arrived where. */
export function renderOutcomes(outcomes: readonly AttackOutcome[]): string {
  const rows = outcomes.map((outcome) => [
    outcome.attack.name,
    String(outcome.sent),
    String(outcome.reachedVictims),
    `${outcome.reachedOwn}${outcome.attack.mayReachOwn ? ' (may)' : ''}`,
    describeLeaks([outcome]).length === 0 ? '' : 'LEAK',
  ]);
  return renderTable([['attack', 'sent', 'reached other tenant', 'reached own tenant', ''], ...rows]);
}
