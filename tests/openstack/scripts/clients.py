# SPDX-License-Identifier: Apache-2.0
"""Runs today's clients inside .venv-openstack, one command after the other, so that they start only once.

Reads one JSON object a line and answers with one. `{"program": "aodh", "args": [...]}` calls what the console script
of that name calls, with these arguments; `{"call": "alarm.create", "args": [...], "caller": {...}}` calls the Python
client. Nothing of the clients is changed: not their code, and not what they send.
"""

import contextlib
import importlib
import io
import json
import logging
import sys
import traceback
from typing import Any

SHELLS = {"aodh": "aodhclient.shell", "openstack": "openstackclient.shell"}


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
    # Each run adds handlers that write to where the last one wrote.
    logging.getLogger().handlers.clear()
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
        return {
            "raised": type(error).__name__,
            "module": type(error).__module__,
            "text": str(error),
            "code": getattr(error, "code", None),
            "retry_after": getattr(error, "retry_after", None),
        }


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked."""
    if "program" in asked:
        return run_shell(asked["program"], asked["args"])
    return call_client(asked["call"], asked["args"], asked["options"], asked["caller"])


def main() -> None:
    """Answer until nothing more is asked."""
    answers = sys.stdout
    for line in sys.stdin:
        try:
            said = answer(json.loads(line))
        except Exception:  # noqa: BLE001 - the test that asked shows it
            said = {"failed": traceback.format_exc()}
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
