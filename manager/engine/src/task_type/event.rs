//! EVENT: publishes its input as a message.

use std::sync::Arc;

use conductor_model::{TaskRecord, WorkflowTask};
use serde_json::{Map, Value, json};

use super::{Behaviour, Role};
use crate::attempt;
use crate::ending::Ending;
use crate::expression::as_text;
use crate::frame::Site;
use crate::plan::{Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::{PerformFailure, ServerWork, WorkKind};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    prepare,
    begin,
    work,
    performed,
    hands_over: |_, _| true,
    work_kind: Some(WorkKind::Message),
    completes_outside: true,
    ..Behaviour::base(Role::System, Some("EVENT"))
};

/// Where messages can go.
const SINKS: [&str; 4] = ["conductor", "amqp", "amqp_queue", "amqp_exchange"];

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    let path = format!("{}.sink", compiler.node_path(node));
    match step.sink.as_deref().filter(|sink| !sink.trim().is_empty()) {
        None => compiler.fault(path, "must say where to publish, as in `conductor` or `amqp_queue:NAME`", None),
        Some(sink) => {
            if !sink.contains("${")
                && let Err(message) = check(sink)
            {
                compiler.fault(path, message, Some(sink.to_owned()));
            }
            compiler.text(node, "sink", &json!(sink));
        }
    }
    Kind::Leaf
}

fn check(sink: &str) -> Result<(), String> {
    let (kind, name) = sink.split_once(':').unwrap_or((sink, ""));
    if !SINKS.contains(&kind) {
        return Err(format!("names {kind:?}; this build publishes to conductor, amqp_queue and amqp_exchange"));
    }
    if kind != "conductor" && name.is_empty() {
        return Err(format!("must name a queue or exchange behind `{kind}:`"));
    }
    Ok(())
}

/// The sink as its full address: a queue of `conductor` belongs to the workflow's name.
fn address(run: &Run, sink: &str, reference: &str) -> String {
    match sink.split_once(':').unwrap_or((sink, "")) {
        ("conductor", "") => format!("conductor:{}:{reference}", run.workflow().name),
        ("conductor", name) => format!("conductor:{}:{name}", run.workflow().name),
        _ => sink.to_owned(),
    }
}

fn prepare(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    attempt::resolve(turn, site, record)?;
    let sink = turn.run.resolve_text(site, "sink", record.id).map_err(|error| error.to_string())?.unwrap_or_default();
    let node = turn.run.node(site);
    if let Value::Object(input) = Arc::make_mut(&mut record.input) {
        input.insert("sink".to_owned(), json!(as_text(&sink)));
        input.insert("asyncComplete".to_owned(), json!(node.step.async_complete));
    }
    Ok(())
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let sink = turn.run.record(ix).input.get("sink").and_then(Value::as_str).unwrap_or_default();
    match check(sink) {
        Ok(()) => turn.perform(ix),
        Err(message) => turn.end_task(ix, Ending::failed(format!("its sink {sink:?} {message}"), false)),
    }
}

/// Where to, and what.
fn message(run: &Run, ix: Ix) -> Option<(String, Map<String, Value>)> {
    let (record, workflow) = (run.record(ix), run.workflow());
    let mut payload = record.input.as_object()?.clone();
    let sink = address(run, payload.get("sink")?.as_str()?, &run.node(run.site(ix)).reference);
    let mut add = |key: &str, value: Value| payload.insert(key.to_owned(), value);
    add("workflowInstanceId", json!(workflow.id));
    add("workflowType", json!(workflow.name));
    add("workflowVersion", json!(workflow.version));
    add("correlationId", json!(workflow.correlation_id));
    add("taskToDomain", json!(workflow.task_to_domain));
    Some((sink, payload))
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    message(run, ix).map(|(sink, payload)| ServerWork::Publish { sink, payload: Value::Object(payload) })
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    if let Err(failure) = result {
        return turn.end_task(ix, Ending::failed(failure.message, failure.terminal));
    }
    let Some((sink, mut output)) = message(turn.run, ix) else { return };
    output.insert("event_produced".to_owned(), json!(sink));
    let output = Value::Object(output);
    if turn.run.node(turn.run.site(ix)).step.async_complete {
        turn.set_output(ix, output);
        return turn.wait_for_update(ix);
    }
    turn.end_task(ix, Ending::with_output(output));
}
