"""Check of ``Host`` against DNS rebinding: the names by which a client may address the server.

If the name ``evil.example`` suddenly resolves to this machine, a browser regards its page as
same-origin with the server. Only the name that the browser sends in ``Host`` reveals this.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
from typing import TYPE_CHECKING

from bfly.errors import BadRequest, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Hosts", "hostname"]

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{0,5})?")
"""A host as browsers send it: [IPv6 address], IPv4 address or name, with an optional port."""

MOST_KEPT = 1000
"""Values of ``Host`` remembered as checked; all are forgotten when there are more."""


class Hosts:
    """Decides whether a request is meant for this server.

    It allows all IP addresses, since an attacker cannot make one resolve elsewhere. It also
    allows ``localhost`` and names below it, the machine's names, the configured host, and
    `allowed`.

    Parameters
    ----------
    listening : str
        The address that the server listens on. The full name of the machine is looked up only
        if other machines can reach that address.
    allowed : sequence of str
        Names from ``allowed-hosts``, in lower case: ``.lab.org`` allows ``lab.org`` and all
        names below it, ``*`` allows all names.
    """

    def __init__(self, listening: str, allowed: Sequence[str] = ()) -> None:
        self._allowed = tuple(allowed)
        self._all = "*" in allowed
        self._below = tuple(name for name in allowed if name.startswith("."))
        own = socket.gethostname().lower()
        short = own.partition(".")[0]
        self._names = {"localhost", own, short, f"{short}.local", listening.lower()}
        self._names |= {name.removeprefix(".") for name in allowed}
        self.checked: set[bytes | None] = set()
        if not _is_loopback(listening):
            # DNS may take half a minute; no request waits for it.
            threading.Thread(target=self._learn_full_name, daemon=True).start()

    def check(self, sent: Sequence[bytes], http_version: str) -> None:
        """Check the ``Host`` of a request.

        Parameters
        ----------
        sent : sequence of bytes
            Each ``Host`` header of the request.
        http_version : str
            Requests of HTTP/1.0 may lack the header, as those of load balancers' health checks
            do; browsers never send such requests.

        Raises
        ------
        BadRequest
            The header is missing, appears more than once, or is not a host.
        NotAllowed
            The name is not one of the server's; the message has the line to add to the
            configuration.
        """
        if len(sent) == 1 and sent[0] in self.checked:
            return
        if not sent and http_version == "1.0":
            return
        if len(sent) != 1:
            raise BadRequest(f"There are {len(sent)} headers Host; allowed is one.")
        name = hostname(sent[0].decode("latin-1"))
        if name is None:
            text = sent[0][:100].decode("latin-1")
            raise BadRequest(f"The header Host is {text!r}; allowed is a host and perhaps a port.")
        if not self._is_allowed(name):
            names = ", ".join([*self._allowed, name])
            raise NotAllowed(
                f"The host {name} is not known as a name of this server. If it is one, "
                f"add to the configuration: allowed-hosts: [{names}]"
            )
        if len(self.checked) >= MOST_KEPT:
            self.checked.clear()
        self.checked.add(sent[0])

    def _is_allowed(self, name: str) -> bool:
        return (
            self._all
            or name in self._names
            or name.endswith((".localhost", *self._below))
            or _is_address(name)
        )

    def _learn_full_name(self) -> None:
        self._names.add(socket.getfqdn().lower())


def hostname(host: str) -> str | None:
    """Return the host without its port, in lower case and without a trailing dot.

    Parameters
    ----------
    host : str
        Value of the header ``Host``.

    Returns
    -------
    str or None
        The host, an IPv6 address without its brackets; None if the text is not a host.
    """
    match = _HOST.fullmatch(host.lower())
    return match[1].strip("[]").removesuffix(".") or None if match else None


def _is_address(name: str) -> bool:
    # Browsers normalise other spellings, such as 127.1 or 2130706433, before they send them.
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
