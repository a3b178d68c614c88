/** A machine moves to and fro between nodes with Linux bridges and static peers. */
import { testPlaces } from './in-suite.ts';

testPlaces(({ carrier, datapath, controlPlane }) => carrier === 'weft' && datapath === 'bridge' && controlPlane === 'static');
