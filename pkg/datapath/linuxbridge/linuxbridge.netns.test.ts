import { skipUnless } from '../../testing/requirements.ts';
import { testDatapath } from '../test-conformance.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping'] });

testDatapath({ create: linuxBridgeDatapath, skip });
