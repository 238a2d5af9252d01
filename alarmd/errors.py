# SPDX-License-Identifier: Apache-2.0
"""Every error that alarmd raises on purpose, in one tree.

    AlarmdError
    ├── SettingsError           a setting is wrong: names the place, what is allowed, the nearest known key
    ├── PluginError             a source, rule type, notifier or log engine cannot be had
    ├── InvalidInput            a caller sent something that cannot be accepted
    │   └── TargetRefused       an action's URL points where alarmd must not send
    ├── NotFound                the thing asked for does not exist for this caller
    ├── Unauthorized            the caller names another project or user than its own
    ├── Unidentified            who the caller is cannot be told
    ├── Forbidden               the caller lacks the role, or a quota is used up
    ├── Outdated                the thing has changed since the caller read it
    ├── Conflict                other things depend on the thing as it is
    ├── SecretMissing           a notification names a signing secret that is not there
    ├── TooMany                 the caller asks more often than it may
    └── Unavailable             something outside does not answer; trying again later may help
        ├── SourceUnavailable   a hypervisor or exporter
        ├── LogUnavailable      the sample log
        └── StoreUnavailable    the database

The docstring of a class is its default message; facts go in as keyword arguments and are kept as attributes
in `facts`, so that logs carry them as fields.
"""


class AlarmdError(Exception):
    """Something in alarmd went wrong."""

    def __init__(self, message: str | None = None, **facts: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.facts = facts
        super().__init__(self.message)


class SettingsError(AlarmdError):
    """A setting is wrong."""


class PluginError(AlarmdError):
    """A plugin cannot be loaded."""


class InvalidInput(AlarmdError):
    """The input cannot be accepted."""


class TargetRefused(InvalidInput):
    """The action's target is not allowed."""


class NotFound(AlarmdError):
    """There is no such thing."""


class Unauthorized(AlarmdError):
    """The caller may only name its own project and user."""


class Unidentified(AlarmdError):
    """Who asks cannot be told."""


class Forbidden(AlarmdError):
    """The caller is not allowed to do this."""


class Outdated(AlarmdError):
    """It has changed since it was read."""


class Conflict(AlarmdError):
    """Other things depend on it."""


class SecretMissing(AlarmdError):
    """There is no such secret to sign with."""


class TooMany(AlarmdError):
    """There are more requests than are allowed."""


class Unavailable(AlarmdError):
    """Something that alarmd depends on does not answer."""


class SourceUnavailable(Unavailable):
    """A source of samples does not answer."""


class LogUnavailable(Unavailable):
    """The sample log does not answer."""


class StoreUnavailable(Unavailable):
    """The database does not answer."""
