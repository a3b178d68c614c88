/** Whether configuration, ledger and each other's tenants agree on who has which VNI. Pure. */
import { finding, type Finding } from './finding.ts';

/** Somebody who says which VNI a tenant has. */
export interface VniClaim {
  readonly tenant: string;
  readonly vni: number;
  /** Who says so: a file, or the ledger. */
  readonly source: string;
}

/** What today's configuration makes of a tenant that is attached here. */
export interface TenantPlan {
  readonly tenant: string;
  /** Why it cannot follow the configuration, in words. */
  readonly refusal?: string;
  /** How it differs from what the configuration says, in words. */
  readonly changes: readonly string[];
}

/** What is known. */
export interface AgreementFacts {
  readonly claims: readonly VniClaim[];
  readonly plans: readonly TenantPlan[];
}

/** Where they disagree. */
export function judgeAgreement({ claims, plans }: AgreementFacts): Finding[] {
  return [...judgeShared(claims), ...judgeDiffering(claims), ...plans.flatMap(judgePlan)];
}

function judgeShared(claims: readonly VniClaim[]): Finding[] {
  return [...groupBy(claims, ({ vni }) => vni)].filter(([, group]) => new Set(group.map(({ tenant }) => tenant)).size > 1).map(([vni, group]) => finding('vni-shared', {
    subject: `VNI ${vni}`, what: `VNI ${vni} is ${group.map(({ tenant, source }) => `tenant ${tenant}'s in ${source}`).join(' and ')}`, show: `ip -d link show dev weft-vx${vni}`,
  }));
}

function judgeDiffering(claims: readonly VniClaim[]): Finding[] {
  return [...groupBy(claims, ({ tenant }) => tenant)].filter(([, group]) => new Set(group.map(({ vni }) => vni)).size > 1).map(([tenant, group]) => finding('vni-differs', {
    subject: `tenant ${tenant}`, what: `tenant ${tenant} has ${group.map(({ vni, source }) => `VNI ${vni} in ${source}`).join(' and ')}`, show: 'ip -d link show type vxlan',
  }));
}

function judgePlan({ tenant, refusal, changes }: TenantPlan): Finding[] {
  const [subject, show] = [`tenant ${tenant}`, 'ip -d link show type vxlan; bridge fdb show'];
  if (refusal !== undefined) return [finding('plan-refused', { subject, what: refusal, show })];
  return changes.map((change) => finding('plan-behind', { subject, what: `the configuration has it otherwise: ${change}`, show }));
}

function groupBy<T, K>(items: readonly T[], keyOf: (item: T) => K): ReadonlyMap<K, readonly T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
