# SPDX-License-Identifier: Apache-2.0
"""Shows a TCP port of a network namespace's loopback at the same port of this machine's, for a browser outside."""
import ctypes
import os
import socket
import threading

CLONE_NEWNET = 0x40000000
CHUNK = 1 << 16


class Relay:
    """Until close(). Connections are made by one thread that has entered the namespace; a socket stays where it was made."""

    def __init__(self, namespace, port):
        self.inside = "/run/netns/" + namespace
        self.port = port
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()

    def serve(self):
        namespace = os.open(self.inside, os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "cannot enter " + self.inside)
        os.close(namespace)
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.port), timeout=5)
            except OSError:  # between two gateways
                near.close()
                continue
            far.settimeout(None)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=pump, args=(one, other), daemon=True).start()


def pump(source, sink):
    try:
        while data := source.recv(CHUNK):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
