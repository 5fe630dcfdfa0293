"""Tasks that the manager does itself, made with the SDK's builders. No worker takes part."""

import http.server
import json
import threading
import time

from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.http_task import HttpInput, HttpMethod, HttpTask
from conductor.client.workflow.task.human_task import HumanTask
from conductor.client.workflow.task.inline import InlineTask
from conductor.client.workflow.task.javascript_task import JavascriptTask
from conductor.client.workflow.task.json_jq_task import JsonJQTask
from conductor.client.workflow.task.set_variable_task import SetVariableTask
from conductor.client.workflow.task.switch_task import SwitchTask
from conductor.client.workflow.task.terminate_task import TerminateTask, WorkflowStatus
from conductor.client.workflow.task.wait_task import WaitForDurationTask, WaitTask, WaitUntilTask
from story import clients, completed, run, shown, start, task_named, wait_for_end, wait_for_task


def flow(name):
    return ConductorWorkflow(clients().get_workflow_executor(), name, 1)


def run_once(made, **input):
    made.register(overwrite=True)
    client = clients().get_workflow_client()
    return wait_for_end(client, start(client, made.name, input), 60)


def javascript_in_both_styles():
    made = flow("ps_inline")
    function = InlineTask("function", "(function () { return {sum: $.a + $.b}; })();", bindings={"a": "${workflow.input.a}", "b": 4})
    expression = JavascriptTask("expression", "$.value * 2", bindings={"value": "${function.output.result.sum}"})
    made >> function >> expression
    made.output_parameters({"sum": function.output("result.sum"), "doubled": expression.output()})
    found = completed(run_once(made, a=3))
    assert found.output == {"sum": 7, "doubled": 14}, shown(found)


def a_script_that_throws_fails_its_task_with_the_reason():
    made = flow("ps_inline_throws")
    made >> InlineTask("throws", "(function () { throw new Error('no luck'); })();")
    found = run_once(made)
    assert found.status == "FAILED" and "no luck" in task_named(found, "throws").reason_for_incompletion, shown(found)


def a_script_that_never_ends_is_stopped():
    made = flow("ps_inline_forever")
    made >> InlineTask("forever", "(function () { while (true) {} })();")
    began = time.monotonic()
    found = run_once(made)
    assert found.status == "FAILED" and time.monotonic() - began < 30, shown(found)


def jq_transforms():
    made = flow("ps_jq")
    jq = JsonJQTask("jq", ".people | map({name, old: (.age > 60)}) | sort_by(.name)")
    jq.input_parameters["people"] = made.input("people")
    made >> jq
    made.output_parameters({"people": jq.output("result")})
    found = completed(run_once(made, people=[{"name": "Zoe", "age": 70}, {"name": "Ada", "age": 36}]))
    assert found.output == {"people": [{"name": "Ada", "old": False}, {"name": "Zoe", "old": True}]}, shown(found)


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with what it was sent."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.answer(200, {"method": "POST", "body": json.loads(body), "header": self.headers.get("X-Colour"), "big": 12345678901234567})

    def do_GET(self):
        self.answer(503 if self.path == "/busy" else 200, {"path": self.path})

    def answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def http_requests():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    made = flow("ps_http")
    post = HttpTask("post", HttpInput(HttpMethod.POST, base + "/things", headers={"X-Colour": ["red"]}, body={"n": "${workflow.input.n}"}))
    get = HttpTask("get", {"uri": base + "/hello?x=${post.output.response.body.body.n}"})
    made >> post >> get
    made.output_parameters({"status": post.status_code(), "body": post.body(), "path": get.body("path")})
    found = completed(run_once(made, n=5))
    assert found.output == {
        "status": 200,
        "body": {"method": "POST", "body": {"n": 5}, "header": "red", "big": 12345678901234567},
        "path": "/hello?x=5",
    }, shown(found)

    failing = flow("ps_http_busy")
    failing >> HttpTask("busy", {"uri": base + "/busy"})
    found = run_once(failing)
    busy = task_named(found, "busy")
    assert found.status == "FAILED" and "503" in busy.reason_for_incompletion, shown(found)
    assert busy.output_data["response"]["statusCode"] == 503, shown(found)
    server.shutdown()


def variables_are_set_and_read():
    made = flow("ps_variables")
    made.variables({"count": 1})
    first = SetVariableTask("first")
    first.input_parameters.update({"count": 2, "name": made.input("name")})
    made >> first
    made.output_parameters({"count": "${workflow.variables.count}", "name": "${workflow.variables.name}"})
    found = completed(run_once(made, name="Ada"))
    assert found.output == {"count": 2, "name": "Ada"} and found.variables == {"count": 2, "name": "Ada"}, shown(found)


def terminate_ends_a_workflow_as_it_says():
    made = flow("ps_terminate")
    made >> (
        SwitchTask("choice", made.input("bad"))
        .switch_case("yes", [TerminateTask("stop", WorkflowStatus.FAILED, "because of ${workflow.input.why}")])
        .default_case([TerminateTask("finish", WorkflowStatus.COMPLETED, "enough")])
    ) >> InlineTask("never", "1")
    found = run_once(made, bad="yes", why="rain")
    assert found.status == "FAILED" and "because of rain" in found.reason_for_incompletion, shown(found)
    found = completed(run_once(made, bad="no"))
    assert "never" not in [task.reference_task_name for task in found.tasks], shown(found)


def waits_are_exact():
    made = flow("ps_wait")
    until = time.strftime("%Y-%m-%d %H:%M GMT", time.gmtime(time.time() - 60))
    made >> WaitForDurationTask("duration", 2) >> WaitUntilTask("past", until) >> WaitTask("seconds", wait_for_seconds=1)
    found = completed(run_once(made))
    for reference, expected in [("duration", 2000), ("past", 0), ("seconds", 1000)]:
        task = task_named(found, reference)
        waited = task.end_time - task.start_time
        assert expected - 5 <= waited <= expected + 500, f"{reference} waited {waited} ms: {shown(found)}"


def a_person_answers():
    made = flow("ps_human")
    made >> HumanTask("ask", display_name="Approve?", form_template="approval", form_version=1)
    # The SDK wraps what this call sends.
    made.output_parameters({"answer": "${ask.output.result.answer}"})
    made.register(overwrite=True)
    c = clients()
    client = c.get_workflow_client()
    workflow_id = start(client, "ps_human")
    ask = wait_for_task(client, workflow_id, "ask", {"IN_PROGRESS"})
    assert ask.input_data["__humanTaskDefinition"]["displayName"] == "Approve?", ask.input_data
    c.get_task_client().update_task_by_ref_name(workflow_id, "ask", "COMPLETED", {"answer": "yes"})
    assert completed(wait_for_end(client, workflow_id)).output == {"answer": "yes"}


if __name__ == "__main__":
    run(
        javascript_in_both_styles,
        a_script_that_throws_fails_its_task_with_the_reason,
        a_script_that_never_ends_is_stopped,
        jq_transforms,
        http_requests,
        variables_are_set_and_read,
        terminate_ends_a_workflow_as_it_says,
        waits_are_exact,
        a_person_answers,
    )
