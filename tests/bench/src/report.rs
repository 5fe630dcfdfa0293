//! The figures: one table for people, one flat JSON object for programs.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::BenchError;

/// What a figure is to reach.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Nothing: it is shown for its own sake.
    None,
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

#[derive(Debug)]
struct Figure {
    key: &'static str,
    what: String,
    unit: &'static str,
    value: f64,
    target: Target,
    /// Value ÷ the machine's own limit.
    ratio: Option<f64>,
}

/// All figures of one run, in order.
#[derive(Debug, Default)]
pub struct Report {
    figures: Vec<Figure>,
}

impl Target {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            Self::None => None,
            Self::AtLeast(least) => Some(value >= least),
            Self::AtMost(most) => Some(value <= most),
        }
    }
}

impl Report {
    /// Adds a figure; `key` is its name in the JSON, its unit last.
    pub fn add(&mut self, key: &'static str, what: impl Into<String>, unit: &'static str, value: f64, target: Target) {
        self.add_with_ratio(key, what, unit, value, target, None);
    }

    /// Adds a figure beside its ratio to the machine's own limit.
    pub fn add_with_ratio(
        &mut self,
        key: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        value: f64,
        target: Target,
        ratio: Option<f64>,
    ) {
        let figure = Figure { key, what: what.into(), unit, value, target, ratio };
        // Something to look at while the run goes on.
        eprintln!("  {}: {} {}", figure.what, shown(figure.value), figure.unit);
        self.figures.push(figure);
    }

    /// A figure that was added before; `NaN` if it was not.
    #[must_use]
    pub fn value(&self, key: &str) -> f64 {
        self.figures.iter().find(|figure| figure.key == key).map_or(f64::NAN, |figure| figure.value)
    }

    /// How many targets are missed.
    #[must_use]
    pub fn missed(&self) -> usize {
        self.figures.iter().filter(|figure| figure.target.is_met(figure.value) == Some(false)).count()
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        let width = self.figures.iter().map(|figure| figure.what.chars().count()).max().unwrap_or_default();
        let mut out = String::new();
        line(&mut out, width, ["figure", "value", "unit", "target", "of limit", ""]);
        line(&mut out, width, ["------", "-----", "----", "------", "--------", ""]);
        for figure in &self.figures {
            let target = match figure.target {
                Target::None => String::new(),
                Target::AtLeast(least) => format!(">= {}", shown(least)),
                Target::AtMost(most) => format!("<= {}", shown(most)),
            };
            let ratio = figure.ratio.map(|ratio| format!("{:.0} %", ratio * 100.0)).unwrap_or_default();
            let verdict = match figure.target.is_met(figure.value) {
                None => "",
                Some(true) => "met",
                Some(false) => "NOT MET",
            };
            line(&mut out, width, [&figure.what, &shown(figure.value), figure.unit, &target, &ratio, verdict]);
        }
        out
    }

    /// Writes the JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BenchError> {
        let numbers: Map<String, Value> =
            self.figures.iter().map(|figure| (figure.key.to_owned(), Value::from(rounded(figure.value)))).collect();
        let text = format!("{:#}\n", Value::Object(numbers));
        std::fs::write(path, text).map_err(BenchError::io(format!("write {}", path.display())))
    }
}

fn line(out: &mut String, width: usize, [what, value, unit, target, ratio, verdict]: [&str; 6]) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{what:width$}  {value:>12}  {unit:8} {target:>12}  {ratio:>8}  {verdict}");
}

/// Three decimals are more than any of these figures holds.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A number as people read it: no decimals where there is enough before them.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => thousands(value),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_is_missed() {
        let mut report = Report::default();
        report.add("a_per_s", "fast", "1/s", 12_345.0, Target::AtLeast(10_000.0));
        report.add_with_ratio("b_ms", "slow", "ms", 9.5, Target::AtMost(8.0), Some(0.615));
        report.add("c_us", "only shown", "µs", 1.0, Target::None);
        let table = report.table();
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        assert!(line("fast").contains("12,345") && line("fast").ends_with("met"), "{table}");
        assert!(line("slow").contains("62 %") && line("slow").ends_with("NOT MET"), "{table}");
        assert!(!line("only shown").contains("met"), "{table}");
        assert_eq!(report.missed(), 1);
    }

    #[test]
    fn json_is_flat_numbers() {
        let mut report = Report::default();
        report.add("a_per_s", "fast", "1/s", 12_345.678_9, Target::None);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.json");
        report.write(&path).unwrap();
        let json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(json, serde_json::json!({"a_per_s": 12_345.679}));
    }
}
