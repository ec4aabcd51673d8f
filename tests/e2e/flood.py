# SPDX-License-Identifier: Apache-2.0
"""Strangers at the control port of a gateway: flood.py PORT SECONDS SOURCES STRANGER_CERT STRANGER_KEY

Keeps connecting from SOURCES addresses of the loopback (127.0.1.1 on), 32 connections each. Some say nothing, some begin a
handshake and stop, some send what is no TLS, some show a certificate of another authority. Prints how many there were.
"""
import selectors
import socket
import ssl
import sys
import time

PER_SOURCE = 32


def main():
    port, seconds, sources = (int(text) for text in sys.argv[1:4])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    context.set_alpn_protocols(["tideway/1"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    begun = context.wrap_bio(incoming, outgoing)
    try:
        begun.do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    openings = [b"", hello, hello[:40], b"GET / HTTP/1.1\r\n\r\n"]
    selector = selectors.DefaultSelector()
    made = 0

    def connect(source):
        nonlocal made
        stranger = socket.socket()
        stranger.bind((f"127.0.1.{source + 1}", 0))
        try:
            stranger.connect(("127.0.0.1", port))
            stranger.sendall(openings[made % len(openings)])
        except OSError:
            pass
        stranger.setblocking(False)
        selector.register(stranger, selectors.EVENT_READ, source)
        made += 1

    def show_certificate():
        nonlocal made
        made += 1
        try:
            with socket.create_connection(("127.0.0.1", port), 1, ("127.0.1.200", 0)) as plain:
                with context.wrap_socket(plain) as sealed:
                    sealed.recv(1)
        except OSError:
            pass

    for source in range(sources):
        for _ in range(PER_SOURCE):
            connect(source)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        show_certificate()
        for key, _ in selector.select(0.05):
            try:
                if key.fileobj.recv(4096):
                    continue
            except OSError:
                pass
            selector.unregister(key.fileobj)
            key.fileobj.close()
            connect(key.data)
    print(made)


main()
