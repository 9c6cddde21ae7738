#!/usr/bin/env python3
"""Clients that count: each request has an id of its own and ends in exactly one outcome.

Run as a process of its own, so that it does not disturb what its user measures: clients.py HOST PORT SEED
FUNCTION... It sends until its standard input ends and then prints one JSON object:

  answered  how many got the right answer
  events    every other end: {"what", "function", "start", "since", "sent", "end", "detail"}; times are those of
            CLOCK_MONOTONIC in seconds, `since` is when its connection was last known to be good, `sent` when the
            whole request was on its way, or null

`what` is "error" (an HTTP error whose body says why), "gone" (refused, reset or closed before any of the answer was
there), "cut" (the same in the midst of the answer, which its framing shows), or "lost": a wrong or a second answer,
or none within 15 s.
"""
import json
import random
import socket
import sys
import threading
import time

LIMIT_SECONDS = 15
CLIENTS = 6
PAUSE_SECONDS = 0.01  # Between two requests of a client: the load is steady, not all that the machine can do.


class Gone(Exception):
    """The connection ended before the answer did."""


class Lost(Exception):
    """What a client must never see."""


class Connection:
    def __init__(self, address):
        self.since = time.monotonic()
        try:
            self.socket = socket.create_connection(address, timeout=LIMIT_SECONDS)
        except OSError as error:
            raise Gone(f"connect: {error}") from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        self.begun = False  # Some of the answer is there.
        self.sent = None

    def close(self):
        self.socket.close()

    def read_more(self):
        try:
            piece = self.socket.recv(1 << 18)
        except socket.timeout:
            raise Lost(f"no whole answer within {LIMIT_SECONDS} s; it began with {self.unread[:200]!r}") from None
        except OSError as error:
            raise Gone(f"receive: {error}") from None
        if not piece:
            raise Gone("closed")
        self.begun = True
        self.unread += piece

    def take(self, size):
        while len(self.unread) < size:
            self.read_more()
        taken, self.unread = self.unread[:size], self.unread[size:]
        return taken

    def take_line(self):
        while b"\r\n" not in self.unread:
            self.read_more()
        line, _, self.unread = self.unread.partition(b"\r\n")
        return line.decode("latin-1")

    def exchange(self, head, body):
        """The status and body of the one answer, and whether the connection is closed after it."""
        self.begun, self.sent = False, None
        try:
            self.socket.sendall(head + body)
            self.sent = time.monotonic()
        except OSError as error:
            raise Gone(f"send: {error}") from None
        status = int(self.take_line().split(" ")[1])
        headers = {}
        while line := self.take_line():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            content = b""
            while size := int(self.take_line(), 16):
                content += self.take(size)
                self.take(2)
            self.take_line()
        else:
            content = self.take(int(headers.get("content-length", 0)))
        if self.unread:
            raise Lost(f"a second answer: {self.unread[:200]!r}")
        return status, content, headers.get("connection") == "close"


class Client(threading.Thread):
    def __init__(self, number, address, functions, seed, stop):
        super().__init__()
        self.number, self.address, self.functions, self.stop = number, address, functions, stop
        self.random = random.Random(f"{seed}/{number}")
        self.connection = None
        self.count = self.answered = 0
        self.events = []

    def run(self):
        while not self.stop.is_set():
            self.one()
            self.stop.wait(PAUSE_SECONDS)

    def request(self, function):
        """The bytes of a request, and the right answer."""
        self.count += 1
        identity = f"{self.number}-{self.count};"
        kind = self.random.random()
        if kind < 0.15:
            return "GET", "/sleep?ms=30", b"", b"slept\n"
        if kind < 0.3:
            return "GET", "/", b"", b"hello\n"
        size = 100_000 if kind > 0.97 else self.random.randrange(20, 600)
        body = (identity * (size // len(identity) + 1)).encode()
        return "POST", "/echo", body, body

    def one(self):
        function = self.random.choice(self.functions)
        method, path, body, right = self.request(function)
        # An invented reconnect now and then, beside those that faults force.
        if self.connection and self.random.random() < 0.1:
            self.drop()
        line = f"{method} /function/{function}{path} HTTP/1.1"
        head = f"{line}\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        start = time.monotonic()
        since = self.connection.since if self.connection else start
        try:
            if self.connection is None:
                self.connection = Connection(self.address)
            status, content, closes = self.connection.exchange(head, body)
            self.judge(status, content, right, function, start, since)
            self.connection.since = time.monotonic()
            if closes:
                self.drop()
        except (Gone, Lost, ValueError, IndexError) as error:
            what = "lost"
            if isinstance(error, Gone):
                what = "cut" if self.connection and self.connection.begun else "gone"
            self.note(what, function, start, since, f"{method} {path}: {error}")
            self.drop()

    def judge(self, status, content, right, function, start, since):
        if status == 200 and content == right:
            self.answered += 1
            return
        try:
            error = json.loads(content)["error"]
            said = f"{status} {error['code']}: {error['message']}"
        except (ValueError, KeyError, TypeError):
            said = None
        # A function that is deployed is never unknown, and a request that was right is never a bad one.
        if said is None or status not in (429, 500, 502, 503, 504):
            raise Lost(f"answered {status} {content[:200]!r}")
        self.note("error", function, start, since, said)

    def note(self, what, function, start, since, detail):
        self.events.append({"what": what, "function": function, "start": start, "since": since,
                            "sent": self.connection.sent if self.connection else None,
                            "end": time.monotonic(), "detail": detail})

    def drop(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def main():
    host, port, seed, *functions = sys.argv[1:]
    stop = threading.Event()
    clients = [Client(number, (host, int(port)), functions, seed, stop) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    sys.stdin.read()
    stop.set()
    for client in clients:
        client.join()
    print(json.dumps({"answered": sum(client.answered for client in clients),
                      "events": [event for client in clients for event in client.events]}))


if __name__ == "__main__":
    main()
