/** Links removed beside the event loop, in a real kernel that is really listened to. */
import { closeSync } from 'node:fs';
import t from 'tap';
import { linkIndexOf, isLinkGone } from '../netlink/link.ts';
import { openKernelMonitor } from '../netlink/monitor.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import { openNetlink, type Netlink, type NetlinkSocket } from '../netlink/netlink-socket.ts';
import { openNetns } from '../sys/netns.ts';
import { run } from '../testing/command.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';
import { findLink, readLinks } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { LinkReaper } from './link-reaper.ts';
import { doomedGroup, doomLinks, reapLinks } from './link-removal.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });
const deadlineMs = 10_000;

interface Scene {
  readonly netns: string;
  readonly route: NetlinkSocket;
  readonly reaper: LinkReaper;
}

/** A namespace with a reaper of its own. Without `isListening` nothing tells it what is gone. */
function create(scope: TeardownScope, { isListening = true, findIndex }: { readonly isListening?: boolean; readonly findIndex?: (netns: string, name: string) => number | undefined } = {}): Scene {
  const netns = createNetns(scope, 'reaped');
  const netnsFd = openNetns(netnsPath(netns));
  const route = openNetlink('route', netnsFd);
  const reaper = new LinkReaper({ open: () => openNetlink('route', netnsFd), ...(findIndex === undefined ? {} : { findIndex: (name) => findIndex(netns, name) }) });
  const monitor = isListening ? openKernelMonitor({
    netnsFd,
    onEvents: (events) => {
      for (const { protocol, message, nsid } of events) if (protocol === 'route' && nsid === undefined && isLinkGone(message)) reaper.noteGone(linkIndexOf(message));
    },
    onOverrun: () => undefined,
    onFailure: (error) => {
      throw error;
    },
  }) : undefined;
  scope.teardown(() => {
    monitor?.close();
    reaper.close();
    route.close();
    closeSync(netnsFd);
  });
  return { netns, route, reaper };
}

function addVeths({ netns }: Scene, count: number, prefix = 'a'): string[] {
  const names = Array.from({ length: count }, (_, index) => `${prefix}${index}`);
  run('ip', ['-n', netns, '-batch', '-'], names.map((name) => `link add ${name} type veth peer name ${name}p\n`).join(''));
  return names;
}

function linksOf({ netns }: Scene): string[] {
  return readLinks(netns).map(({ ifname }) => ifname).filter((name) => name !== 'lo').sort();
}

/** @throws Error when the promise is not settled in time */
async function inTime<T>(promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => (timer = setTimeout(() => reject(new Error('nobody said that the links are gone')), deadlineMs)));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

t.test('links are gone when the promise is fulfilled, others stay', { skip }, async (t) => {
  const scene = create(t);
  const [one] = addVeths(scene, 3);
  await inTime(scene.reaper.remove(scene.route, [one ?? '']));
  t.same(linksOf(scene), ['a1', 'a1p', 'a2', 'a2p']);
  await inTime(scene.reaper.remove(scene.route, ['a1', 'a2']));
  t.same(linksOf(scene), []);
});

t.test('what is not there is gone already', { skip }, async (t) => {
  const scene = create(t);
  await inTime(scene.reaper.remove(scene.route, []));
  await inTime(scene.reaper.remove(scene.route, ['nobody']));
  addVeths(scene, 1);
  await inTime(scene.reaper.remove(scene.route, ['nobody', 'a0']));
  t.same(linksOf(scene), []);
});

t.test('when the call returns, the links are doomed for every process to see', { skip }, async (t) => {
  const scene = create(t);
  addVeths(scene, 1);
  const gone = scene.reaper.remove(scene.route, ['a0']);
  const [link] = readLinks(scene.netns).filter(({ ifname }) => ifname === 'a0');
  t.ok(link === undefined || (link as { readonly group?: string }).group === String(doomedGroup), 'doomed, or gone by now');
  await inTime(gone);
});

t.test('many at once: all gone, each told once', { skip }, async (t) => {
  const scene = create(t);
  const names = addVeths(scene, 64);
  const told: string[] = [];
  await inTime(Promise.all(names.map(async (name) => {
    await scene.reaper.remove(scene.route, [name]);
    told.push(name);
  })));
  t.same(told.sort(), [...names].sort());
  t.same(linksOf(scene), []);
});

t.test('a link that two wait for', { skip }, async (t) => {
  const scene = create(t);
  addVeths(scene, 1);
  await inTime(Promise.all([scene.reaper.remove(scene.route, ['a0']), scene.reaper.remove(scene.route, ['a0', 'a0p'])]));
  t.same(linksOf(scene), []);
});

t.test('a link with the name of one that is going is removed as well', { skip }, async (t) => {
  const scene = create(t);
  for (let round = 0; round < 20; round += 1) {
    addVeths(scene, 1);
    await inTime(scene.reaper.remove(scene.route, ['a0']));
  }
  t.same(linksOf(scene), []);
});

t.test('without events: what is gone is looked for', { skip }, async (t) => {
  const scene = create(t, { isListening: false });
  const names = addVeths(scene, 8);
  await inTime(Promise.all(names.map((name) => scene.reaper.remove(scene.route, [name]))));
  t.same(linksOf(scene), []);
});

t.test('another process deletes what is doomed', { skip }, async (t) => {
  const scene = create(t, { isListening: false });
  const names = addVeths(scene, 8);
  const gone = names.map((name) => scene.reaper.remove(scene.route, [name]));
  reapLinks(scene.route);
  await inTime(Promise.all(gone));
  t.same(linksOf(scene), []);
});

t.test('a link that somebody takes out of the group is doomed again', { skip }, async (t) => {
  const scene = create(t, { isListening: false });
  addVeths(scene, 1);
  // Behind the doom, and before the deletion reads the group.
  const meddling: Netlink = {
    request: (requests) => scene.route.request(requests),
    tryRequest(requests) {
      const outcomes = scene.route.tryRequest(requests);
      if (requests.some(({ what }) => what.includes('a0')) && meddled === 0) {
        meddled += 1;
        run('ip', ['-n', scene.netns, 'link', 'set', 'a0', 'group', '0']);
      }
      return outcomes;
    },
    dump: (request) => scene.route.dump(request),
    close: () => undefined,
  };
  let meddled = 0;
  await inTime(scene.reaper.remove(meddling, ['a0']));
  t.equal(meddled, 1);
  t.same(linksOf(scene), []);
});

t.test('a deletion that fails is told to those that wait, and the next one is done', { skip }, async (t) => {
  const scene = create(t);
  addVeths(scene, 2);
  let failures = 1;
  const reaper = new LinkReaper({
    open() {
      if (failures > 0) {
        failures -= 1;
        throw new Error('no more descriptors');
      }
      return openNetlink('route', openNetnsFor(t, scene));
    },
  });
  t.teardown(() => reaper.close());
  await t.rejects(inTime(reaper.remove(scene.route, ['a0'])), { message: 'no more descriptors' });
  await inTime(reaper.remove(scene.route, ['a1']));
  t.same(linksOf(scene), [], 'and takes along what was doomed before');
});

t.test('a kernel that does not answer any more is told, and is no end of the process', { skip }, async (t) => {
  const scene = create(t, { isListening: false });
  addVeths(scene, 1);
  let requests = 0;
  const dying: Netlink = {
    request: () => [], dump: () => [], close: () => undefined,
    tryRequest(batch) {
      requests += 1;
      if (requests > 1) throw new Error('the socket is closed');
      return scene.route.tryRequest(batch);
    },
  };
  await t.rejects(inTime(scene.reaper.remove(dying, ['a0'])), { message: 'the socket is closed' });
});

t.test('a refusal to doom a link is the caller\'s to know', { skip }, (t) => {
  const scene = create(t);
  const refusing: Netlink = { ...scene.route, request: () => [], dump: () => [], close: () => undefined, tryRequest: (requests) => requests.map(({ what }) => new NetlinkError(what, 1)) };
  t.throws(() => doomLinks(refusing, ['a0']), { message: /Operation not permitted|EPERM/ });
  t.throws(() => void scene.reaper.remove(refusing, ['a0']), { message: /Operation not permitted|EPERM/ });
  t.end();
});

/** Where links are: known, known wrongly, or not known. */
const knowledge: readonly { readonly name: string; readonly findIndex: (netns: string, name: string) => number | undefined }[] = [
  { name: 'whose indexes are known', findIndex: (netns, name) => findLink(netns, name)?.ifindex },
  { name: 'whose indexes are other links\' by now', findIndex: () => 12_345 },
  { name: 'of which nothing is known', findIndex: () => undefined },
  { name: 'of which some are known', findIndex: (netns, name) => (name.endsWith('1') ? findLink(netns, name)?.ifindex : undefined) },
];
for (const { name, findIndex } of knowledge) {
  t.test(`a hundred links ${name}, removed soon`, { skip }, async (t) => {
    const scene = create(t, { findIndex });
    const names = addVeths(scene, 100);
    const others = addVeths(scene, 2, 'b');
    await inTime(Promise.all([...names, 'nobody'].map((link) => scene.reaper.removeSoon(scene.route, [link]))));
    t.same(linksOf(scene), others.flatMap((other) => [other, `${other}p`]).sort(), 'these, and no others');
  });
}

function openNetnsFor(scope: TeardownScope, { netns }: Scene): number {
  const fd = openNetns(netnsPath(netns));
  scope.teardown(() => closeSync(fd));
  return fd;
}
