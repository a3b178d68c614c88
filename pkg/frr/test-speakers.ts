/** Speakers for tests, by what they have of their own. */
import { parseAddress } from '../netaddr/netaddr.ts';
import type { Speaker, SpeakerNeighbor } from './speaker.ts';

/** An internal neighbour, unless it is said otherwise. */
export function testNeighbor(address: string, own: Partial<Omit<SpeakerNeighbor, 'address'>> = {}): SpeakerNeighbor {
  return { as: 65000, routeReflectorClient: false, ...own, address: parseAddress(address) };
}

/** 192.0.2.1 in AS 65000 with these neighbours. */
export function testSpeaker(neighbors: readonly SpeakerNeighbor[], own: Partial<Speaker> = {}): Speaker {
  return { as: 65000, vtep: parseAddress('192.0.2.1'), timers: { keepaliveSeconds: 3, holdSeconds: 9, connectSeconds: 1 }, ...own, neighbors };
}

/** The speakers of the golden files in testdata. */
export const goldenSpeakers: Readonly<Record<string, Speaker>> = {
  'mesh.conf': testSpeaker([testNeighbor('192.0.2.2'), testNeighbor('192.0.2.3')]),
  'reflector.conf': testSpeaker([testNeighbor('192.0.2.2', { routeReflectorClient: true }), testNeighbor('2001:db8::3', { routeReflectorClient: true, password: 'own!|#?"\\secret' })], {
    routerId: parseAddress('198.51.100.1'),
    timers: { keepaliveSeconds: 0, holdSeconds: 0, connectSeconds: 65535 },
  }),
  'external.conf': testSpeaker([testNeighbor('192.0.2.2', { as: 4294967295 }), testNeighbor('192.0.2.3', { password: 'secret' }), testNeighbor('2001:db8::4', { as: 65001 })]),
};
