"""A bundle as a zip file, written the same way each time and read without trusting it.

    zip = PKWARE APPNOTE 6.3.10; entries stored or deflated, not encrypted, plain files, each path once

Paths are those of a bundle (bundle.py) and nothing else, so none can leave the folder that somebody unpacks them into.
Sizes are limited while unpacking, whatever the headers claim. Zip is a container: unlike the formats inside, equal
contents may have different bytes.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

from tallystick.core.bundle import check_path
from tallystick.errors import Malformed

__all__ = ["BYTES_MAX", "read_zip", "write_zip"]

BYTES_MAX: Final = 1 << 32  # unpacked, all files together, unless the caller says otherwise
_FILES_MAX: Final = 1 << 22
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say: no clock goes in
_METHODS: Final = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def write_zip(files: Mapping[str, bytes]) -> bytes:
    """The files of a bundle as a zip: sorted, deflated, dated 1980."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(check_path(path), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.create_system = 3  # Unix, on every system
            archive.writestr(entry, files[path])
    return stream.getvalue()


def read_zip(data: bytes, bytes_max: int = BYTES_MAX) -> dict[str, bytes]:
    """The files of a bundle from a zip; `Malformed` for any other zip, and when they exceed `bytes_max` together."""
    files: dict[str, bytes] = {}
    left = bytes_max
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
            if len(entries) > _FILES_MAX:
                raise Malformed("a zip has too many files", expected=f"at most {_FILES_MAX}", found=len(entries))
            for entry in entries:
                path = _checked(entry, files)
                files[path] = _read(archive, entry, left)
                left -= len(files[path])
    # NotImplementedError: a version or method that zipfile does not know; RuntimeError: encrypted.
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, OverflowError) as error:
        raise Malformed("not a zip file that can be read", found=str(error)) from None
    return files


def _checked(entry: zipfile.ZipInfo, files: Mapping[str, bytes]) -> str:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if entry.flag_bits & 0x1 or entry.compress_type not in _METHODS or kind not in {0, stat.S_IFREG}:
        raise Malformed("a zip holds more than plain, stored or deflated files", path=entry.filename)
    # zipfile cuts names at NUL and turns backslashes around; what was written counts.
    if entry.orig_filename != entry.filename or entry.filename in files:
        raise Malformed("a zip holds a path twice, or hides one", path=entry.orig_filename)
    return check_path(entry.filename)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    with archive.open(entry) as stream:
        content = stream.read(left + 1)
    if len(content) > left:
        raise Malformed("a zip unpacks to more than is allowed", path=entry.filename)
    return content
