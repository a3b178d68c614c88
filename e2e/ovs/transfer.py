#!/usr/bin/env python3
"""Bytes over the network, and what came of them: transfer.py serve PORT, or transfer.py send ADDRESS PORT BYTES.

The server takes connections and datagrams of both families. It answers with the SHA-256 of what it got: of a connection
when the sender has ended it, of a datagram at once. The sender sends BYTES over TCP, then 4000 in one datagram, and
says "whole" when both answers are what they should be.
"""
import hashlib
import os
import selectors
import socket
import sys

DEADLINE = 20
DATAGRAM = 4000


def bound(kind: int, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6, kind)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::", port))
    return listener


def drain(connection: socket.socket) -> str:
    digest = hashlib.sha256()
    while piece := connection.recv(65536):
        digest.update(piece)
    return digest.hexdigest()


def serve(port: int) -> None:
    tcp, udp = bound(socket.SOCK_STREAM, port), bound(socket.SOCK_DGRAM, port)
    tcp.listen(16)
    ready = selectors.DefaultSelector()
    for listener in (tcp, udp):
        ready.register(listener, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            if key.fileobj is udp:
                data, sender = udp.recvfrom(65536)
                udp.sendto(hashlib.sha256(data).hexdigest().encode(), sender)
                continue
            connection, _ = tcp.accept()
            connection.settimeout(DEADLINE)
            with connection:
                connection.sendall(drain(connection).encode())


def send(address: str, port: int, count: int) -> None:
    data = os.urandom(count)
    with socket.create_connection((address, port), DEADLINE) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(64, socket.MSG_WAITALL).decode()
    if answer != hashlib.sha256(data).hexdigest():
        sys.exit("TCP: other bytes arrived")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(DEADLINE)
        udp.sendto(data[:DATAGRAM], (address, port))
        answer = udp.recv(64).decode()
    if answer != hashlib.sha256(data[:DATAGRAM]).hexdigest():
        sys.exit("UDP: other bytes arrived")
    print("whole")


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
