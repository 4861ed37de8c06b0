"""Without the other library, an error that names the command which installs it."""

import sys

import pytest

import operators


@pytest.mark.parametrize("library", ["sigpy", "pylops"])
@pytest.mark.parametrize("direction", ["to", "from"])
def test_a_missing_library_is_named_with_the_command(monkeypatch, library, direction):
    from operators.interop import sigpy as ours

    ours._linop_class.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    function = getattr(operators.interop, f"{direction}_{library}")
    with pytest.raises(
        ImportError, match=rf'{library} is needed here and not installed; try: pip install "invnet\[interop\]"'
    ):
        function(operators.Identity(3))
