//! The shapes of answers, for the API's description alone: answers are written from records and views, which borrow what
//! they show. `tests/described.rs` holds real answers to what stands here. What a client need not rely on is left out.
#![expect(dead_code, reason = "only read by the description of the API")]

mod cloudify;
mod conductor;
mod identity;
mod own;

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

pub(super) use cloudify::*;
pub(super) use conductor::*;
pub(super) use identity::*;
pub(super) use own::*;

type Object = BTreeMap<String, Value>;

/// A stretch of what a search found.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Found<T> {
    /// How many match in all, as far as they are counted.
    total_hits: u64,
    results: Vec<T>,
}

/// A list of ours.
#[derive(ToSchema)]
pub(super) struct Items<T> {
    items: Vec<T>,
    metadata: Total,
}

#[derive(ToSchema)]
pub(super) struct Total {
    total: u64,
}
