//! The workflow's record, and whether it differs from its row.

use std::ops::{Deref, DerefMut};

use conductor_model::{Timestamp, WorkflowRecord};

/// Milliseconds for which a workflow whose tasks alone change may show an older `updated_at`.
///
/// A step that begins or ends changes nothing of its workflow's record but that moment and the next task's number: not worth
/// writing the whole row twice for each step.
const UPDATED_WITHIN_MS: i64 = 1000;

/// The record. Whoever writes to it makes it part of the decision.
#[derive(Debug)]
pub(crate) struct Kept {
    record: WorkflowRecord,
    changed: bool,
}

impl Kept {
    /// A record that is not stored yet.
    pub fn new(record: WorkflowRecord) -> Self {
        Self { record, changed: true }
    }

    /// A record as it is stored. `last_seq` is the highest number of its tasks: it may be ahead of the row.
    pub fn stored(mut record: WorkflowRecord, last_seq: u32) -> Self {
        record.next_seq = record.next_seq.max(last_seq.saturating_add(1));
        Self { record, changed: false }
    }

    /// The next number for a task. The row need not follow: the stored tasks tell how far it has come.
    pub fn take_seq(&mut self) -> u32 {
        let seq = self.record.next_seq;
        self.record.next_seq = seq.saturating_add(1);
        seq
    }

    /// Makes the record part of the decision though it seems unchanged.
    pub fn must_be_stored(&mut self) {
        self.changed = true;
    }

    /// The record as it is to be stored, with the next revision; `None` = its row may stay as it is.
    pub fn settle(&mut self, now: Timestamp) -> Option<WorkflowRecord> {
        if !self.changed && now.ms_since(self.record.updated_at) < UPDATED_WITHIN_MS {
            return None;
        }
        self.changed = false;
        self.record.revision += 1;
        self.record.updated_at = now;
        Some(self.record.clone())
    }
}

impl Deref for Kept {
    type Target = WorkflowRecord;

    fn deref(&self) -> &WorkflowRecord {
        &self.record
    }
}

impl DerefMut for Kept {
    fn deref_mut(&mut self) -> &mut WorkflowRecord {
        self.changed = true;
        &mut self.record
    }
}
