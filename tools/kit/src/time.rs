//! Instants, dates and the clock they come from.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A moment in UTC, to the microsecond: what both databases keep without loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// From microseconds since 1970-01-01 UTC.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 UTC.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Later by whole minutes; stops at the end of time instead of wrapping.
    pub const fn plus_minutes(self, minutes: i64) -> Self {
        Self(self.0.saturating_add(minutes.saturating_mul(60_000_000)))
    }

    /// Reads RFC 3339 (`2026-11-21T10:00:00Z`, any offset) or a plain date, which means its midnight in UTC.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(stamp.as_microsecond()));
        }
        let expected = || format!("`{text}` is not an instant; write it like 2026-11-21T10:00:00Z");
        let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| expected())?;
        let stamp = jiff::tz::Offset::UTC.to_timestamp(civil).map_err(|_| expected())?;
        Ok(Self(stamp.as_microsecond()))
    }

    /// The same for the end of a range, where a plain date means its last moment: "until Friday" includes Friday.
    pub fn parse_end(text: &str) -> Result<Self, String> {
        let begin = Self::parse(text)?;
        let is_day = Date::parse(text).is_ok();
        Ok(if is_day { Self(begin.plus_minutes(24 * 60).0.saturating_sub(1)) } else { begin })
    }

    /// The day this instant falls on, in UTC.
    pub fn date(self) -> Date {
        Date(jiff::tz::Offset::UTC.to_datetime(self.timestamp()).date())
    }

    fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

/// `number` in exactly `N` decimal digits.
fn digits<const N: usize>(number: u32) -> [u8; N] {
    let mut text = [b'0'; N];
    let mut rest = number;
    for digit in text.iter_mut().rev() {
        *digit = digit.saturating_add(u8::try_from(rest % 10).unwrap_or_default());
        rest /= 10;
    }
    text
}

/// An instant in RFC 3339, without an allocation.
pub(crate) struct Digits {
    text: [u8; 27],
    length: usize,
}

impl Digits {
    pub(crate) fn as_str(&self) -> &str {
        self.text.get(..self.length).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
    }
}

impl Instant {
    /// Written digit by digit: every row of every list shows instants, and general formatting would be a good part of
    /// the list's cost. None outside the years of four digits.
    pub(crate) fn digits(self) -> Option<Digits> {
        let civil = jiff::tz::Offset::UTC.to_datetime(self.timestamp());
        let year = u32::try_from(civil.year()).ok()?;
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let two = |number: i8| digits::<2>(u32::from(number.unsigned_abs()));
        let (date, time) = text.split_at_mut(11);
        date.get_mut(0..4)?.copy_from_slice(&digits::<4>(year));
        date.get_mut(5..7)?.copy_from_slice(&two(civil.month()));
        date.get_mut(8..10)?.copy_from_slice(&two(civil.day()));
        time.get_mut(0..2)?.copy_from_slice(&two(civil.hour()));
        time.get_mut(3..5)?.copy_from_slice(&two(civil.minute()));
        time.get_mut(6..8)?.copy_from_slice(&two(civil.second()));
        let micros = civil.subsec_nanosecond().unsigned_abs().checked_div(1000)?;
        let fraction = digits::<6>(micros);
        time.get_mut(9..15)?.copy_from_slice(&fraction);
        // As many decimals as say something; none, and no point, for a whole second.
        let decimals = fraction.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last.saturating_add(2));
        let length = decimals.saturating_add(20);
        *text.get_mut(length.checked_sub(1)?)? = b'Z';
        Some(Digits { text, length })
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits() {
            Some(digits) => f.write_str(digits.as_str()),
            None => write!(f, "{}", self.timestamp()),
        }
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// A calendar day without a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(jiff::civil::Date);

/// 2000-01-01, from which PostgreSQL counts days.
const POSTGRES_EPOCH: jiff::civil::Date = jiff::civil::date(2000, 1, 1);

impl Date {
    /// Reads `2026-11-21`, or `21.11.2026` as Worksection writes it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not a date; write it like 2026-11-21");
        if let [day, month, year] = text.split('.').collect::<Vec<_>>()[..] {
            let number = |part: &str| part.parse::<i16>().map_err(|_| expected());
            let small = |part: &str| part.parse::<i8>().map_err(|_| expected());
            return jiff::civil::Date::new(number(year)?, small(month)?, small(day)?).map(Self).map_err(|_| expected());
        }
        if text.len() != 10 {
            return Err(expected());
        }
        text.parse::<jiff::civil::Date>().map(Self).map_err(|_| expected())
    }

    /// So many months later; the last day of a month where that one has fewer days. None at the end of time.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        self.0.checked_add(jiff::Span::new().try_months(months).ok()?).ok().map(Self)
    }

    /// Its year.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// Days since 2000-01-01, PostgreSQL's binary form.
    pub(crate) fn postgres_days(self) -> i32 {
        POSTGRES_EPOCH.until(self.0).map_or(0, |span| span.get_days())
    }

    /// From days since 2000-01-01.
    pub(crate) fn from_postgres_days(days: i32) -> Option<Self> {
        POSTGRES_EPOCH.checked_add(jiff::Span::new().try_days(days).ok()?).ok().map(Self)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for Date {
    fn schema_name() -> Cow<'static, str> {
        "Date".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date"})
    }
}

/// Where the time comes from. Handlers take it from their context, so that tests can hold it still.
#[derive(Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that a test moves by hand, in microseconds since 1970.
    Fixed(AtomicI64),
}

impl Clock {
    /// A clock that stands still at `now`.
    pub fn fixed(now: Instant) -> Self {
        Self::Fixed(AtomicI64::new(now.micros()))
    }

    /// The present moment.
    pub fn now(&self) -> Instant {
        match self {
            Self::System => Instant(jiff::Timestamp::now().as_microsecond()),
            Self::Fixed(micros) => Instant(micros.load(Ordering::Relaxed)),
        }
    }

    /// Moves a fixed clock on; the system clock is left alone.
    pub fn advance_seconds(&self, seconds: i64) {
        if let Self::Fixed(micros) = self {
            micros.fetch_add(seconds.saturating_mul(1_000_000), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_a_round_trip_through_text() {
        for text in ["2026-11-21T10:00:00Z", "1969-12-31T23:59:59.999999Z", "2038-01-19T03:14:08.5Z"] {
            assert_eq!(Instant::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Instant::parse("2026-11-21T10:00:00+02:00").unwrap().to_string(), "2026-11-21T08:00:00Z");
        assert_eq!(Instant::parse("2026-11-21").unwrap().to_string(), "2026-11-21T00:00:00Z");
        assert_eq!(Instant::parse_end("2026-11-21").unwrap().to_string(), "2026-11-21T23:59:59.999999Z");
        assert_eq!(Instant::parse_end("2026-11-21T10:00:00Z").unwrap().to_string(), "2026-11-21T10:00:00Z");
        assert_eq!(
            Instant::parse("tomorrow").unwrap_err(),
            "`tomorrow` is not an instant; write it like 2026-11-21T10:00:00Z"
        );
    }

    #[test]
    fn dates_accept_both_spellings_and_survive_postgres_days() {
        let date = Date::parse("21.11.2026").unwrap();
        assert_eq!(date, Date::parse("2026-11-21").unwrap());
        assert_eq!(Date::from_postgres_days(date.postgres_days()), Some(date));
        assert_eq!(Date::parse("2026-02-30").unwrap_err(), "`2026-02-30` is not a date; write it like 2026-11-21");
    }
}
