/**
 * What is looked at for a scrape, as text in Prometheus' exposition format 0.0.4. Samples of these have no memory: they are said once, and
 * their labels are not hashed and looked up, which with a thousand endpoints would take longer than all the rest. Pure.
 */
import { definitionOf, type LabelsOf, type MetricName } from './catalogue.ts';

/** Labels as they stand in the text, with their braces; empty where there are none. */
export type LabelText = string & { readonly labelText: unique symbol };

const special = /[\\"\n]/g;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };

/** Labels as text, once for several metrics that have the same. */
export function labelText(labels: Readonly<Record<string, string>>): LabelText {
  const parts = Object.entries(labels).flatMap(([name, value]) => (value === '' ? [] : `${name}="${value.replace(special, (character) => escapes[character] ?? '')}"`));
  return (parts.length === 0 ? '' : `{${parts.join(',')}}`) as LabelText;
}

/** The lines that begin a metric. */
export function header(name: MetricName): string {
  const { type, help } = definitionOf(name);
  return `# HELP ${name} ${help.replace(/[\\\n]/g, (character) => escapes[character] ?? '')}\n# TYPE ${name} ${type}\n`;
}

/** Samples by metric, in any order. */
export class Exposition {
  readonly #lines = new Map<MetricName, string[]>();

  /** A sample. A metric without samples is declared all the same by declare(). */
  add<Name extends MetricName>(name: Name, labels: LabelsOf<Name>, value: number): void {
    this.addWith(name, labelText(labels), value);
  }

  /** A sample whose labels are text by now. @param suffix of a summary's parts: `_sum`, `_count` */
  addWith(name: MetricName, labels: LabelText, value: number, suffix = ''): void {
    this.declare(name);
    this.#lines.get(name)?.push(`${name}${suffix}${labels} ${value}\n`);
  }

  /** Has the metric told although it may have no samples. */
  declare(name: MetricName): void {
    if (!this.#lines.has(name)) this.#lines.set(name, [header(name)]);
  }

  /** The text of the metrics, each whole, in the order in which they were first named. */
  toText(): string {
    return [...this.#lines.values()].map((lines) => lines.join('')).join('');
  }
}
