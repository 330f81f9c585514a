"""When a source that has changed may be read: once nothing has been written there for a while. Pure of clocks and files."""

ASKED_AGAIN_SECONDS = 86_400.0


class Settled:
    """The states of a source as they are seen, one after the other."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle_seconds = settle_seconds
        self._state, self._since = "", 0.0
        self._asked, self._asked_at = "", 0.0

    def look(self, state: str, *, is_known: bool, now: float) -> bool:
        """Whether to ask for a run now: `state` is not what the last run read, has stayed for long enough, and no run was asked for because of it today.

        state: a digest; is_known: whether the last run read this state; now: seconds on a clock that only goes forward.
        """
        if state != self._state:
            self._state, self._since = state, now
        if is_known or now - self._since < self._settle_seconds:
            return False
        if state == self._asked and now - self._asked_at < ASKED_AGAIN_SECONDS:
            return False
        self._asked, self._asked_at = state, now
        return True

    def take_back(self) -> None:
        """Forget that a run was asked for: it could not be started."""
        self._asked = ""
