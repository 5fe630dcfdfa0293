import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from plugin_test import PluginTest, unittest


class HostReport(PluginTest):
    plugin = pathlib.Path(__file__).resolve().parent

    def test_the_report_has_figures_and_is_kept_on_the_host(self):
        result = self.run_operation("report")
        self.assertEqual(result["outcome"], "succeeded", result)
        self.assertGreater(result["output"]["memory_total_kb"], 0)
        self.assertGreaterEqual(result["output"]["disk_total_kb"], result["output"]["disk_free_kb"])
        self.assertEqual(result["runtime_properties"]["host_report"], result["output"])

    def test_a_disk_that_is_full_enough_fails(self):
        self.assertEqual(self.run_operation("check-disk", minFreePercent=0)["outcome"], "succeeded")
        result = self.run_operation("check-disk", minFreePercent=101)
        self.assertEqual(result["outcome"], "failed", result)
        self.assertIn("at least 101 % are wanted", result["reason"])


del PluginTest
unittest.main()
