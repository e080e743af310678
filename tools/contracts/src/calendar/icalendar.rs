//! iCalendar (RFC 5545), as far as a list of events needs it. Written here: a dozen lines of text rules cost less than a
//! dependency.

use std::fmt::Write as _;

use bureau_kit::prelude::*;

/// Octets of a line at most, without its end.
const LINE: usize = 75;

/// A calendar that is being written.
#[derive(Debug)]
pub(super) struct Calendar(String);

/// One event.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: Uuid,
    /// Grows whenever the event changes.
    pub(super) sequence: i64,
    pub(super) from: Instant,
    pub(super) to: Instant,
    pub(super) created: Instant,
    pub(super) changed: Instant,
    pub(super) summary: String,
    pub(super) description: String,
    pub(super) kind: String,
}

impl Calendar {
    pub(super) fn new() -> Self {
        let mut calendar = Self(String::new());
        calendar.line("BEGIN:VCALENDAR");
        calendar.line("VERSION:2.0");
        calendar.line("PRODID:-//Bureau//Calendar//EN");
        calendar.line("CALSCALE:GREGORIAN");
        calendar
    }

    /// Adds an event. Its UID is its id, whatever becomes of it: who imports it again sees it change, not a second one.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.line("BEGIN:VEVENT");
        self.line(&format!("UID:{}", entry.id));
        self.line(&format!("DTSTAMP:{}", utc(entry.changed)));
        self.line(&format!("CREATED:{}", utc(entry.created)));
        self.line(&format!("LAST-MODIFIED:{}", utc(entry.changed)));
        self.line(&format!("SEQUENCE:{}", entry.sequence));
        self.line(&format!("DTSTART:{}", utc(entry.from)));
        self.line(&format!("DTEND:{}", utc(entry.to)));
        self.line(&format!("SUMMARY:{}", escaped(&entry.summary)));
        if !entry.description.is_empty() {
            self.line(&format!("DESCRIPTION:{}", escaped(&entry.description)));
        }
        self.line(&format!("CATEGORIES:{}", escaped(&entry.kind)));
        self.line("STATUS:CONFIRMED");
        self.line("END:VEVENT");
    }

    pub(super) fn finished(mut self) -> String {
        self.line("END:VCALENDAR");
        self.0
    }

    /// Appends a line, folded: a longer one goes on behind a line end and a space, and is never cut within a character.
    fn line(&mut self, text: &str) {
        let mut used = 0_usize;
        for letter in text.chars() {
            let octets = letter.len_utf8();
            if used.saturating_add(octets) > LINE {
                self.0.push_str("\r\n ");
                used = 1;
            }
            self.0.push(letter);
            used = used.saturating_add(octets);
        }
        self.0.push_str("\r\n");
    }
}

/// An instant in UTC, to the second.
fn utc(at: Instant) -> String {
    // 2026-11-21T10:00:00Z, perhaps with a fraction before the Z.
    let text = at.to_string();
    let whole = text.split(['.', 'Z']).next().unwrap_or_default();
    let mut compact: String = whole.chars().filter(|letter| !matches!(letter, '-' | ':')).collect();
    compact.push('Z');
    compact
}

/// Text as a value: what has a meaning in iCalendar is written with a backslash, control characters are left out.
fn escaped(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    for letter in text.replace("\r\n", "\n").chars() {
        match letter {
            '\\' | ';' | ',' => {
                value.push('\\');
                value.push(letter);
            }
            '\n' | '\r' => value.push_str("\\n"),
            '\t' => value.push('\t'),
            other if other.is_control() => {}
            other => {
                // Writing to a String cannot fail.
                let _ = value.write_char(other);
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(summary: &str, description: &str) -> Entry {
        let at = |text: &str| Instant::parse(text).unwrap();
        Entry {
            id: Uuid::from_u128(7),
            sequence: 2,
            from: at("2026-11-23T08:00:00Z"),
            to: at("2026-11-23T09:30:00.25Z"),
            created: at("2026-11-21T10:00:00Z"),
            changed: at("2026-11-21T11:00:00Z"),
            summary: summary.to_owned(),
            description: description.to_owned(),
            kind: "montaz_kuchni".to_owned(),
        }
    }

    #[test]
    fn an_event_is_written_as_the_standard_says() {
        let mut calendar = Calendar::new();
        calendar.add(&entry("Montaż; kuchnia, Łódź", "pierwsza\r\ndruga \\ trzecia\u{7}"));
        assert_eq!(
            calendar.finished(),
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Bureau//Calendar//EN\r\nCALSCALE:GREGORIAN\r\nBEGIN:VEVENT\r\n\
             UID:00000000-0000-0000-0000-000000000007\r\nDTSTAMP:20261121T110000Z\r\nCREATED:20261121T100000Z\r\n\
             LAST-MODIFIED:20261121T110000Z\r\nSEQUENCE:2\r\nDTSTART:20261123T080000Z\r\nDTEND:20261123T093000Z\r\n\
             SUMMARY:Montaż\\; kuchnia\\, Łódź\r\nDESCRIPTION:pierwsza\\ndruga \\\\ trzecia\r\nCATEGORIES:montaz_kuchni\r\n\
             STATUS:CONFIRMED\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        );
    }

    /// Whatever is written: no line is longer than 75 octets, every line is whole text, and unfolded it says the same.
    #[test]
    fn long_lines_are_folded_and_unfold_to_the_same() {
        let letters = ['a', ' ', 'ż', 'Ł', '€', '🪑', ',', ';', '\\', '\n', ':'];
        let mut seed: u64 = 11;
        for length in 0..400 {
            let text: String = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    letters[usize::try_from(seed >> 33).unwrap() % letters.len()]
                })
                .collect();
            let mut calendar = Calendar::new();
            calendar.add(&entry(&text, &text));
            let written = calendar.finished();
            assert!(written.ends_with("\r\n"));
            for line in written.split_terminator("\r\n") {
                assert!(line.len() <= LINE && !line.contains(['\r', '\n']), "{line:?}");
            }
            let unfolded = written.replace("\r\n ", "");
            let value = unfolded.lines().find_map(|line| line.strip_prefix("SUMMARY:")).unwrap();
            let mut read = String::new();
            let mut rest = value.chars();
            while let Some(letter) = rest.next() {
                match letter {
                    '\\' => match rest.next().unwrap() {
                        'n' => read.push('\n'),
                        other => read.push(other),
                    },
                    other => read.push(other),
                }
            }
            assert_eq!(read, text);
        }
    }
}
