#!/usr/bin/env python3
"""A well-behaved function's clients: asks steadily, whatever the answers take, and counts every request.

Run as a process of its own: neighbour.py HOST PORT PATH EXPECTED RATE. Each line on stdin is answered by one
line of JSON: the requests since the last one, as [[latency in ms, ...], [failure, ...]]. A latency counts
from the moment at which the request was due, so that one that could not be sent in time does not look fast.
"""
import json
import os
import selectors
import socket
import subprocess
import sys
import time

TIMEOUT_S = 20


class Neighbour:
    """The client as a process, for one function."""

    def __init__(self, own, name, expected, rate):
        command = [sys.executable, __file__, own.host, str(own.port), f"/function/{name}/", expected, str(rate)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def take(self):
        """After ask(): latencies in ms, and the texts of failures."""
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


class Client:
    def __init__(self, host, port, path, expected, rate):
        self.address = (host, int(port))
        self.request = f"GET {path} HTTP/1.1\r\nHost: neighbour\r\n\r\n".encode()
        self.expected = expected.encode()
        self.interval = 1 / float(rate)
        self.free, self.pending = [], {}
        self.latencies, self.failures = [], []
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin, selectors.EVENT_READ)

    def send(self, due):
        connection = self.free.pop() if self.free else None
        try:
            if connection is None:
                connection = socket.create_connection(self.address, TIMEOUT_S)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.selector.register(connection, selectors.EVENT_READ)
            connection.sendall(self.request)
            self.pending[connection] = [due, b""]
        except OSError as error:
            self.failed(connection, f"{type(error).__name__}: {error}")

    def failed(self, connection, why):
        self.failures.append(why)
        self.pending.pop(connection, None)
        if connection is not None:
            self.selector.unregister(connection)
            connection.close()

    def receive(self, connection):
        if connection not in self.pending:  # A kept connection that the node closes.
            self.free.remove(connection)
            self.selector.unregister(connection)
            connection.close()
            return
        state = self.pending[connection]
        try:
            piece = connection.recv(65536)
        except OSError as error:
            self.failed(connection, f"{type(error).__name__}: {error}")
            return
        if not piece:
            self.failed(connection, "the connection was closed before the answer's end")
            return
        state[1] += piece
        head, end, body = state[1].partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200 ") or body != self.expected:
            self.failures.append((head.split(b"\r\n")[0] + b" " + body[:200]).decode(errors="replace"))
        else:
            self.latencies.append((time.monotonic() - state[0]) * 1000)
        del self.pending[connection]
        self.free.append(connection)

    def run(self):
        due = time.monotonic()
        while True:
            now = time.monotonic()
            while due <= now:
                self.send(due)
                due += self.interval
            for connection, (since, _) in list(self.pending.items()):
                if now - since > TIMEOUT_S:
                    self.failed(connection, f"no answer in {TIMEOUT_S} s")
            for key, _ in self.selector.select(max(0, due - time.monotonic())):
                if key.fileobj is not sys.stdin:
                    self.receive(key.fileobj)
                elif not sys.stdin.readline():
                    return
                else:
                    print(json.dumps([self.latencies, self.failures]), flush=True)
                    self.latencies, self.failures = [], []


if __name__ == "__main__":
    # It stands for clients elsewhere: what the node's guests do with the CPU must not slow it itself.
    if os.geteuid() == 0:
        os.nice(-15)
    Client(*sys.argv[1:]).run()
