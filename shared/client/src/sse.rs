//! Server-sent events: bytes in, events out. No network here.

use thiserror::Error;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseEvent {
    /// The id in force when it came, which resumes the stream behind it.
    pub id: Option<String>,
    /// Its name; empty = `message`.
    pub name: String,
    /// Its data; lines are joined by line ends.
    pub data: String,
}

/// What cannot be an event stream.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SseError {
    /// An event that does not end.
    #[error("an event is longer than {max} bytes")]
    TooLong {
        /// Bytes allowed.
        max: usize,
    },
    /// Bytes that are no text.
    #[error("an event is not UTF-8 text")]
    NotText,
}

/// Takes bytes in pieces of any size and gives whole events.
#[derive(Clone, Debug)]
pub struct SseParser {
    max: usize,
    line: Vec<u8>,
    skip_line_feed: bool,
    event: SseEvent,
    has_data: bool,
    last_id: Option<String>,
}

impl SseParser {
    /// A parser that refuses events longer than `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { max, line: Vec::new(), skip_line_feed: false, event: SseEvent::default(), has_data: false, last_id: None }
    }

    /// The last id that came, also one without an event.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Takes in `bytes` and appends the events that they complete to `out`.
    ///
    /// # Errors
    /// When the stream cannot be one of events; the parser is of no use after that.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<SseEvent>) -> Result<(), SseError> {
        for &byte in bytes {
            let skip = std::mem::take(&mut self.skip_line_feed);
            match byte {
                b'\n' if skip => {}
                b'\n' | b'\r' => {
                    self.skip_line_feed = byte == b'\r';
                    self.end_line(out)?;
                }
                _ => {
                    self.line.push(byte);
                    if self.line.len() + self.event.data.len() > self.max {
                        return Err(SseError::TooLong { max: self.max });
                    }
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self, out: &mut Vec<SseEvent>) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&line).map_err(|_| SseError::NotText)?;
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            if std::mem::take(&mut self.has_data) {
                out.push(SseEvent { id: self.last_id.clone(), ..event });
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            // Comments (an empty field) and fields of other servers.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ": hello\n\nid: 7\nevent: task.completed\ndata: {\"a\":1}\n\ndata: x\r\ndata:y\r\n\r\nevent: empty\n\n";

    fn parse(stream: &[u8], piece: usize) -> Vec<SseEvent> {
        let mut parser = SseParser::new(100);
        let mut out = Vec::new();
        for piece in stream.chunks(piece) {
            parser.push(piece, &mut out).unwrap();
        }
        out
    }

    #[test]
    fn events_come_out_whole_however_the_bytes_come_in() {
        let whole = parse(STREAM.as_bytes(), usize::MAX);
        assert_eq!(whole.len(), 2, "an event without data is none");
        assert_eq!(
            whole[0],
            SseEvent { id: Some("7".to_owned()), name: "task.completed".to_owned(), data: "{\"a\":1}".to_owned() }
        );
        assert_eq!((whole[1].id.as_deref(), whole[1].data.as_str()), (Some("7"), "x\ny"));
        for piece in 1..9 {
            assert_eq!(parse(STREAM.as_bytes(), piece), whole, "in pieces of {piece}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut parser = SseParser::new(100);
        let mut out = Vec::new();
        assert_eq!(parser.push(&[b'x'; 101], &mut out), Err(SseError::TooLong { max: 100 }));
        let mut parser = SseParser::new(100);
        let lines = "data: 123456789\n".repeat(20);
        assert_eq!(parser.push(lines.as_bytes(), &mut out), Err(SseError::TooLong { max: 100 }));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(SseParser::new(100).push(b"data: \xff\n", &mut Vec::new()), Err(SseError::NotText));
    }
}
