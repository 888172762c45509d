"""What can go wrong in the service, as facts. No HTTP word: `service.api.problems` has those."""


class ServiceError(Exception):
    """Root of all that the service refuses on purpose."""


class UnknownVideo(ServiceError):
    """No live video has this id."""

    def __init__(self, video_id: str) -> None:
        """Keep the id that was asked for."""
        self.video_id = video_id
        super().__init__(f"no video {video_id!r}")


class InvalidInput(ServiceError):
    """A well-formed request that the loaded bundle cannot take. Carries a fault for each field."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        """Keep (field, what was expected and what came) pairs."""
        self.faults = faults
        super().__init__("; ".join(f"{field}: {fault}" for field, fault in faults))


class NotReady(ServiceError):
    """There is no snapshot to answer from."""

    def __init__(self, reason: str) -> None:
        """Keep why there is none."""
        self.reason = reason
        super().__init__(reason)


class Behind(ServiceError):
    """This replica has not reached the position that the reader asked for."""

    def __init__(self, position: str, wanted: str) -> None:
        """Keep the position reached and the one wanted."""
        self.position = position
        self.wanted = wanted
        super().__init__(f"at position {position!r}, {wanted!r} was asked for")
