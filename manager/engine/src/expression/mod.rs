//! The expression language: `${workflow.input.x}`, `${ref.output.list[0]}`, what RFC 9535 adds, and functions
//! at the end of a path, `${ref.output.list.length()}`.
//!
//! - A text that is exactly one expression becomes the value, with its type; nothing there becomes `null`.
//! - A text with expressions in it becomes a text: what is missing reads `null`, objects and lists read as JSON.
//! - `$${x}` is the plain text `${x}`. Expressions may be nested, `${a.output.${b.output.key}}`: the inner ones first.
//! - In a filter, `@` is the value that is looked at. `$` would be the whole document, which a step does not have at hand: an
//!   expression within says it, `[?(@.n > ${workflow.input.n})]`.
//! - Where that is asked for, an expression that finds nothing is a fault ([`Unresolved::Missing`]). A null that is there is
//!   found; a wildcard or a filter always finds a list.
//! - Values that an expression brings in are not searched for expressions again.
//!
//! Texts are read once, when a definition is compiled ([`Template`]); resolving only looks up.

mod budget;
mod function;
mod path;
mod payload;
mod scan;
mod template;

#[cfg(test)]
mod tests;

pub(crate) use budget::Budget;
pub use payload::{PayloadFault, resolve_payload};
pub(crate) use template::{Template, TemplateFault, Unresolved, as_text, escaped};

use std::borrow::Cow;

use serde_json::Value;

/// Deepest nesting of expressions in expressions. A person writes two.
pub(crate) const EXPRESSION_NESTING_MAX: usize = 8;

/// What expressions are looked up in. Lookups are lazy: nothing is built that no expression asks for.
pub(crate) trait Document {
    /// The member `key` of the part called `root`. `next` is the key inside it that is asked for, where there is one.
    fn member(&self, root: &str, key: &str, next: Option<&str>) -> Option<Cow<'_, Value>>;

    /// The whole part called `root`. Costs more than [`Document::member`].
    fn whole(&self, root: &str) -> Option<Cow<'_, Value>>;
}
