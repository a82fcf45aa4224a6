"""SciPy is an extra, which only splits need."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from bfly.errors import MissingLibrary
from bfly.splitting.libraries import csgraph, linalg, ndimage, sparse

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("library", [csgraph, linalg, ndimage, sparse])
def test_a_split_says_what_to_install(
    library: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("scipy", "scipy.sparse", "scipy.sparse.linalg"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingLibrary, match=r"pip install 'bfly\[splits\]'"):
        library()


def test_scipy_is_imported_when_a_split_is_made() -> None:
    modules = "bfly.splitting.min_cut, bfly.splitting.inside, bfly.splitting.outside"
    code = f"import sys, {modules}; print('scipy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"
