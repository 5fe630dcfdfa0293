//! Values as Python writes them: what its SDK puts into a query where a body would have JSON.

use conductor_model::limits::JSON_DEPTH_MAX;
use serde_json::{Map, Number, Value};

/// Reads `{'a': [1, None, "it's"]}`, and JSON. `None` = it is neither, or nests deeper than JSON may.
pub(in crate::api) fn parse_python(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value).filter(|value| conductor_model::json::depth(value) <= JSON_DEPTH_MAX);
    }
    let mut reader = Reader { left: text };
    let value = reader.value(JSON_DEPTH_MAX)?;
    reader.left.trim_start().is_empty().then_some(value)
}

struct Reader<'t> {
    left: &'t str,
}

impl Reader<'_> {
    /// Takes a text that comes next, behind blanks.
    fn take(&mut self, text: &str) -> Option<()> {
        self.left = self.left.trim_start().strip_prefix(text)?;
        Some(())
    }

    /// A value with at most `depth` others around and in it.
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        match self.left.trim_start().chars().next()? {
            '{' => self.object(depth),
            '[' => self.list("[", "]", depth),
            '(' => self.list("(", ")", depth),
            '\'' | '"' => self.text().map(Value::String),
            letter if letter.is_ascii_alphabetic() => self.word(),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.take("{")?;
        let mut members = Map::new();
        while self.take("}").is_none() {
            let key = self.text()?;
            self.take(":")?;
            members.insert(key, self.value(depth)?);
            self.next_or("}")?;
        }
        Some(Value::Object(members))
    }

    fn list(&mut self, open: &str, close: &str, depth: usize) -> Option<Value> {
        self.take(open)?;
        let mut elements = Vec::new();
        while self.take(close).is_none() {
            elements.push(self.value(depth)?);
            self.next_or(close)?;
        }
        Some(Value::Array(elements))
    }

    /// A comma, or what closes, which stays.
    fn next_or(&mut self, close: &str) -> Option<()> {
        self.take(",").or_else(|| self.left.trim_start().starts_with(close).then_some(()))
    }

    fn word(&mut self) -> Option<Value> {
        let known = [("True", Value::Bool(true)), ("False", Value::Bool(false)), ("None", Value::Null)];
        known.into_iter().find_map(|(word, value)| self.take(word).map(|()| value))
    }

    fn number(&mut self) -> Option<Value> {
        let left = self.left.trim_start();
        let end = left.find(|sign: char| !matches!(sign, '0'..='9' | '+' | '-' | '.' | 'e')).unwrap_or(left.len());
        let number: Number = left[..end].parse().ok()?;
        self.left = &left[end..];
        Some(Value::Number(number))
    }

    fn text(&mut self) -> Option<String> {
        let left = self.left.trim_start();
        let quote = left.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let mut text = String::new();
        let mut signs = left[1..].chars();
        loop {
            match signs.next()? {
                sign if sign == quote => break,
                '\\' => text.push(escaped(&mut signs)?),
                sign => text.push(sign),
            }
        }
        self.left = signs.as_str();
        Some(text)
    }
}

/// The sign that an escape stands for, behind its backslash.
fn escaped(signs: &mut std::str::Chars<'_>) -> Option<char> {
    let digits = match signs.next()? {
        'n' => return Some('\n'),
        'r' => return Some('\r'),
        't' => return Some('\t'),
        same @ ('\\' | '\'' | '"') => return Some(same),
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => return None,
    };
    let code = signs.as_str().get(..digits)?;
    *signs = signs.as_str().get(digits..)?.chars();
    char::from_u32(u32::from_str_radix(code, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_python_writes_is_read() {
        for (text, expected) in [
            ("{'taskOutput': {'a': 1}}", json!({"taskOutput": {"a": 1}})),
            (
                r#"{'a': [1, -2.5, 1e-05, None, True, False], "it's": ()}"#,
                json!({"a": [1, -2.5, 1e-5, null, true, false], "it's": []}),
            ),
            (r"{'s': 'a\'b\\\n\x07\xe4\u20ac\U0001f600'}", json!({"s": "a'b\\\n\u{7}ä€😀"})),
            (" ( 'one' , ) ", json!(["one"])),
            ("{}", json!({})),
            (r#"{"json": true, "n": null}"#, json!({"json": true, "n": null})),
        ] {
            assert_eq!(parse_python(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_none() {
        let deep = "[".repeat(200_000);
        for text in [
            "",
            "SkipTaskRequest(task_input=None)",
            "{'a' 1}",
            "{'a': 1",
            "{'a': 1} x",
            "'open",
            r"'\q'",
            r"'\ud800'",
            "nan",
            &deep,
        ] {
            assert_eq!(parse_python(text), None, "{}", &text[..text.len().min(40)]);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fall(text in "(\\{|\\}|\\[|\\]|\\(|\\)|'|\"|,|:|\\\\|x|u|1|-|e|None|True|ä| ){0,24}") {
            let _ = parse_python(&text);
        }
    }
}
