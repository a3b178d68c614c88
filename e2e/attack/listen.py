#!/usr/bin/env python3
"""A host service to be reached, or not: listen.py PORT.

Listens for UDP and TCP on every address of both families. Says "ready", then a line for each datagram ("udp TEXT") and
for each connection ("tcp ADDRESS").
"""
import selectors
import socket
import sys


def bound(kind: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6, kind)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", int(sys.argv[1])))
    return listener


def main() -> None:
    udp, tcp = bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM)
    tcp.listen(64)
    ready = selectors.DefaultSelector()
    for listener in (udp, tcp):
        ready.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            if key.fileobj is udp:
                print("udp", udp.recv(2048).decode("ascii", "replace"), flush=True)
            else:
                connection, address = tcp.accept()
                connection.close()
                print("tcp", address[0], flush=True)


main()
