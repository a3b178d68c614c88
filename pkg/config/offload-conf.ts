/** What becomes of checksums and segmentation that are left to the devices below the tunnel: the node's `offload`. */
import { isJsonObject } from '../cni/json-value.ts';
import { key, malformed, objectOf, readerOf, text, wholeNumber, type Reader } from './readers.ts';

const modes = ['auto', 'report', 'off'] as const;

/** `auto`: test, and turn off on weft's own devices what does not work; `report`: test and say so; `off`: neither. */
export type OffloadMode = (typeof modes)[number];

/** `offload`. Complete: what was left out has its default. */
export interface OffloadConf {
  readonly mode: OffloadMode;
  /** From one test of all peers to the next. */
  readonly intervalSeconds: number;
}

/** Of a node that says nothing of it. */
export const offloadDefaults: OffloadConf = { mode: 'auto', intervalSeconds: 300 };

/** A day. */
const intervalSecondsMax = 86_400;

const mode: Reader<OffloadMode> = text(`one of ${modes.join(', ')}`, (value, name) => {
  const known = modes.find((one) => one === value);
  if (known === undefined) throw malformed(name, `one of ${modes.join(', ')}`, value);
  return known;
}, { kind: 'words', words: modes });

/** As it is written. */
interface Fields {
  readonly mode: OffloadMode;
  readonly interval: number;
}

const section = objectOf<Fields>({
  mode: key(mode, "`auto` tests between the nodes, and turns off on weft's own devices what does not work; `report` only says so; `off` does neither.", { default: offloadDefaults.mode }),
  interval: key(wholeNumber(1, intervalSecondsMax), 'From one test of all peers to the next.', { unit: 'seconds', default: offloadDefaults.intervalSeconds }),
});

/** Reads the node's `offload`: the mode alone, or a section. */
export const offload: Reader<OffloadConf> = readerOf({ kind: 'either', shapes: [mode.shape, section.shape] }, (value, site) => {
  // YAML 1.1, which people remember, has `off` for false; in 1.2 it is text, but `false` is written for it all the same.
  const fields = isJsonObject(value) ? section(value, site) : asSection(mode(value === false ? 'off' : value, site));
  return fields && { mode: fields.mode ?? offloadDefaults.mode, intervalSeconds: fields.interval ?? offloadDefaults.intervalSeconds };
});

function asSection(only: OffloadMode | undefined): Partial<Fields> | undefined {
  return only && { mode: only };
}
