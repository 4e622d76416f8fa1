"""Whether packages are installed that not everybody has."""

from importlib.util import find_spec


def is_installed(package: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # another program hides it
        return False
