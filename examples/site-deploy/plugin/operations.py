"""The operations, one function each: `(input, task)`."""

import hashlib
import http.client
import os
import pathlib
import shutil
import subprocess
import time
import urllib.error
import urllib.request

import content
import service
from talk import Failure, event, log, output, runtime_properties

HTTP_TIMEOUT_SECONDS = 5
HEALTH_DEADLINE_SECONDS = 10.0
STOP_GRACE_SECONDS = 5.0
PUBLISHED = ("url", "pid", "version", "digest")


def home():
    """Where this plugin keeps what outlives a task."""
    return pathlib.Path(os.environ.get("CONDUCTOR_STATE_DIR", ".")) / "site"


def fetch(given, task):
    archive, expected = given["archive"], given["sha256"]
    folder = home() / "archives"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{expected}.tar.gz"
    if file.exists() and sha256_of(file) == expected:
        log(f"{file.name} is here already")
    else:
        partial = folder / f".{expected}.{task['task_id']}"
        run_ctx("download-resource", archive, str(partial))
        found = sha256_of(partial)
        if found != expected:
            partial.unlink()
            raise Failure("ChecksumError", f"{archive} has the SHA-256 {found}; expected {expected}")
        partial.rename(file)
        log(f"downloaded {archive} and verified its SHA-256")
    output(file=str(file), bytes=file.stat().st_size, sha256=expected)


def unpack(given, _task):
    release = home() / "releases" / given["version"]
    files = content.unpack(pathlib.Path(given["file"]), release)
    digest = content.digest_of_directory(release)
    log(f"unpacked {files} files to {release}")
    output(directory=str(release), files=files, digest=digest)


def warm_up(given, task):
    if given.get("failFirst") and task["attempt"] == 0:
        raise Failure("WarmUpError", "the first attempt fails on purpose", retryable=True)
    release = home() / "releases" / given["version"]
    size = sum(len(file.read_bytes()) for file in content.files_in(release))
    event("metric", name="warmed_bytes", value=size)
    log(f"read {size} bytes")


def start(given, _task):
    wanted = {"version": given["version"], "digest": given["digest"]}
    running = service.running(home())
    if running and all(running[key] == value for key, value in wanted.items()):
        log(f"runs already as process {running['pid']}")
    else:
        if running:
            log(f"stopping version {running['version']}")
            service.stop(home(), STOP_GRACE_SECONDS)
        running = service.launch(home(), home() / "releases" / given["version"], wanted)
        log(f"started process {running['pid']}")
    event("link", name="site", url=running["url"])
    output(url=running["url"], pid=running["pid"])


def health(given, _task):
    url = given["url"]
    deadline = time.monotonic() + float(given.get("deadlineSeconds") or HEALTH_DEADLINE_SECONDS)
    tries = 0
    while True:
        tries += 1
        try:
            with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_SECONDS) as answer:
                if answer.status == 200:
                    log(f"{url} answered 200 at try {tries}")
                    output(status=200, tries=tries)
                    return
                problem = f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            problem = str(error)
        if time.monotonic() >= deadline:
            raise Failure("Unhealthy", f"{url}: {problem} after {tries} tries", retryable=True)
        time.sleep(0.1)


def publish(given, _task):
    values = {key: given[key] for key in PUBLISHED}
    runtime_properties(**values)
    output(**values)


def verify(given, _task):
    hosts = given["hosts"]
    if len(set(hosts)) != len(hosts):
        raise Failure("SameHost", f"the site must run on different hosts, but runs on {', '.join(hosts)}", retryable=False)
    served = {}
    for host in hosts:
        properties = content.parse_properties(run_ctx("instance", "--id", host, "runtime-properties"))
        missing = [key for key in PUBLISHED if key not in properties]
        if missing:
            raise Failure("NotPublished", f"{host} has no {', '.join(missing)} in its runtime properties", retryable=False)
        found = content.digest_of_url(properties["url"], HTTP_TIMEOUT_SECONDS)
        if found != properties["digest"]:
            raise Failure("WrongContent", f"{properties['url']} serves {found}; {host} published {properties['digest']}")
        log(f"{host} serves {found[:12]} at {properties['url']}")
        served[host] = {"url": properties["url"], "digest": found}
    digests = {one["digest"] for one in served.values()}
    if len(digests) != 1:
        raise Failure("Differs", f"the hosts serve different content: {served}")
    output(digest=digests.pop(), urls=[one["url"] for one in served.values()], hosts=hosts)


def stop(_given, _task):
    stopped = service.stop(home(), STOP_GRACE_SECONDS)
    if stopped is None:
        event("not_needed", message="it does not run")
        return
    log(f"stopped process {stopped}")
    output(pid=stopped)


def remove(_given, _task):
    if service.running(home()):
        raise Failure("StillRunning", "stop it first", retryable=False)
    shutil.rmtree(home(), ignore_errors=True)
    runtime_properties(**{key: None for key in PUBLISHED})
    log("removed all releases")


def run_ctx(*words):
    """Asks the agent through its helper and gives what it printed."""
    done = subprocess.run(["ctx", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failure("ContextError", f"ctx {' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def sha256_of(file):
    digest = hashlib.sha256()
    with open(file, "rb") as opened:
        for chunk in iter(lambda: opened.read(65536), b""):
            digest.update(chunk)
    return digest.hexdigest()
