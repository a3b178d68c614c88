/** A machine moves to and fro between nodes with Open vSwitch and static peers. */
import { testPlaces } from './in-suite.ts';

testPlaces(({ carrier, datapath, controlPlane }) => carrier === 'weft' && datapath === 'ovs' && controlPlane === 'static');
