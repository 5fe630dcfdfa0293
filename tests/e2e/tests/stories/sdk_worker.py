"""A worker as its users write them: the SDK's own decorator, polling and reporting."""

from conductor.client.automator.task_handler import TaskHandler
from conductor.client.configuration.configuration import Configuration
from conductor.client.worker.worker_task import worker_task


@worker_task(task_definition_name="sdk_double", poll_interval_millis=100, thread_count=2)
def double(amount: int) -> dict:
    return {"total": amount * 2}


@worker_task(task_definition_name="sdk_fail", poll_interval_millis=100)
def fail(text: str) -> dict:
    raise RuntimeError("no luck with " + text)


if __name__ == "__main__":
    with TaskHandler(configuration=Configuration(), scan_for_annotated_workers=True) as handler:
        handler.start_processes()
        handler.join_processes()
