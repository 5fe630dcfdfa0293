//! Agents, played by the test.

use conductor_model::{TaskStatus, WorkflowStatus};
use conductor_wire::agent_api::AgentHello;

use super::super::AppError;
use super::*;

#[tokio::test]
async fn an_agent_gets_a_task_and_its_report_ends_the_workflow() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    let id = world.start("remote_flow").await;
    let (agent, envelope) = world.task_order().await;
    assert_eq!((agent.as_str(), envelope.operation.as_str(), envelope.dispatch), ("agent-1", "run", 1));
    assert_eq!(world.tasks(id).await[0].status, TaskStatus::Scheduled, "it is in progress once the agent says so");
    assert!(world.report(&agent, &envelope, Outcome::Succeeded).await);
    let task = &world.tasks(id).await[0];
    assert_eq!((task.status, task.worker_id.as_deref()), (TaskStatus::Completed, Some("agent-1")));
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
    assert!(world.report(&agent, &envelope, Outcome::Failed).await, "a report that comes again is settled and changes nothing");
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn a_task_that_fits_nowhere_says_why_and_starts_when_an_agent_fits() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("db-1", ("role", "db"), 1).await;
    let id = world.start("remote_flow").await;
    let task = world.tasks(id).await[0].id;
    let why = world.app.explain_placement(&tenant(), task).await.unwrap().expect("it waits");
    assert!(why.summary.contains("role=web"), "{}", why.summary);
    world.agent("web-1", ("role", "web"), 1).await;
    let (agent, _) = world.task_order().await;
    assert_eq!(agent.as_str(), "web-1");
    assert_eq!(world.app.explain_placement(&tenant(), task).await.unwrap(), None);
}

#[tokio::test]
async fn a_cordoned_agent_is_given_nothing_until_it_is_let_back_in_also_after_a_restart() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    let agent: AgentId = "agent-1".parse().unwrap();
    world.agent("agent-1", ("role", "web"), 1).await;
    world.app.cordon_agent(&tenant(), agent.clone(), Some("new disk".to_owned())).await.unwrap();
    world = world.restarted();
    world.agent("agent-1", ("role", "web"), 1).await;
    let id = world.start("remote_flow").await;
    let task = world.tasks(id).await[0].id;
    let why = world.app.explain_placement(&tenant(), task).await.unwrap().expect("it waits");
    assert_eq!(why.agents[0].reason, "is cordoned: new disk");
    world.app.uncordon_agent(&tenant(), agent).await.unwrap();
    let (_, envelope) = world.task_order().await;
    assert_eq!(envelope.task_id, task, "a waiting task has the agent at once");

    let long = Some("x".repeat(501));
    let refused = world.app.cordon_agent(&tenant(), "agent-1".parse().unwrap(), long).await;
    assert!(matches!(refused, Err(AppError::Invalid { code: "reason-too-long", .. })));
    let unknown = world.app.cordon_agent(&tenant(), "ghost".parse().unwrap(), None).await;
    assert!(matches!(unknown, Err(AppError::NotFound { .. })));
}

#[tokio::test]
async fn two_hosts_in_one_name_get_nothing_and_a_host_that_was_booted_anew_does() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    for host in ["first boot", "first boot", "second boot", "second boot"] {
        world.lease_from(host, "agent-1", Vec::new());
    }
    let state = async |world: &World| world.app.agents(&tenant()).await.unwrap()[0].record.state;
    assert_eq!(state(&world).await, AgentState::Active);
    world.lease_from("first boot", "agent-1", Vec::new());
    world.lease_from("second boot", "agent-1", Vec::new());
    assert_eq!(state(&world).await, AgentState::Quarantined);
    let id = world.start("remote_flow").await;
    let waiting = world.tasks(id).await[0].id;
    let why = world.app.explain_placement(&tenant(), waiting).await.unwrap().expect("it waits");
    assert_eq!(why.agents[0].reason, "is quarantined, because two hosts speak in one name");
    // Forgotten and let in again, it is trusted again.
    world.app.remove_agent(&tenant(), "agent-1".parse().unwrap(), true).await.unwrap();
    world.agent("agent-1", ("role", "web"), 1).await;
    assert_eq!(world.task_order().await.1.task_id, waiting);
}

#[tokio::test]
async fn no_agent_gets_more_than_its_slots() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    let first = world.start("remote_flow").await;
    let second = world.start("remote_flow").await;
    let (agent, envelope) = world.task_order().await;
    assert_eq!(envelope.workflow_id, first);
    assert_eq!(world.tasks(second).await[0].agent.as_ref().unwrap().assigned, None);
    world.report(&agent, &envelope, Outcome::Succeeded).await;
    let (_, envelope) = world.task_order().await;
    assert_eq!(envelope.workflow_id, second, "a slot that is free again is used at once");
}

#[tokio::test]
async fn the_tasks_of_an_agent_that_went_away_go_elsewhere_when_they_may() {
    let mut world = World::on(Arc::new(MemoryStore::new()), 200);
    world.plugin("p");
    let (task, workflow) = on_agent(true);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    let id = world.start("remote_flow").await;
    let (first, lost) = world.task_order().await;
    world.until(id, "the loss", |_, tasks| tasks[0].agent.as_ref().unwrap().assigned.is_none()).await;
    world.agent("agent-2", ("role", "web"), 1).await;
    let (second, envelope) = world.task_order().await;
    assert_eq!((second.as_str(), envelope.task_id, envelope.dispatch), ("agent-2", lost.task_id, 2));
    world.report(&first, &lost, Outcome::Failed).await;
    assert!(!world.workflow(id).await.status.is_terminal(), "the word of who lost the task no longer counts");
    world.report(&second, &envelope, Outcome::Succeeded).await;
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn a_task_that_may_not_run_again_is_lost_with_its_agent() {
    let mut world = World::on(Arc::new(MemoryStore::new()), 200);
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    let id = world.start("remote_flow").await;
    world.task_order().await;
    world.until(id, "the end", |workflow, _| workflow.status == WorkflowStatus::Failed).await;
    let task = &world.tasks(id).await[0];
    assert_eq!((task.status, task.outcome), (TaskStatus::Failed, Some(Outcome::Lost)));
}

#[tokio::test]
async fn a_task_that_an_agent_will_not_take_goes_to_another_without_costing_an_attempt() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    world.agent("agent-2", ("role", "web"), 1).await;
    let id = world.start("remote_flow").await;
    let (first, envelope) = world.task_order().await;
    world.report(&first, &envelope, Outcome::Refused).await;
    let (second, again) = world.task_order().await;
    assert_ne!(first, second);
    assert_eq!((again.task_id, again.attempt, again.dispatch), (envelope.task_id, 0, 2));
    world.report(&second, &again, Outcome::Succeeded).await;
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn an_order_that_the_broker_did_not_confirm_is_sent_again_after_a_crash() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    world.start("remote_flow").await;
    let message = tokio::time::timeout(PATIENCE, world.parts.outbox.recv()).await.unwrap().unwrap();
    let mut world = world.restarted();
    let again = tokio::time::timeout(PATIENCE, world.parts.outbox.recv()).await.expect("it is sent again").unwrap();
    assert_eq!((again.id, &again.body), (message.id, &message.body));
    world.app.inner.core.tell(Message::OutboxDone(vec![again.id]));
    let world = world.restarted();
    assert!(world.store.open_work().unwrap().outbox.is_empty(), "what was confirmed is gone");
}

#[tokio::test]
async fn ending_a_workflow_tells_the_agent() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    let id = world.start("remote_flow").await;
    let (_, envelope) = world.task_order().await;
    world.app.terminate_workflow(&tenant(), id, Some("enough".to_owned())).await.unwrap();
    match world.order().await {
        (agent, ToAgentItem::Cancel(order)) => {
            assert_eq!((agent.as_str(), order.task_id, order.dispatch), ("agent-1", envelope.task_id, 1));
        }
        (_, other) => panic!("expected a cancel, got {other:?}"),
    }
}

#[tokio::test]
async fn an_agent_that_does_not_know_of_its_task_gets_it_again() {
    let mut world = World::on(Arc::new(MemoryStore::new()), 400);
    world.plugin("p");
    let (task, workflow) = on_agent(false);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    world.start("remote_flow").await;
    let (_, envelope) = world.task_order().await;
    let deadline = Instant::now() + PATIENCE;
    let again = loop {
        world.lease("agent-1", Vec::new());
        let next = tokio::time::timeout(Duration::from_millis(50), world.parts.outbox.recv()).await;
        if let Ok(Some(message)) = next {
            break message;
        }
        assert!(Instant::now() < deadline, "the task is not sent again");
    };
    let ToAgentItem::Task(again) = serde_json::from_str(&again.body).unwrap() else { panic!("expected a task") };
    assert_eq!(
        (again.task_id, again.dispatch),
        (envelope.task_id, envelope.dispatch),
        "the same dispatch: the agent tells doubles"
    );
}

#[tokio::test]
async fn a_definition_that_names_no_plugin_or_operation_is_refused() {
    let world = World::new();
    let definition = |operation: &str| {
        serde_json::from_value::<TaskDef>(json!({ "name": "t", "agent": { "plugin": "p", "operation": operation } })).unwrap()
    };
    let refused = world.app.put_task_defs(&tenant(), vec![definition("run")], "test").await.unwrap_err();
    assert!(refused.to_string().contains("[0].agent.plugin"), "{refused}");
    world.plugin("p");
    let refused = world.app.put_task_defs(&tenant(), vec![definition("walk")], "test").await.unwrap_err();
    assert!(refused.to_string().contains("[0].agent.operation"), "{refused}");
    world.app.put_task_defs(&tenant(), vec![definition("run")], "test").await.unwrap();
}

#[tokio::test]
async fn a_task_that_nobody_has_is_ended_by_who_lost_it_and_by_no_other_agent() {
    let mut world = World::on(Arc::new(MemoryStore::new()), 200);
    world.plugin("p");
    let (task, workflow) = on_agent(true);
    world.define(task, workflow).await;
    world.agent("agent-1", ("role", "web"), 1).await;
    world.agent("thief", ("role", "db"), 1).await;
    let id = world.start("remote_flow").await;
    let (first, lost) = world.task_order().await;
    world.until(id, "the loss", |_, tasks| tasks[0].agent.as_ref().unwrap().assigned.is_none()).await;
    let thief: AgentId = "thief".parse().unwrap();
    for manager in ["the one that gave it out", "one with an empty memory"] {
        if manager.starts_with("one") {
            world = world.restarted();
        }
        world.report(&thief, &lost, Outcome::Succeeded).await;
        world.report(&"ghost".parse().unwrap(), &lost, Outcome::Succeeded).await;
        assert_eq!(world.tasks(id).await[0].status, TaskStatus::Scheduled, "{manager}");
    }
    world.report(&first, &lost, Outcome::Succeeded).await;
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn an_agent_of_a_foreign_protocol_is_shown_with_what_to_do_and_works_after_the_upgrade() {
    let world = World::new();
    let shown = async |world: &World| world.app.agents(&tenant()).await.unwrap().remove(0).record;
    for (protocol, remedy) in [(0, "install conductor-agent"), (u16::MAX, "upgrade the manager")] {
        let hello = AgentHello {
            name: "host".to_owned(),
            labels: Default::default(),
            facts: Map::new(),
            slots: 1,
            version: "1".to_owned(),
            protocol,
            incarnation: "first".to_owned(),
        };
        let refused = world.app.register_agent(&tenant(), "agent-1".parse().unwrap(), hello).await;
        assert!(matches!(refused, Err(AppError::Conflict { code: "protocol-unsupported", .. })));
        // What its leases say does not make it fit.
        world.lease("agent-1", Vec::new());
        let record = shown(&world).await;
        assert_eq!(record.state, AgentState::Unsupported);
        let reason = record.state_reason.unwrap();
        assert!(reason.contains(&format!("protocol {protocol}")) && reason.contains(remedy), "{reason}");
    }
    world.agent("agent-1", ("role", "web"), 1).await;
    let record = shown(&world).await;
    assert_eq!((record.state, record.state_reason), (AgentState::Active, None));
}
