//! The key that runs of a definition are counted by against its limit on running workflows.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::event::StartRequest;
use crate::expression::{Budget, Document, Template, as_text};
use crate::plan::Plan;

/// Longest key in bytes.
const KEY_BYTES_MAX: usize = 1024;

/// A workflow that is about to start, as the document of the key's expressions.
struct Starting<'a> {
    plan: &'a Plan,
    request: &'a StartRequest,
}

impl Document for Starting<'_> {
    fn member(&self, root: &str, key: &str, _next: Option<&str>) -> Option<Cow<'_, Value>> {
        let definition = &self.plan.snapshot().workflow;
        let value = match (root, key) {
            ("workflow", "input") => {
                let mut input: Map<String, Value> = definition.input_template.clone();
                input.extend(self.request.input.clone());
                Value::Object(input)
            }
            ("workflow", "correlationId") => json!(self.request.correlation_id),
            ("workflow", "workflowId") => json!(self.request.id),
            ("workflow", "workflowType") => json!(definition.name),
            ("workflow", "version") => json!(definition.version),
            _ => return None,
        };
        Some(Cow::Owned(value))
    }

    fn whole(&self, _: &str) -> Option<Cow<'_, Value>> {
        None
    }
}

impl Plan {
    /// What the key of the definition's limit on running workflows comes to for this start; `None` = there is no limit. A
    /// key whose expressions find nothing, or that is too long, is counted as the text `null`.
    #[must_use]
    pub fn rate_limit_key(&self, request: &StartRequest) -> Option<String> {
        let config = self.snapshot().workflow.rate_limit_config.as_ref()?;
        let template = Template::compile_text(&config.rate_limit_key, &mut Vec::new());
        let scope = Starting { plan: self, request };
        let value = template.resolve(&scope, &mut Budget::new(KEY_BYTES_MAX)).unwrap_or_default();
        Some(as_text(&value).into_owned())
    }
}
