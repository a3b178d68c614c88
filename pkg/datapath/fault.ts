/**
 * What is wrong with the node, one fault at a time: said by CHECK, put right by a repair. Both see the same faults, and so
 * never disagree.
 */
import { isWeftError } from '../errors/weft-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';

/** What kind of thing a fault is about, for whoever explains it: which tool shows it, and what comes of it. */
export type Aspect = 'link' | 'mtu' | 'fdb' | 'neighbour' | 'address' | 'route' | 'sysctl' | 'limit' | 'setting' | 'move' | 'switch';

/** Something that is not as it should be. `Hands` is what a remedy works with. */
export interface Fault<Hands> {
  /** In words: `the host interface weft-p… is down`. */
  readonly what: string;
  /** What puts it right; absent: it is left as it is, somebody else's to decide. */
  readonly remedy?: Remedy<Hands>;
  /** The container's network works all the same: CHECK says nothing of it. */
  readonly isMinor?: true;
  /** Absent: the link itself, which is missing, down, or somewhere else. */
  readonly aspect?: Aspect;
}

/** The hands most remedies need. */
export interface RouteHands {
  readonly route: Netlink;
}

interface Remedy<Hands> {
  /** What apply() does, in words: `set up again`. */
  readonly done: string;
  /** @throws WeftError when the kernel refuses */
  apply(hands: Hands): void;
}

/** The fault, of which CHECK says nothing. */
export function minor<Hands>(fault: Fault<Hands>): Fault<Hands> {
  return { ...fault, isMinor: true };
}

/** The faults, as ones of this aspect where they have none of their own. */
export function about<Hands>(aspect: Aspect, faults: readonly Fault<Hands>[]): Fault<Hands>[] {
  return faults.map((fault) => ({ aspect, ...fault }));
}

/** What a repair found and did, in words; all empty where nothing was wrong, and then nothing has been written. */
export interface Repair {
  /** What was wrong and is put right. */
  readonly repaired: readonly string[];
  /** What is wrong and is left so: a container's own doing, or somebody else's object in the way. */
  readonly left: readonly string[];
  /** What could not be put right, and why; worth another try. */
  readonly failed: readonly string[];
  /** The container's namespace is no longer there: nothing of it can be repaired. */
  readonly isGone?: true;
  /** What goes on behind it; never rejects. */
  readonly rest?: Promise<Repair>;
}

/** The repair of what is whole. */
export const nothingWrong: Repair = { repaired: [], left: [], failed: [] };

/** What CHECK says of faults. */
export function faultsInWords(faults: readonly Fault<never>[]): string[] {
  return faults.filter((fault) => fault.isMinor !== true).map((fault) => fault.what);
}

/** Puts right what has a remedy, one after another; a refusal does not stop the rest. */
function applyRemedies<Hands>(faults: readonly Fault<Hands>[], hands: Hands): Repair {
  const [repaired, left, failed]: [string[], string[], string[]] = [[], [], []];
  for (const { what, remedy } of faults) {
    if (remedy === undefined) left.push(what);
    else {
      const refusal = tryApply(remedy, hands);
      if (refusal === undefined) repaired.push(`${what}: ${remedy.done}`);
      else failed.push(`${what}: ${refusal}`);
    }
  }
  return { repaired, left, failed };
}

function tryApply<Hands>(remedy: Remedy<Hands>, hands: Hands): string | undefined {
  try {
    remedy.apply(hands);
    return undefined;
  } catch (error) {
    if (!isWeftError(error)) throw error;
    return error.message;
  }
}

/** Rounds of looking and mending: what hid behind a missing bridge shows when that is made anew. */
const roundsMax = 3;

/** Looks and mends until nothing is left to mend. A remedy that did not help is not applied in each round again. */
export function repairInRounds<Hands>(look: () => readonly Fault<Hands>[], hands: Hands): Repair {
  const repaired: string[] = [];
  const seen = new Set<string>();
  for (let round = 1; ; round += 1) {
    const faults = look();
    const fresh = faults.filter((fault) => fault.remedy !== undefined && !seen.has(fault.what));
    const stale = faults.filter((fault) => fault.remedy !== undefined && seen.has(fault.what)).map((fault) => fault.what);
    const left = faults.filter((fault) => fault.remedy === undefined).map((fault) => fault.what);
    if (fresh.length === 0) return { repaired, left, failed: stale };
    for (const { what } of fresh) seen.add(what);
    const done = applyRemedies(fresh, hands);
    repaired.push(...done.repaired);
    if (done.failed.length > 0 || round === roundsMax) return { repaired, left, failed: done.failed };
  }
}

/** The repair with what went on behind it. */
export async function completed({ rest, ...repair }: Repair): Promise<Repair> {
  return rest === undefined ? repair : joinRepairs(repair, await rest);
}

/** Several repairs as one. */
export function joinRepairs(...repairs: readonly Repair[]): Repair {
  const isGone = repairs.some((repair) => repair.isGone === true);
  return {
    repaired: repairs.flatMap((repair) => repair.repaired), left: repairs.flatMap((repair) => repair.left), failed: repairs.flatMap((repair) => repair.failed),
    ...(isGone ? { isGone } : {}),
  };
}
