//! DO_WHILE: repeats its steps while a condition holds, or once for each element of a list.
//!
//! A round is a frame of the same plan. While the loop goes on its output is the number of the round alone; what earlier
//! rounds came to is looked up in their records when an expression asks for it, and gathered when the loop is over, so that
//! a round costs the same however many there were. A condition that looks at earlier rounds gets them all, each time. With `keepLastN` the records of older rounds are removed.

mod condition;

use std::ops::Range;
use std::sync::Arc;

use conductor_model::{TaskRecord, WorkflowTask};
use serde_json::{Map, Value, json};

use self::condition::looks_back;
use super::{Behaviour, Role, StepScript, parameter, script};
use crate::attempt;
use crate::ending::Ending;
use crate::expression::Budget;
use crate::flow::{self, GATHERED_BYTES_MAX};
use crate::frame::{FrameId, Site};
use crate::plan::{Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::{Turn, Work};
use crate::work::{PerformFailure, ServerWork, WorkKind};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    prepare,
    begin,
    work,
    performed,
    hands_over,
    so_far,
    // One without a round has not begun.
    reopens: |task| task.iteration > 0,
    look,
    work_kind: Some(WorkKind::Script),
    script: |step| Some(StepScript::javascript("loopCondition", step.loop_condition.as_deref()?)),
    ..Behaviour::base(Role::Operator, Some("DO_WHILE"))
};

/// Most rounds that a step may ask for. A loop that never ends must not fill the store.
const LOOP_ROUNDS_MAX: u32 = 100_000;
/// Most rounds of a loop with a condition that does not ask for more. Loops of 10,000 rounds are in use and need not ask; one
/// that makes twice as many is taken for one whose condition never becomes false. A list says itself how many rounds it needs.
const LOOP_ROUNDS_UNASKED: u32 = 20_000;

/// The input key that says how many rounds are kept.
const KEEP_LAST: &str = "keepLastN";
/// The input key that holds the list.
const ITEMS: &str = "_items";
/// Where the SDK's builder of loops over a list puts it.
const ITEMS_OF_SDK: &str = "items";

/// The condition gets its input. What says how many rounds there are is read here.
fn hands_over(step: &WorkflowTask, place: &str) -> bool {
    condition(step).is_some() && ![ITEMS, ITEMS_OF_SDK, KEEP_LAST].contains(&parameter(place))
}

fn compile(
    compiler: &mut Compiler,
    node: NodeId,
    step: &Arc<WorkflowTask>,
    _: Option<&Arc<WorkflowTask>>,
    depth: usize,
) -> Kind {
    let path = compiler.node_path(node);
    if step.loop_over.is_empty() {
        compiler.fault(format!("{path}.loopOver"), "must have at least one step", None);
    }
    let items = !step.items.is_null() || step.input_parameters.contains_key(ITEMS) || is_for_each(step);
    if condition(step).is_none() && !items {
        let message = "must be a script that says whether another round follows; or give `items`";
        compiler.fault(format!("{path}.loopCondition"), message, None);
    }
    if let Some(rounds) = step.max_iterations.filter(|rounds| !(1..=LOOP_ROUNDS_MAX).contains(rounds)) {
        let message = format!("must be 1 to {LOOP_ROUNDS_MAX}");
        compiler.fault(format!("{path}.maxIterations"), &message, Some(rounds.to_string()));
    }
    match &step.items {
        Value::Null => {}
        Value::Array(_) => compiler.text(node, "items", &step.items),
        Value::String(text) if text.contains("${") => compiler.text(node, "items", &step.items),
        other => compiler.fault(format!("{path}.items"), "must be a list, or an expression", Some(other.to_string())),
    }
    let (body, nodes) = compiler.body(&step.loop_over, node, depth + 1);
    Kind::Loop { body, nodes }
}

fn condition(step: &WorkflowTask) -> Option<&str> {
    if is_for_each(step) { None } else { written_condition(step) }
}

fn written_condition(step: &WorkflowTask) -> Option<&str> {
    step.loop_condition.as_deref().filter(|condition| !condition.trim().is_empty())
}

/// Whether it is what the SDK's `ForEachTask` makes: a list, and a condition that no round can ever meet.
fn is_for_each(step: &WorkflowTask) -> bool {
    let never = || format!("if ( $.{}.iteration < 0 ) {{ true; }} else {{ false; }}", step.task_reference_name);
    step.input_parameters.contains_key(ITEMS_OF_SDK) && written_condition(step).is_some_and(|condition| condition == never())
}

fn prepare(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    attempt::resolve(turn, site, record)?;
    let items = turn.run.resolve_text(site, "items", record.id).map_err(|error| error.to_string())?;
    let Value::Object(input) = Arc::make_mut(&mut record.input) else { return Ok(()) };
    let for_each = is_for_each(&turn.run.node(site).step);
    if let Some(items) = items.or_else(|| input.get(ITEMS_OF_SDK).filter(|_| for_each).cloned()) {
        input.insert(ITEMS.to_owned(), items);
    }
    match input.get(ITEMS) {
        None | Some(Value::Array(_)) => Ok(()),
        Some(other) => Err(format!("its items must be a list; they are {other}")),
    }
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    turn.start(ix);
    let step = Arc::clone(&turn.run.node(turn.run.site(ix)).step);
    match items(turn.run.record(ix)).map(Vec::len) {
        Some(0) => complete(turn, ix),
        // Without a condition every element gets its round: what cannot be finished is not begun.
        Some(all) if condition(&step).is_none() && all > rounds_max(&step, true) as usize => {
            let max = rounds_max(&step, true);
            turn.end_task(ix, Ending::failed(format!("its list has {all} elements, and {}", most(max)), true));
        }
        _ => round(turn, ix, 1),
    }
}

/// Most rounds of a loop, over a list or not.
fn rounds_max(step: &WorkflowTask, is_list: bool) -> u32 {
    step.max_iterations.unwrap_or(if is_list { LOOP_ROUNDS_MAX } else { LOOP_ROUNDS_UNASKED })
}

/// That a loop may make so many rounds, and how it may make more.
fn most(max: u32) -> String {
    if max < LOOP_ROUNDS_MAX {
        format!("it may make {max} rounds; `maxIterations` of the step allows up to {LOOP_ROUNDS_MAX}")
    } else {
        format!("no loop may make more than {LOOP_ROUNDS_MAX} rounds")
    }
}

fn items(record: &TaskRecord) -> Option<&Vec<Value>> {
    record.input.get(ITEMS)?.as_array()
}

/// Begins a round.
fn round(turn: &mut Turn<'_, '_>, ix: Ix, number: u32) {
    let max = rounds_max(&turn.run.node(turn.run.site(ix)).step, items(turn.run.record(ix)).is_some());
    if number > max {
        let reason = format!("its condition still holds after {max} rounds, and {}", most(max));
        return turn.end_task(ix, Ending::failed(reason, true));
    }
    turn.change(ix).iteration = number;
    let mut output = json!({"iteration": number});
    let item = items(turn.run.record(ix)).and_then(|items| items.get(number as usize - 1));
    if let Some(item) = item {
        output["loopItem"] = item.clone();
        output["loopIndex"] = json!(number - 1);
    }
    turn.set_output(ix, output);
    schedule_round(turn, ix);
}

/// Schedules the first step of the current round.
fn schedule_round(turn: &mut Turn<'_, '_>, ix: Ix) {
    let (site, number) = (turn.run.site(ix), turn.run.record(ix).iteration);
    let frame = turn.run.frames.round(site, number);
    if let Kind::Loop { body, .. } = &turn.run.node(site).kind {
        let node = turn.run.frames.get(frame).plan.first(*body);
        turn.push(Work::Schedule(Site { frame, node }));
    }
}

/// It waits again: it goes on with its round, or behind it.
fn look(turn: &mut Turn<'_, '_>, ix: Ix) {
    let site = turn.run.site(ix);
    let Kind::Loop { body, .. } = turn.run.node(site).kind else { return };
    let round = turn.run.frames.find_round(site, turn.run.record(ix).iteration);
    let last = turn.run.plan_of(site).block(body).nodes.last().copied();
    let ended = round.zip(last).is_some_and(|(frame, node)| flow::is_finished(turn.run, Site { frame, node }));
    if ended { round_ended(turn, site) } else { schedule_round(turn, ix) }
}

/// The last step of a round is finished.
pub(crate) fn round_ended(turn: &mut Turn<'_, '_>, owner: Site) {
    let Some(ix) = turn.run.state.latest.get(&owner).copied() else { return };
    if turn.run.record(ix).status.is_terminal() || turn.run.record(ix).performing {
        return;
    }
    keep_last(turn, ix, owner);
    let node = turn.run.node(owner);
    match condition(&node.step) {
        // It ends there, with the reason.
        Some(condition) if looks_back(condition, &node.reference) && gathered(turn.run, ix).is_none() => complete(turn, ix),
        Some(_) => turn.perform(ix),
        None => go_on(turn, ix),
    }
}

/// Another round, unless there is no element for it.
fn go_on(turn: &mut Turn<'_, '_>, ix: Ix) {
    let record = turn.run.record(ix);
    let (done, all) = (record.iteration, items(record).map(Vec::len));
    if all.is_some_and(|all| done as usize >= all) { complete(turn, ix) } else { round(turn, ix, done + 1) }
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    let (site, record) = (run.site(ix), run.record(ix));
    let mut input = record.input.as_object().cloned().unwrap_or_default();
    if let Some(frame) = run.frames.find_round(site, record.iteration) {
        input.extend(outputs(run, site, frame, &mut Budget::new(GATHERED_BYTES_MAX)).unwrap_or_default());
    }
    let node = run.node(site);
    let condition = condition(&node.step)?;
    let mut own = Value::clone(&record.output);
    if looks_back(condition, &node.reference)
        && let (Value::Object(own), Some(Value::Object(rounds))) = (&mut own, gathered(run, ix))
    {
        own.extend(rounds);
    }
    input.insert(node.reference.to_string(), own);
    Some(script::javascript(condition, Arc::new(Value::Object(input))))
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    match result {
        Ok(value) if script::is_true(&value) => go_on(turn, ix),
        Ok(_) => complete(turn, ix),
        Err(failure) => turn.end_task(ix, Ending::failed(failure.message, true)),
    }
}

fn complete(turn: &mut Turn<'_, '_>, ix: Ix) {
    let ending = match gathered(turn.run, ix) {
        Some(output) => Ending::with_output(output),
        None => Ending::refused(format!(
            "what its rounds came to is more than {GATHERED_BYTES_MAX} bytes together; keep fewer with `keepLastN`"
        )),
    };
    turn.end_task(ix, ending);
}

/// What all rounds came to that are kept, by their number; `None` = too much.
fn gathered(run: &Run, ix: Ix) -> Option<Value> {
    let (site, record) = (run.site(ix), run.record(ix));
    let mut all = Map::new();
    let mut budget = Budget::new(GATHERED_BYTES_MAX);
    for number in 1..=record.iteration {
        let Some(frame) = run.frames.find_round(site, number) else { continue };
        let outputs = outputs(run, site, frame, &mut budget)?;
        if !outputs.is_empty() {
            all.insert(number.to_string(), Value::Object(outputs));
        }
    }
    all.insert("iteration".to_owned(), json!(record.iteration));
    Some(Value::Object(all))
}

/// What all rounds came to so far, or the one that is asked for; `None` = it is not kept.
fn so_far(run: &Run, ix: Ix, round: Option<&str>) -> Option<Value> {
    let Some(round) = round else { return gathered(run, ix) };
    let site = run.site(ix);
    let frame = run.frames.find_round(site, round.parse().ok()?)?;
    Some(json!({round: outputs(run, site, frame, &mut Budget::new(GATHERED_BYTES_MAX))?}))
}

/// The outputs of the steps of a round by their references, without the number of the round.
fn outputs(run: &Run, owner: Site, frame: FrameId, budget: &mut Budget) -> Option<Map<String, Value>> {
    let mut outputs = Map::new();
    let mut fits = true;
    each_step(run, frame, &steps(run, owner), false, &mut |site| {
        if let Some(record) = run.latest_of(site).filter(|_| fits) {
            fits = budget.take(&record.output).is_ok();
            outputs.insert(run.node(site).reference.to_string(), Value::clone(&record.output));
        }
    });
    fits.then_some(outputs)
}

fn steps(run: &Run, owner: Site) -> Range<u32> {
    match &run.node(owner).kind {
        Kind::Loop { nodes, .. } => nodes.clone(),
        _ => 0..0,
    }
}

/// Visits the steps of a frame, those of dynamic branches in it, and with `deep` those of the rounds of loops in it.
fn each_step(run: &Run, frame: FrameId, nodes: &Range<u32>, deep: bool, visit: &mut dyn FnMut(Site)) {
    for node in nodes.clone() {
        let site = Site { frame, node: NodeId(node) };
        visit(site);
        match &run.node(site).kind {
            Kind::DynamicFork => {
                if let Some(branches) = run.frames.fork(site) {
                    let all = u32::try_from(run.frames.get(branches).plan.steps()).unwrap_or(u32::MAX);
                    each_step(run, branches, &(0..all), deep, visit);
                }
            }
            Kind::Loop { nodes, .. } if deep => {
                let rounds = run.latest_of(site).map_or(0, |record| record.iteration);
                for inner in (1..=rounds).filter_map(|number| run.frames.find_round(site, number)) {
                    each_step(run, inner, nodes, deep, visit);
                }
            }
            _ => {}
        }
    }
}

/// Removes the records of the round that is too old by now.
fn keep_last(turn: &mut Turn<'_, '_>, ix: Ix, owner: Site) {
    let record = turn.run.record(ix);
    let keep = record.input.get(KEEP_LAST).and_then(|keep| match keep {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    });
    let old = keep.filter(|keep| *keep > 0).and_then(|keep| u64::from(record.iteration).checked_sub(keep));
    let Some(frame) = old.and_then(|old| turn.run.frames.find_round(owner, u32::try_from(old).ok()?)) else { return };
    let mut found = Vec::new();
    let run = &*turn.run;
    each_step(run, frame, &steps(run, owner), true, &mut |site| {
        let mut attempt = run.state.latest.get(&site).copied();
        while let Some(ix) = attempt {
            let record = run.record(ix);
            // What is still open goes on.
            if record.status.is_terminal() {
                found.push(ix);
            }
            attempt = record.retried_task_id.and_then(|before| run.state.by_id.get(&before).copied());
        }
    });
    turn.remove(found);
}

/// The element that a step's round is for, and its index.
pub(crate) fn item_of(run: &Run, site: Site) -> Option<(u32, &Value)> {
    let mut frame = run.frames.get(site.frame);
    loop {
        let owner = frame.owner?;
        if matches!(run.node(owner).kind, Kind::Loop { .. })
            && let Some(items) = run.latest_of(owner).and_then(items)
        {
            let index = frame.round.checked_sub(1)?;
            return Some((index, items.get(index as usize)?));
        }
        frame = run.frames.get(owner.frame);
    }
}
