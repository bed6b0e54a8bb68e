"""Units: the types of fields, each with its unit in the exported schema and what a refusal can say about it.

Ratios are fractions of 1, `_pct` fields are percent, `_bps` basis points. Amounts of money and size are exact decimals:
JSON numbers or strings, never changed by a float. Nothing is converted: "5" is no integer, true is no number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

from pydantic import (
    AllowInfNan,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    SecretStr,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic.types import Strict
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import CoreSchema

UNIT: Final = "x-unit"
"""What a unit is called in an exported schema."""
SECRET: Final = "x-secret"  # noqa: S105 - the name of a keyword
"""What marks a secret in an exported schema."""
DIGITS: Final = 40
"""So many may stand before the point of an amount, and as many behind it."""
_is_amount: Final = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?").fullmatch
_WRITTEN: Final = r"^-?[0-9]{1,40}(\.[0-9]{1,40})?$"
NOT_NEGATIVE: Final = r"^(-0{1,40}(\.0{1,40})?|[0-9]{1,40}(\.[0-9]{1,40})?)$"
POSITIVE: Final = r"^(0*[1-9][0-9]*(\.[0-9]+)?|0+\.0*[1-9][0-9]*)$"


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts."""

    name: str

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), UNIT: self.name}


@dataclass(frozen=True, slots=True)
class Said:
    """What a text must be, in words: `must be` and this. A pattern alone tells nobody."""

    words: str


@dataclass(frozen=True, slots=True)
class Hidden:
    """Marks a field whose value is never shown."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), SECRET: True}


def written(value: Any) -> Any:
    """Refuse what Python would read as a decimal and nobody else: `1_000`, ` 1 `, `1e100000`."""
    if type(value) is str and not _is_amount(value):
        raise PydanticCustomError("amount", "must be a number, or a text such as 1250.50")
    return value


def _amount(pattern: str, bound: dict[str, int]) -> WithJsonSchema:
    """The schema of an exact number: pydantic's own pattern looks ahead, which linear engines refuse to."""
    text: JsonSchemaValue = {"type": "string", "pattern": pattern}
    if pattern == POSITIVE:  # which cannot count its digits beside
        text["allOf"] = [{"pattern": _WRITTEN}]
    return WithJsonSchema({"anyOf": [{"type": "number", **bound}, text]})


def _plain(value: Decimal) -> str:
    return f"{value:f}"


_PLAIN: Final = PlainSerializer(_plain, return_type=str, when_used="json-unless-none")
"""As JSON an amount is a text that `written` takes: 0.000000001, not 1E-9."""
Text: TypeAlias = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=1024)]
Words: TypeAlias = Annotated[str, StringConstraints(strict=True, max_length=4096)]
"""A text that may be empty."""
Flag: TypeAlias = Annotated[bool, Strict()]
Count: TypeAlias = Annotated[int, Strict(), Unit("count")]
Number: TypeAlias = Annotated[float, Strict(), AllowInfNan(allow_inf_nan=False)]
Factor: TypeAlias = Annotated[Number, Unit("factor")]
AnyRatio: TypeAlias = Annotated[Number, Unit("ratio")]
"""A fraction whose bounds its field says."""
Ratio: TypeAlias = Annotated[AnyRatio, Field(ge=0, le=1)]
Pct: TypeAlias = Annotated[Number, Unit("pct")]
Bps: TypeAlias = Annotated[int, Strict(), Unit("bps")]
Milliseconds: TypeAlias = Annotated[int, Strict(), Unit("ms")]
Seconds: TypeAlias = Annotated[Number, Unit("s")]
Hours: TypeAlias = Annotated[Number, Unit("h")]
Megabytes: TypeAlias = Annotated[int, Strict(), Unit("MB"), Field(ge=1)]
Amount: TypeAlias = Annotated[
    Decimal,
    Field(ge=0, allow_inf_nan=False),
    BeforeValidator(written),
    _amount(NOT_NEGATIVE, {"minimum": 0}),
    _PLAIN,
    Unit("amount"),
]
"""Money or size in the currency or asset that its field names; exact."""
PositiveAmount: TypeAlias = Annotated[
    Decimal,
    Field(gt=0, allow_inf_nan=False),
    BeforeValidator(written),
    _amount(POSITIVE, {"exclusiveMinimum": 0}),
    _PLAIN,
    Unit("amount"),
]
Usd: TypeAlias = Annotated[
    Decimal,
    Field(ge=0, allow_inf_nan=False),
    BeforeValidator(written),
    _amount(NOT_NEGATIVE, {"minimum": 0}),
    _PLAIN,
    Unit("usd"),
]
Secret: TypeAlias = Annotated[SecretStr, Hidden()]
"""A text that is never shown: `get_secret_value()` gives it."""
Semver: TypeAlias = Annotated[
    str,
    StringConstraints(
        strict=True,
        max_length=64,
        pattern=r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$",
    ),
    Said("a version such as 1.0.0"),
]
Address: TypeAlias = Annotated[
    str,
    StringConstraints(strict=True, pattern=r"^[1-9A-HJ-NP-Za-km-z]{32,44}$"),
    Said("an address of 32 to 44 characters in base58, which has no 0, O, I and l"),
]
