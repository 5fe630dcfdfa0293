//! Bytes into lines, with a bound on each line.

/// What is kept of a line while its end has not come.
#[derive(Debug)]
pub struct Lines {
    partial: Vec<u8>,
    max: usize,
    /// Bytes of the current line beyond the bound.
    beyond: usize,
}

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, at most the bound.
    pub bytes: &'a [u8],
    /// How many bytes were cut off.
    pub beyond: usize,
}

impl Lines {
    /// Lines of at most `max` bytes each.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { partial: Vec::new(), max, beyond: 0 }
    }

    /// Takes in bytes and gives each line that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Line<'_>)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.partial.is_empty() && self.beyond == 0 {
                let kept = line.len().min(self.max);
                each(Line { bytes: &line[..kept], beyond: line.len() - kept });
            } else {
                self.keep(line);
                self.end(&mut each);
            }
        }
        self.keep(bytes);
    }

    /// Gives what stands without a line end, if anything.
    pub fn finish(&mut self, mut each: impl FnMut(Line<'_>)) {
        if !self.partial.is_empty() || self.beyond > 0 {
            self.end(&mut each);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (self.max - self.partial.len()).min(bytes.len());
        self.partial.extend_from_slice(&bytes[..room]);
        self.beyond += bytes.len() - room;
    }

    fn end(&mut self, each: &mut impl FnMut(Line<'_>)) {
        each(Line { bytes: &self.partial, beyond: self.beyond });
        self.partial.clear();
        self.partial.shrink_to(4096);
        self.beyond = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pieces: &[&[u8]], max: usize) -> Vec<(String, usize)> {
        let mut lines = Lines::new(max);
        let mut out = Vec::new();
        let mut take = |line: Line<'_>| out.push((String::from_utf8_lossy(line.bytes).into_owned(), line.beyond));
        for piece in pieces {
            lines.feed(piece, &mut take);
        }
        lines.finish(&mut take);
        out
    }

    fn line(text: &str, beyond: usize) -> (String, usize) {
        (text.to_owned(), beyond)
    }

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        assert_eq!(
            all(&[b"one\ntw", b"o\n\nth", b"ree"], 100),
            [line("one", 0), line("two", 0), line("", 0), line("three", 0)]
        );
        assert_eq!(all(&[b""], 100), []);
        assert_eq!(all(&[b"a\n"], 100), [line("a", 0)]);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        assert_eq!(all(&[b"abcdef\nxy\n"], 3), [line("abc", 3), line("xy", 0)]);
        assert_eq!(all(&[b"ab", b"cd", b"ef\nxy"], 3), [line("abc", 3), line("xy", 0)]);
    }
}
