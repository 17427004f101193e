"""Answers prepared for the next n requests: how tests make a peer misbehave."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer in place of the true one.

    Attributes:
        body: sent as it is; JSON unless ``content_type`` says otherwise.
        delay_s: wall seconds before anything is sent.
        drop: cut the connection instead of answering; ``reset`` does so by a TCP reset.
        act: do what was asked (store, count) although the answer does not say so.
    """

    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay_s: float = 0.0
    drop: bool = False
    reset: bool = False
    act: bool = False


class Script(Generic[T]):
    """A queue of prepared answers; empty means: behave."""

    def __init__(self) -> None:
        self._queue: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, answer: T, count: int = 1) -> None:
        """Give ``answer`` to the next ``count`` requests after those already scripted."""
        self._queue.extend([answer] * count)

    def take(self) -> T | None:
        """The answer for the request at hand."""
        return self._queue.popleft() if self._queue else None

    def drop(self, answer: T) -> None:
        """Take back what is left of this very answer."""
        self._queue = deque(waiting for waiting in self._queue if waiting is not answer)

    def clear(self) -> None:
        """Behave again."""
        self._queue.clear()
