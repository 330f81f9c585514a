"""What a section of params.yaml is: values that do not change, with no unknown keys, no defaults and no silent conversions."""

from pydantic import BaseModel, ConfigDict

Scalar = str | int | float | bool


class Section(BaseModel):
    """One section of params.yaml. The text below a field is what the file says beside it, and what an editor shows."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=(), use_attribute_docstrings=True)
