"""What the stories act in: a manager's host and an agent's, and the command line on the first."""

import json
import re
import shlex
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from guest import Failed, Guest, free_port
from image import Image

PARCELS = "/mnt/parcels"


class World:
    """Two hosts on one wire."""

    def __init__(self, folder: Path, image: Image, parcels: Path):
        # RabbitMQ alone takes 150 MB.
        here, there = free_port(), free_port()
        self.manager = Guest("manager", "10.77.0.1", (here, there), folder, image, parcels, 1024)
        self.agent = Guest("agent", "10.77.0.2", (there, here), folder, image, parcels, 512)
        self.token = ""
        self.figures: dict[str, str] = {}

    # Power

    def switch_on(self) -> None:
        for guest in (self.manager, self.agent):
            guest.switch_on()
        for guest in (self.manager, self.agent):
            guest.wait_for_boot()
            self.mount(guest)

    def mount(self, guest: Guest) -> None:
        guest.do(f"mkdir -p {PARCELS} && mountpoint -q {PARCELS} || mount -o ro /dev/vdb {PARCELS}")

    def switch_off(self) -> None:
        for guest in (self.agent, self.manager):
            guest.cut_power()

    # The command line

    def conductor(self, *words: str, deadline_s: int = 120) -> str:
        return self.manager.do(self.line(words), deadline_s=deadline_s)

    def json(self, *words: str, deadline_s: int = 120) -> object:
        return json.loads(self.conductor("-o", "json", *words, deadline_s=deadline_s))

    def line(self, words: tuple[str, ...]) -> str:
        return f". /root/conductor.env; conductor {shlex.join(words)}"

    def agent_is_known(self, agent: str) -> bool:
        return self.agent_state(agent) != "unknown"

    def agent_state(self, agent: str) -> str:
        listed = self.json("agents")
        items = listed["items"] if isinstance(listed, dict) else listed
        return next((item["state"] for item in items if item["id"] == agent), "unknown")

    def wait_for_agent(self, agent: str, state: str, *, deadline_s: int = 180) -> None:
        self.wait(f"{agent} is {state}", lambda: self.agent_state(agent) == state, deadline_s)

    def start(self, workflow: str, **inputs: object) -> str:
        words = [word for key, value in inputs.items() for word in ("--input", f"{key}={value}")]
        return self.json("run", workflow, *words)["workflowId"]

    def workflow(self, workflow_id: str) -> dict:
        return self.json("workflows", "get", workflow_id)

    def wait_for_end(self, workflow_id: str, *, deadline_s: int = 240) -> dict:
        def ended() -> bool:
            return self.workflow(workflow_id)["status"] not in ("RUNNING", "PAUSED")

        self.wait(f"workflow {workflow_id} has ended", ended, deadline_s)
        return self.workflow(workflow_id)

    def wait_for_begin(self, mark: str, *, deadline_s: int = 120) -> None:
        self.agent.until(f"begun: {mark}", f"test -s /var/tmp/host-story-{mark}", deadline_s=deadline_s)

    def begins(self, mark: str) -> int:
        return int(self.agent.do(f"wc -l < /var/tmp/host-story-{mark}"))

    def lines(self, workflow_id: str) -> list[int]:
        """The numbers in the log lines of a counting task, as the manager keeps them."""
        return [int(number) for number in re.findall(r"line (\d+)", self.conductor("logs", workflow_id))]

    def wait(self, what: str, is_so: object, deadline_s: int) -> None:
        began = time.monotonic()
        while True:
            try:
                if is_so():
                    return
            except Failed:
                # The manager may be away just now.
                if time.monotonic() - began > deadline_s:
                    raise
            if time.monotonic() - began > deadline_s:
                raise Failed(f"not within {deadline_s} s: {what}")
            time.sleep(1)


def together(*works: Callable[[], object]) -> None:
    """Does these at the same time: a guest keeps one processor busy at most of what it does. The first failure is told."""
    with ThreadPoolExecutor(len(works)) as pool:
        for work in [pool.submit(work) for work in works]:
            work.result()


def expect(is_so: bool, what: object) -> None:
    if not is_so:
        raise Failed(str(what))


def say(text: str) -> None:
    print(text, flush=True, file=sys.stdout)
