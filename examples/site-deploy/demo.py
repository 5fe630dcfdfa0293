#!/usr/bin/env python3
"""The demo: brings up a development stack with three agents, deploys a web site to two of them, shows what happened, and
takes everything down. Everything it does goes through the command line `conductor`, as a person would do it.

Exit code 0 = everything went as it should. On a failure the logs are kept, and it says where.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ARCHIVE = HERE / "site-1.0.0.tar.gz"
VERSION = "1.0.0"
RESOURCE = "site/default_tenant/site-1.0.0.tar.gz"
AGENTS = 3
STACK_DEADLINE_SECONDS = 120
RUN_DEADLINE_SECONDS = 180
DOWN_DEADLINE_SECONDS = 60
HTTP_TIMEOUT_SECONDS = 5


class DemoFailed(Exception):
    """Something did not go as it should."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin-dir", type=pathlib.Path, default=HERE.parent.parent / "target" / "debug")
    given = parser.parse_args()
    for program in ("conductor-manager", "conductor-agent", "conductor"):
        if not (given.bin_dir / program).exists():
            sys.exit(f"{given.bin_dir / program} is not there; `make demo` builds it")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="conductor-demo-"))
    # The broker may run as a user of its own and must get to its part of the folder.
    folder.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    stack = Stack(given.bin_dir, folder)
    try:
        stack.start()
        tell_story(stack)
        stack.stop()
    except (DemoFailed, subprocess.TimeoutExpired, OSError) as error:
        stack.kill()
        print(f"\nThe demo failed: {error}\nThe logs are in {folder}", file=sys.stderr)
        return 1
    except BaseException:
        stack.kill()
        raise
    shutil.rmtree(folder, ignore_errors=True)
    print("\nEverything is taken down.")
    return 0


class Stack:
    """The development stack as a child process, and the command line that speaks with it."""

    def __init__(self, bin_dir, folder):
        self.bin_dir = bin_dir.resolve()
        self.folder = folder
        self.process = None
        self.environment = dict(os.environ)
        self.pids = []

    def start(self):
        ready = self.folder / "ready.json"
        command = [self.bin_dir / "conductor-manager", "dev", "--data-dir", self.folder / "stack"]
        command += ["--listen", "127.0.0.1:0", "--agents", str(AGENTS), "--ready-file", ready]
        heading("The development stack")
        print("conductor-manager dev: a private RabbitMQ, the manager, three agents", flush=True)
        began = time.monotonic()
        with open(self.folder / "stack.log", "wb") as log:
            # A group of its own: an interrupt at the keyboard reaches the demo first, which then ends the stack.
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        while not ready.exists():
            if self.process.poll() is not None:
                raise DemoFailed(f"the stack ended with {self.process.returncode}:\n{tail(self.folder / 'stack.log')}")
            if time.monotonic() - began > STACK_DEADLINE_SECONDS:
                raise DemoFailed(f"the stack is not ready after {STACK_DEADLINE_SECONDS} s")
            time.sleep(0.05)
        facts = json.loads(ready.read_text())
        self.environment.update(CONDUCTOR_URL=facts["api"], CONDUCTOR_TOKEN=facts["token"])
        print(f"ready after {time.monotonic() - began:.1f} s at {facts['api']}")

    def conductor(self, *words, live=False):
        """Runs the command line; its standard output. `live` shows what it says on standard error."""
        print(f"$ conductor {' '.join(str(word) for word in words)}", flush=True)
        done = subprocess.run(
            [self.bin_dir / "conductor", *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if live else subprocess.PIPE,
            text=True,
            timeout=RUN_DEADLINE_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise DemoFailed(f"`conductor {words[0]}` ended with {done.returncode}\n{done.stderr or done.stdout}")
        return done.stdout

    def json(self, *words, live=False):
        return json.loads(self.conductor("-o", "json", *words, live=live))

    def stop(self):
        self.process.terminate()
        try:
            code = self.process.wait(DOWN_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise DemoFailed(f"the stack does not end within {DOWN_DEADLINE_SECONDS} s") from error
        left = [pid for pid in self.pids if pathlib.Path(f"/proc/{pid}").exists()]
        if code != 0 or left:
            raise DemoFailed(f"the stack ended with {code} and left the processes {left}")

    def kill(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(DOWN_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)


def tell_story(stack):
    heading("Agents, plugin, archive and definitions")
    print(stack.conductor("agents"))
    print(stack.conductor("plugins", "push", HERE / "plugin"))
    print(stack.conductor("files", "put", ARCHIVE, RESOURCE))
    print(stack.conductor("apply", "-f", HERE / "definitions"))

    heading("Deploying, live")
    checksum = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()
    inputs = [f"archive={RESOURCE}", f"sha256={checksum}", f"version={VERSION}"]
    options = [word for pair in inputs for word in ("--input", pair)]
    deployed = stack.json("run", "site_deploy", *options, "--follow", live=True)
    output = deployed["output"]

    heading("What happened")
    workflow = stack.json("workflows", "get", deployed["workflowId"])
    print_timeline(workflow)
    check_retry(workflow)

    heading("Runtime properties of the two hosts")
    hosts = [output["host_a"], output["host_b"]]
    for host in hosts:
        properties = stack.json("node-instances", "get", host)["runtime_properties"]
        stack.pids.append(properties["pid"])
        print(f"{host}")
        for key in ("url", "pid", "version", "digest"):
            print(f"  {key:<8} {properties[key]}")

    heading("The pages they serve")
    for url in (output["url_a"], output["url_b"]):
        print(f"{url}  {title_of(url)}")
    if len(set(hosts)) != 2:
        raise DemoFailed(f"both sites run on {hosts[0]}")

    heading("Taking the site away")
    ids = [f"host_a={hosts[0]}", f"host_b={hosts[1]}"]
    stack.json("run", "site_stop", "--input", ids[0], "--input", ids[1], "--follow", live=True)
    for url in (output["url_a"], output["url_b"]):
        print(f"{url}  {gone(url)}")
    for host in hosts:
        left = stack.json("node-instances", "get", host)["runtime_properties"]
        if "url" in left:
            raise DemoFailed(f"{host} still has the url {left['url']}")


def print_timeline(workflow):
    began = workflow["createTime"]
    print(f"{'start':>8}  {'took':>8}  {'step':<13} {'host':<9} {'attempt':<8} outcome")
    for task in sorted(workflow["tasks"], key=lambda task: (task.get("startTime") or task["scheduledTime"], task["seq"])):
        start = task.get("startTime") or task["scheduledTime"]
        took = max((task.get("endTime") or start) - start, 0)
        reason = f": {task['reasonForIncompletion']}" if task["status"] == "FAILED" and task.get("reasonForIncompletion") else ""
        print(
            f"{(start - began) / 1000:>+7.3f}s {took:>6} ms  {task['referenceTaskName']:<13} {task.get('workerId') or '-':<9} "
            f"{task.get('retryCount', 0) + 1:<8} {task['status']}{reason}"
        )
    print(f"{workflow['status']} after {(workflow['endTime'] - began) / 1000:.3f} s")


def check_retry(workflow):
    tries = [task["status"] for task in workflow["tasks"] if task["referenceTaskName"] == "warm_up_a"]
    if tries != ["FAILED", "COMPLETED"]:
        raise DemoFailed(f"warm_up_a should fail once and then succeed, but it went {tries}")


def title_of(url):
    with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_SECONDS) as answer:
        found = re.search(r"<title>(.*?)</title>", answer.read().decode())
    if not found:
        raise DemoFailed(f"{url} serves a page without a title")
    return found[0]


def gone(url):
    try:
        urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        raise DemoFailed(f"{url} still answers, with {error.code}") from error
    except OSError:
        return "is gone"
    raise DemoFailed(f"{url} still answers")


def heading(text):
    print(f"\n== {text} ==", flush=True)


def tail(file, lines=20):
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
