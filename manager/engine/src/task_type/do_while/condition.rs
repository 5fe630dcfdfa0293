//! What the condition of a loop asks for, as far as its text shows.

/// What a condition may ask of its loop without looking at earlier rounds.
const OF_THIS_ROUND: [&str; 3] = ["iteration", "loopItem", "loopIndex"];

/// Whether a condition may look at earlier rounds: it mentions its loop otherwise than for one of [`OF_THIS_ROUND`], or it
/// uses the input in a way that does not show what of it.
pub(super) fn looks_back(condition: &str, reference: &str) -> bool {
    let mut left = condition;
    while let Some(at) = left.find('$') {
        left = left[at + 1..].trim_start();
        let Some((member, behind)) = member(left) else { return true };
        if member == reference && !self::member(behind.trim_start()).is_some_and(|(of, _)| OF_THIS_ROUND.contains(&of)) {
            return true;
        }
        left = behind;
    }
    false
}

/// The member that a text begins with, `.name` or `['name']`, and what follows on it.
fn member(text: &str) -> Option<(&str, &str)> {
    if let Some(text) = text.strip_prefix('.').map(str::trim_start) {
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
        return (end > 0).then(|| text.split_at(end));
    }
    let text = text.strip_prefix('[')?.trim_start();
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let (name, behind) = text[1..].split_once(quote)?;
    Some((name, behind.trim_start().strip_prefix(']')?))
}

#[cfg(test)]
mod tests {
    use super::looks_back;

    #[test]
    fn a_condition_gets_earlier_rounds_only_where_it_may_look_at_them() {
        for condition in [
            "true",
            "$.lp.iteration < 3",
            "$.lp['iteration'] < 3 && $['other'].x",
            "if ( $.lp.iteration < 3 ) { true; } else { false; }",
            "$.t.done != true && $ [ \"lp\" ] . loopIndex < 2",
        ] {
            assert!(!looks_back(condition, "lp"), "{condition}");
        }
        for condition in
            ["$.lp['1'].t.n < 3", "$.lp[$.lp.iteration].t", "$[name].x", "f($)", "$.lp", "Object.keys($['lp']).length < 4"]
        {
            assert!(looks_back(condition, "lp"), "{condition}");
        }
    }
}
