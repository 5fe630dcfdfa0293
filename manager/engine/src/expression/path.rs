//! What stands between `${` and `}`: a name and the way from there.

use std::borrow::Cow;

use serde_json::Value;
use serde_json_path::JsonPath;

use super::Document;
use super::function::{Function, element};

/// A path into a [`Document`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Path {
    /// As it is written.
    pub text: String,
    /// `workflow`, `task` or a reference.
    pub root: String,
    /// The plain steps at its beginning: most paths have no others.
    segments: Vec<Segment>,
    /// Wildcards, filters, slices, descendants behind them: always gives the list of what it finds.
    query: Option<Box<JsonPath>>,
    /// What is asked of what is found.
    function: Option<Function>,
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Key(String),
    /// From the end where negative.
    Index(i64),
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
        let mut path = Self { text: text.to_owned(), root: root.to_owned(), segments: Vec::new(), query: None, function: None };
        if let Some(call) = Call::at_the_end_of(left).map_err(|fault| format!("`${{{text}}}` is not a path: {fault}"))? {
            let function = Function::parse(call.name, call.arguments);
            path.function = Some(function.map_err(|fault| format!("`${{{text}}}` is not a path: {fault}"))?);
            left = call.before;
        }
        let end = left.len();
        while let Some((segment, rest)) = plain_segment(left) {
            path.segments.push(segment);
            left = rest;
        }
        if !left.is_empty() {
            let place = &text[..root.len() + end - left.len()];
            let query = query(left).map_err(|error| format!("`${{{text}}}` is not a path: after `{place}`, {error}"))?;
            path.query = Some(Box::new(query));
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
        let found = match &self.query {
            Some(query) => Cow::Owned(Value::Array(query.query(at).all().into_iter().cloned().collect())),
            None if plain.is_empty() => start,
            None => Cow::Borrowed(at),
        };
        match &self.function {
            Some(function) => function.of(&found),
            None => Some(found.into_owned()),
        }
    }
}

/// A function that is called at the end of a path.
struct Call<'t> {
    before: &'t str,
    name: &'t str,
    arguments: &'t str,
}

impl<'t> Call<'t> {
    /// Finds a call outside brackets. One inside belongs to a filter.
    fn at_the_end_of(text: &'t str) -> Result<Option<Self>, String> {
        let Some(open) = outside_brackets(text).find(|(_, c)| *c == '(').map(|(at, _)| at) else { return Ok(None) };
        let Some(dot) = text[..open].rfind('.') else { return Ok(None) };
        let name = &text[dot + 1..open];
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(None);
        }
        let (before, arguments) = (&text[..dot], &text[open + 1..]);
        if before.ends_with('.') {
            return Err(format!("write `.{name}()` with one dot: it is asked of all that stands before it"));
        }
        let inside = closing_parenthesis(arguments).ok_or_else(|| format!("`{name}(` has no `)`"))?;
        let behind = &arguments[inside + 1..];
        if !behind.trim().is_empty() {
            return Err(format!("`{behind}` stands behind `{name}()`, which must be the end"));
        }
        Ok(Some(Self { before, name, arguments: &arguments[..inside] }))
    }
}

/// The offset of the parenthesis that closes a call. Those in quotes do not count.
fn closing_parenthesis(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut plain) = (0_usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if std::mem::take(&mut plain) => {}
            (Some(_), '\\') => plain = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => return Some(at),
            (None, ')') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// The characters of a path that stand in no brackets, with their offsets. Brackets in quotes in brackets do not count.
fn outside_brackets(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut depth, mut quote, mut plain) = (0_usize, None, false);
    text.char_indices().filter(move |&(_, c)| {
        let outside = depth == 0;
        match (quote, c) {
            _ if std::mem::take(&mut plain) => {}
            (Some(_), '\\') => plain = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if depth > 0 => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
        outside && c != '['
    })
}

/// Reads what RFC 9535 knows beyond plain steps. The error says what is wrong.
fn query(text: &str) -> Result<JsonPath, String> {
    let text = with_names_in_quotes(text);
    let query = JsonPath::parse(&format!("${text}")).map_err(|error| error.to_string())?;
    // The library would take the part that the query is asked of for the whole document, and find something else.
    if names_whole_document(&text) {
        return Err(
            "`$` cannot stand in a filter; write an expression there, as in `[?(@.n > ${workflow.input.n})]`".to_owned()
        );
    }
    Ok(query)
}

/// Keys that RFC 9535 wants in quotes, as `my-key`, are put into them.
fn with_names_in_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, _) in outside_brackets(text).filter(|(_, c)| *c == '.') {
        let begin = at + 1;
        let name = &text[begin..];
        let name = &name[..name.find(['.', '[', '(', ')', ']', '\'', '"', '\\', ' ', '*']).unwrap_or(name.len())];
        let shorthand = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii();
        if name.is_empty() || begin < copied || name.chars().all(shorthand) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let descends = text[..at].ends_with('.');
        out.push_str(&text[copied..if descends { begin } else { at }]);
        out.extend(["['", name, "']"]);
        copied = begin + name.len();
    }
    out.push_str(&text[copied..]);
    out
}

/// Whether a query has a `$` that stands in no quotes.
fn names_whole_document(query: &str) -> bool {
    let (mut quote, mut plain) = (None, false);
    query.chars().any(|c| {
        match (quote, c) {
            _ if std::mem::take(&mut plain) => {}
            (Some(_), '\\') => plain = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '$') => return true,
            (None, _) => {}
        }
        false
    })
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
