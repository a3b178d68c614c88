/** The doctor's report, for programs and for people. Pure. */
import { printable } from '../report/text.ts';
import type { Finding, Layer, Severity } from './finding.ts';
import type { CheckOutcome, Examination } from './run.ts';

/** What `weft doctor -o json` prints. Every key is always there; keys may be added. */
export interface DoctorReport {
  /** True when there is no finding of severity error: the exit status is 0 then, else 1. */
  readonly isWell: boolean;
  /** The node's name. */
  readonly node: string;
  /** Of the weft that reports. */
  readonly version: string;
  readonly counts: Readonly<Record<Severity, number>>;
  /** From the underlay up to the containers. */
  readonly findings: readonly Finding[];
  readonly checks: readonly CheckOutcome[];
}

/** Puts it together. */
export function reportExamination({ findings, outcomes }: Examination, { node, version }: Pick<DoctorReport, 'node' | 'version'>): DoctorReport {
  const countOf = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  const counts = { error: countOf('error'), warning: countOf('warning'), note: countOf('note') };
  return { isWell: counts.error === 0, node, version, counts, findings, checks: outcomes };
}

const severities: readonly Severity[] = ['error', 'warning', 'note'];

/** Errors first, then warnings, then notes; within each from the ground up. */
export function renderDoctor(report: DoctorReport): string {
  const ordered = severities.flatMap((severity) => report.findings.filter((one) => one.severity === severity));
  return [renderHead(report), ...ordered.map(renderFinding), renderChecks(report.checks)].join('\n');
}

function renderHead({ node, counts }: DoctorReport): string {
  const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
  const found = severities.filter((severity) => counts[severity] > 0).map((severity) => plural(counts[severity], severity));
  return `${printable(node)}: ${found.length === 0 ? 'nothing is wrong' : found.join(', ')}\n`;
}

function renderFinding({ id, severity, subject, what, why, fix, show }: Finding): string {
  const lines = [['what', what], ['so', why], ['fix', fix], ['see', show]] as const;
  return [`${severity} ${id}: ${subject}`, ...lines.map(([label, text]) => `  ${`${label}:`.padEnd(6)}${text}`)].map((line) => `${printable(line)}\n`).join('');
}

/** Each layer once, with the time of its checks. */
function renderChecks(checks: readonly CheckOutcome[]): string {
  const byLayer = new Map<Layer, number>();
  for (const { layer, ms } of checks) byLayer.set(layer, (byLayer.get(layer) ?? 0) + ms);
  return `looked at: ${[...byLayer].map(([layer, ms]) => `${layer} ${ms} ms`).join(', ')}\n`;
}
