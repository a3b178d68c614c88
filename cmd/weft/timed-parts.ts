/** The kernel and the ledger with their work timed, for the daemon's debug log. */
import type { StepClock } from '../../pkg/daemon/step-clock.ts';
import type { Kernel } from '../../pkg/datapath/kernel.ts';
import type { Ledger } from '../../pkg/ledger/ledger.ts';
import type { Netlink } from '../../pkg/netlink/netlink-socket.ts';

/** Steps: `links` (requests in the node's namespace), `guard`, `container` (all that is done inside one), `removal`. */
export function timedKernel(kernel: Kernel, clock: StepClock): Kernel {
  const links = timedNetlink(() => kernel.route, { step: 'links', clock });
  const guard = timedNetlink(() => kernel.netfilter, { step: 'guard', clock });
  return {
    route: links,
    netfilter: guard,
    withRouteIn: (netnsFd, fn, sysctls) => clock.time('container', () => kernel.withRouteIn(netnsFd, fn, sysctls)),
    requestAside: (requests) => clock.time('links', () => kernel.requestAside(requests)),
    requestAsideIn: (netnsFd, requests, sysctls) => clock.time('container', () => kernel.requestAsideIn(netnsFd, requests, sysctls)),
    company: kernel.company,
    setTxChecksumIn: (netnsFd, name, isOffloaded) => kernel.setTxChecksumIn(netnsFd, name, isOffloaded),
    readSysctl: (parts) => kernel.readSysctl(parts),
    setSysctl: (parts, value) => kernel.setSysctl(parts, value),
    removeLinks: (names) => clock.time('removal', () => kernel.removeLinks(names)),
    removeLinksSoon: (names) => clock.time('removal', () => kernel.removeLinksSoon(names)),
    sendFrame: (index, frame) => kernel.sendFrame(index, frame),
    sendDatagram: (from, to, data) => kernel.sendDatagram(from, to, data),
    close: () => kernel.close(),
  };
}

function timedNetlink(netlink: () => Netlink, { step, clock }: { readonly step: string; readonly clock: StepClock }): Netlink {
  return {
    request: (requests) => clock.time(step, () => netlink().request(requests)),
    tryRequest: (requests) => clock.time(step, () => netlink().tryRequest(requests)),
    dump: (request) => clock.time(step, () => netlink().dump(request)),
    close: () => netlink().close(),
  };
}

/** Step: `ledger`. What is done inside a transaction counts for both. */
export function timedLedger(ledger: Ledger, clock: StepClock): Ledger {
  return new Proxy(ledger, {
    get(target, key): unknown {
      if (key === 'write') return (change: Parameters<Ledger['write']>[0]) => clock.time('ledger', () => target.write(change));
      if (key === 'writeTogether') return (change: Parameters<Ledger['write']>[0]) => target.writeTogether((tx) => clock.time('ledger', () => change(tx)));
      if (key === 'read') return (look: Parameters<Ledger['read']>[0]) => clock.time('ledger', () => target.read(look));
      const member: unknown = Reflect.get(target, key, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}
