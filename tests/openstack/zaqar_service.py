# SPDX-License-Identifier: Apache-2.0
"""A real Zaqar, with its queues on Redis and its callers known by Keystone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import requests

from tests.openstack import programs
from tests.openstack.keystone_service import PASSWORD, Keystone
from tests.support.servers import RedisServer

_CONFIGURATION: Final = """
[DEFAULT]
auth_strategy = keystone
unreliable = true
[drivers]
message_store = redis
management_store = redis
[drivers:message_store:redis]
uri = redis://127.0.0.1:{port}
[drivers:management_store:redis]
uri = redis://127.0.0.1:{port}
[signed_url]
secret_key = a-secret-of-zaqars
[profiler]
enabled = false
[cache]
enabled = false
[keystone_authtoken]
auth_type = password
auth_url = {auth_url}
username = alarmd
password = {password}
project_name = service
user_domain_name = Default
project_domain_name = Default
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zaqar:
    """A running Zaqar."""

    url: str

    def ask(self, method: str, path: str, *, token: str, body: Any = None) -> Any:
        """Return the answer to a question; fails unless Zaqar agrees."""
        headers = {"X-Auth-Token": token, "Client-ID": str(uuid4())}
        answer = requests.request(method, f"{self.url}/v2{path}", json=body, headers=headers, timeout=30)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def messages(self, queue: str, *, token: str) -> list[Any]:
        """Return the bodies of the messages in a queue."""
        found = self.ask("GET", f"/queues/{queue}/messages?echo=true", token=token)
        return [each["body"] for each in found["messages"]]


@contextmanager
def zaqar(home: Path, *, cloud: Keystone, redis: RedisServer) -> Iterator[Zaqar]:
    """Run Zaqar and put it into Keystone's catalogue."""
    # Zaqar looks for its configuration below the home directory of who runs it.
    configuration = home / ".zaqar" / "zaqar.conf"
    configuration.parent.mkdir(parents=True)

    configuration.write_text(_CONFIGURATION.format(port=redis.port, auth_url=cloud.url, password=PASSWORD))
    with programs.wsgi_server("zaqar.transport.wsgi.app:application", home=home) as url:
        cloud.endpoint("messaging", "zaqar", url)
        yield Zaqar(url=url)
