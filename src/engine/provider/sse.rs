//! Server-sent events, cut out of a body as it comes in. It reads no meaning into their data.

/// Largest event, in bytes.
const MAX_EVENT_BYTES: usize = 4 * 1024 * 1024;

/// Cuts a body into events, whatever pieces it comes in. Memory stays within one event.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    has_begun: bool,
    /// The last byte was a carriage return, which ends a line with or without a line feed.
    after_return: bool,
}

/// One event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its type; empty when it has none.
    pub(super) name: String,
    /// Its lines of data, joined by line feeds.
    pub(super) data: Vec<u8>,
}

/// An event is larger than any that is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl EventReader {
    /// Reads the next piece of the body; returns the events that end in it.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Vec::new();
        for line in piece.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (end, text) = match line.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (Some(*end), text),
                _ => (None, line),
            };
            let is_second_half = std::mem::take(&mut self.after_return) && line == b"\n";
            if is_second_half {
                continue;
            }
            if self.line.len() + self.event.data.len() + text.len() > MAX_EVENT_BYTES {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(text);
            self.after_return = end == Some(b'\r');
            if end.is_some() {
                events.extend(self.end_line());
            }
        }
        Ok(events)
    }

    /// The event that the body ended in, where no blank line follows it.
    pub(super) fn finish(&mut self) -> Option<Event> {
        let last = self.end_line();
        last.or_else(|| self.end_event())
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let mark: &[u8] = if self.has_begun { b"" } else { b"\xef\xbb\xbf" };
        self.has_begun = true;
        let line = line.strip_prefix(mark).unwrap_or(&line);
        if line.is_empty() {
            return self.end_event();
        }
        let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at_checked(colon).unwrap_or((line, b""));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
            // A comment, which keeps the connection alive, or a field that is not needed.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.to_owned(), data: data.as_bytes().to_vec() }
    }

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let mut reader = EventReader::default();
        let mut events: Vec<Event> = pieces.iter().flat_map(|piece| reader.push(piece).unwrap()).collect();
        events.extend(reader.finish());
        events
    }

    #[test]
    fn events_are_cut_at_blank_lines() {
        let table: [(&str, Vec<Event>); 8] = [
            ("data: a\n\ndata:b\n\n", vec![event("", "a"), event("", "b")]),
            ("event: ping\r\ndata: a\r\ndata:  b\r\n\r\n", vec![event("ping", "a\n b")]),
            ("data: a\r\rdata: b\r\r", vec![event("", "a"), event("", "b")]),
            (": keep-alive\n\n\n:\n\ndata: a\n\n", vec![event("", "a")]),
            ("event: nothing\n\ndata: a\n\n", vec![event("", "a")]),
            ("id: 1\nretry: 5\ndata\ndata: x\n\n", vec![event("", "\nx")]),
            ("\u{feff}data: a\n\n", vec![event("", "a")]),
            ("data: a\n\ndata: [DONE]", vec![event("", "a"), event("", "[DONE]")]),
        ];
        for (body, events) in table {
            assert_eq!(read(&[body.as_bytes()]), events, "{body:?}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = EventReader::default();
        let mut pushed = Ok(Vec::new());
        for _ in 0..=MAX_EVENT_BYTES / 1_024 {
            pushed = reader.push(&[b'x'; 1_024]);
        }
        assert_eq!(pushed, Err(TooLarge));
        let mut reader = EventReader::default();
        let line = [&b"data: "[..], &[b'x'; 4_096], &b"\n"[..]].concat();
        let refused = (0..2_000).any(|_| reader.push(&line).is_err());
        assert!(refused, "many lines of one event");
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(body in "(data|event|:|id)?(: ?)?[é😀x]{0,3}[\r\n]{0,3}(data: y\r\n)?[\r\n]{0,3}(data: z)?", cut in 0_usize..60) {
            let (first, second) = body.as_bytes().split_at(cut.min(body.len()));
            let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            let whole = read(&[body.as_bytes()]);
            prop_assert_eq!(&read(&[first, second]), &whole);
            prop_assert_eq!(&read(&bytes), &whole);
        }
    }
}
