"""CRC32C from the extension of the crc32c package, without the package around it.

The package's own `__init__` looks its version up in the metadata of what is installed, which takes fifteen times as
long as loading the extension. The extension is registered under its own name, so that `import crc32c` finds it. Where
a release of crc32c has another shape, the package is imported as it is.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_PACKAGE = "crc32c"
_EXTENSION = f"{_PACKAGE}._crc32c"


def _extension() -> ModuleType | None:
    if _EXTENSION in sys.modules:
        return sys.modules[_EXTENSION]
    package = PathFinder.find_spec(_PACKAGE)
    spec = package and PathFinder.find_spec(_EXTENSION, package.submodule_search_locations)
    if spec is None or spec.loader is None:
        return None
    module = sys.modules[_EXTENSION] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _load() -> Callable[[memoryview | bytes, int], int]:
    found: Callable[[memoryview | bytes, int], int] | None = getattr(_extension(), "crc32c", None)
    if found is None:
        from crc32c import crc32c

        return crc32c
    return found


crc32c = _load()
