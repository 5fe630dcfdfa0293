//! Who may know what: the invariants of ARCHITECTURE.md that a dependency tree or a word in the source betrays.

use crate::cargo::dependencies;
use crate::source;

/// Crates that are handed time, ids and facts, and perform nothing.
const PURE: &[&str] = &["conductor-engine", "conductor-placement", "conductor-agent-core", "conductor-model", "conductor-wire"];
/// What would give them a clock, chance, IO, SQL, AMQP or HTTP.
const IMPURE: &[&str] = &[
    "tokio",
    "lapin",
    "reqwest",
    "hyper",
    "axum",
    "rusqlite",
    "libsqlite3-sys",
    "tokio-postgres",
    "rand",
    "rand_core",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
    "jiff",
    "mio",
    "nix",
    "rustix",
];
/// Features of `uuid` that draw ids by themselves.
const DRAWING: &[&str] = &["v1", "v4", "v6", "v7", "rng"];

/// A word that only some files may use.
struct Rule {
    what: &'static str,
    found: fn(&str) -> bool,
    allowed: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        what: "names lapin",
        found: |line| line.contains("lapin::") || line.contains("use lapin"),
        allowed: &["manager/server/src/broker/", "agent/agentd/src/link/", "agent/agentd/src/link.rs", "tests/"],
    },
    Rule { what: "speaks SQL", found: speaks_sql, allowed: &["manager/store/", "tests/bench/"] },
];

/// Checks everything and says all that is wrong.
pub fn run() -> Result<(), String> {
    let mut wrong = Vec::new();
    for name in PURE {
        check_crate(name, &mut wrong)?;
    }
    source::each_line(&mut |path, number, line| {
        for rule in RULES {
            if (rule.found)(line) && !rule.allowed.iter().any(|prefix| path.starts_with(prefix)) {
                wrong.push(format!("{path}:{number} {}; only {} may", rule.what, rule.allowed.join(", ")));
            }
        }
    })?;
    if wrong.is_empty() {
        println!("pure: {}", PURE.join(", "));
        return Ok(());
    }
    Err(format!("these know what they must not know:\n  {}", wrong.join("\n  ")))
}

fn check_crate(name: &str, wrong: &mut Vec<String>) -> Result<(), String> {
    for found in dependencies(name)? {
        let way = found.way.join(" → ");
        if IMPURE.contains(&found.name.as_str()) {
            wrong.push(format!("{name} reaches {}: {way}", found.name));
        }
        let drawing = found.features.iter().filter(|feature| found.name == "uuid" && DRAWING.contains(&feature.as_str()));
        wrong.extend(drawing.map(|feature| format!("{name} has uuid draw ids by itself (feature {feature}): {way}")));
    }
    Ok(())
}

/// Statements begin like this, in capitals, and nobody else writes so.
fn speaks_sql(line: &str) -> bool {
    const BEGINNINGS: &[&str] = &["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "CREATE INDEX ", "PRAGMA "];
    let updates = line.contains("UPDATE ") && line.contains(" SET ");
    updates || line.contains("rusqlite") || BEGINNINGS.iter().any(|beginning| line.contains(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_told_from_prose() {
        assert!(speaks_sql("\"SELECT body FROM task\""));
        assert!(speaks_sql("UPDATE task SET a = 1"));
        assert!(!speaks_sql("// select the agent, insert into the map"));
        assert!(!speaks_sql("/// UPDATE is not allowed here"));
    }
}
