//! Queues, domains, who polled, and removing agents.

use serde_json::json;

use super::*;
use crate::app::AppError;

fn one_step() -> Value {
    json!({ "name": "one", "tasks": [{ "name": "step", "taskReferenceName": "a" }] })
}

async fn start_in(world: &World, domains: &str) -> WorkflowId {
    let task_to_domain = [("step".to_owned(), domains.to_owned())].into();
    let command = StartCommand { name: "one".to_owned(), task_to_domain, ..StartCommand::default() };
    world.app.start_workflow(&tenant(), command).await.unwrap()
}

async fn poll_in(world: &World, domain: Option<&str>) -> usize {
    world.app.poll_tasks(&tenant(), "step", domain, "w-1", 10, Duration::ZERO).await.unwrap().len()
}

#[tokio::test]
async fn a_task_goes_to_the_first_domain_that_workers_poll_else_to_the_last() {
    let world = World::new();
    world.define(json!([]), one_step()).await;
    let domain = async |id| world.tasks(id).await[0].domain.clone();
    let unpolled = start_in(&world, "red, green,blue").await;
    assert_eq!(domain(unpolled).await.as_deref(), Some("blue"));
    poll_in(&world, Some("green")).await;
    poll_in(&world, Some("blue")).await;
    let polled = start_in(&world, "red,green,blue").await;
    assert_eq!(domain(polled).await.as_deref(), Some("green"));
    let nowhere = start_in(&world, "red,NO_DOMAIN").await;
    assert_eq!(domain(nowhere).await, None);
    assert_eq!(poll_in(&world, Some("green")).await, 1);
    assert_eq!(poll_in(&world, None).await, 1);
    let now_open = start_in(&world, "NO_DOMAIN,red").await;
    assert_eq!(domain(now_open).await, None, "workers without a domain were there just now");
}

#[tokio::test]
async fn a_star_is_the_domain_of_every_task_that_has_none_of_its_own() {
    let world = World::new();
    let steps = json!([{ "name": "step", "taskReferenceName": "a" }, { "name": "open", "taskReferenceName": "b" }, { "name": "other", "taskReferenceName": "c" }]);
    let steps: Vec<Value> = steps.as_array().unwrap().iter().map(|step| json!([step])).collect();
    let fork = json!({ "name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": steps });
    let join = json!({ "name": "j", "taskReferenceName": "j", "type": "JOIN" });
    world.define(json!([]), json!({ "name": "one", "tasks": [fork, join] })).await;
    let domains =
        [("*", "green"), ("step", "blue"), ("open", "NO_DOMAIN")].map(|(name, domain)| (name.to_owned(), domain.to_owned()));
    let command = StartCommand { name: "one".to_owned(), task_to_domain: domains.into(), ..StartCommand::default() };
    let id = world.app.start_workflow(&tenant(), command).await.unwrap();
    let found: Vec<_> = world.tasks(id).await.into_iter().map(|task| (task.reference.to_string(), task.domain)).collect();
    let domain = |reference: &str| found.iter().find(|(name, _)| name == reference).unwrap().1.as_deref();
    assert_eq!((domain("a"), domain("b"), domain("c")), (Some("blue"), None, Some("green")));
}

#[tokio::test]
async fn queues_are_counted_by_domain_and_polls_are_remembered() {
    let world = World::new();
    world.define(json!([]), one_step()).await;
    start_in(&world, "blue").await;
    start_in(&world, "blue").await;
    world.start("one").await;
    let mut queues: Vec<_> =
        world.app.queues(&tenant()).await.unwrap().into_iter().map(|queue| (queue.domain, queue.waiting)).collect();
    queues.sort();
    assert_eq!(queues, [(None, 1), (Some("blue".to_owned()), 2)]);
    assert_eq!(world.app.requeue(&tenant(), "step").await.unwrap(), 3);
    assert_eq!(world.app.requeue(&tenant(), "other").await.unwrap(), 0);
    poll_in(&world, Some("blue")).await;
    let seen = world.app.poll_data(&tenant(), Some("step")).await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].worker.as_str(), seen[0].domain.as_deref()), ("w-1", Some("blue")));
    assert!(world.app.poll_data(&tenant(), Some("other")).await.unwrap().is_empty());
    let stranger = "stranger".parse().unwrap();
    assert!(world.app.queues(&stranger).await.unwrap().is_empty());
    assert!(world.app.poll_data(&stranger, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_agent_with_tasks_is_removed_by_force_alone() {
    let mut world = World::new();
    world.plugin("p");
    let (task, workflow) = on_agent(true);
    world.define(task, workflow).await;
    world.agent("a-1", ("role", "web"), 1).await;
    let id = world.start("remote_flow").await;
    let (agent, _) = world.task_order().await;
    let refused = world.app.remove_agent(&tenant(), agent.clone(), false).await.unwrap_err();
    assert_eq!(refused.code(), "agent-busy");
    world.agent("a-2", ("role", "web"), 1).await;
    world.app.remove_agent(&tenant(), agent.clone(), true).await.unwrap();
    let (next, envelope) = world.task_order().await;
    assert_eq!(next.as_str(), "a-2", "an idempotent task goes to another agent");
    assert!(world.report(&next, &envelope, Outcome::Succeeded).await);
    world.until(id, "the end", |workflow, _| workflow.status.is_terminal()).await;
    let unknown = world.app.remove_agent(&tenant(), agent, true).await.unwrap_err();
    assert!(matches!(unknown, AppError::NotFound { .. }), "{unknown:?}");
    let world = world.restarted();
    let left: Vec<_> = world.app.agents(&tenant()).await.unwrap().into_iter().map(|view| view.record.id).collect();
    assert_eq!(left, [next]);
}

#[tokio::test]
async fn a_removal_that_was_cut_off_is_finished_by_the_next_one() {
    let world = World::new();
    let agent: AgentId = "a-1".parse().unwrap();
    world.agent("a-1", ("role", "web"), 1).await;
    world.app.remove_agent(&tenant(), agent.clone(), true).await.unwrap();
    // As if the manager had died when the agent was gone and its identity was not.
    let identity = json!({
        "agent": "a-1", "state": "active", "token": "t", "labels": {}, "request_hash": "", "machine_id": "", "address": null, "requested_at": 1,
        "certificates": [],
    });
    world.app.keep_identity(&tenant(), serde_json::from_value(identity).unwrap()).await.unwrap();
    world.app.remove_agent(&tenant(), agent.clone(), false).await.unwrap();
    assert!(world.app.inner.trust.identity(&agent).is_none());
    let nothing_left = world.app.remove_agent(&tenant(), agent, false).await.unwrap_err();
    assert!(matches!(nothing_left, AppError::NotFound { .. }), "{nothing_left:?}");
}

#[tokio::test]
async fn one_run_more_than_the_definition_allows_is_refused_where_it_says_so() {
    let world = World::new();
    let limited = json!({ "name": "limited", "tasks": [{ "name": "step", "taskReferenceName": "a" }],
        "rateLimitConfig": { "rateLimitKey": "shop-${workflow.input.shop}", "concurrentExecLimit": 1, "policy": "REJECT" } });
    world.define(json!([]), limited).await;
    let start = async |shop: &str| {
        let input = json!({ "shop": shop }).as_object().unwrap().clone();
        let command = StartCommand { name: "limited".to_owned(), input, ..StartCommand::default() };
        world.app.start_workflow(&tenant(), command).await
    };
    let first = start("a").await.unwrap();
    assert_eq!(start("a").await.unwrap_err().code(), "workflow-rate-limited");
    start("b").await.expect("another key counts for itself");
    world.app.terminate_workflow(&tenant(), first, None).await.unwrap();
    start("a").await.expect("the place is free again");
}
