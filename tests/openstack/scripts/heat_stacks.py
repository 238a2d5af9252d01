# SPDX-License-Identifier: Apache-2.0
"""Runs stacks with Heat's own engine inside .venv-openstack, on an SQLite database in memory.

Reads one JSON object a line and answers with one: `{"do": "create", "stack": "s", "resources": {...}, "caller":
{...}}`, or `update` (with other resources), `suspend`, `resume`, `check`, `delete`, `show` for a stack that is there.
Templates are parsed, resources are scheduled and their states are kept as in a `heat-engine`. Only its surroundings are
arranged: the identity is that of aodhclient's plugin without a Keystone, and there is no Octavia to find a pool in.
"""

import importlib
import json
import logging
import sys
import traceback
import warnings
from typing import Any


def module(name: str) -> Any:
    """Return a module of the environment."""
    return importlib.import_module(name)


class Engine:
    """The stacks and what they need."""

    def __init__(self) -> None:
        config = module("oslo_config.cfg").CONF
        module("heat.common.config")
        config([], project="heat", default_config_files=[], default_config_dirs=[])
        module("oslo_db.options").set_defaults(config, connection="sqlite://")
        config.set_override("deferred_auth_method", "password")
        config.set_override("environment_dir", "/nonexistent")
        config.set_override("error_wait_time", None)
        # Retries of Heat itself would only make a failing test slow.
        config.set_override("action_retry_limit", 1)
        module("heat.common.messaging").setup("fake://", optional=True)
        module("heat.engine.resources").initialise()
        module("heat.db.models").BASE.metadata.create_all(module("heat.db.api").get_engine())
        octavia = module("heat.engine.clients.os.octavia").OctaviaClientPlugin
        octavia.get_pool = lambda _self, value: value
        self._stacks: dict[str, Any] = {}

    def _context(self, caller: dict[str, str]) -> Any:
        plugin = module("aodhclient.noauth").AodhNoAuthPlugin(
            caller["user"], caller["project"], caller["roles"], caller["url"]
        )
        return module("heat.common.context").RequestContext(
            auth_token="token",  # what the plugin sends says who calls
            username=caller["user"],
            user_id=caller["user"],
            password="password",  # kept with the stack, used by nobody
            project_id=caller["project"],
            roles=caller["roles"].split(","),
            auth_url="http://127.0.0.1:1/v3",
            auth_plugin=plugin,
        )

    def _build(self, asked: dict[str, Any]) -> Any:
        context = self._context(asked["caller"])
        template = module("heat.engine.template").Template(
            {"heat_template_version": "2021-04-16", "resources": asked["resources"]}
        )
        return module("heat.engine.stack").Stack(context, asked["stack"], template)

    def do(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked with a stack and return its state and its resources'."""
        name = asked["stack"]
        if asked["do"] == "create":
            stack = self._stacks[name] = self._build(asked)
            stack.validate()
            stack.store()
            stack.create()
        elif asked["do"] == "update":
            stack = self._stacks[name]
            stack.converge_updates = False
            stack.update(self._build(asked))
        elif asked["do"] != "show":
            getattr(self._stacks[name], asked["do"])()
        stack = self._stacks[name]
        return {
            "state": list(stack.state),
            "reason": stack.status_reason,
            "resources": {
                key: {"state": list(resource.state), "id": resource.resource_id}
                | ({"show": resource.FnGetAtt("show")} if asked["do"] == "show" else {})
                for key, resource in stack.items()
            },
        }


def main() -> None:
    """Answer until nothing more is asked."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    answers = sys.stdout
    engine = Engine()
    for line in sys.stdin:
        try:
            said = engine.do(json.loads(line))
        except Exception:  # noqa: BLE001 - the test that asked shows it
            said = {"failed": traceback.format_exc()}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
