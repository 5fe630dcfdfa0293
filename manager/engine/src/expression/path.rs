//! What stands between `${` and `}`: a name and the way from there.

use std::borrow::Cow;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::Document;

/// A path into a [`Document`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    /// `workflow`, `task` or a reference.
    pub root: String,
    /// The plain steps at its beginning: most paths have no others.
    segments: Vec<Segment>,
    /// What follows them.
    rest: Rest,
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Key(String),
    /// From the end where negative.
    Index(i64),
}

#[derive(Clone, Debug, PartialEq)]
enum Rest {
    Nothing,
    /// Wildcards, filters, slices, descendants: always gives the list of what it finds.
    Query(Box<JsonPath>),
    /// `.length()`, of a list, an object or a text.
    Length,
}

impl Path {
    /// Reads a path. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let (root, mut left) = text.split_at(end);
        if root.is_empty() {
            return Err(format!("`${{{text}}}` does not begin with a name; write `workflow` or a task reference name first"));
        }
        let mut path = Self { root: root.to_owned(), segments: Vec::new(), rest: Rest::Nothing };
        while !left.is_empty() {
            if left == ".length()" {
                path.rest = Rest::Length;
                return Ok(path);
            }
            match plain_segment(left) {
                Some((segment, after)) => {
                    path.segments.push(segment);
                    left = after;
                }
                None => {
                    let query = JsonPath::parse(&format!("${left}")).map_err(|error| {
                        format!("`${{{text}}}` is not a path: after `{}`, {error}", &text[..text.len() - left.len()])
                    })?;
                    path.rest = Rest::Query(Box::new(query));
                    return Ok(path);
                }
            }
        }
        Ok(path)
    }

    /// What the path leads to; `None` where there is nothing.
    pub fn find(&self, document: &dyn Document) -> Option<Value> {
        let (start, plain) = match self.segments.split_first() {
            Some((Segment::Key(key), others)) => {
                let next = match others.first() {
                    Some(Segment::Key(next)) => Some(next.as_str()),
                    Some(Segment::Index(_)) | None => None,
                };
                (document.member(&self.root, key, next)?, others)
            }
            Some((Segment::Index(_), _)) => return None,
            None => (document.whole(&self.root)?, &[][..]),
        };
        let mut at: &Value = &start;
        for segment in plain {
            at = match segment {
                Segment::Key(key) => at.as_object()?.get(key)?,
                Segment::Index(index) => element(at.as_array()?, *index)?,
            };
        }
        match &self.rest {
            Rest::Query(query) => Some(Value::Array(query.query(at).all().into_iter().cloned().collect())),
            Rest::Length => length(at),
            Rest::Nothing if plain.is_empty() => Some(match start {
                Cow::Borrowed(value) => value.clone(),
                Cow::Owned(value) => value,
            }),
            Rest::Nothing => Some(at.clone()),
        }
    }
}

fn element(list: &[Value], index: i64) -> Option<&Value> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { list.get(list.len().checked_sub(distance)?) } else { list.get(distance) }
}

fn length(value: &Value) -> Option<Value> {
    match value {
        Value::Array(list) => Some(list.len().into()),
        Value::Object(map) => Some(map.len().into()),
        Value::String(text) => Some(text.chars().count().into()),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Reads one plain step off the front: `.key`, `[3]`, `['key']`. `None` when what stands there is something else.
fn plain_segment(text: &str) -> Option<(Segment, &str)> {
    if let Some(text) = text.strip_prefix('.') {
        let end = text.find(['.', '[']).unwrap_or(text.len());
        let (key, after) = text.split_at(end);
        let plain = !key.is_empty() && key != "*" && !key.contains(['(', ')', ']', '\'', '"']);
        return plain.then(|| (Segment::Key(key.to_owned()), after));
    }
    let text = text.strip_prefix('[')?.trim_start();
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (key, after) = quoted(&text[1..], quote)?;
        let after = after.trim_start().strip_prefix(']')?;
        return Some((Segment::Key(key), after));
    }
    let (index, after) = text.split_once(']')?;
    Some((Segment::Index(index.trim().parse().ok()?), after))
}

/// Reads up to the closing quote. `\` makes the next character plain.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut key = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => key.push(chars.next()?.1),
            c if c == quote => return Some((key, &text[at + c.len_utf8()..])),
            c => key.push(c),
        }
    }
    None
}
