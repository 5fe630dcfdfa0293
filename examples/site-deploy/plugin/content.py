"""The site's content: unpacking it safely, and one digest for all of it, on disk and over HTTP."""

import hashlib
import json
import pathlib
import shutil
import tarfile
import urllib.request

from talk import Failure

FILES_MAX = 10_000
BYTES_MAX = 100 * 1024 * 1024


def unpack(archive, release):
    """Unpacks into a new folder that takes the release's place when it is complete; the number of files."""
    fresh = release.with_name(f".{release.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    files = size = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            path = pathlib.PurePosixPath(member.name)
            if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
                raise Failure("BadArchive", f"the archive's entry {member.name!r} is not a plain file or folder", retryable=False)
            if member.isdir():
                (fresh / path).mkdir(parents=True, exist_ok=True)
                continue
            files, size = files + 1, size + member.size
            if files > FILES_MAX or size > BYTES_MAX:
                raise Failure("BadArchive", "the archive has too much in it", retryable=False)
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            with open(fresh / path, "wb") as out:
                shutil.copyfileobj(tar.extractfile(member), out)
    shutil.rmtree(release, ignore_errors=True)
    fresh.rename(release)
    return files


def files_in(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def names_in(folder):
    return [path.relative_to(folder).as_posix() for path in files_in(folder)]


def digest_of_directory(folder):
    return digest((name, (folder / name).read_bytes()) for name in names_in(folder))


def digest_of_url(url, timeout):
    """Fetches every file that the server lists, so that this is the digest of what visitors get."""

    def get(path):
        with urllib.request.urlopen(f"{url.rstrip('/')}/{path}", timeout=timeout) as answer:
            return answer.read()

    return digest((name, get(name)) for name in json.loads(get(".files")))


def digest(files):
    """Names and content, each with its length in front, so that nothing can be moved between them."""
    total = hashlib.sha256()
    for name, data in files:
        for part in (name.encode(), data):
            total.update(len(part).to_bytes(8, "big"))
            total.update(part)
    return total.hexdigest()


def parse_properties(text):
    properties = json.loads(text)
    if not isinstance(properties, dict):
        raise Failure("ContextError", f"ctx gave no object of runtime properties: {text.strip()[:200]}")
    return properties
