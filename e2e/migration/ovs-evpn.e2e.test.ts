/** A machine moves to and fro between nodes with Open vSwitch and BGP EVPN. */
import { testPlaces } from './in-suite.ts';

testPlaces(({ carrier, datapath, controlPlane }) => carrier === 'weft' && datapath === 'ovs' && controlPlane === 'evpn');
