import hashlib
import os

from pd_tf.config import fingerprint


def test_file_digest_is_sha256(tmp_path):
  path = tmp_path / "a.txt"
  path.write_bytes(b"abc" * 700_000)
  prints = fingerprint.Fingerprints(tmp_path / "cache.json")
  expected = hashlib.sha256(b"abc" * 700_000).hexdigest()
  assert prints.of_path(str(path)) == expected[:16]


def test_directory_digest_sees_names_and_contents(tmp_path):
  folder = tmp_path / "folder"
  (folder / "sub").mkdir(parents=True)
  (folder / "sub" / "a").write_text("one")
  prints = fingerprint.Fingerprints(tmp_path / "cache.json")
  seen = [prints.of_path(str(folder))]
  (folder / "b").write_text("one")
  seen.append(prints.of_path(str(folder)))
  (folder / "b").rename(folder / "c")
  seen.append(prints.of_path(str(folder)))
  (folder / "c").write_text("three")
  seen.append(prints.of_path(str(folder)))
  assert len(set(seen)) == 4
  folder.rename(tmp_path / "moved")
  assert prints.of_path(str(tmp_path / "moved")) == seen[-1]


def test_cache_is_used_until_size_or_time_change(tmp_path):
  path, cache = tmp_path / "a", tmp_path / "cache.json"
  path.write_text("one")
  prints = fingerprint.Fingerprints(cache)
  first = prints.of_path(str(path))
  prints.save()
  state = path.stat()
  path.write_text("two")
  os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
  # Same size and time: taken as read.
  assert fingerprint.Fingerprints(cache).of_path(str(path)) == first
  os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
  assert fingerprint.Fingerprints(cache).of_path(str(path)) != first


def test_patterns(tmp_path):
  (tmp_path / "a.txt").write_text("one")
  (tmp_path / "b.txt").write_text("two")
  prints = fingerprint.Fingerprints(tmp_path / "cache.json")
  found = prints.of_pattern(str(tmp_path / "*.txt"))
  assert found == ", ".join(
      f"{name}@{prints.of_path(str(tmp_path / name))}"
      for name in ("a.txt", "b.txt")
  )
  assert prints.of_pattern(str(tmp_path / "*.csv")) is None
  assert prints.of_pattern("x" * 5000) is None
