//! Searches: expressions compiled to SQL with parameters, and the choice of the index that leads to the rows.

mod conditions;
mod deadline;
mod disjuncts;
mod drive;
mod functions;
mod tasks;
pub(super) mod text;
mod workflows;

pub(super) use deadline::watch;
pub(super) use drive::first_place;
pub(super) use functions::add_functions;
pub(super) use tasks::{search as search_tasks, workflows_of as workflows_of_tasks};
pub(super) use workflows::search as search_workflows;
