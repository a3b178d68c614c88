/** A Prometheus of the test's own: in a namespace, with its data in a directory that goes with the test. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetns, run } from '../../pkg/testing/command.ts';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

/** The alert rules that users copy. */
export const rulesPath: string = resolve(import.meta.dirname, '../../conf/weft-alerts.yaml');

/** The answer to a query. */
export interface QueryResult {
  readonly expr: string;
  /** How many series. */
  readonly series: number;
  /** Of the first, as Prometheus writes it. */
  readonly value: string | null;
  readonly error: string | null;
}

const client = `
import json, sys, urllib.parse, urllib.request
out = []
for expr in json.load(sys.stdin):
    try:
        with urllib.request.urlopen(sys.argv[1] + "/api/v1/query", urllib.parse.urlencode({"query": expr}).encode(), timeout=20) as r: answer = json.load(r)
        result = answer["data"]["result"]
        rows = result if answer["data"]["resultType"] == "vector" else [{"value": result}]
        out.append({"expr": expr, "series": len(rows), "value": rows[0]["value"][1] if rows else None, "error": None})
    except Exception as e: out.append({"expr": expr, "series": 0, "value": None, "error": (e.read().decode() if hasattr(e, "read") else str(e))})
print(json.dumps(out))
`;

/** One that runs. */
export class Prometheus {
  readonly #netns: string;
  readonly #url: string;

  constructor(netns: string, address: string) {
    this.#netns = netns;
    this.#url = `http://${address}`;
  }

  /** Asks all of it. Never throws for what a query says. */
  query(exprs: readonly string[]): readonly QueryResult[] {
    return JSON.parse(run('ip', inNetns(this.#netns, 'python3', '-c', client, this.#url), JSON.stringify(exprs))) as QueryResult[];
  }

  /** Waits until a query has an answer. @throws Error where it does not in time */
  async until(expr: string): Promise<void> {
    const deadline = performance.now() + 60_000;
    for (;;) {
      const [result] = this.query([expr]);
      if (result !== undefined && result.series > 0) return;
      if (performance.now() > deadline) throw new Error(`Prometheus has no answer to ${expr}: ${result?.error ?? 'no series'}`);
      await delay(300);
    }
  }
}

export interface PrometheusOptions {
  readonly netns: string;
  /** Where it listens. */
  readonly address: string;
  /** `host:port` of each. */
  readonly targets: readonly string[];
}

/** Starts one with the alert rules; it ends with the scope. @throws Error where it does not answer */
export async function startPrometheus(scope: TeardownScope, { netns, address, targets }: PrometheusOptions): Promise<Prometheus> {
  const directory = temporaryDirectory(scope);
  // The namespace's own address is behind its loopback.
  run('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  const configuration = join(directory, 'prometheus.yml');
  writeFileSync(configuration, JSON.stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: [rulesPath],
    scrape_configs: [{ job_name: 'weft', static_configs: [{ targets }] }],
  }));
  const child = spawn('ip', inNetns(netns, 'prometheus', `--config.file=${configuration}`, `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=${address}`, '--log.level=error'), { stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (words += text));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  child.once('error', () => undefined);
  const forget = undoAtExit(() => void child.kill('SIGKILL'));
  scope.teardown(async () => {
    forget();
    child.kill('SIGKILL');
    await ended;
  });
  const prometheus = new Prometheus(netns, address);
  await prometheus.until('up{job="weft"} == 1').catch((error: unknown) => {
    throw new Error(`${String(error)}\n${words}`, { cause: error });
  });
  return prometheus;
}
