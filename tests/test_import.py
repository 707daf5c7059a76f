"""`import lmindexer` is immediate, and says what it has."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import lmindexer as lm


def test_the_import_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'pyarrow', 'transformers', 'sklearn', 'matplotlib', 'importlib.metadata'}"
    program = f"import sys; old = {{*sys.modules}}; import lmindexer; print(sorted(({{*sys.modules}} - old) & {heavy}))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_public_name_is_there_and_listed():
    assert dir(lm) == sorted(lm.__all__)
    for name in lm.__all__:
        assert getattr(lm, name) is not None
    assert lm.__version__ == version("lmindexer")
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        lm.fit  # noqa: B018
