"""The requests of a function's requests.json, and the bodies and servers that some of them need.

Each entry may have: "query"; "json", a body of that type; "body", a text; "photo": true, the photograph that setup
fetched; "clip": [width, height, frames], a Y4M film. "{origin}" in a query or a JSON text is a loopback server that
answers /N with N bytes.
"""
import dataclasses
import http.server
import json
import pathlib
import threading
from urllib.parse import quote

from node import CACHE, ROOT, Skip

FUNCTIONS = ROOT / "functions"


@dataclasses.dataclass(frozen=True)
class Request:
    path: str
    body: bytes | None
    headers: dict
    label: str


def folder_of(name):
    return FUNCTIONS / name


def requests_of(name, origin):
    """The function's requests, in order; the first is the one that is timed."""
    entries = json.loads((folder_of(name) / "requests.json").read_text())
    return [_request(entry, origin) for entry in entries]


def needs_origin(name):
    return "{origin}" in (folder_of(name) / "requests.json").read_text()


def _request(entry, origin):
    query = entry.get("query", "").replace("{origin}", quote(origin or "", safe=""))
    body, headers = None, {}
    if "json" in entry:
        body = json.dumps(entry["json"]).replace("{origin}", origin or "").encode()
        headers["Content-Type"] = "application/json"
    elif "photo" in entry:
        body, headers["Content-Type"] = photograph(), "image/jpeg"
    elif "clip" in entry:
        body, headers["Content-Type"] = film(*entry["clip"]), "video/x-yuv4mpeg"
    elif "body" in entry:
        body, headers["Content-Type"] = entry["body"].encode(), "text/plain"
    return Request("/" + ("?" + query if query else ""), body, headers, json.dumps(entry))


def photograph():
    path = CACHE / "china.jpg"
    if not path.exists():
        raise Skip("the photograph is not there: make setup")
    return path.read_bytes()


def film(width, height, frames):
    """A moving pattern as Y4M with 4:2:0 colours (yuv4mpeg(5))."""
    out = bytearray(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C420jpeg\n".encode())
    for frame in range(frames):
        out += b"FRAME\n"
        for y in range(height):
            out += bytes((x * 3 + y * 2 + frame * 9) % 256 for x in range(width))
        for plane in (1, 2):
            for y in range((height + 1) // 2):
                out += bytes((x * plane + y * 5 + frame * 4) % 256 for x in range((width + 1) // 2))
    return bytes(out)


class Origin:
    """A web server on loopback for functions that fetch: GET /N answers N bytes, anything else 404."""

    def __enter__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                size = self.path.removeprefix("/")
                status, body = (200, bytes(i * 7 % 251 for i in range(int(size)))) if size.isdigit() else (404, b"none\n")
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
