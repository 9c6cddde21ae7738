"""TLS on the gateway and the admin API, certificates and keys that change, tokens, keys of functions."""
import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess

import tls
from node import BIN, deploy, node, wait_for, write_function


def admin_port(own):
    return int(re.search(r"admin API on https://127\.0\.0\.1:(\d+)", own.output()).group(1))


def admin_config(folder, certificate, key):
    return {"listen": "127.0.0.1:0", "token_file": str(folder / "tokens"), "tls_certificate": str(certificate),
            "tls_key": str(key)}


def run(*arguments, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HYBRIDSERVE_")}
    return subprocess.run([BIN / "hybridserve", *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**environment, **variables})


def test_functions_are_served_by_https():
    with tls.folder() as folder:
        certificate, key = tls.make_pair(folder)
        with node({"gateway": {"tls_certificate": str(certificate), "tls_key": str(key)},
                   "policy": {"default": "wasm-only"}}) as own:
            deploy(own)
            large = os.urandom(3 << 20)
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                answer = tls.ask(own.port, certificate, "/function/fixture", version=version)
                assert answer.status == 200 and answer.body == b"hello\n", answer
                echoed = tls.ask(own.port, certificate, "/function/fixture/echo", method="POST", body=large,
                                 version=version)
                assert echoed.status == 200 and echoed.body == large, (echoed.status, len(echoed.body))
            plain = own.get("/function/fixture")
            assert plain.status == 400 and "https://" in plain.error, plain
            invoked = own.cli("invoke", "fixture", "--ca", certificate)
            assert invoked.stdout == "hello\n", invoked
            stranger = own.cli("invoke", "fixture", check=False)
            assert stranger.returncode == 4 and "--ca FILE" in stranger.stderr, stranger
            named = run("invoke", "fixture", "--gateway", f"https://localhost:{own.port}", "--ca", certificate)
            assert named.returncode == 0, named
            other = run("invoke", "fixture", "--gateway", f"https://127.0.0.2:{own.port}", "--ca", certificate)
            assert other.returncode in (4, 8), other


def test_a_client_that_does_not_end_its_handshake_is_let_go():
    with tls.folder() as folder:
        certificate, key = tls.make_pair(folder)
        with node({"gateway": {"tls_certificate": str(certificate), "tls_key": str(key), "header_timeout": "300ms"},
                   "policy": {"default": "wasm-only"}}) as own:
            for begin in (b"", b"\x16\x03\x01\x02"):
                with socket.create_connection(("127.0.0.1", own.port), timeout=20) as silent:
                    silent.sendall(begin)
                    with contextlib.suppress(ConnectionResetError):
                        assert silent.recv(100) == b""


def test_a_certificate_is_taken_when_it_changes_and_a_bad_one_is_not():
    with tls.folder() as folder:
        certificate, key = tls.make_pair(folder)
        with node({"gateway": {"tls_certificate": str(certificate), "tls_key": str(key)},
                   "policy": {"default": "wasm-only"}}) as own:
            first = tls.serial_of(own.port)
            context = ssl.create_default_context(cafile=certificate)
            kept = http.client.HTTPSConnection("127.0.0.1", own.port, timeout=30, context=context)
            kept.request("GET", "/healthz")
            kept.getresponse().read()
            # Each file by itself, so there is a moment when they do not fit.
            good = certificate.read_text()
            certificate.write_text("nonsense")
            wait_for("the bad certificate to be refused",
                     lambda: "the certificate stays the one before" in own.output(), 10)
            assert "does not begin with a certificate" in own.output()
            assert tls.serial_of(own.port) == first
            certificate.write_text(good)
            tls.make_pair(folder)
            wait_for("the new certificate", lambda: tls.serial_of(own.port) != first, 10)
            assert tls.ask(own.port, certificate, "/healthz").status == 200
            kept.request("GET", "/healthz")
            assert kept.getresponse().status == 200, "an open connection ends"


def test_admin_api_over_tcp_wants_tls_and_a_token():
    with tls.folder() as folder:
        certificate, key = tls.make_pair(folder)
        token, spare = tls.make_token(folder / "tokens"), tls.make_token(folder / "tokens", "spare")
        (folder / "token").write_text(token)
        with node({"policy": {"default": "wasm-only"}, "node": {"log_level": "trace"},
                   "admin": admin_config(folder, certificate, key)}) as own:
            port, wrong = admin_port(own), "f" * 64
            for headers in ({}, tls.bearer(wrong), {"Authorization": token}):
                refused = tls.ask(port, certificate, "/v1/functions", headers)
                assert refused.status == 401 and "token" in refused.error, (headers, refused)
                assert refused.headers["WWW-Authenticate"] == "Bearer", (headers, refused)
            assert tls.ask(port, certificate, "/v1/functions", tls.bearer(spare)).status == 200
            address = ("--node", f"https://127.0.0.1:{port}", "--ca", certificate)
            deployed = run("deploy", write_function(own), *address, "--token-file", folder / "token")
            assert deployed.returncode == 0, deployed
            listed = run("list", *address, HYBRIDSERVE_TOKEN=token)
            assert listed.returncode == 0 and "fixture" in listed.stdout, listed
            lacking = run("list", *address)
            assert lacking.returncode == 4 and "token" in lacking.stderr, lacking
            plain = run("list", "--node", f"http://127.0.0.1:{port}")
            assert plain.returncode != 0 and "https://" in plain.stderr, plain
            # A token ends with its line.
            lines = (folder / "tokens").read_text().splitlines(keepends=True)
            (folder / "tokens").write_text("".join(line for line in lines if not line.startswith("test ")))
            wait_for("the token to be refused",
                     lambda: tls.ask(port, certificate, "/v1/functions", tls.bearer(token)).status == 401, 10)
            assert tls.ask(port, certificate, "/v1/functions", tls.bearer(spare)).status == 200
            for text in (own.output(), own.metrics(), lacking.stderr, listed.stderr, plain.stderr):
                assert token not in text and wrong not in text


def test_what_admin_over_tcp_lacks_is_named_at_the_start():
    with tls.folder() as folder:
        certificate, key = tls.make_pair(folder)
        tls.make_token(folder / "tokens")
        whole = admin_config(folder, certificate, key)

        def refusal(**changes):
            admin = {name: value for name, value in {**whole, **changes}.items() if value}
            lines = [f'{name} = "{value}"' for name, value in admin.items()]
            (folder / "node.toml").write_text("[admin]\n" + "\n".join(lines) + '\n[gateway]\nlisten="127.0.0.1:0"\n')
            done = run("serve", "--config", folder / "node.toml", "--state-folder", folder / "state")
            assert done.returncode not in (0, -signal.SIGTERM), done
            return done.stderr

        assert "`hybridserve token FILE` makes one" in refusal(token_file="")
        assert "admin.tls_certificate and admin.tls_key" in refusal(tls_certificate="", tls_key="")
        assert "admin.tls_key is not" in refusal(tls_key="")
        (folder / "plain").write_text("canary-token-in-the-clear\n")
        text = refusal(token_file=str(folder / "plain"))
        assert "the line holds no hash" in text and "canary" not in text, text
        os.chmod(key, 0o644)
        assert "chmod 0400" in refusal()


def test_a_function_with_keys_wants_one():
    with tls.folder() as folder, node({"policy": {"default": "wasm-only"}}) as own:
        keys = folder / "keys"
        key = tls.make_token(keys, "edge")
        deploy(own, manifest=f'hosts = ["keyed.example"]\n[access]\nkeys = "{keys}"')
        deploy(own, "open")
        for headers in ({}, tls.bearer("0" * 64), {"Authorization": f"Basic {key}"}):
            for path, host in (("/function/fixture", "node"), ("/", "keyed.example")):
                refused = own.get(path, headers={**headers, "Host": host})
                assert refused.status == 401 and refused.headers["WWW-Authenticate"] == "Bearer", refused
        assert own.get("/function/fixture", headers=tls.bearer(key)).body == b"hello\n"
        assert own.get("/", headers={**tls.bearer(key), "Host": "keyed.example"}).status == 200
        assert own.get("/function/open").status == 200
        lacking = own.cli("invoke", "fixture", check=False)
        assert lacking.returncode == 4 and "Authorization: Bearer" in lacking.stderr, lacking
        assert own.cli("invoke", "fixture", env={**os.environ, "HYBRIDSERVE_KEY": key}).stdout == "hello\n"
        (folder / "key").write_text(key + "\n")
        assert own.cli("invoke", "fixture", "--key-file", folder / "key").stdout == "hello\n"
        described = own.cli("describe", "fixture").stdout
        assert f"with a key of {keys}" in described and key not in described, described
        # Another key counts without a deploy; a broken file changes nothing.
        keys.write_text("broken\n")
        wait_for("the broken file to be named", lambda: "stay as they were" in own.output(), 10)
        assert own.get("/function/fixture", headers=tls.bearer(key)).status == 200
        keys.write_text("")
        other = tls.make_token(keys, "other")
        wait_for("the other key", lambda: own.get("/function/fixture", headers=tls.bearer(other)).status == 200, 10)
        assert own.get("/function/fixture", headers=tls.bearer(key)).status == 401
