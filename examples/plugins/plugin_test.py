"""What the tests of the example plugins share: running an operation by hand, as `conductor-agent plugin run` does."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

# A test leaves nothing behind in the plugin's folder.
sys.dont_write_bytecode = True
AGENT = os.environ.get("AGENT", str(pathlib.Path(__file__).resolve().parents[2] / "target" / "debug" / "conductor-agent"))
DEADLINE_SECONDS = 60


class PluginTest(unittest.TestCase):
    """A test of the plugin in the folder `plugin`."""

    plugin = None

    def run_operation(self, operation, **given):
        """Outcome, output and runtime properties of one operation."""
        command = [AGENT, "plugin", "run", str(self.plugin), operation, "--input", json.dumps(given)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["outcome"] in ("succeeded", "not-needed"), done.returncode == 0, result)
        return result

    def test_the_manifest_is_right(self):
        done = subprocess.run([AGENT, "plugin", "check", str(self.plugin)], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
