# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

from tests.support.receivers import make_certificate

_PROGRAM = """
import sys
from pathlib import Path
from alarmd.errors import SettingsError
from alarmd.notifiers.tls import Tls, TlsFiles
try:
    Tls(TlsFiles(client_cert_file=Path(sys.argv[1]), client_key_file=Path(sys.argv[2])))
except SettingsError as error:
    print(error.message)
"""


def test_nobody_is_asked_for_the_passphrase_of_a_key(tmp_path: Path) -> None:
    """A key that needs one is refused; a daemon that reads its settings again must not wait for somebody to type."""
    certificate, locked = make_certificate(tmp_path), tmp_path / "locked.pem"
    lock = ["openssl", "pkcs8", "-topk8", "-in", str(certificate), "-out", str(locked), "-passout", "pass:word"]
    subprocess.run(lock, check=True, capture_output=True)
    # In a session without a terminal OpenSSL would ask whoever is at the other end of stdin, which is left open.
    command = [sys.executable, "-c", _PROGRAM, str(certificate), str(locked)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        try:
            started.wait(timeout=30)
        finally:
            started.kill()
        told = started.stdout.read() if started.stdout else ""

    assert "a key without a passphrase" in told
