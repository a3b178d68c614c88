#!/usr/bin/env python3
"""Sends the question "status" as another user: connect-as.py SOCKET UID. Prints what came, or why nothing could."""
import os
import socket
import struct
import sys

path, uid = sys.argv[1], int(sys.argv[2])
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
word = b"status"
connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
connection.settimeout(20)
try:
    connection.connect(path)
    connection.sendall(b"WEFT" + struct.pack("<HHII", 1, 2, 0, len(word)) + word)
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    print(struct.unpack("<H", answer[6:8])[0], answer[16:].decode())
except OSError as error:
    print(error.strerror)
