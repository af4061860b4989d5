"""What the tests of configs share."""

import pytest

from yolo9000_jax.errors import UserError


def refusal(action, *arguments) -> str:
    """The message of the UserError that the call raises, which must be one line."""
    with pytest.raises(UserError) as caught:
        action(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)
