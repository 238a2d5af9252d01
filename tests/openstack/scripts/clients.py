# SPDX-License-Identifier: Apache-2.0
"""Runs today's clients inside .venv-openstack, each command in a process of its own, but loads them only once.

Reads one JSON object a line and answers with one. `{"program": "aodh", "args": [...]}` calls what the console script
of that name calls, with these arguments; `{"call": "alarm.create", "args": [...], "caller": {...}}` calls the Python
client. Nothing of the clients is changed: not their code, and not what they send.
"""

import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import sys
import traceback
from typing import Any

SHELLS = {"aodh": "aodhclient.shell", "openstack": "openstackclient.shell"}
#: What the clients load when they are first used.
ALSO = ("aodhclient.v2.client", "aodhclient.osc", "aodhclient.noauth", "aodhclient.client", "keystoneauth1.session")


def run_shell(program: str, args: list[str]) -> dict[str, Any]:
    """Run a command line as its console script would and return its status and what it wrote."""
    shell = importlib.import_module(SHELLS[program])
    out, err = io.StringIO(), io.StringIO()
    # Both read which authentication is meant from here, before they parse.
    sys.argv = [program, *args]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = shell.main(args)
        except SystemExit as leaving:
            status = leaving.code
    return {"status": status or 0, "out": out.getvalue(), "err": err.getvalue()}


def call_client(name: str, args: list[Any], options: dict[str, Any], caller: dict[str, str]) -> dict[str, Any]:
    """Call a method of the Python client and return what it returned or raised."""
    noauth = importlib.import_module("aodhclient.noauth")
    session = importlib.import_module("keystoneauth1.session")
    client = importlib.import_module("aodhclient.client")
    plugin = noauth.AodhNoAuthPlugin(caller["user"], caller["project"], caller["roles"], caller["url"])
    target: Any = client.Client("2", session=session.Session(auth=plugin))
    for word in name.split("."):
        target = getattr(target, word)
    try:
        return {"returned": target(*args, **options)}
    except Exception as error:  # noqa: BLE001 - whatever the client raises is what is asked for
        return {"raised": type(error).__name__, "text": str(error)}


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked."""
    try:
        if "program" in asked:
            return run_shell(asked["program"], asked["args"])
        return call_client(asked["call"], asked["args"], asked["options"], asked["caller"])
    except Exception:  # noqa: BLE001 - the test that asked shows it
        return {"failed": traceback.format_exc()}


def main() -> None:
    """Answer until nothing more is asked; the clients keep what they once read, so each command is forked."""
    for module in (*SHELLS.values(), *ALSO):
        importlib.import_module(module)
    # `openstack` loads every command of every client, whatever the command is.
    for command in (point for found in importlib.metadata.distributions() for point in found.entry_points):
        if command.group.startswith(("openstack.", "cliff.")):
            with contextlib.suppress(ImportError, AttributeError):
                command.load()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
