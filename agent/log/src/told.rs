//! A line as it may be told.

use std::borrow::Cow;

use crate::lines::Line;
use crate::mask::Mask;

/// A line of a plugin as it may be told: without the task's secrets, and with a mark where it was cut.
#[must_use]
pub fn told(line: &Line<'_>, mask: &Mask) -> String {
    // Where a line was cut, a secret may have been cut too.
    let told = if line.beyond > 0 { mask.tellable(line.bytes) } else { line.bytes.len() };
    let bytes = &line.bytes[..told];
    // Nearly every line is good text, which is seen faster than what is wrong with one that is not.
    let mut text = str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned);
    if text.ends_with('\r') {
        text.pop();
    }
    if let Cow::Owned(blotted) = mask.blot(&text) {
        text = blotted;
    }
    let cut = line.beyond + line.bytes.len() - told;
    if cut > 0 {
        text.push_str(&format!(" [… {cut} bytes cut]"));
    }
    text
}

#[cfg(test)]
mod tests {
    use conductor_model::limits::LOG_LINE_BYTES_MAX;

    use super::*;
    use crate::lines::Lines;

    #[test]
    fn what_is_no_text_is_told_with_marks_in_its_place() {
        let line = |bytes| told(&Line { bytes, beyond: 0 }, &Mask::default());
        assert_eq!(line(b"caf\xc3\xa9\r"), "café");
        assert_eq!(line(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(told(&Line { bytes: b"abc", beyond: 7 }, &Mask::default()), "abc [… 7 bytes cut]");
    }

    #[test]
    fn a_secret_on_the_edge_of_a_line_that_is_cut_does_not_show_its_beginning() {
        let mask = Mask::new(&["s3cret-of-many-letters".to_owned()]);
        for shown in 0..=22 {
            let mut lines = Lines::new(LOG_LINE_BYTES_MAX);
            let mut heard = Vec::new();
            let written = format!("{}s3cret-of-many-letters and more\n", "x".repeat(LOG_LINE_BYTES_MAX - shown));
            lines.feed(written.as_bytes(), |line| heard.push(told(&line, &mask)));
            let told = heard.pop().unwrap();
            assert!(!told.contains("s3"), "{shown}: {}", &told[told.len() - 60..]);
            assert!(told.ends_with("bytes cut]"), "{shown}");
        }
    }
}
