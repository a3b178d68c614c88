#!/usr/bin/env python3
"""A TCP connection that carries some bytes: transfer.py listen ADDRESS, or transfer.py send ADDRESS BYTES SECONDS.

The listener says "ready", takes connection after connection and answers each with the SHA-256 of what came. The sender
prints "same" when that is right, "different" when it is not, and "broken" when the time is up or the connection breaks.
"""
import hashlib
import random
import socket
import sys

PORT = 5001


def listen(address: str) -> None:
    listener = socket.create_server((address, PORT))
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            digest = hashlib.sha256()
            try:
                while data := connection.recv(1 << 16):
                    digest.update(data)
                connection.sendall(digest.digest())
            except OSError:
                pass


def send(address: str, count: int, seconds: float) -> str:
    data = random.Random(count).randbytes(count)
    try:
        with socket.create_connection((address, PORT), timeout=seconds) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(64)
    except OSError:
        return "broken"
    return "same" if answer == hashlib.sha256(data).digest() else "different"


if sys.argv[1] == "listen":
    listen(sys.argv[2])
else:
    print(send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
