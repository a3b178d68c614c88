#!/usr/bin/env python3
"""A service manager's end of sd_notify(3): notify-socket.py PATH. Says "ready", then a line for each line it is told."""
import socket
import sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print("ready", flush=True)
while True:
    print(listener.recv(65536).decode(), flush=True)
