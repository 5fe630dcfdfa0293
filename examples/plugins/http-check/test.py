import http.server
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from plugin_test import PluginTest, unittest


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"all is well"
        self.send_response(200 if self.path == "/well" else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class HttpCheck(PluginTest):
    plugin = pathlib.Path(__file__).resolve().parent

    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        cls.url = f"http://127.0.0.1:{cls.server.server_port}"
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.server.shutdown()
        cls.server.server_close()

    def test_an_answer_as_expected_succeeds(self):
        result = self.run_operation("http", url=f"{self.url}/well", contains="is well")
        self.assertEqual((result["outcome"], result["output"]["status"]), ("succeeded", 200), result)
        self.assertIn("answer_ms", result["output"]["metrics"])

    def test_what_is_wrong_with_an_answer_is_said(self):
        for given, words in (
            ({"url": f"{self.url}/ill"}, "answered 503; expected 200"),
            ({"url": f"{self.url}/well", "contains": "trouble"}, "has no 'trouble'"),
            ({"url": f"{self.url}/well", "maxMs": 0.000001}, "at most 1e-06 are allowed"),
        ):
            result = self.run_operation("http", **given)
            self.assertEqual((result["outcome"], result["exit_code"]), ("failed", 75), result)
            self.assertIn(words, result["reason"])

    def test_an_expected_error_is_a_success(self):
        self.assertEqual(self.run_operation("http", url=f"{self.url}/ill", status=503)["outcome"], "succeeded")

    def test_tcp(self):
        port = self.server.server_port
        self.assertEqual(self.run_operation("tcp", host="127.0.0.1", port=port)["outcome"], "succeeded")
        self.assertEqual(self.run_operation("tcp", host="127.0.0.1", port=1)["outcome"], "failed")

    def test_input_that_is_not_right_is_not_tried_again(self):
        result = self.run_operation("http")
        self.assertEqual(result["outcome"], "failed-terminally", result)


del PluginTest
unittest.main()
