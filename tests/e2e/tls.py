"""Certificates, tokens and keys of a test's own, and a client that speaks TLS."""
import contextlib
import http.client
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile

from node import BIN, Answer, Skip

SERVER_USER = 64100  # The server's, where root starts a node and there is no user 'hybridserve'.


def make_pair(folder, name="node"):
    """Writes NAME.pem and NAME.key, a certificate for localhost and 127.0.0.1 that is its own issuer."""
    if shutil.which("openssl") is None:
        raise Skip("openssl is not installed: it makes the test's certificates")
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    for path in (certificate, key):
        path.unlink(missing_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    for_server(key)
    return certificate, key


def for_server(path, mode=0o400):
    """Lets the node's server read a file, and nobody else."""
    os.chmod(path, mode)
    if os.geteuid() == 0:
        os.chown(path, server_user(), -1)


def server_user():
    with contextlib.suppress(KeyError, ImportError):
        import pwd
        return pwd.getpwnam("hybridserve").pw_uid
    return SERVER_USER


def make_token(file, name="test"):
    """Adds a token's hash to a file; returns the token."""
    made = subprocess.run([BIN / "hybridserve", "token", file, "--name", name], check=True, capture_output=True,
                          text=True)
    return made.stdout.strip()


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="hybridserve-tls.") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


def ask(port, ca, path, headers=None, method="GET", body=None, version=None):
    """One request over TLS to 127.0.0.1; the certificate is checked against `ca`."""
    context = ssl.create_default_context(cafile=ca)
    if version:
        context.minimum_version = context.maximum_version = version
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def serial_of(port):
    """The certificate that a listener shows, in DER."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=30))


def bearer(key):
    return {"Authorization": f"Bearer {key}"}
