"""Numbers, and the range in which each makes sense."""

from typing import Annotated

from pydantic import Field

Period = Annotated[int, Field(ge=1, le=5000)]
Length = Annotated[int, Field(ge=10, le=100_000_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Percent = Annotated[float, Field(ge=0, le=100)]
Multiplier = Annotated[float, Field(gt=0, le=1000)]
