# SPDX-License-Identifier: Apache-2.0
"""Serves Heat's REST API with Heat's own engine behind it inside .venv-openstack, in one process.

Prints its port once it listens and ends when standard input does. Templates are parsed, nested stacks are made, marked
and updated as by `heat-api` and `heat-engine`. Only the surroundings are arranged: messages between the two stay within
the process, and every token counts as that of a member of one project. Arguments: that project, the database's URL.
"""

import importlib
import logging
import sys
import warnings
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


def module(name: str) -> Any:
    """Return a module of the environment."""
    return importlib.import_module(name)


class Server(ThreadingMixIn, WSGIServer):
    """One thread a request: the API waits for the engine."""

    daemon_threads = True


class Silent(WSGIRequestHandler):
    """Says nothing of requests."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the library's signature
        """Say nothing."""


def known(application: Callable[..., Any], project: str) -> Callable[..., Any]:
    """Return an application whose callers are who they say, as behind Keystone's middleware."""

    def identified(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        who = {
            "USER_ID": "ann",
            "USER_NAME": "ann",
            "PROJECT_ID": project,
            "ROLES": "member,reader",
            "AUTH_USER": "ann",
        }
        environ |= {f"HTTP_X_{name}": value for name, value in who.items()}
        environ |= {"HTTP_X_AUTH_KEY": "password", "HTTP_X_AUTH_URL": "http://127.0.0.1:1/v3"}
        return application(environ, start_response)

    return identified


def main(project: str, database_url: str) -> None:
    """Serve until nobody listens any more."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    backend = module("oslo_service.backend")
    backend.init_backend(backend.BackendType.THREADING)
    config = module("oslo_config.cfg").CONF
    module("heat.common.config")
    module("oslo_log.log").register_options(config)
    config([], project="heat", default_config_files=[], default_config_dirs=[])
    module("oslo_db.options").set_defaults(config, connection=database_url)
    config.set_override("deferred_auth_method", "password")
    config.set_override("environment_dir", "/nonexistent")
    config.set_override("convergence_engine", False)
    module("heat.common.messaging").setup("fake://", optional=True)
    module("heat.engine.resources").initialise()
    module("heat.db.models").BASE.metadata.create_all(module("heat.db.api").get_engine())
    engine = module("heat.engine.service").EngineService("here", module("heat.rpc.api").ENGINE_TOPIC)
    engine.start()
    router = module("heat.api.openstack.v1").API({})
    faults = module("heat.api.middleware.fault").FaultWrapper(router)
    application = known(module("heat.common.context").ContextMiddleware(faults, {}), project)
    server = make_server("127.0.0.1", 0, application, server_class=Server, handler_class=Silent)
    module("threading").Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    # Its threads would outlive it.
    module("os")._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
