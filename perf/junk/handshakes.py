#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""handshakes.py ADDRESS PORT RATE: begins RATE TLS handshakes a second at that port until SIGTERM, then says how many there were.

They come from 40 addresses of the loopback, so that no limit of one source holds them up. Each sends the same ClientHello, waits 50 ms and
goes: the gateway pays for its keys and its signature, and we pay nearly nothing. PORT 0: to a listener of our own that takes connections and
closes them, which costs the sender as much and nobody else anything.
"""
import collections
import signal
import socket
import ssl
import sys
import time

SOURCES = 40
HOLD_S = 0.05
BACKLOG = 1024
TURN_S = 0.005


def client_hello():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["tideway/1"])
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def connect(source, where, hello):
    """A connection on its way; none: there was no room for it."""
    stranger = socket.socket()
    stranger.bind(("127.0.1.%d" % (source + 1), 0))
    stranger.setblocking(False)
    stranger.connect_ex(where)
    try:
        stranger.send(hello)  # over loopback it is established by now
    except OSError:
        stranger.close()
        return None
    return stranger


def forget(listener):
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


def main():
    address, port, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(True))
    nobody = None
    if port == 0:
        nobody = socket.create_server((address, 0), backlog=BACKLOG)
        nobody.setblocking(False)
        port = nobody.getsockname()[1]
    hello = client_hello()
    made, begun, held = 0, 0, collections.deque()
    due = time.monotonic()
    while not over:
        now = time.monotonic()
        for _ in range(int((now - due) * rate)):
            due += 1 / rate
            stranger = connect(begun % SOURCES, (address, port), hello)
            begun += 1
            if stranger:
                made += 1
                held.append((now + HOLD_S, stranger))
        while held and held[0][0] <= now:
            held.popleft()[1].close()
        if nobody:
            forget(nobody)
        time.sleep(TURN_S)
    print(made)


if __name__ == "__main__":
    main()
