#!/usr/bin/env python3
"""A network card that does, or does not do right, what is left to it: card.py INSIDE OUTSIDE.

Carries frames between two links. What comes from INSIDE with an unfinished checksum, or too long, is finished and cut
here, as a card with offloads for VXLAN does it. Standard input says how, a word a line, each answered with "ok":

    healthy       as it should be
    checksum      checksums inside VXLAN that were left to the card are wrong
    segmentation  packets that were to be cut are lost
    counts        answered with the numbers of frames from INSIDE so far: all, with a checksum left, to be cut

What comes with its checksum finished is carried as it is, in every mode, and the tunnel's own checksum over IPv6 is
always finished. Over IPv6 the card cannot cut. Python, because Node has no packet sockets
(packet(7), PACKET_VNET_HDR; struct virtio_net_hdr).
"""
import selectors
import socket
import struct
import sys

SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING = 263, 15, 4
ETH_P_ALL = 3
HEADER = struct.Struct("<BBHHHH")
NEEDS_CSUM = 1
GSO_TCPV4 = 1
ETHERNET = 14
FIN, PSH = 0x01, 0x08


def opened(link: str) -> socket.socket:
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
    packets.bind((link, ETH_P_ALL))
    return packets


def folded(data: bytes) -> int:
    """Ones' complement sum (RFC 1071); any number of words at once is the same modulo 65535."""
    if len(data) % 2:
        data = data + b"\0"
    total = int.from_bytes(data, "big") % 65535
    return total or (65535 if any(data) else 0)


def finish(frame: bytearray, start: int, offset: int, wrong: bool = False) -> None:
    """The field has the sum of the pseudo header."""
    at = start + offset
    checksum = 0xFFFF ^ folded(bytes(frame[start:]))
    if wrong:
        checksum ^= 0x5555
    struct.pack_into(">H", frame, at, checksum or 0xFFFF)


def set_ip4(frame: bytearray, at: int, number: int) -> None:
    """Length, identification and checksum of an IPv4 header without options."""
    struct.pack_into(">HH", frame, at + 2, len(frame) - at, (struct.unpack_from(">H", frame, at + 4)[0] + number) & 0xFFFF)
    struct.pack_into(">H", frame, at + 10, 0)
    struct.pack_into(">H", frame, at + 10, 0xFFFF ^ folded(bytes(frame[at : at + 20])))


def cut(frame: bytes, start: int, size: int):
    """TCP over IPv4 in VXLAN over IPv4: each piece with headers of its own. `start` is where TCP begins."""
    payload = start + (frame[start + 12] >> 4) * 4
    inner = start - 20
    for number, at in enumerate(range(payload, len(frame), size)):
        piece = bytearray(frame[:payload] + frame[at : at + size])
        set_ip4(piece, ETHERNET, number)
        struct.pack_into(">H", piece, ETHERNET + 20 + 4, len(piece) - ETHERNET - 20)
        set_ip4(piece, inner, number)
        sequence = (struct.unpack_from(">I", piece, start + 4)[0] + at - payload) & 0xFFFFFFFF
        struct.pack_into(">I", piece, start + 4, sequence)
        if at + size < len(frame):
            piece[start + 13] &= ~(FIN | PSH)
        pseudo = folded(bytes(piece[inner + 12 : inner + 20]) + struct.pack(">HH", 6, len(piece) - start))
        struct.pack_into(">H", piece, start + 16, pseudo)
        finish(piece, start, 16)
        yield piece


class Card:
    def __init__(self, inside: socket.socket, outside: socket.socket) -> None:
        self.inside, self.outside = inside, outside
        self.mode = "healthy"
        self.counts = [0, 0, 0]

    def carry(self, source: socket.socket) -> None:
        received, address = source.recvfrom(1 << 17)
        if address[2] == PACKET_OUTGOING:
            return
        flags, kind, _, size, start, offset = HEADER.unpack_from(received)
        frame = received[HEADER.size :]
        is_left = flags & NEEDS_CSUM != 0
        mode = self.mode if source is self.inside else "healthy"
        if source is self.inside:
            for index, applies in enumerate((True, is_left, kind != 0)):
                self.counts[index] += applies
        target = self.outside if source is self.inside else self.inside
        for piece in self.worked(frame, mode, is_left, kind, size, start, offset):
            try:
                target.send(bytes(HEADER.size) + piece)
            except OSError:
                # As a frame that is too long for the wire, or a link that is down: lost.
                pass

    def worked(self, frame, mode, is_left, kind, size, start, offset):
        is_ip4 = frame[12:14] == b"\x08\x00"
        is_inside = start > ETHERNET + (20 if is_ip4 else 40)
        if kind != 0:
            if kind & 0x7F == GSO_TCPV4 and is_ip4 and is_inside and mode != "segmentation":
                for piece in cut(frame, start, size):
                    if mode == "checksum":
                        struct.pack_into(">H", piece, start + 16, struct.unpack_from(">H", piece, start + 16)[0] ^ 0x5555)
                    yield piece
            return
        piece = bytearray(frame)
        if is_left:
            finish(piece, start, offset, is_inside and mode == "checksum")
        yield piece


def main() -> None:
    card = Card(opened(sys.argv[1]), opened(sys.argv[2]))
    ready = selectors.DefaultSelector()
    for source in (card.inside, card.outside, sys.stdin):
        ready.register(source, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in ready.select():
            if key.fileobj is not sys.stdin:
                card.carry(key.fileobj)
                continue
            word = sys.stdin.readline()
            if word == "":
                return
            if word.strip() == "counts":
                print(*card.counts, flush=True)
            else:
                card.mode = word.strip()
                print("ok", flush=True)


main()
