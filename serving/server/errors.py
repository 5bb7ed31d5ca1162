"""What a request is answered with when it is not granted."""


class Refused(Exception):  # noqa: N818  -- it says what became of a request
    """A request is not granted: its status, a word for programs and a sentence for people.

    Args:
        status: Of HTTP.
        code: Stays the same from version to version.
        message: What was wrong and what is expected.
        retry_seconds: When to come again, if that helps.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_seconds: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_seconds = retry_seconds
