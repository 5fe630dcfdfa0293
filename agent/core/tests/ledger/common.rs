//! Tasks and inputs for the stories.

use conductor_agent_core::{Effect, Input, Ledger, Moment, Record, Step, TaskKey, TaskResult};
use conductor_model::{Outcome, TaskId, Timestamp, WorkflowId};
use conductor_wire::amqp::{CancelOrder, PluginRef, TaskEnvelope, TaskEventKind, TaskFinished};
use serde_json::Map;

pub fn id(number: u128) -> TaskId {
    TaskId::from_slice(&number.to_be_bytes()).unwrap()
}

pub fn now() -> Moment {
    Moment { here: Timestamp(1_000_000), manager: Timestamp(1_000_500) }
}

pub fn envelope(number: u128, dispatch: u32) -> TaskEnvelope {
    TaskEnvelope {
        task_id: id(number),
        dispatch,
        workflow_id: WorkflowId::from_slice(&number.to_be_bytes()).unwrap(),
        tenant: "default_tenant".parse().unwrap(),
        workflow_name: "w".into(),
        reference: "r".into(),
        definition_name: "d".into(),
        attempt: 0,
        plugin: PluginRef { name: "p".into(), version: "1".into(), digest: "0".repeat(64).parse().unwrap() },
        operation: "o".into(),
        input: None,
        node_instance: "agent-1".into(),
        run_timeout_ms: None,
        grace_ms: 1000,
        limits: None,
        idempotent: false,
        start_before: None,
        incarnation: None,
    }
}

pub fn task(number: u128) -> TaskEnvelope {
    envelope(number, 1)
}

pub fn idempotent(number: u128) -> TaskEnvelope {
    TaskEnvelope { idempotent: true, ..task(number) }
}

pub fn agent(slots: u32) -> (Ledger, Vec<Record>) {
    (Ledger::new(slots), Vec::new())
}

pub fn offer(ledger: &mut Ledger, envelope: TaskEnvelope) -> Step {
    ledger.apply(Input::Offer(Box::new(envelope)), now())
}

pub fn cancel(number: u128, dispatch: u32) -> Input {
    Input::Cancel(CancelOrder { task_id: id(number), dispatch, reason: "nobody wants it".into() })
}

pub fn finished(number: u128, dispatch: u32, outcome: Outcome) -> Input {
    let finished = TaskFinished {
        outcome,
        output: Map::new(),
        output_by_reference: false,
        reason: None,
        exit_code: None,
        started_at: None,
        ended_at: now().here,
        log_lines: 0,
    };
    let key = TaskKey { task_id: id(number), dispatch };
    Input::Exited { key, result: Box::new(TaskResult { finished, properties: Map::new() }) }
}

pub fn keys_started(step: &Step) -> Vec<TaskKey> {
    let started = step.effects.iter().filter_map(|effect| match effect {
        Effect::Start(envelope) => Some(TaskKey::of(envelope)),
        Effect::Stop { .. } | Effect::Deliver { .. } | Effect::Say(_) => None,
    });
    started.collect()
}

/// Task, dispatch and outcome of every result that the step tells.
pub fn outcomes(step: &Step) -> Vec<(u128, u32, Outcome)> {
    let told = step.effects.iter().filter_map(|effect| match effect {
        Effect::Deliver { envelope, result } => {
            Some((envelope.task_id.0.as_u128(), envelope.dispatch, result.finished.outcome))
        }
        Effect::Say(event) => match &event.event {
            TaskEventKind::Finished(finished) => Some((event.task_id.0.as_u128(), event.dispatch, finished.outcome)),
            TaskEventKind::Started { .. } | TaskEventKind::Progress { .. } => None,
        },
        Effect::Start(_) | Effect::Stop { .. } => None,
    });
    told.collect()
}
