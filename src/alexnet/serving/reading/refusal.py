"""Why a request is refused."""


class RequestError(Exception):
    """A request that is refused.

    Args:
        status: the HTTP status.
        sentence: what is wrong, and what to do.
        retry_after: seconds after which the same request may succeed; None if it cannot.
    """

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after
