/** Scraping as Prometheus does, with a program that is not weft's: Python's HTTP client, in a namespace. */
import { spawnSync } from 'node:child_process';
import { inNetns, run } from '../../pkg/testing/command.ts';

/** What came of a request. */
export interface Scraped {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const client = `
import http.client, json, sys
host, port, method, path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
c = http.client.HTTPConnection(host, port, timeout=20)
c.request(method, path)
r = c.getresponse()
print(json.dumps({"status": r.status, "contentType": r.getheader("Content-Type") or "", "body": r.read().decode()}))
`;

/** Where metrics are told. */
export interface End {
  /** From where it is asked. */
  readonly netns: string;
  readonly host: string;
  readonly port: number;
}

/** A request. @throws Error where nobody answers */
export function request({ netns, host, port }: End, path = '/metrics', method = 'GET'): Scraped {
  return JSON.parse(run('ip', inNetns(netns, 'python3', '-c', client, host, String(port), method, path))) as Scraped;
}

/** Whether somebody answers. */
export function answers(end: End): boolean {
  try {
    return request(end, '/healthz').status === 200;
  } catch {
    return false;
  }
}

/** A sample: what stands in one line. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of a scrape whose name and labels are these. */
export function samplesOf(body: string, name: string, labels: Readonly<Record<string, string>> = {}): readonly Sample[] {
  const samples = body.split('\n').filter((line) => line !== '' && !line.startsWith('#')).map(readSample);
  return samples.filter((sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value));
}

/** Their sum; 0 where there are none. */
export function sumOf(body: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  return samplesOf(body, name, labels).reduce((sum, { value }) => sum + value, 0);
}

function readSample(line: string): Sample {
  const [, name = '', , labels = '', value = ''] = /^([a-z_]+)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
  const pairs = [...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', text = '']) => [key, text] as const);
  return { name, labels: Object.fromEntries(pairs), value: Number(value) };
}

/** What `promtool check metrics` has to say: nothing where all is well. */
export function lint(body: string): string {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: body, encoding: 'utf8', timeout: 30_000 });
  return `${stdout}${stderr}`.trim() + (status === 0 ? '' : ` (exit status ${status})`);
}
