"""An address that several processes listen at, each by itself, so that connections are spread."""

import errno
import socket
from typing import Any, Final, Self

from service.errors import AddressTaken

# A name may stand for addresses that this machine does not have: localhost, without IPv6.
NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class SharedPort:
    """A host and a port that nobody else listens at, and this process does not either."""

    def __init__(self, host: str, port: int) -> None:
        """Take it; port 0 picks a free one.

        Raises:
            AddressTaken: somebody listens there, or this machine has no such address.
        """
        self._taken: list[socket.socket] = []
        self._flags: list[socket.socket] = []
        missing = OSError(f"{host} is no address of this machine")
        try:
            for family, *_, address in socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                try:
                    self._take(family, (address[0], self._port or port, *address[2:]))
                except OSError as error:
                    if error.errno not in NOT_HERE:
                        raise
                    missing = error
            if not self._taken:
                raise missing
        except OSError as error:
            self.close()
            raise AddressTaken(host, port, error.strerror or str(error)) from error

    @property
    def _port(self) -> int:
        return int(self._taken[0].getsockname()[1]) if self._taken else 0

    def _take(self, family: int, address: tuple[Any, ...]) -> None:
        # Not shared at first: that fails if another service of the same user listens there.
        _bound(family, address, shared=False).close()
        self._taken.append(_bound(family, address, shared=True))
        # Nor if another is about to, of which the port itself says nothing: a name of the kernel's,
        # without a file, that is gone with us.
        self._flags.append(socket.socket(socket.AF_UNIX))
        self._flags[-1].bind(f"\0recommender {self._taken[-1].getsockname()[:2]}")

    def bind(self) -> list[socket.socket]:
        """Return sockets of one's own there; all that listen get a share of the connections."""
        return [_bound(taken.family, taken.getsockname(), shared=True) for taken in self._taken]

    def close(self) -> None:
        """Give it back."""
        for taken in (*self._taken, *self._flags):
            taken.close()

    def __enter__(self) -> Self:
        """Keep it for a block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self.close()


def _bound(family: int, address: tuple[Any, ...], *, shared: bool) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
