"""Zip archives of models: unpacked without trust, packed reproducibly."""

from collections.abc import Iterator
import contextlib
import lzma
import pathlib
import shutil
import tempfile
import zipfile
import zlib

from pd_tf.config import errors

# BERT-Large with Adam's slots is 4 GiB.
MAX_BYTES = 8 * 2**30


@contextlib.contextmanager
def unpacked(
    path: pathlib.Path, marker: str, max_bytes: int = MAX_BYTES
) -> Iterator[pathlib.Path]:
  """Unpacks the folder of a zip that holds the file `marker`.

  Args:
    path: The zip.
    marker: Name of a file; the files beside it are unpacked, whatever folder of
      the archive they are in.
    max_bytes: Bound on the size of the archive's content.

  Yields:
    A temporary directory with the files.

  Raises:
    InputError: It is no zip, is damaged, too large or larger than the room
      there is, leads out of the directory, or has not exactly one `marker`.
  """
  with tempfile.TemporaryDirectory(prefix="pd_tf_") as directory:
    try:
      with zipfile.ZipFile(path) as archive:
        members = _members(archive, path, marker, max_bytes)
        _require_room(members, path, directory)
        for member in members:
          name = pathlib.PurePosixPath(member.filename).name
          # Reads no more than the size that was checked.
          with archive.open(member) as source:
            with open(pathlib.Path(directory, name), "xb") as unpacked_file:
              shutil.copyfileobj(source, unpacked_file, 2**20)
    except errors.InputError:
      raise
    except FileExistsError as error:
      raise errors.InputError(
          f"{path}: holds {pathlib.Path(error.filename).name} twice."
      ) from None
    except _DAMAGES as error:
      raise errors.InputError(
          f"{path}: not a readable zip archive: {error}."
      ) from None
    yield pathlib.Path(directory)


# RuntimeError: encrypted; NotImplementedError: an unknown compression.
_DAMAGES = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
    RuntimeError, NotImplementedError, ValueError,
)


def pack(directory: pathlib.Path, path: pathlib.Path) -> None:
  """Moves the files of a directory into a zip, the same bytes for the same.

  They are stored as they are: deflating takes ten times as long as all else
  and makes float weights 8 % smaller.
  """
  with zipfile.ZipFile(path, "w") as archive:
    for file in sorted(directory.iterdir()):
      member = zipfile.ZipInfo(file.name, date_time=(1980, 1, 1, 0, 0, 0))
      member.external_attr = 0o644 << 16
      member.file_size = file.stat().st_size
      with open(file, "rb") as source, archive.open(member, "w") as packed:
        shutil.copyfileobj(source, packed, 2**20)
      file.unlink()


def _require_room(
    members: list[zipfile.ZipInfo], path: pathlib.Path, directory: str
) -> None:
  size = sum(info.file_size for info in members)
  free = shutil.disk_usage(directory).free
  if size > free:
    raise errors.InputError(
        f"{path}: unpacks to {size} bytes, {tempfile.gettempdir()} has {free} "
        "free; TMPDIR names another place."
    )


def _members(
    archive: zipfile.ZipFile, path: pathlib.Path, marker: str, max_bytes: int
) -> list[zipfile.ZipInfo]:
  members = [info for info in archive.infolist() if not info.is_dir()]
  for info in members:
    name = pathlib.PurePosixPath(info.filename.replace("\\", "/"))
    # Without parts it is a dot.
    first = name.parts[0] if name.parts else ".."
    if name.is_absolute() or ".." in (first, *name.parts) or ":" in first:
      raise errors.InputError(
          f"{path}: member {info.filename!r} must stay inside the archive's "
          "folder."
      )
  size = sum(info.file_size for info in members)
  if size > max_bytes:
    raise errors.InputError(
        f"{path}: content must be at most {max_bytes} bytes, is {size}."
    )
  folders = {
      pathlib.PurePosixPath(info.filename).parent
      for info in members
      if pathlib.PurePosixPath(info.filename).name == marker
  }
  if len(folders) != 1:
    raise errors.InputError(
        f"{path}: expected one {marker} in the archive, found {len(folders)}."
    )
  (folder,) = folders
  return [
      info
      for info in members
      if pathlib.PurePosixPath(info.filename).parent == folder
  ]
