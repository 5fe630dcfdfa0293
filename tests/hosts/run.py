#!/usr/bin/env python3
"""Installs the packages on real hosts, uses them, breaks them, removes them, and looks from outside at what comes of it.

Needs root: it makes a Debian root of its own for the guests. `make test-packages` builds the packages and calls this.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import checks
import image
import stories
from guest import Failed, make_parcels
from world import World, say

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--prepare", action="store_true", help="only make the guests' root, where it is not there yet")
    what.add_argument("--packages", type=Path, help="folder with first/ and second/, packages of two versions")
    parser.add_argument("--keep", action="store_true", help="keep the guests' folder, also when all went well")
    parser.add_argument("--only", nargs="+", metavar="STORY", help="beside those that all others begin with, play these alone")
    parser.add_argument("--until", help="stop after the story of this name")
    parser.add_argument("--deadline", type=float, metavar="EPOCH_S", help="begin no story after this moment, and say which were left out")
    given = parser.parse_args()
    if os.geteuid() != 0:
        print("make test-packages needs root: it makes a root file system for its guests. Try: sudo make test-packages", file=sys.stderr)
        return 2
    if given.prepare:
        image.cached()
        return 0
    unknown = set(given.only or ()) - {story.__name__ for story in stories.ALL}
    if unknown:
        parser.error(f"no such story: {', '.join(sorted(unknown))}; there are: {', '.join(story.__name__ for story in stories.ALL)}")
    began = time.monotonic()
    say("== The packages by themselves ==")
    checks.all_checks(given.packages / "first")
    if given.deadline and time.time() > given.deadline:
        say("== no time is left for any story ==")
        return 0

    folder = Path(tempfile.mkdtemp(prefix="conductor-hosts-"))
    failed = None
    done = 0
    try:
        made = image.cached()
        gather(given.packages, folder / "parcels")
        make_parcels(folder / "parcels", folder / "parcels.img")
        shutil.rmtree(folder / "parcels")
        world = World(folder, made, folder / "parcels.img")
        try:
            step("boot", world.switch_on)
            chosen = [story for story in stories.ALL if story in stories.FIRST or not given.only or story.__name__ in given.only]
            for place, story in enumerate(chosen):
                if given.deadline and time.time() > given.deadline:
                    say("== no time is left for: " + ", ".join(left.__name__.replace("_", " ") for left in chosen[place:]) + " ==")
                    break
                step(story.__name__, lambda story=story: story(world))
                done += 1
                if story.__name__ == given.until:
                    break
            for name, figure in world.figures.items():
                say(f"  {name}: {figure}")
        except (Failed, OSError) as error:
            failed = error
            collect(world, folder)
        finally:
            world.switch_off()
    finally:
        if failed is None and not given.keep:
            shutil.rmtree(folder, ignore_errors=True)
    if failed:
        print(f"\nfailed: {failed}\nthe guests' logs are in {folder}", file=sys.stderr)
    say(f"\nafter {time.monotonic() - began:.0f} s:")
    say(f"{done} passed, {1 if failed else 0} failed")
    return 1 if failed else 0


def step(name: str, work: object) -> None:
    began = time.monotonic()
    say(f"== {name.replace('_', ' ')} ==")
    work()
    say(f"   took {time.monotonic() - began:.0f} s")


def gather(packages: Path, parcels: Path) -> None:
    for version in ("first", "second"):
        shutil.copytree(packages / version, parcels / version)
    shutil.copytree(REPOSITORY / "examples/site-deploy", parcels / "site-deploy")
    shutil.copytree(REPOSITORY / "tests/hosts/plugin", parcels / "plugin")
    shutil.copytree(REPOSITORY / "tests/hosts/definitions", parcels / "definitions")


def collect(world: World, folder: Path) -> None:
    for guest in (world.manager, world.agent):
        try:
            said = guest.run("journalctl --no-pager --lines=400; systemctl --no-pager --failed", deadline_s=60)
            (folder / f"{guest.name}.journal").write_text(said.stdout + said.stderr)
        except (OSError, ValueError):
            pass


if __name__ == "__main__":
    sys.exit(main())
