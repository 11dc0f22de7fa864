"""The one exception for what the user gave us."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input: a file, a field or an option that cannot be used as given.

    The message names the file, the field, the value and what is allowed. The command line prints it
    without a traceback and exits with status 2; any other exception is a defect of this package.
    """


def did_you_mean(given: object, allowed: Iterable[str]) -> str:
    """Ending of a message about an unknown name: the nearest allowed one, if any, and all of them."""
    names = sorted(allowed)
    nearest = get_close_matches(str(given), names, n=1, cutoff=0.4)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    # In quotes where the name's own comma would pass for one of the list.
    told = (repr(name) if "," in name else name for name in names)
    return f"{hint} Allowed: {', '.join(told)}."
