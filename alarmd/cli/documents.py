# SPDX-License-Identifier: Apache-2.0
"""Documents that people hand to commands: YAML or JSON, from a file or from standard input."""

from typing import Any, TextIO

import click
import yaml


class _JsonTypes(yaml.SafeLoader):
    """YAML with no other types than JSON has: moments stay text."""


_JsonTypes.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for sign, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def object_in(source: TextIO) -> dict[str, Any]:
    """Return the one object of a document; raises `click.UsageError` for anything else."""
    name = getattr(source, "name", "the document")
    try:
        document = yaml.load(source, Loader=_JsonTypes)  # noqa: S506  # a SafeLoader with fewer types
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise click.UsageError(f"{name} is neither YAML nor JSON: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise click.UsageError(f"{name} must hold one alarm: attributes with their values.")
    return document
