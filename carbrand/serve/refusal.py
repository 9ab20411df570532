"""Refusals of requests: an HTTP status and a message that says what to do."""

from __future__ import annotations


class Refusal(Exception):
    """A refused request. status: of HTTP. message: the problem and what to do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Busy(Refusal):
    """Too many requests at once; the client may retry."""

    def __init__(self) -> None:
        super().__init__(503, "The server has too many photos to process. Try again in a second.")
