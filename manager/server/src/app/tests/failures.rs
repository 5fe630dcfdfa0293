//! A store that fails.

use conductor_model::WorkflowStatus;

use super::*;

#[tokio::test]
async fn a_batch_that_cannot_be_stored_is_refused_and_leaves_nothing_behind() {
    let inner = Arc::new(MemoryStore::new());
    let world = World::on(Arc::clone(&inner) as Arc<dyn Store>, 60_000);
    world.define(json!([]), two_steps()).await;
    let id = world.start("two_steps").await;
    let first = world.poll("first").await.unwrap();
    inner.fail_next_batches(1);
    let refused = world.app.update_task(&tenant(), update(first.id, WorkerStatus::Completed)).await.unwrap_err();
    assert_eq!(refused.code(), "unavailable");
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = world.app.update_task(&tenant(), update(first.id, WorkerStatus::Completed)).await {
        assert_eq!(error.code(), "unavailable", "until the memory is rebuilt");
        assert!(Instant::now() < deadline, "the manager does not recover");
    }
    let second = world.poll("second").await.expect("exactly what was stored goes on");
    world.complete(second.id).await;
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
    assert_eq!(world.tasks(id).await.len(), 2);
}
