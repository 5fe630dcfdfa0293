import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from plugin_test import PluginTest, unittest

DAY_SECONDS = 24 * 3600


class Housekeeping(PluginTest):
    plugin = pathlib.Path(__file__).resolve().parent

    def test_old_files_go_and_young_ones_stay(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, age_days in (("old", 10), ("young", 1)):
                file = pathlib.Path(folder) / name
                file.write_text(name)
                then = file.stat().st_mtime - age_days * DAY_SECONDS
                os.utime(file, (then, then))
            result = self.run_operation("sweep", directory=folder, days=5)
            self.assertEqual(result["outcome"], "succeeded", result)
            self.assertEqual(os.listdir(folder), ["young"])
            self.assertEqual(result["output"]["deleted"], 1)
            self.assertEqual(result["runtime_properties"], {"housekeeping": {"deleted": 1}})

    def test_folders_of_the_system_are_not_swept(self):
        for folder in ("/", "/etc", "relative", "/tmp/../etc"):
            result = self.run_operation("sweep", directory=folder)
            self.assertEqual(result["outcome"], "failed-terminally", result)

    def test_what_is_not_there_is_tidy(self):
        self.assertEqual(self.run_operation("sweep", directory="/nonexistent/folder")["outcome"], "not-needed")

    def test_a_script_can_come_with_the_task(self):
        script = 'ctx output greeting "hello $(ctx task input name)"'
        result = self.run_operation("run", script=script, name="Ada")
        self.assertEqual(result["output"], {"greeting": "hello Ada"}, result)


del PluginTest
unittest.main()
