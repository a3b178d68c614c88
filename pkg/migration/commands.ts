/** What an operator or a hypervisor's hook says to the daemon of its own node: `weft migrate`. */
import { isJsonObject, showValue, type JsonObject } from '../cni/json-value.ts';
import { findEndpoint } from '../attachment/moves.ts';
import type { EngineParts } from '../attachment/engine-parts.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord } from '../ledger/ledger.ts';
import { formatAddress, parseAddress, parseVni, type Vni } from '../netaddr/netaddr.ts';
import type { PortMigration } from '../overlay/model.ts';
import type { Phase } from './course.ts';
import type { Migrations, Outcome } from './migrations.ts';

const verbs = ['prepare', 'activate', 'cancel'] as const;

/** One command. */
export interface MigrateCommand {
  readonly verb: (typeof verbs)[number];
  /** Its name, or its VNI. */
  readonly tenant: string;
  readonly endpoint: string;
  /** Of `prepare`: the VTEP that the endpoint comes from. */
  readonly from?: string;
}

/** What came of a command, for whoever gave it. */
export interface MigrateAnswer {
  /** One line. */
  readonly words: string;
}

/** Does what of a command cannot wait: the machine of an endpoint has stopped, and what comes for it is lost until its target knows. The rest is carryOut()'s. */
export function hasten(migrations: Migrations, body: unknown): void {
  if (!isJsonObject(body) || body['verb'] !== 'activate') return;
  const { tenant, endpoint } = body;
  if (typeof tenant === 'string' && typeof endpoint === 'string') migrations.hurry(tenant, endpoint);
}

/** Does what a command says. @throws WeftError where it cannot be done, and then nothing was */
export async function carryOut(engine: EngineParts, migrations: Migrations, body: unknown): Promise<MigrateAnswer> {
  const command = parseCommand(body);
  const vni = await findVni(engine, command.tenant);
  if (command.verb === 'prepare') return prepare(migrations, vni, command);
  const record = engine.ledger().read((tx) => findEndpoint(tx, vni, command.endpoint));
  if (record === undefined) throw new WeftError('unknownContainer', `No container of this node is the endpoint ${command.endpoint} of tenant ${command.tenant}`);
  const { migration } = record.port;
  if (migration === undefined) throw new WeftError('invalidConfiguration', `The endpoint ${command.endpoint} of tenant ${command.tenant} is not on its way: attach it on the other node first, with the same WEFT_ENDPOINT`);
  if (command.verb === 'cancel') await requireRevocable(migrations, record);
  const outcome = await migrations.happen(record.seq, command.verb);
  if (outcome.step === undefined) throw new WeftError('invalidConfiguration', `The endpoint ${command.endpoint} ${inWords(outcome.phase, migration)}: there is nothing to ${command.verb}`);
  return describeOutcome(command.endpoint, migration, outcome);
}

function parseCommand(body: unknown): MigrateCommand {
  if (!isJsonObject(body)) throw new WeftError('invalidConfiguration', `A command must be an object: it is ${showValue(body)}`);
  const verb = verbs.find((known) => known === body['verb']);
  if (verb === undefined) throw new WeftError('invalidConfiguration', `verb must be one of ${verbs.join(', ')}: current value is ${showValue(body['verb'])}`);
  const from = body['from'] === undefined ? {} : { from: text(body, 'from') };
  return { verb, tenant: text(body, 'tenant'), endpoint: text(body, 'endpoint'), ...from };
}

function text(body: JsonObject, key: string): string {
  const value = body[key];
  if (typeof value === 'string' && value !== '') return value;
  throw new WeftError('invalidConfiguration', `${key} must be text: current value is ${showValue(value)}`);
}

/** A tenant's VNI: of one that has containers here, or that the configuration knows; or the number itself. */
async function findVni(engine: EngineParts, tenant: string): Promise<Vni> {
  const present = engine.ledger().read((tx) => tx.findSegmentByTenant(tenant))?.vni;
  if (present !== undefined) return present;
  const configured = (await engine.nodeConf()).tenants.find(({ name }) => name === tenant)?.vni;
  if (configured !== undefined) return configured;
  if (/^[0-9]+$/.test(tenant)) return parseVni(Number(tenant));
  throw new WeftError('invalidConfiguration', `Tenant ${tenant} has no container on this node, and the node configuration does not know it: name it by its VNI`);
}

async function prepare(migrations: Migrations, vni: Vni, { endpoint, from }: MigrateCommand): Promise<MigrateAnswer> {
  if (from === undefined) throw new WeftError('invalidConfiguration', 'from must be the VTEP that the endpoint comes from: it is missing');
  const vtep = parseAddress(from);
  await migrations.expect({ vni, endpoint }, vtep);
  return { words: `the next container with WEFT_ENDPOINT=${endpoint} takes the endpoint over from VTEP ${formatAddress(vtep)}` };
}

/** What is at the target by now cannot be taken back: a machine would be at two places. */
async function requireRevocable(migrations: Migrations, { seq, endpoint, port: { migration } }: AttachmentRecord): Promise<void> {
  const isOver = migration?.phase === 'left' || migration?.phase === 'arrived' || (migration?.phase === 'departed' && (await migrations.isThere(seq)));
  if (!isOver || migration === undefined) return;
  const where = migration.phase === 'arrived' ? 'is here by now' : `is at VTEP ${formatAddress(migration.other)} by now`;
  throw new WeftError('invalidConfiguration', `The endpoint ${endpoint} ${where}: let it migrate back`);
}

/** What a phase means for the endpoint, as the end of a sentence. */
function inWords(phase: Phase, { other }: PortMigration): string {
  const vtep = `VTEP ${formatAddress(other)}`;
  const words: Readonly<Record<Phase, string>> = {
    none: 'is here', relaying: `is here, and about to go to ${vtep}`, departed: `goes to ${vtep}`, left: `is at ${vtep}`,
    waiting: `is still at ${vtep}`, arrived: `has come from ${vtep}`,
  };
  return words[phase];
}

async function describeOutcome(endpoint: string, migration: PortMigration, { phase, told }: Outcome): Promise<MigrateAnswer> {
  const heard = await told;
  const unheard = heard !== undefined && 'words' in heard ? `; VTEP ${formatAddress(migration.other)} does not answer: ${heard.words}` : '';
  return { words: `the endpoint ${endpoint} ${inWords(phase, migration)}${unheard}` };
}
