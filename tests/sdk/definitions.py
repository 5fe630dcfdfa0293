"""Registering, reading, changing and removing definitions, and what refusals look like."""

from conductor.client.http.models import TaskDef, WorkflowDef, WorkflowTask
from story import clients, quick_task, refused, run


def as_dict(found):
    """The SDK answers with objects or with dictionaries, depending on the call."""
    return found if isinstance(found, dict) else {
        found.attribute_map[key]: value for key, value in ((key, getattr(found, key)) for key in found.attribute_map)
    }


def a_task_definition_comes_back_as_it_went():
    metadata = clients().get_metadata_client()
    sent = TaskDef(
        name="pd_task", description="d", retry_count=4, timeout_seconds=300, timeout_policy="RETRY", retry_logic="EXPONENTIAL_BACKOFF",
        retry_delay_seconds=7, response_timeout_seconds=20, concurrent_exec_limit=3, rate_limit_per_frequency=50,
        rate_limit_frequency_in_seconds=10, poll_timeout_seconds=100, backoff_scale_factor=2, owner_email="ops@example.com",
        input_keys=["a"], output_keys=["b"], input_template={"x": 1},
    )
    metadata.register_task_def(sent)
    found = as_dict(metadata.get_task_def("pd_task"))
    for key, value in {
        "retryCount": 4, "timeoutSeconds": 300, "timeoutPolicy": "RETRY", "retryLogic": "EXPONENTIAL_BACKOFF", "retryDelaySeconds": 7,
        "responseTimeoutSeconds": 20, "concurrentExecLimit": 3, "rateLimitPerFrequency": 50, "rateLimitFrequencyInSeconds": 10,
        "pollTimeoutSeconds": 100, "backoffScaleFactor": 2, "ownerEmail": "ops@example.com", "inputKeys": ["a"], "outputKeys": ["b"],
        "inputTemplate": {"x": 1},
    }.items():
        assert found[key] == value, f"{key}: {found[key]!r}"
    metadata.update_task_def(TaskDef(name="pd_task", retry_count=1))
    assert as_dict(metadata.get_task_def("pd_task"))["retryCount"] == 1
    assert "pd_task" in [as_dict(each)["name"] for each in metadata.get_all_task_defs()]
    metadata.unregister_task_def("pd_task")
    refused(404, lambda: metadata.get_task_def("pd_task"))


def workflow_definitions_have_versions():
    metadata = clients().get_metadata_client()
    metadata.register_task_def(quick_task("pd_step"))

    def version(number, steps):
        tasks = [WorkflowTask(name="pd_step", task_reference_name=f"s{step}", type="SIMPLE") for step in range(steps)]
        return WorkflowDef(name="pd_flow", version=number, tasks=tasks, owner_email="ops@example.com", schema_version=2)

    metadata.register_workflow_def(version(1, 1), overwrite=True)
    metadata.update_workflow_def(version(2, 2), overwrite=True)
    assert len(as_dict(metadata.get_workflow_def("pd_flow", version=1))["tasks"]) == 1
    newest = as_dict(metadata.get_workflow_def("pd_flow"))
    assert (newest["version"], len(newest["tasks"])) == (2, 2), newest
    versions = [as_dict(each) for each in metadata.get_all_workflow_defs()]
    assert {each["version"] for each in versions if each["name"] == "pd_flow"} >= {2}, versions
    refused(409, lambda: metadata.register_workflow_def(version(2, 3), overwrite=False))
    metadata.unregister_workflow_def("pd_flow", 2)
    assert as_dict(metadata.get_workflow_def("pd_flow"))["version"] == 1
    metadata.unregister_workflow_def("pd_flow", 1)
    refused(404, lambda: metadata.get_workflow_def("pd_flow"))


def what_cannot_run_is_refused_when_it_is_registered():
    metadata = clients().get_metadata_client()

    def flow(*tasks):
        return WorkflowDef(name="pd_bad", version=1, tasks=list(tasks), schema_version=2)

    twice = [WorkflowTask(name="pd_step", task_reference_name="same", type="SIMPLE") for _ in range(2)]
    error = refused(400, lambda: metadata.register_workflow_def(flow(*twice)))
    assert "same" in str(error), error
    kafka = WorkflowTask(name="k", task_reference_name="k", type="KAFKA_PUBLISH")
    error = refused(400, lambda: metadata.register_workflow_def(flow(kafka)))
    assert "Kafka" in str(error), error
    refused(404, lambda: metadata.get_workflow_def("pd_bad"))


if __name__ == "__main__":
    run(
        a_task_definition_comes_back_as_it_went,
        workflow_definitions_have_versions,
        what_cannot_run_is_refused_when_it_is_registered,
    )
