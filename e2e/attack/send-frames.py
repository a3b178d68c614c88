#!/usr/bin/env python3
"""Sends Ethernet frames exactly as given: send-frames.py IFNAME.

Standard input has one frame in hex digits a line; a line with a dot ends a batch, which is answered with the number
of frames the kernel took. Python, because Node has no packet sockets and its standard library does (packet(7)).
"""
import socket
import sys


def main() -> None:
    # Protocol 0: the socket receives nothing, so it cannot fill up.
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
        packets.bind((sys.argv[1], 0))
        sent = 0
        for line in sys.stdin:
            if line.strip() == ".":
                print(sent, flush=True)
                sent = 0
                continue
            packets.send(bytes.fromhex(line))
            sent += 1


main()
