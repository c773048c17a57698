"""The types of settings: bounded numbers, `auto`, and a block of settings."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    WrapValidator,
    field_validator,
)

MOST = 1_000_000
"""Bound of settings that have no smaller one: beyond it, sizes and sums overflow."""

AUTO = "auto"


def is_auto(value: object) -> bool:
    """Return whether a setting is `auto`, which `config/fitting.py` replaces before training."""
    return value == AUTO


def _or_auto(value: Any, number: Callable[[Any], Any]) -> Any:
    return value if is_auto(value) else number(value)


Count = Annotated[int, Field(ge=1, le=MOST)]
Several = Annotated[int, Field(ge=2, le=MOST)]
AutoCount = Annotated[Count, WrapValidator(_or_auto), PlainSerializer(lambda value: value)]
AutoSeveral = Annotated[Several, WrapValidator(_or_auto), PlainSerializer(lambda value: value)]
Side = Annotated[int, Field(ge=1, le=10_000)]
Positive = Annotated[float, Field(gt=0, le=MOST)]
Weight = Annotated[float, Field(ge=0, le=MOST)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A block of settings: immutable, without unknown keys, NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_as_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` where pydantic would take it for 1."""
        name = info.field_name
        if isinstance(value, bool) and name and cls.model_fields[name].annotation is not bool:
            raise ValueError("must not be true or false")
        return value
