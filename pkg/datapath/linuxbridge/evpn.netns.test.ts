/** Segments with a control plane: the suite every datapath passes. */
import { skipUnless } from '../../testing/requirements.ts';
import { testDatapath } from '../test-conformance.ts';
import { evpnDatapath } from './test-evpn.ts';

testDatapath({ create: evpnDatapath, skip: skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc'] }) });
