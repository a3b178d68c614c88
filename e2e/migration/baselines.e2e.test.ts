/** What the same move costs where nothing is done for it. Nothing is asserted of the figures. */
import { testPlaces } from './in-suite.ts';

testPlaces(({ carrier }) => carrier !== 'weft');
