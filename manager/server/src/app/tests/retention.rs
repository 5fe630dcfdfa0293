//! What ended long ago goes, and nothing else.

use super::*;

#[tokio::test]
async fn what_ended_long_ago_is_removed_and_what_goes_on_stays() {
    let world = World::new();
    let step = json!({"name": "work", "taskReferenceName": "work", "type": "SIMPLE"});
    world.define(json!([{"name": "work", "retryCount": 0}]), json!({"name": "w", "tasks": [step], "timeoutSeconds": 0})).await;
    let (over, open) = (world.start("w").await, world.start("w").await);
    let task = world.poll("work").await.unwrap();
    assert_eq!(task.workflow_id, over);
    world.complete(task.id).await;
    world.until(over, "the first to end", |workflow, _| workflow.status.is_terminal()).await;
    let ended = world.workflow(over).await.ended_at.unwrap();

    assert_eq!(world.app.remove_ended_before(ended).await.unwrap(), 0, "it did not end before the moment of its end");
    assert_eq!(world.app.remove_ended_before(ended.plus_ms(1)).await.unwrap(), 1);
    let gone = world.app.read(move |store| store.workflow(&tenant(), over)).await.unwrap();
    assert_eq!(gone, None);
    assert!(world.tasks(over).await.is_empty());
    assert!(!world.workflow(open).await.status.is_terminal());
    assert_eq!(world.app.remove_ended_before(ended.plus_ms(1)).await.unwrap(), 0, "there is nothing left to remove");
}
