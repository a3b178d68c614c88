/** What the doctor has found, as data. */
import type { FindingId } from './catalogue.ts';
import { catalogue } from './catalogue.ts';

export { quoted } from '../report/text.ts';

/** `error`: somebody's packets are lost, or the next call fails. `warning`: it works, and will not for long, or not as well. `note`: to be known. */
export type Severity = 'error' | 'warning' | 'note';

/** From the ground up; findings are told in this order, for what is wrong below often explains what is wrong above. */
export const layers = ['kernel', 'configuration', 'daemon', 'underlay', 'peers', 'agreement', 'segment', 'endpoint', 'frr', 'ovs', 'conflict', 'offload', 'resource'] as const;
export type Layer = (typeof layers)[number];

/** One thing that is not as it should be. */
export interface Finding {
  /** The same in every version; docs/doctor.md has an entry of this name. */
  readonly id: FindingId;
  readonly severity: Severity;
  readonly layer: Layer;
  /** What it is about: a link, a tenant, a file. */
  readonly subject: string;
  /** What is so, in words. */
  readonly what: string;
  /** What comes of it, in words. */
  readonly why: string;
  /** What to do about it, in words. */
  readonly fix: string;
  /** The command that shows it, for `sh` on this node: never weft's own where another program can tell. */
  readonly show: string;
}

/** What is particular to one finding; the rest is the catalogue's. */
export interface Particulars extends Pick<Finding, 'subject' | 'what' | 'show'> {
  /** In place of the catalogue's. */
  readonly fix?: string;
  /** In place of the catalogue's. */
  readonly severity?: Severity;
}

/** The finding of an id. */
export function finding(id: FindingId, { subject, what, show, fix, severity }: Particulars): Finding {
  const entry = catalogue[id];
  return { id, severity: severity ?? entry.severity, layer: entry.layer, subject, what, why: entry.why, fix: fix ?? entry.fix, show };
}
