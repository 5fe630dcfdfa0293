//! JavaScript and jq of definitions, evaluated within hard limits.
//!
//! Authors of definitions are not trusted with the manager's processor and memory. Scripts are therefore evaluated in a
//! *helper process*: the same program, started again to do nothing else ([`worker::run`]). [`Evaluator`] owns one, hands it
//! one script at a time and ends it when a script does not end. What is guaranteed, whatever the script does:
//!
//! - **Time.** The helper stops JavaScript by QuickJS's interrupt handler after [`Limits::cpu`] of processor time. Loops
//!   inside built-in functions of either language look at no handler; for them the kernel ends the helper after the same
//!   time and a little, and the owner kills it after [`Limits::wall`] in any case.
//! - **Memory.** QuickJS allocates at most [`Limits::memory_bytes`]; the kernel refuses the helper more than that and a
//!   fixed share for itself, whoever asks.
//! - **Stack.** QuickJS counts; jq that nests too deeply ends the helper, never the manager.
//! - **Size.** Sources, results and their nesting are bounded ([`Limits`]).
//! - **Nothing of the host.** Scripts see their input and the language's own library: no files, network, environment,
//!   modules or timers.
//!
//! An ended helper costs the next script a new start (milliseconds); a script that fails in an ordinary way costs nothing.

mod error;
mod evaluator;
mod javascript;
mod jq;
mod limits;
pub mod wire;
pub mod worker;

pub use error::ScriptError;
pub use evaluator::{Evaluator, Launcher};
pub use limits::Limits;

use serde::{Deserialize, Serialize};

/// What a script is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// A JavaScript program whose value is that of its last expression statement, as in
    /// `if ($.n < 3) { true; } else { false; }` or `(function () { return $.n; })()`. The input is `$`.
    JavaScript,
    /// A JavaScript function's body with `return`. One that is a program is evaluated as such.
    JavaScriptBody,
    /// A jq filter. The input is `.`; the result is the list of everything that it puts out.
    Jq,
}
