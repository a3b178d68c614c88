/** UDP port on which the daemons of two nodes ask each other how large a packet passes, where the configuration names no other one. */
export const probePort = 24_790;
