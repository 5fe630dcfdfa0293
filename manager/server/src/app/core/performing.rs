//! What the manager does itself: handed out from here, a bounded number at once, and heard of again as
//! [`Event::Performed`]. Derived from the records (`TaskRecord::performing`), after a decision and at start alike.
//!
//! The limits of a task definition hold for it as for other tasks: what would go beyond them is held back until the name's
//! gate opens (see `limits`). What is under way counts as out. Requests to one host have a limit of their own (see `hosts`).

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use conductor_engine::{Event, PerformFailure, Sealed, ServerWork, WorkKind, is_limited, work_kind};
use conductor_model::{TaskId, TaskRecord, WorkflowId};
use rustc_hash::FxHashMap;
use serde_json::Value;

use super::Core;
use super::hosts::Hosts;
use super::limits::LimitKey;
use super::message::Message;
use crate::app::perform::{Job, authority};

/// Scripts handed out at once: enough that no evaluating thread waits for the deciding one.
const SCRIPTS_MAX: usize = 32;
/// Requests under way at once.
const REQUESTS_MAX: usize = 256;
/// Messages under way at once.
const MESSAGES_MAX: usize = 256;

/// Work of one kind waits for its own kind only: a slow host holds up no script.
const LANES: [WorkKind; 3] = [WorkKind::Script, WorkKind::Request, WorkKind::Message];

/// How much of a kind is under way at once.
fn limit(lane: WorkKind) -> usize {
    match lane {
        WorkKind::Script => SCRIPTS_MAX,
        WorkKind::Request => REQUESTS_MAX,
        WorkKind::Message => MESSAGES_MAX,
    }
}

/// One piece of work: a turn of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The task's workflow.
    pub workflow: WorkflowId,
    /// The task.
    pub task: TaskId,
    /// Which turn.
    pub turn: u32,
}

/// A piece that was handed out and not heard of yet.
#[derive(Debug)]
struct UnderWay {
    turn: u32,
    lane: WorkKind,
    /// What it counts against.
    limit: Option<LimitKey>,
    host: Option<Arc<str>>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Performing {
    waiting: HashMap<WorkKind, VecDeque<Turn>>,
    under_way: FxHashMap<TaskId, UnderWay>,
    counts: HashMap<WorkKind, usize>,
    /// Held back by limits, the oldest first.
    held: HashMap<LimitKey, VecDeque<(WorkKind, Turn)>>,
    /// Let through, and not handed out yet.
    let_through: FxHashMap<TaskId, LimitKey>,
    hosts: Hosts,
    /// Requests that waited for their host and have a place there now. They go before all others.
    called: VecDeque<Turn>,
}

impl Performing {
    fn push(&mut self, lane: WorkKind, turn: Turn) {
        self.waiting.entry(lane).or_default().push_back(turn);
    }

    /// The next piece of a lane that has room.
    fn next(&mut self) -> Option<(WorkKind, Turn)> {
        LANES.into_iter().find_map(|lane| {
            let room = self.counts.get(&lane).copied().unwrap_or(0) < limit(lane);
            let called = if lane == WorkKind::Request && room { self.called.pop_front() } else { None };
            let next = || room.then(|| self.waiting.get_mut(&lane)?.pop_front()).flatten();
            Some((lane, called.or_else(next)?))
        })
    }

    fn begin(&mut self, task: TaskId, piece: UnderWay) {
        *self.counts.entry(piece.lane).or_default() += 1;
        self.under_way.insert(task, piece);
    }

    /// A piece was heard of; one of an earlier turn than the one under way changes nothing. Gives what it counted against.
    fn end(&mut self, task: TaskId, turn: Option<u32>) -> Option<LimitKey> {
        let current = self.under_way.get(&task)?.turn;
        if turn.is_some_and(|turn| turn != current) {
            return None;
        }
        let UnderWay { lane, limit, host, .. } = self.under_way.remove(&task)?;
        if let Some(count) = self.counts.get_mut(&lane) {
            *count -= 1;
        }
        self.called.extend(host.and_then(|host| self.hosts.leave(&host)));
        limit
    }

    fn hold(&mut self, limit: LimitKey, lane: WorkKind, turn: Turn) {
        self.held.entry(limit).or_default().push_back((lane, turn));
    }

    /// Lets as many pieces through as there is room for, in front of others. Whether more are held.
    pub(super) fn let_through(&mut self, limit: &LimitKey, room: usize) -> bool {
        let Some(held) = self.held.get_mut(limit) else { return false };
        for (lane, turn) in held.drain(..room.min(held.len())).rev() {
            self.waiting.entry(lane).or_default().push_front(turn);
            self.let_through.insert(turn.task, limit.clone());
        }
        if held.is_empty() {
            self.held.remove(limit);
            return false;
        }
        true
    }
}

impl Core {
    /// Takes note of an open task at start: what was under way is performed again.
    pub(super) fn observe_performing(&mut self, task: &TaskRecord) {
        if task.performing
            && let Some(lane) = work_kind(task.task_type)
        {
            let turn = Turn { workflow: task.workflow_id, task: task.id, turn: task.turn };
            self.performing.push(lane, turn);
        }
    }

    /// The engine wants a task worked on. Scripts change nothing outside and may run before the decision is stored;
    /// requests and messages go out after it.
    pub(super) fn perform(&mut self, workflow: WorkflowId, task: TaskId, turn: u32) {
        let Some(record) = self.runs.peek(workflow).and_then(|run| run.task(task)) else { return };
        let turn = Turn { workflow, task, turn };
        match work_kind(record.task_type) {
            None => {}
            Some(lane @ WorkKind::Script) => self.performing.push(lane, turn),
            Some(lane @ (WorkKind::Request | WorkKind::Message)) => {
                let handle = self.handle.clone();
                self.building.after(move |stored| {
                    if stored.is_ok() {
                        handle.tell(Message::Perform { turn, lane });
                    }
                });
            }
        }
    }

    /// The decision that wants it is stored.
    pub(super) fn perform_stored(&mut self, turn: Turn, lane: WorkKind) {
        self.performing.push(lane, turn);
    }

    /// Hands out work while there is room.
    pub(super) fn hand_out_work(&mut self) {
        while let Some((lane, turn)) = self.performing.next() {
            let run = match self.runs.get(turn.workflow, self.store.as_ref(), self.batch_number) {
                Ok(run) => run,
                Err(error) => {
                    tracing::error!(workflow = %turn.workflow, %error, "work of a workflow that cannot be loaded waits");
                    self.performing.push(lane, turn);
                    return;
                }
            };
            let record = run.as_deref().and_then(|run| run.task(turn.task));
            let wanted = record.filter(|record| record.turn == turn.turn && record.performing);
            let limit = wanted.map(|record| {
                let key = || LimitKey { tenant: record.tenant.clone(), name: Arc::clone(&record.definition_name) };
                is_limited(record.task_type).then(key)
            });
            let let_through = self.performing.let_through.remove(&turn.task);
            if let Some(limit) = limit {
                self.hand_out(lane, turn, limit);
            }
            // It is not wanted any more, or waits for something else now: others may have what was kept for it.
            self.performing.called.extend(self.performing.hosts.turn_down(turn.task));
            if let Some(limit) = let_through.filter(|_| !self.performing.under_way.contains_key(&turn.task)) {
                self.open_gate(&limit);
            }
        }
    }

    fn hand_out(&mut self, lane: WorkKind, turn: Turn, limit: Option<LimitKey>) {
        // It may have been under way for an earlier turn.
        self.came_back(turn, None);
        let room = limit.as_ref().and_then(|limit| self.room_for(limit, turn.workflow, turn.task));
        let limit = limit.filter(|_| room.is_some());
        if let (Some(0), Some(limit)) = (room, &limit) {
            self.work_is_held(limit);
            self.performing.hold(limit.clone(), lane, turn);
            return;
        }
        let Ok(Some(run)) = self.runs.get(turn.workflow, self.store.as_ref(), self.batch_number) else { return };
        let (tenant, performers) = (run.workflow().tenant.clone(), &self.outlets.performers);
        let secrets = RefCell::new(Vec::new());
        let look_up = |sealed, name: &str| {
            let value = performers.look_up(&tenant, sealed, name)?;
            if sealed == Sealed::Secret {
                secrets.borrow_mut().push(value.clone());
            }
            Some(value)
        };
        let work = match run.revealed_input(turn.task, &look_up) {
            Some(input) => run.server_work_on(turn.task, input),
            None => run.server_work(turn.task),
        };
        let Some(work) = work else { return };
        let host: Option<Arc<str>> = match &work {
            ServerWork::Http(request) => authority(&request.uri).map(Arc::from),
            ServerWork::Script { .. } | ServerWork::Publish { .. } => None,
        };
        let most = self.settings.requests_per_host;
        if host.as_ref().is_some_and(|host| !self.performing.hosts.enter(host, turn, most)) {
            return;
        }
        performers.perform(Job { tenant, turn, work, secrets: secrets.into_inner() });
        if let Some(limit) = &limit {
            self.index.gates.count(&limit.tenant, &limit.name, true);
            self.handed_out(limit);
        }
        self.performing.begin(turn.task, UnderWay { turn: turn.turn, lane, limit, host });
    }

    /// What was under way is not any more: its place is free.
    fn came_back(&mut self, turn: Turn, number: Option<u32>) {
        if let Some(limit) = self.performing.end(turn.task, number) {
            self.index.gates.count(&limit.tenant, &limit.name, false);
        }
    }

    /// What came of a piece of work.
    pub(super) fn performed(&mut self, turn: Turn, result: Result<Value, PerformFailure>) {
        self.came_back(turn, Some(turn.turn));
        self.log_refusal(turn.workflow, Event::Performed { task: turn.task, turn: turn.turn, result });
    }
}
