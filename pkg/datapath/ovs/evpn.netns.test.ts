/** Tenants on Open vSwitch with a control plane: the suite every datapath passes. */
import { openVSwitchTools } from '../../testing/openvswitch.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { testDatapath } from '../test-conformance.ts';
import { ovsEvpnKind } from './test-kind.ts';

testDatapath({ create: ovsEvpnKind, skip: skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc', 'ethtool', ...openVSwitchTools] }) });
