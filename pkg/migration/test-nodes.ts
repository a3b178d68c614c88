/** For tests: nodes whose ledgers are real, whose datapaths are played, and whose daemons hear each other or do not. */
import { Claims } from '../attachment/claims.ts';
import type { EngineParts } from '../attachment/engine-parts.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import type { DatapathMigration, MovingPort } from '../datapath/migration.ts';
import { WeftError } from '../errors/weft-error.ts';
import { currentWorker } from '../ledger/boot.ts';
import type { AttachmentRecord, Ledger } from '../ledger/ledger.ts';
import { blueVni, openTestLedger, testAttachment, testSegment } from '../ledger/test-records.ts';
import type { Log } from '../log/log.ts';
import { formatAddress, parseAddress, type Address } from '../netaddr/netaddr.ts';
import type { PortMigration } from '../overlay/model.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { Migrations } from './migrations.ts';

type Scope = Parameters<typeof temporaryDirectory>[0];

/** A node of the test. */
export interface TestNode {
  readonly vtep: Address;
  readonly ledger: Ledger;
  readonly engine: EngineParts;
  readonly migrations: Migrations;
  /** What was asked of the datapath, in order: `method phase`. */
  readonly calls: string[];
  readonly said: string[];
  /** Lets the machine that waits here speak. */
  speak(): void;
  /** How many frames the relay has sent. */
  relayed: number;
  /** Makes the datapath refuse a method. */
  refuse: string | undefined;
  /** Another daemon in the place of this one, over the same ledger; the first one is stopped. */
  restart(): TestNode;
  /** Writes an attachment of the endpoint down. */
  put(migration?: Omit<PortMigration, 'since'>): AttachmentRecord;
  /** The attachment's phase, or `none`. */
  phase(): string;
}

/** The network of the daemons: who is cut off hears nobody, and nobody hears him. */
export class TestNetwork {
  readonly nodes: Map<string, Migrations> = new Map();
  readonly cut: Set<string> = new Set();
  readonly heard: string[] = [];

  /** Connections that are kept open, by who keeps them. */
  readonly kept: string[] = [];
  /** Nodes on which a machine may stop or speak at any moment. */
  readonly urgent: Set<string> = new Set();

  keepOpen(from: string, to: string): () => void {
    const connection = `${from} to ${to}`;
    this.kept.push(connection);
    return () => void this.kept.splice(this.kept.indexOf(connection), 1);
  }

  async ask(from: string, to: string, body: unknown): Promise<unknown> {
    const node = this.nodes.get(to);
    if (node === undefined || this.cut.has(from) || this.cut.has(to)) throw new WeftError('tryAgainLater', `${to} does not answer`);
    const text = JSON.stringify(body);
    const { kind, saying } = JSON.parse(text) as { kind: string; saying?: string };
    if (kind === 'say') this.heard.push(`${from} says ${saying}`);
    return JSON.parse(JSON.stringify(await node.handle(JSON.parse(text))));
  }
}

/** The name of the endpoint that moves. */
export const endpoint = 'vm-1';

/** A node at 192.0.2.<number>. */
export function testNode(scope: Scope, network: TestNetwork, number: number, { timeoutMs = 60_000 }: { readonly timeoutMs?: number } = {}): TestNode {
  return nodeOver(scope, network, { number, timeoutMs, ledger: openTestLedger(scope, temporaryDirectory(scope)) });
}

interface NodeSettings {
  readonly number: number;
  readonly timeoutMs: number;
  readonly ledger: Ledger;
}

function nodeOver(scope: Scope, network: TestNetwork, settings: NodeSettings): TestNode {
  const { number, timeoutMs, ledger } = settings;
  const name = `192.0.2.${number}`;
  const [calls, said] = [[] as string[], [] as string[]];
  const others = [1, 2, 3].filter((other) => other !== number).map((other) => parseAddress(`192.0.2.${other}`));
  const segment = testSegment({ vtepAddress: parseAddress(name), peers: others });
  const engine = { ledger: () => ledger, nodeConf: async () => emptyNodeConf, now: Date.now, worker: currentWorker(), claims: new Claims() } as unknown as EngineParts;
  const say = (fields: object, message: string): void => void said.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { debug: () => undefined, info: say, warn: say, error: say };
  const node: Omit<TestNode, 'migrations'> & { migrations?: Migrations; spoken: (() => void) | undefined } = {
    vtep: parseAddress(name), ledger, engine, calls, said, relayed: 0, refuse: undefined, spoken: undefined,
    speak: () => node.spoken?.(),
    restart() {
      node.migrations?.stop();
      return nodeOver(scope, network, settings);
    },
    put: (migration) => ledger.write((tx) => {
      tx.putSegment({ vni: blueVni, segment });
      const attachment = testAttachment(1, { state: 'attached', endpoint });
      return tx.insertAttachment({ ...attachment, port: { ...attachment.port, ...(migration === undefined ? {} : { migration: { ...migration, since: Date.now() } }) } });
    }),
    phase: () => ledger.read((tx) => tx.listAttachments({ vni: blueVni, endpoint }))[0]?.port.migration?.phase ?? 'none',
  };
  const datapath = playedDatapath(node);
  node.migrations = new Migrations({ engine, datapath, log, timeoutMs: () => timeoutMs, vtepsOf: async () => [], setUrgent: (isUrgent) => void (network.urgent[isUrgent ? 'add' : 'delete'](name)), correspondent: () => ({ ask: (to, body) => network.ask(name, formatAddress(to), body), keepOpen: (to) => network.keepOpen(name, formatAddress(to)), isConnected: (to) => !network.cut.has(formatAddress(to)) }) });
  const { migrations } = node;
  network.nodes.set(name, migrations);
  scope.teardown(() => migrations.stop());
  return node as TestNode;
}

function playedDatapath(node: { readonly calls: string[]; relayed: number; refuse: string | undefined; spoken: (() => void) | undefined }): DatapathMigration {
  const note = (what: string) => ({ port: { migration } }: MovingPort): void => {
    if (node.refuse === what) throw new WeftError('kernelRefused', `${what} is refused`);
    node.calls.push(`${what} ${migration?.phase ?? 'none'}`);
  };
  return {
    startRelay: note('startRelay'), depart: note('depart'), leave: note('leave'), takeBack: note('takeBack'), open: note('open'), settle: note('settle'), announce: note('announce'),
    countRelayed: () => node.relayed,
    armActivation: (moving) => () => note('activated')(moving),
    armOpening: (moving) => () => note('armed')(moving),
    hasOpened: () => false,
    watchOpening(_moving, onOpened) {
      node.spoken = onOpened;
      return () => (node.spoken = undefined);
    },
  };
}
