"""Arrays inside JSON: zlib-compressed, base64-encoded, with their type and shape."""

import base64
import zlib
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from jouleforge.stored import Stored

Dtype = Literal["bool", "int8", "uint8", "uint16", "int32", "uint32", "int64", "float32", "float64"]


class PackedArray(Stored):
    """One array as JSON keeps it: little-endian bytes in C order, compressed."""

    dtype: Dtype
    shape: tuple[int, ...]
    zlib_base64: str

    @classmethod
    def pack(cls, array: NDArray[Any]) -> "PackedArray":
        """Return the array in packed form; `unpack` gives back the same values and type."""
        flat = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        data = base64.b64encode(zlib.compress(flat.tobytes(), level=9)).decode("ascii")
        return cls.model_validate(
            {"dtype": array.dtype.name, "shape": array.shape, "zlib_base64": data}
        )

    def unpack(self) -> NDArray[Any]:
        """Return the array."""
        data = zlib.decompress(base64.b64decode(self.zlib_base64, validate=True))
        return np.frombuffer(data, dtype=np.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)

    @model_validator(mode="after")
    def _holds_what_it_says(self) -> "PackedArray":
        try:
            self.unpack()
        except (ValueError, zlib.error) as error:
            raise ValueError(f"the packed {self.dtype} array is damaged: {error}") from error
        return self
