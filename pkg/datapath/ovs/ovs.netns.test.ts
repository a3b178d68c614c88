/** The node's datapaths with tenants on Open vSwitch, over private switches with the userspace datapath: the suite every datapath passes. */
import { testDatapath } from '../test-conformance.ts';
import { openVSwitchTools } from '../../testing/openvswitch.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { ovsKind } from './test-kind.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'ethtool', ...openVSwitchTools] });

testDatapath({ create: ovsKind, skip });
