"""The section `storage` of the configuration: where files go, here and, on a cluster, where all nodes reach them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from prune_core.errors import UserError
from prune_core.registry import closest
from sweeps.config.checks import folder
from sweeps.config.settings import StorageSettings
from sweeps.process import home, own_folder

KEYS = ("root", "data", "uri", "cache")
SCHEMES = ("file", "s3", "gs")


def storage_settings(section: Mapping[str, Any]) -> StorageSettings:
    """Check and type the section.

    Raises:
        UserError: an unknown key, a value that is not a folder, an address that nothing here can use.
    """
    for name in section:
        if name not in KEYS:
            raise UserError(f"storage.{name} is not a key: {closest(str(name), KEYS)}")
    root, data, cache = section.get("root"), section.get("data"), section.get("cache")
    settings = StorageSettings(
        root=_user_cache() / "outputs" if root is None else folder("storage.root", root),
        data=_user_cache() if data is None else folder("storage.data", data),
        uri=_uri(section.get("uri")),
        cache=None if cache is None else folder("storage.cache", cache),
    )
    if settings.uri is not None and _local(settings.uri) == str(settings.root):
        raise UserError(f"storage.uri={settings.uri} is storage.root itself: where all nodes share it, leave uri out")
    return settings


def _uri(value: Any) -> str | None:
    """An address as Arrow takes it, folders absolute."""
    if value is None:
        return None
    if not isinstance(value, str) or "://" not in value:
        return str(folder("storage.uri", value))
    try:
        parts = urlsplit(value)
    except ValueError:
        raise UserError("storage.uri cannot be read: write it like s3://bucket/folder") from None
    if "@" in parts.netloc:
        raise UserError(
            "storage.uri has a name or password in it, which would be shown to others: leave them to the environment "
            "or the configuration files of the store's own tools"
        )
    if parts.scheme not in SCHEMES:
        raise UserError(f"storage.uri={value} is neither a folder nor one of {', '.join(f'{s}://' for s in SCHEMES)}")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        raise UserError(f"storage.uri={value} is not the address of a folder: write file:///folder")
    if parts.scheme != "file" and not parts.netloc:
        raise UserError(f"storage.uri={value} names no bucket: write {parts.scheme}://bucket/folder")
    return value


def _local(uri: str) -> str | None:
    """The folder that an address means, None for one elsewhere."""
    if uri.startswith("/"):
        return uri
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" else None


def _user_cache() -> Path:
    if asked := os.environ.get("XDG_CACHE_HOME"):
        return Path(asked).absolute() / "prune-sweep"
    folder = home()
    return folder / ".cache" / "prune-sweep" if folder else own_folder() / "cache"
