/** `weft daemon`: the engine, long-lived, behind a socket; and the reconciler. */
import { join } from 'node:path';
import { Background } from '../../pkg/attachment/background.ts';
import { createEngine } from '../../pkg/attachment/engine.ts';
import type { Caller } from '../../pkg/attachment/remove.ts';
import { CallLog } from '../../pkg/daemon/call-log.ts';
import { Calls } from '../../pkg/daemon/calls.ts';
import { DaemonHandler } from '../../pkg/daemon/daemon-handler.ts';
import { LiveNodeConf } from '../../pkg/daemon/live-node-conf.ts';
import { DaemonServer } from '../../pkg/daemon/server.ts';
import { retirePredecessor } from '../../pkg/daemon/takeover.ts';
import type { OpenKernel } from '../../pkg/datapath/kernel.ts';
import { openSwitch, type OvsSwitch } from '../../pkg/datapath/ovs/switch/switch.ts';
import { StepClock } from '../../pkg/daemon/step-clock.ts';
import { findUnderlay, hasGlobalAddress } from '../../pkg/datapath/underlay.ts';
import { UnderlayMemory } from '../../pkg/datapath/underlay-memory.ts';
import { LinkReaper } from '../../pkg/datapath/link-reaper.ts';
import { describeError, isWeftError, WeftError } from '../../pkg/errors/weft-error.ts';
import { Evpn } from '../../pkg/evpn/evpn.ts';
import type { Ledger } from '../../pkg/ledger/ledger.ts';
import type { Log, LogLevel } from '../../pkg/log/log.ts';
import { carryOut, hasten } from '../../pkg/migration/commands.ts';
import { isLinkGone, linkIndexOf } from '../../pkg/netlink/link.ts';
import { openKernelMonitor, type KernelEvent, type KernelMonitor } from '../../pkg/netlink/monitor.ts';
import type { Paths } from '../../pkg/path/paths.ts';
import { Reconciler } from '../../pkg/reconcile/reconciler.ts';
import { everything, scopeOf } from '../../pkg/reconcile/scope.ts';
import type { DaemonStatus } from '../../pkg/report/daemon-status.ts';
import { companyOf } from '../../pkg/sys/company.ts';
import { notifyServiceManager } from '../../pkg/sys/notify.ts';
import { buildParts, openKernelIn, readNodeConf, type NodeParts } from './build-engine.ts';
import { describeDaemon } from './describe-daemon.ts';
import { openLog } from './log-writer.ts';
import { NodeMetrics } from './node-metrics.ts';
import { NodeMigrations } from './node-migrations.ts';
import { openNodePaths, pathConfOf } from './node-paths.ts';
import { NodeProbes } from './node-probes.ts';
import { findPlaces, type Places } from './places.ts';
import { timedKernel, timedLedger } from './timed-parts.ts';
import { version } from './version.ts';

/** A delegated IPAM plugin may take 30 s; systemd's own patience is longer (TimeoutStopSec in conf/weft.service). */
const stopDeadlineMs = 40_000;
/** The ledger's -wal is emptied when there is time: a call waits for the disk only after some 400 calls without a pause. */
const walPagesMax = 4000;
/** While it waits for another process's lock the daemon does nothing else; a caller whose deadline is near does the call itself. */
const ledgerDeadlineMs = 2000;
/** A switch that is back has lost its flows: it must be noticed within a second or so. */
const switchBackOffMaxMs = 500;
/** Where runtimes keep plugins, for the reconciler's own calls of a delegated one. */
const pluginDirectories = ['/opt/cni/bin', '/usr/lib/cni'];

/** Runs the daemon until it is told to stop. The exit status is 1 where it could not start. */
export async function runDaemon({ logLevel }: { readonly logLevel: LogLevel }): Promise<void> {
  const log = openLog(logLevel);
  try {
    const daemon = new Daemon(findPlaces(), log, logLevel === 'debug' ? new StepClock() : undefined);
    await daemon.start();
    process.exitCode = await daemon.stopped;
  } catch (error) {
    log.error({ code: 'daemon-start', error: describeError(error), ...(isWeftError(error) && error.details !== '' ? { details: error.details } : {}) }, 'the daemon cannot start');
    // What it has opened by now would keep the process.
    process.exit(1);
  }
}

class Daemon {
  readonly stopped: Promise<number>;
  readonly #places: Places;
  readonly #log: Log;
  readonly #reaper = new LinkReaper({ findIndex: (name) => this.#reconciler?.indexOf(name) });
  readonly #company = companyOf(() => this.#server?.connections ?? 0);
  readonly #background = new Background((message) => this.#log.warn({ code: 'background-failed' }, message));
  readonly #clock: StepClock | undefined;
  readonly #callLog: CallLog;
  readonly #startedAt = Date.now();
  #setStopped: (exitCode: number) => void = () => undefined;
  #isStopping = false;
  #hasFailed = false;
  #conf?: LiveNodeConf;
  #parts?: NodeParts;
  #switch?: OvsSwitch;
  #server?: DaemonServer;
  #monitor?: KernelMonitor;
  #reconciler?: Reconciler;
  #evpn?: Evpn;
  #migrations?: NodeMigrations;
  #paths?: Paths;
  #probes?: NodeProbes;
  #metrics?: NodeMetrics;

  constructor(places: Places, log: Log, clock: StepClock | undefined) {
    this.#places = places;
    this.#log = log;
    this.#clock = clock;
    this.#callLog = new CallLog({ log, onQuiet: () => this.#rest(), clock, onCall: (call) => this.#metrics?.noteCall(call) });
    this.stopped = new Promise((resolve) => (this.#setStopped = resolve));
  }

  async start(): Promise<void> {
    const { configPath, runDirectory } = this.#places;
    const conf = await LiveNodeConf.open({ path: configPath, read: () => readNodeConf(this.#places), log: this.#log, onChange: () => this.#followConf() });
    const ovs = this.#openSwitch(conf);
    const kernel = openKernelIn(this.#places, { removal: this.#reaper, company: this.#company });
    const underlay = new UnderlayMemory((...question) => findUnderlay(kernel.route, ...question), (reason) => this.#reconciler?.reconsiderMtu(reason), (index) => hasGlobalAddress(kernel.route, index));
    const parts = this.#buildParts({ conf, kernel, ovs, underlay });
    // A ledger that cannot be used is found now, and not by the first call.
    parts.ledger();
    this.#conf = conf;
    this.#parts = parts;
    const migrations = new NodeMigrations({ engine: parts, datapath: parts.datapath, log: this.#log, vtepsOf: (vni) => this.#evpn?.vtepsOf(vni) ?? Promise.resolve([]), onStep: (step) => this.#metrics?.noteMigration(step) });
    this.#migrations = migrations;
    const probes = new NodeProbes({ engine: parts, kernel, log: this.#log, stateDirectory: this.#places.stateDirectory });
    this.#probes = probes;
    // Whatever plans an MTU may ask it: what an earlier daemon has found is known from here on.
    this.#paths = openNodePaths({
      engine: parts, log: this.#log, stateDirectory: this.#places.stateDirectory, conf: () => conf.current,
      tunnelProber: ({ peer }) => (probes.prober.serves(peer) ? probes.prober : undefined),
      onChange: (reason) => this.#reconciler?.reconsiderMtu(reason),
    });
    const engine = { ...parts, moves: migrations.migrations };
    const calls = new Calls({ plugin: createEngine(engine), callLog: this.#callLog, log: this.#log });
    this.#reconciler = new Reconciler({
      engine, log: this.#log, caller: reconcilerCaller, own: { route: kernel.route.portId, netfilter: kernel.netfilter.portId },
      underlay: (...question) => underlay.look(...question),
      exclusively: (containerId, work) => calls.exclusively(containerId, work),
    });
    this.#evpn = new Evpn({ engine: parts, remotes: parts.datapath, log: this.#log, nameOf: (index) => this.#reconciler?.nameOf(index) });
    this.#metrics = new NodeMetrics({ engine: parts, places: this.#places, conf: () => conf.current, status: () => this.#status(), reconciler: this.#reconciler, evpn: this.#evpn, paths: this.#paths, ovs, log: this.#log });
    this.#monitor = this.#listenToKernel(underlay);
    this.#listenToSignals();
    await this.#serve(calls, join(runDirectory, 'weft.sock'));
    if (this.#isStopping) return;
    conf.watch();
    void this.#evpn.follow(conf.current);
    this.#paths.follow(pathConfOf(conf.current));
    void this.#metrics.follow(conf.current);
    // Before the node is looked at: an endpoint that has gone meanwhile is not to be put back.
    await migrations.start(conf.current);
    await this.#reconciler.start();
    void this.#probes?.follow(conf.current);
  }

  #listenToKernel(underlay: UnderlayMemory): KernelMonitor {
    return openKernelMonitor({
      onEvents: (events) => {
        underlay.noteEvents(events);
        this.#noteEvents(events);
      },
      onOverrun: () => {
        underlay.forget();
        this.#reconciler?.noteOverrun();
        this.#evpn?.noteOverrun();
        this.#paths?.noteOverrun();
        this.#probes?.noteOverrun();
      },
      onFailure: (error) => this.#fail(error),
    });
  }

  #followConf(): void {
    this.#reconciler?.look(everything);
    if (this.#conf === undefined) return;
    void this.#evpn?.follow(this.#conf.current);
    void this.#migrations?.follow(this.#conf.current);
    this.#paths?.follow(pathConfOf(this.#conf.current));
    void this.#probes?.follow(this.#conf.current);
    void this.#metrics?.follow(this.#conf.current);
  }

  /** What its restart has taken, and what somebody else has changed there, is looked for at once. */
  #openSwitch(conf: LiveNodeConf): OvsSwitch {
    const ovs = openSwitch(conf.current.ovs, { backOffMaxMs: switchBackOffMaxMs });
    ovs.onFlowsLost(() => {
      this.#reconciler?.look(everything);
      this.#evpn?.noteOverrun();
    });
    ovs.onPortsChanged(() => this.#reconciler?.look(everything));
    // DELs have been written down meanwhile.
    ovs.presence.onReturn(() => this.#reconciler?.look(everything));
    this.#switch = ovs;
    return ovs;
  }

  #buildParts({ conf, kernel, ovs, underlay }: { readonly conf: LiveNodeConf; readonly kernel: OpenKernel; readonly ovs: OvsSwitch; readonly underlay: UnderlayMemory }): NodeParts {
    const clock = this.#clock;
    const parts = buildParts(this.#places, {
      kernel: clock === undefined ? kernel : timedKernel(kernel, clock), ovs: { ovs, isConfigured: conf.current.ovs !== undefined }, nodeConf: () => Promise.resolve(conf.current),
      underlay: (...question) => underlay.find(...question), path: { narrowest: (peers) => this.#paths?.findings.narrowest(peers) }, noteMtuChange: () => this.#reconciler?.look(scopeOf({ underlay: true })), warn: (code, message) => this.#log.warn({ code }, message), walPagesMax,
      company: this.#company, background: this.#background, deadlineMs: ledgerDeadlineMs,
      findDeafness: (vni) => this.#evpn?.obstacleOf(vni),
    });
    if (clock === undefined) return parts;
    let timed: Ledger | undefined;
    return { ...parts, ledger: () => (timed ??= timedLedger(parts.ledger(), clock)) };
  }

  /** Takes calls, first beside a daemon that is there already and then in its place. */
  async #serve(calls: Calls, socketPath: string): Promise<void> {
    const handler = new DaemonHandler({ calls, status: () => this.#status(), command: (body) => this.#carryOut(body), hasten: (body) => this.#hasten(body), onDeclined: (reason) => this.#metrics?.noteDeclined(reason), retire: () => void this.#stop({ isReplaced: true }) });
    this.#server = new DaemonServer(handler, this.#log);
    await retirePredecessor(socketPath, this.#log, () => this.#server?.listen(socketPath) ?? Promise.resolve());
    // A signal came first.
    if (this.#isStopping) return;
    this.#notify(`READY=1\nSTATUS=answering calls on ${socketPath}`);
    this.#log.info({ version, pid: process.pid, socket: socketPath, config: this.#places.configPath }, 'the daemon answers calls');
  }

  /** What an ADD should not wait for. */
  #rest(): void {
    this.#paths?.look();
    try {
      if (!this.#isStopping) this.#parts?.ledger().checkpoint();
    } catch (error) {
      this.#log.warn({ code: 'ledger-checkpoint', error: describeError(error) }, 'the ledger could not be written to its file: it grows until it can');
    }
  }

  #noteEvents(events: readonly KernelEvent[]): void {
    for (const { protocol, message, nsid } of events) {
      if (protocol === 'route' && nsid === undefined && isLinkGone(message)) this.#reaper.noteGone(linkIndexOf(message));
    }
    this.#reconciler?.noteEvents(events);
    this.#evpn?.noteEvents(events);
    this.#paths?.noteEvents(events);
    this.#probes?.noteEvents(events);
  }

  #listenToSignals(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void this.#stop({ isReplaced: false }));
    process.on('SIGHUP', () => void this.#reload());
  }

  /** Looks at the whole node also where the configuration is as it was: SIGHUP is how an operator asks for it. */
  async #reload(): Promise<void> {
    this.#notify('RELOADING=1');
    await this.#conf?.reload();
    this.#reconciler?.look(everything);
    this.#probes?.look();
    this.#notify('READY=1');
  }

  /** Finishes what is under way. A second time it does nothing. */
  async #stop({ isReplaced }: { isReplaced: boolean }): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    if (!isReplaced) this.#notify('STOPPING=1');
    this.#log.info({ callsInFlight: this.#callLog.inFlight }, isReplaced ? 'another daemon takes over' : 'the daemon stops');
    this.#conf?.close();
    // At once: the daemon that takes over wants the port.
    this.#paths?.stop();
    const metricsClosed = this.#metrics?.stop();
    const left = (await this.#server?.stop({ deadlineMs: stopDeadlineMs, isReplaced })) ?? 0;
    await Promise.all([this.#reconciler?.stop(), this.#evpn?.stop(), this.#migrations?.stop(), this.#probes?.stop({ isReplaced }), metricsClosed]);
    await this.#background.idle();
    this.#end(left > 0 || this.#hasFailed ? 1 : 0);
    this.#log.info({ callsLeft: left }, 'the daemon has stopped');
  }

  /** Without the kernel's events the daemon is blind: whoever started it starts it again. */
  #fail(error: unknown): void {
    this.#log.error({ code: 'kernel-deaf', error: describeError(error) }, 'the kernel can no longer be listened to: the daemon stops');
    this.#hasFailed = true;
    void this.#stop({ isReplaced: false });
  }

  #end(exitCode: number): void {
    this.#monitor?.close();
    this.#reaper.close();
    this.#parts?.kernel.close();
    void this.#switch?.close();
    this.#parts?.ledger().close();
    this.#setStopped(exitCode);
  }

  #status(): DaemonStatus {
    return describeDaemon({
      startedAt: this.#startedAt, callLog: this.#callLog, conf: this.#conf, reconciler: this.#reconciler, evpn: this.#evpn,
      migrations: this.#migrations, paths: this.#paths, probes: this.#probes, metrics: this.#metrics,
    });
  }

  #hasten(body: unknown): void {
    if (this.#migrations !== undefined) hasten(this.#migrations.migrations, body);
  }

  async #carryOut(body: unknown): Promise<object> {
    const [parts, migrations] = [this.#parts, this.#migrations?.migrations];
    if (parts === undefined || migrations === undefined) throw new WeftError('tryAgainLater', 'the daemon is starting');
    return carryOut(parts, migrations, body);
  }

  #notify(lines: string): void {
    const failure = notifyServiceManager(lines, process.env['NOTIFY_SOCKET']);
    if (failure !== undefined) this.#log.warn({ code: 'notify-failed' }, failure);
  }
}

function reconcilerCaller(): Caller {
  return { env: { PATH: process.env['PATH'], CNI_PATH: pluginDirectories.join(':') }, path: pluginDirectories };
}
