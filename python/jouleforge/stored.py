"""Stored: what every model that lies on disk has in common."""

from pydantic import BaseModel, ConfigDict


class Stored(BaseModel):
    """Base of the models that files are read into and written from.

    Its instances do not change, so that what was read stays what the file says. A key that the
    model does not have is a `pydantic.ValidationError`: a typing mistake, or a file of another
    version, is never read as if it were not there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
