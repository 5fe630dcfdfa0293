//! One suite for every store. Each case is a story told to the trait; it runs against memory and SQLite alike.
#![expect(clippy::unwrap_used, reason = "tests")]

mod batches;
mod catalogue;
mod feed_and_logs;
mod fixtures;
mod lists;
mod revisions;
mod search;
mod sqlite;

use conductor_store::{MemoryStore, SqliteStore, Store};

fn on_memory(case: impl FnOnce(&dyn Store)) {
    case(&MemoryStore::new());
}

fn on_sqlite(case: impl FnOnce(&dyn Store)) {
    let folder = tempfile::TempDir::new().unwrap();
    case(&SqliteStore::open(&folder.path().join("manager.db")).unwrap());
}

/// Makes one test per store out of each case.
macro_rules! cases {
    ($($room:ident::$case:ident),+ $(,)?) => {
        mod memory { $(#[test] fn $case() { crate::on_memory(crate::$room::$case); })+ }
        mod on_disk { $(#[test] fn $case() { crate::on_sqlite(crate::$room::$case); })+ }
    };
}

cases! {
    batches::a_new_workflow_is_found_again_as_it_was_stored,
    batches::a_changed_workflow_replaces_the_old_one,
    batches::a_stale_revision_rolls_back_the_whole_batch,
    batches::a_failing_batch_leaves_its_neighbours_alone,
    batches::batches_are_stored_in_the_order_in_which_they_come,
    batches::several_decisions_on_one_workflow_follow_each_other_in_one_batch,
    batches::a_workflow_is_not_inserted_twice,
    batches::a_task_is_neither_inserted_twice_nor_changed_unknown,
    batches::an_idempotency_key_leads_to_the_newest_workflow_of_a_name_and_tenant,
    batches::a_snapshot_is_stored_once_and_shared,
    batches::large_payloads_come_back,
    batches::open_work_is_what_is_not_over,
    batches::numbers_survive_their_rows,
    batches::a_closed_store_refuses,
    batches::hand_outs_under_a_limit_are_kept_until_they_no_longer_count,
    batches::a_removed_workflow_leaves_nothing_behind,
    batches::what_ended_long_ago_is_found_by_how_it_ended_unless_something_above_it_is_there,
    batches::removed_tasks_are_gone_and_an_input_can_be_replaced,
    batches::a_workflow_can_go_on_with_other_definitions,
    batches::tasks_change_without_their_workflow,
    lists::workflows_are_listed_newest_first_in_pages,
    lists::every_filter_of_workflows_narrows_the_list,
    lists::tasks_are_listed_by_workflow_status_and_name,
    lists::tasks_of_a_workflow_come_by_sequence,
    lists::nobody_sees_another_tenants_rows,
    feed_and_logs::the_feed_is_read_from_where_a_reader_stopped,
    feed_and_logs::the_feed_is_trimmed_from_its_old_end,
    feed_and_logs::a_log_line_that_comes_twice_is_stored_once,
    feed_and_logs::a_workers_lines_are_numbered_behind_what_is_stored,
    catalogue::task_definitions_are_stored_replaced_listed_and_removed,
    catalogue::workflow_definitions_have_versions,
    catalogue::an_existing_workflow_definition_stops_all_of_a_request,
    revisions::each_change_of_a_definition_is_kept_with_when_and_by_whom,
    revisions::what_is_stored_again_as_it_is_is_no_change,
    revisions::the_oldest_revisions_go,
    revisions::what_is_locked_is_neither_changed_nor_removed,
    catalogue::a_plugin_version_belongs_to_one_digest,
    catalogue::the_last_uploaded_plugin_is_the_one_without_a_version,
    catalogue::node_instances_are_changed_only_from_their_newest_version,
    catalogue::tokens_are_known_by_their_hash,
    catalogue::schedules_are_kept_and_their_last_runs_too,
    catalogue::documents_are_put_read_listed_and_removed,
    catalogue::handled_events_are_known_until_they_are_forgotten,
    search::every_kind_of_condition_finds_its_workflows,
    search::conditions_that_exclude_each_other_find_nothing,
    search::words_follow_what_a_workflow_becomes,
    search::of_a_batch_that_fails_no_words_stay,
    search::pages_follow_each_other_in_the_order_that_is_asked_for,
    search::tasks_are_found_by_their_fields_and_those_of_their_workflow,
    search::a_tenant_finds_its_own_alone,
}
