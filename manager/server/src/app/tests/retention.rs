//! What ended long ago goes, and nothing else.

use super::*;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// A world that keeps what completed for a week and everything else for as long as it does unless told otherwise, with a
/// workflow `w` of one step.
async fn world() -> World {
    let world = World::with(Arc::new(MemoryStore::new()), |settings| settings.retention.completed_days = Some(7));
    let step = json!({"name": "work", "taskReferenceName": "work", "type": "SIMPLE"});
    world.define(json!([{"name": "work", "retryCount": 0}]), json!({"name": "w", "tasks": [step], "timeoutSeconds": 0})).await;
    world
}

/// Has the one task that waits end, and its workflow with it; says when that was.
async fn ends(world: &World, workflow: WorkflowId, status: WorkerStatus) -> Timestamp {
    let task = world.poll("work").await.unwrap();
    assert_eq!(task.workflow_id, workflow);
    world.app.update_task(&tenant(), update(task.id, status)).await.unwrap();
    world.until(workflow, "the end", |workflow, _| workflow.status.is_terminal()).await;
    world.workflow(workflow).await.ended_at.unwrap()
}

async fn is_there(world: &World, workflow: WorkflowId) -> bool {
    world.app.read(move |store| store.workflow(&tenant(), workflow)).await.unwrap().is_some()
}

#[tokio::test]
async fn what_ended_long_ago_is_removed_and_what_goes_on_stays() {
    let world = world().await;
    let (over, open) = (world.start("w").await, world.start("w").await);
    let ended = ends(&world, over, WorkerStatus::Completed).await;
    let week = ended.plus_ms(7 * DAY_MS);

    assert_eq!(world.app.remove_expired(week).await.unwrap(), 0, "it has not been over for more than a week");
    assert_eq!(world.app.remove_expired(week.plus_ms(1)).await.unwrap(), 1);
    assert!(!is_there(&world, over).await);
    assert!(world.tasks(over).await.is_empty());
    assert_eq!(world.app.remove_expired(week.plus_ms(100 * DAY_MS)).await.unwrap(), 0, "there is nothing left to remove");
    assert!(!world.workflow(open).await.status.is_terminal());
}

#[tokio::test]
async fn what_failed_is_kept_for_longer_than_what_went_well() {
    let world = world().await;
    let well = world.start("w").await;
    ends(&world, well, WorkerStatus::Completed).await;
    let failed = world.start("w").await;
    let ended = ends(&world, failed, WorkerStatus::Failed).await;

    assert_eq!(world.app.remove_expired(ended.plus_ms(8 * DAY_MS)).await.unwrap(), 1);
    assert_eq!((is_there(&world, well).await, is_there(&world, failed).await), (false, true));
    assert_eq!(world.app.remove_expired(ended.plus_ms(90 * DAY_MS)).await.unwrap(), 0);
    assert_eq!(world.app.remove_expired(ended.plus_ms(90 * DAY_MS + 1)).await.unwrap(), 1, "what has no setting of its own");
    assert!(!is_there(&world, failed).await);
}
