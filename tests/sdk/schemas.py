"""JSON Schemas: stored, and enforced on what goes in and comes out."""

from conductor.client.http.models import SchemaDef, StartWorkflowRequest, TaskDef, WorkflowDef, WorkflowTask
from conductor.client.http.models.schema_def import SchemaType
from story import RUN, clients, refused, run, start, until

NAME = f"order_{RUN}"


def schemas_are_kept_by_name_and_version():
    schemas = clients().get_schema_client()
    for version in (1, 2):
        data = {"type": "object", "properties": {"amount": {"type": "integer", "minimum": version}}, "required": ["amount"]}
        schemas.register_schema(SchemaDef(name=NAME, version=version, type=SchemaType.JSON, data=data))
    found = schemas.get_schema(NAME, 2)
    assert (found.name, found.version, found.data["properties"]["amount"]["minimum"]) == (NAME, 2, 2), found
    assert {each.version for each in schemas.get_all_schemas() if each.name == NAME} == {1, 2}
    schemas.delete_schema(NAME, 2)
    refused(404, lambda: schemas.get_schema(NAME, 2))


def a_workflow_takes_only_input_that_fits():
    c = clients()
    c.get_metadata_client().register_task_def(TaskDef(name="px_step"))
    flow = WorkflowDef(
        name="px_flow", version=1, schema_version=2, enforce_schema=True, input_schema=SchemaDef(name=NAME, version=1, type=SchemaType.JSON),
        tasks=[WorkflowTask(name="px_step", task_reference_name="step", type="SIMPLE")])
    c.get_metadata_client().update_workflow_def(flow, overwrite=True)
    client = c.get_workflow_client()
    error = refused(400, lambda: client.start_workflow(StartWorkflowRequest(name="px_flow", input={"amount": "many"})))
    assert "amount" in str(error), error
    client.terminate_workflow(start(client, "px_flow", {"amount": 1}))


if __name__ == "__main__":
    run(schemas_are_kept_by_name_and_version, a_workflow_takes_only_input_that_fits)
