//! Free text: how text is split into words, and which text a row has.
//!
//! A word is a run of letters and digits in lower case. Both stores split with this function alone; SQLite's full-text
//! index only ever sees words with blanks between them.

use conductor_model::{TaskRecord, WorkflowRecord};
use serde_json::Value;

use super::expr::Words;

/// Longest word in bytes; the rest of a longer one is not looked at.
const WORD_BYTES_MAX: usize = 64;
/// A row's searched text in bytes at most: what comes later in a large payload is not found.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Of which at most so much is input.
const INPUT_BYTES_MAX: usize = 4 * 1024;

/// The words of a text.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| {
        let mut word: String = word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect();
        let end = (0..=WORD_BYTES_MAX.min(word.len())).rev().find(|at| word.is_char_boundary(*at)).unwrap_or(0);
        word.truncate(end);
        word
    })
}

/// A row's words, one blank between each.
#[derive(Debug, Default)]
pub(crate) struct Document {
    /// The words.
    pub(crate) text: String,
}

impl Document {
    fn add(&mut self, text: &str, bytes_max: usize) {
        for word in words(text) {
            if self.text.len() + word.len() >= bytes_max {
                return;
            }
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push_str(&word);
        }
    }

    /// The keys and values of a payload, as far as there is room.
    pub(crate) fn add_json(&mut self, value: &Value, bytes_max: usize) {
        if self.text.len() >= bytes_max {
            return;
        }
        match value {
            Value::Null => {}
            Value::String(text) => self.add(text, bytes_max),
            Value::Bool(_) | Value::Number(_) => self.add(&value.to_string(), bytes_max),
            Value::Array(items) => items.iter().for_each(|item| self.add_json(item, bytes_max)),
            Value::Object(fields) => {
                for (key, value) in fields {
                    self.add(key, bytes_max);
                    self.add_json(value, bytes_max);
                }
            }
        }
    }
}

/// What is searched of a workflow: its name, correlation id and input; once it is over also its reason, the steps that
/// failed and its output.
pub(crate) fn workflow_document(record: &WorkflowRecord) -> Document {
    let mut document = Document::default();
    document.add(&record.name, TEXT_BYTES_MAX);
    document.add(record.correlation_id.as_deref().unwrap_or_default(), TEXT_BYTES_MAX);
    let over = record.status.is_terminal();
    if over {
        document.add(record.reason.as_deref().unwrap_or_default(), TEXT_BYTES_MAX);
        record.failed_references.iter().for_each(|reference| document.add(reference, TEXT_BYTES_MAX));
    }
    document.add_json(&record.input, INPUT_BYTES_MAX);
    if over {
        document.add_json(&record.output, TEXT_BYTES_MAX);
    }
    document
}

/// What is searched of a task: its name, reference, reason, input and output.
pub(crate) fn task_document(name: &str, reference: &str, reason: Option<&str>, input: &Value, output: &Value) -> Document {
    let mut document = Document::default();
    document.add(name, TEXT_BYTES_MAX);
    document.add(reference, TEXT_BYTES_MAX);
    document.add(reason.unwrap_or_default(), TEXT_BYTES_MAX);
    document.add_json(input, INPUT_BYTES_MAX);
    document.add_json(output, TEXT_BYTES_MAX);
    document
}

/// The same of a record.
impl From<&TaskRecord> for Document {
    fn from(record: &TaskRecord) -> Self {
        let reason = record.reason.as_deref();
        task_document(&record.definition_name, &record.reference, reason, &record.input, &record.output)
    }
}

/// Whether the words stand in the document.
pub(crate) fn has(document: &Document, wanted: &Words) -> bool {
    let Some((last, first)) = wanted.tokens.split_last() else { return false };
    let found: Vec<&str> = document.text.split(' ').collect();
    found.windows(wanted.tokens.len()).any(|stretch| {
        let fits = stretch.iter().zip(first).all(|(found, wanted)| found == wanted);
        let end = stretch.last().copied().unwrap_or_default();
        fits && (end == last || (wanted.prefix && end.starts_with(last.as_str())))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(text: &str, prefix: bool) -> Words {
        Words { tokens: words(text).collect(), prefix }
    }

    #[test]
    fn text_is_split_at_everything_but_letters_and_digits() {
        assert_eq!(words("Order-7: 'Über', a_b").collect::<Vec<_>>(), ["order", "7", "über", "a", "b"]);
        assert_eq!(words(&"x".repeat(100)).next().map(|word| word.len()), Some(64));
        assert_eq!(words(&"ü".repeat(100)).next().map(|word| word.len()), Some(64));
    }

    #[test]
    fn words_must_stand_together_and_the_last_may_go_on() {
        let mut document = Document::default();
        document.add_json(&json!({"site": ["a b", 17, true], "deep": {"x": "out of memory"}}), 1_000);
        for (text, prefix, found) in [
            ("out of memory", false, true),
            ("of out", false, false),
            ("out of mem", false, false),
            ("out of mem", true, true),
            ("17", false, true),
            ("site", false, true),
        ] {
            assert_eq!(has(&document, &wanted(text, prefix)), found, "{text}");
        }
    }

    #[test]
    fn a_large_payload_does_not_grow_the_text_without_bound() {
        let mut document = Document::default();
        document.add_json(&json!({"text": "word ".repeat(10_000)}), INPUT_BYTES_MAX);
        assert!(document.text.len() < INPUT_BYTES_MAX);
    }
}
