/** What the figures should be. Missing a goal fails nothing: it is said. Pure. */

/** A figure and the most that it should be. */
export interface Goal {
  readonly name: string;
  readonly value: number;
  readonly most: number;
  readonly unit: string;
}

export interface GoalFigures {
  /** Shares of the reference's figures. */
  readonly addP50: number;
  readonly addP95: number;
  readonly delP50: number;
  readonly burstAdd: number;
  readonly burstDel: number;
  /** ADD's median on a full node, as a share of the one on a nearly empty node. */
  readonly addFullNode: number;
  /** MiB from the last look but one to the last, when everything has been loaded and compiled. */
  readonly memoryGrowth: number;
  /** Percent of one processor. */
  readonly idleCpu: number;
  /** How much more a stream gets through a bridge and a VXLAN device made by hand than through weft's. */
  readonly throughput: number;
  /** With Open vSwitch, as a share of the same work done by hand. */
  readonly ovsAddP50: number;
  /** ADD's median on a full switch, and beside many endpoints elsewhere, as shares of the one on a nearly empty switch. */
  readonly ovsAddFullNode: number;
  readonly ovsAddRemotes: number;
}

/** The goals with their figures. Flat, no growth and not measurable are put as numbers. */
export function goalsOf(figures: GoalFigures): readonly Goal[] {
  return [
    { name: 'ADD p50', value: figures.addP50, most: 0.35, unit: '×' },
    { name: 'ADD p95', value: figures.addP95, most: 0.5, unit: '×' },
    { name: 'DEL p50', value: figures.delP50, most: 0.6, unit: '×' },
    { name: '64 ADDs at once', value: figures.burstAdd, most: 0.25, unit: '×' },
    { name: '64 DELs at once', value: figures.burstDel, most: 0.15, unit: '×' },
    { name: 'ADD p50, full node to empty', value: figures.addFullNode, most: 1.25, unit: '×' },
    { name: 'memory growth', value: figures.memoryGrowth, most: 4, unit: 'MiB' },
    // Two ticks of 10 ms in 5 s: what cannot be told from none.
    { name: 'idle processor time', value: figures.idleCpu, most: 0.4, unit: '%' },
    // 0.97 of it the other way round.
    { name: 'throughput, by hand to weft', value: figures.throughput, most: 1.03, unit: '×' },
    { name: 'ovs: ADD p50 to by hand', value: figures.ovsAddP50, most: 0.4, unit: '×' },
    { name: 'ovs: ADD p50, full node to empty', value: figures.ovsAddFullNode, most: 1.25, unit: '×' },
    { name: 'ovs: ADD p50, many elsewhere to none', value: figures.ovsAddRemotes, most: 1.25, unit: '×' },
  ];
}

export function isReached({ value, most }: Goal): boolean {
  return value <= most;
}

/** All of it in words, on one line. */
export function describeGoals(goals: readonly Goal[]): string {
  const missed = goals.filter((goal) => !isReached(goal));
  if (missed.length === 0) return `All ${goals.length} goals are reached.`;
  const list = missed.map(({ name, value, most, unit }) => `${name} ${value.toFixed(2)} ${unit} (at most ${most})`).join(', ');
  return `${goals.length - missed.length} of ${goals.length} goals are reached; not reached: ${list}.`;
}
