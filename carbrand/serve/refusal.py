"""The one way a request is turned down: an HTTP status, and a sentence that says what to do."""

from __future__ import annotations


class Refusal(Exception):
    """What the client did, and how to mend it; `status` is the HTTP status that it gets."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Busy(Refusal):
    """More is asked than can be done at once; asking again helps."""

    def __init__(self) -> None:
        super().__init__(503, "The server has too many photos to look at. Try again in a second.")
