//! HTTP: sends a request. A response of 2xx completes it, another fails it, which may be tried again.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::WorkflowTask;
use serde_json::{Map, Value, json};

use super::{Behaviour, Role};
use crate::ending::Ending;
use crate::expression::as_text;
use crate::plan::{Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::{HttpRequest, PerformFailure, ServerWork, WorkKind};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    begin,
    work,
    performed,
    hands_over: |_, _| true,
    work_kind: Some(WorkKind::Request),
    completes_outside: true,
    ..Behaviour::base(Role::System, Some("HTTP"))
};

/// Ms for the connection and for the response where nothing is said.
const TIMEOUT_MS: u64 = 3_000;
/// Most ms that a step may ask for: ten minutes.
const TIMEOUT_MS_MAX: u64 = 600_000;
/// Most characters of a response that become the reason of a failure.
const REASON_CHARS_MAX: usize = 1_000;
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    let parameters = compiler.parameters(node, step);
    let given = match parameters.get("http_request") {
        Some(Value::Object(request)) => request,
        // Worked out at run time.
        Some(Value::String(text)) if text.contains("${") => return Kind::Leaf,
        _ => &*parameters,
    };
    if let Err(message) = read(given, true) {
        let path = format!("{}.inputParameters.http_request", compiler.node_path(node));
        compiler.fault(path, message, None);
    }
    Kind::Leaf
}

/// The request that an input describes. `literal` = expressions in it are not resolved yet.
fn read(input: &Map<String, Value>, literal: bool) -> Result<HttpRequest, String> {
    let text = |key: &str| input.get(key).filter(|value| !value.is_null()).map(|value| as_text(value).into_owned());
    let open = |text: &str| literal && text.contains("${");
    let uri = text("uri").filter(|uri| !uri.trim().is_empty()).ok_or("must have a `uri`")?;
    if !open(&uri) && !uri.starts_with("http://") && !uri.starts_with("https://") {
        return Err(format!("has the uri {uri:?}; it must begin with http:// or https://"));
    }
    let method = text("method").filter(|method| !method.trim().is_empty()).ok_or("must have a `method`")?;
    let method = if open(&method) { method } else { method.trim().to_ascii_uppercase() };
    if !open(&method) && !METHODS.contains(&method.as_str()) {
        return Err(format!("has the method {method:?}; it must be one of {}", METHODS.join(", ")));
    }
    let headers = match input.get("headers").unwrap_or(&Value::Null) {
        Value::Null => BTreeMap::new(),
        Value::Object(headers) => headers.iter().map(|(name, value)| (name.clone(), one_or_list(value))).collect(),
        Value::String(text) if open(text) => BTreeMap::new(),
        other => return Err(format!("has headers that are no object: {other}")),
    };
    let accept = input.get("accept").filter(|value| !value.is_null()).map(one_or_list);
    Ok(HttpRequest {
        method,
        uri,
        headers,
        body: input.get("body").filter(|body| !body.is_null()).cloned(),
        accept: accept.unwrap_or_else(|| "application/json".to_owned()),
        content_type: text("contentType").unwrap_or_else(|| "application/json".to_owned()),
        connect_timeout_ms: timeout_ms(text("connectionTimeOut")),
        read_timeout_ms: timeout_ms(text("readTimeOut")),
    })
}

/// A header's value: SDKs write a list where there may be several.
fn one_or_list(value: &Value) -> String {
    match value {
        Value::Array(list) => list.iter().map(as_text).collect::<Vec<_>>().join(", "),
        one => as_text(one).into_owned(),
    }
}

fn timeout_ms(text: Option<String>) -> u64 {
    text.and_then(|text| text.parse().ok()).filter(|ms| *ms > 0).unwrap_or(TIMEOUT_MS).min(TIMEOUT_MS_MAX)
}

/// What a task's input says of its request.
fn request(run: &Run, ix: Ix) -> Result<HttpRequest, String> {
    match run.record(ix).input.as_object() {
        Some(input) => match input.get("http_request") {
            Some(Value::Object(request)) => read(request, false),
            Some(other) if !other.is_null() => Err("must be an object".to_owned()),
            _ => read(input, false),
        },
        None => Err("must have a `uri`".to_owned()),
    }
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    match request(turn.run, ix) {
        Ok(_) => turn.perform(ix),
        Err(message) => turn.end_task(ix, Ending::failed(format!("its http_request {message}"), false)),
    }
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    request(run, ix).ok().map(ServerWork::Http)
}

fn completes_later(run: &Run, ix: Ix) -> bool {
    let input = &run.record(ix).input;
    let asked = input.get("http_request").unwrap_or(input).get("asyncComplete");
    run.node(run.site(ix)).step.async_complete || asked.is_some_and(|asked| asked == true || asked == "true")
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    let response = match result {
        Ok(response) => response,
        Err(failure) => {
            let ending = Ending::failed(failure.message.clone(), failure.terminal);
            return turn.end_task(ix, Ending { output: Some(json!({"response": failure.message})), ..ending });
        }
    };
    let well = response.get("statusCode").and_then(Value::as_i64).is_some_and(|code| (200..300).contains(&code));
    let output = json!({"response": response});
    if !well {
        let code = response.get("statusCode").unwrap_or(&Value::Null);
        let body: String = as_text(response.get("body").unwrap_or(&Value::Null)).chars().take(REASON_CHARS_MAX).collect();
        let ending = Ending::failed(format!("the response has status {code}: {body}"), false);
        return turn.end_task(ix, Ending { output: Some(output), ..ending });
    }
    if completes_later(turn.run, ix) {
        turn.set_output(ix, output);
        return turn.wait_for_update(ix);
    }
    turn.end_task(ix, Ending::with_output(output));
}
