//! The key that runs of a definition are counted by against its limit on running workflows.

use std::borrow::Cow;
use std::cell::RefCell;

use conductor_model::{RateLimitConfig, Violation};
use serde_json::{Map, Value, json};

use crate::event::StartRequest;
use crate::expression::{Budget, Document, Template, as_text};
use crate::plan::Plan;
use crate::sealed;

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

/// What a key may be made of: nothing else is known before the first step.
const PARTS: [&str; 5] = ["input", "correlationId", "workflowId", "workflowType", "version"];

/// Takes note of what is looked up and can never be found.
#[derive(Default)]
struct Strange(RefCell<Vec<String>>);

impl Document for Strange {
    fn member(&self, root: &str, key: &str, _next: Option<&str>) -> Option<Cow<'_, Value>> {
        if root != "workflow" || !PARTS.contains(&key) {
            self.0.borrow_mut().push(format!("`{root}.{key}`"));
        }
        None
    }

    fn whole(&self, root: &str) -> Option<Cow<'_, Value>> {
        self.0.borrow_mut().push(format!("`{root}`"));
        None
    }
}

/// Checks a limit on running workflows as it is registered: a key that finds nothing would count all runs together.
pub(crate) fn check(config: &RateLimitConfig, out: &mut Vec<Violation>) {
    if config.concurrent_exec_limit < 0 {
        let found = Some(config.concurrent_exec_limit.to_string());
        out.push(Violation::new("rateLimitConfig.concurrentExecLimit", "must be at least 0, which is no limit", found));
    }
    let key = "rateLimitConfig.rateLimitKey";
    let mut faults = Vec::new();
    let template = Template::compile_text(&config.rate_limit_key, &mut faults);
    out.extend(faults.into_iter().map(|fault| Violation::new(key, fault.message, Some(config.rate_limit_key.clone()))));
    let strange = Strange::default();
    // Only what is looked up counts here.
    let _ = template.resolve(&strange, &mut Budget::new(KEY_BYTES_MAX));
    if sealed::mentions(&config.rate_limit_key) {
        strange.0.borrow_mut().push("a secret or an environment value".to_owned());
    }
    for name in strange.0.into_inner() {
        let message = format!("names {name}, which a key cannot be made of; use `workflow.` with {}", PARTS.join(", "));
        out.push(Violation::new(key, message, Some(config.rate_limit_key.clone())));
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
