"""The types of settings."""

from typing import Any

import pytest
from pydantic import ValidationError

from pplr_cli.config.types import AUTO, MOST, AutoCount, AutoSeveral, Count, Section, is_auto


class Sizes(Section):
    """A block with a setting of each kind."""

    count: Count = 1
    some: AutoCount = 1
    several: AutoSeveral = 2
    on: bool = False


@pytest.mark.parametrize("name", ["count", "some", "several"])
@pytest.mark.parametrize("value", [True, 0, MOST + 1, "Auto", float("inf")])
def test_numbers_have_bounds_and_are_not_truth_values(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        Sizes.model_validate({name: value})
    assert [error["loc"][0] for error in caught.value.errors()] == [name]


def test_auto_is_kept_where_it_is_allowed() -> None:
    sizes = Sizes.model_validate({"some": AUTO, "several": AUTO, "on": True})
    assert is_auto(sizes.some)
    assert sizes.model_dump(mode="json") == {"count": 1, "some": AUTO, "several": AUTO, "on": True}
    with pytest.raises(ValidationError):
        Sizes.model_validate({"count": AUTO})


def test_a_block_refuses_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="extra"):
        Sizes.model_validate({"cuont": 1})
