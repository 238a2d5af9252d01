# SPDX-License-Identifier: Apache-2.0
"""A receiver whose certificate runs out, and is renewed."""

import os
import ssl
import subprocess
from pathlib import Path

from tests.faults.case import Case, Outcome
from tests.faults.outage import pause
from tests.faults.scene import Scene, Stage
from tests.support.daemon import wait_until
from tests.support.skewed_clock import SkewedClock

_NAME = "subjectAltName=IP:127.0.0.1"


class _Authority:
    """Gives certificates to the receiver."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = SkewedClock(folder)
        self.certificate = folder / "ca.crt"
        self._openssl("req", "-x509", *_KEY, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")

    def issue(self, name: str, *, expired: bool = False) -> Path:
        """Return a certificate, with its key, that holds for a day, or did until yesterday."""
        self._openssl("req", *_KEY, "-subj", "/CN=receiver", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (self._folder / "names").write_text(_NAME, encoding="ascii")
        skew_s = -3 * 86400.0 if expired else 0.0
        signing = ["-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "1"]
        self._openssl("x509", *signing, "-extfile", "names", "-out", f"{name}.crt", skew_s=skew_s)
        both = self._folder / f"{name}.pem"
        both.write_bytes(b"".join((self._folder / f"{name}.{end}").read_bytes() for end in ("key", "crt")))
        return both

    def _openssl(self, *arguments: str, skew_s: float = 0.0) -> None:
        with self._clock.wrong(skew_s):
            environ = {**os.environ, **self._clock.environ}
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self._folder, env=environ)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _play(stage: Stage) -> Outcome:
    """What cannot be told meanwhile is put aside with a reason, and told when the operator says so."""
    times = 1 if stage.short else 5
    authority = _Authority(stage.folder)
    good, expired = authority.issue("good"), authority.issue("expired", expired=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(good)
    environ = {"ALARMD_NOTIFIER__SCHEMES__HTTPS__CA_FILE": str(authority.certificate)}
    injections = 0
    with stage.scene(environ=environ) as scene, scene.receiver("tls", tls=tls) as receiver:
        for machine in scene.machines:
            scene.watch(f"{machine}-high", machine, url=receiver.url)
        with scene.running():
            for _ in range(times):
                pause(2.0)
                with scene.faults.during("the receiver's certificate is expired"):
                    tls.load_cert_chain(expired)
                    wait_until(lambda: _put_aside(scene), what="deliveries to be put aside")
                    pause(1.0)
                    tls.load_cert_chain(good)
                # What was under way when it was renewed may be put aside a little later.
                pause(0.5)
                injections += _retry(scene)
            findings = scene.findings()
    return Outcome(injections=injections, findings=findings)


def _retry(scene: Scene) -> int:
    """Retry what was put aside, as an operator does who has been told of the renewal; return how many that were."""
    aside = _put_aside(scene)
    for each in aside:
        scene.alarmd.request("POST", f"/v3/deliveries/{each['event_id']}/retry")
    return len(aside)


def _put_aside(scene: Scene) -> list[dict[str, str]]:
    found: list[dict[str, str]] = scene.alarmd.request("GET", "/v3/deliveries?state=buried")["deliveries"]
    return [each for each in found if "certificate" in each["last_error"]]


CASES = (
    Case(
        name="certificate",
        title="a receiver's certificate expires; renewed, and retried by the operator",
        play=_play,
        in_short=(),
        programs=("openssl", "cc"),
    ),
)
