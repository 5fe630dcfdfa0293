//! Scripts of definitions, read at registration and not first at run time.

use conductor_engine::script_of;
use conductor_model::{Violation, WorkflowDef};
use conductor_script::Language;

use super::{Scripts, language_of};

/// What is wrong with the scripts of a definition. Blocks; for the blocking pool. Scripts that cannot be read because no
/// helper can be started are let through: they fail at run time if they must.
pub(in crate::app) fn script_faults(scripts: &Scripts, definition: &WorkflowDef) -> Vec<Violation> {
    let mut found = Vec::new();
    definition.each_step(&mut |step, path| {
        // A text with expressions is only known when it is resolved.
        if let Some(script) = script_of(step).filter(|script| !script.source.contains("${")) {
            let language = language_of(script.language, script.style);
            found.push((format!("{path}.{}", script.place), language, script.source.to_owned()));
        }
    });
    let check = |(path, language, source): (String, Language, String)| match scripts.check(language, &source) {
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "a script is registered without having been read");
            None
        }
        Err(error) => Some(Violation::new(path, error.to_string(), None)),
        Ok(()) => None,
    };
    found.into_iter().filter_map(check).collect()
}
