//! Amounts of money, exact.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount in 1/10000 of a currency unit. Decimal strings out; strings and numbers in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

/// How many stored units make one currency unit.
const SCALE: i64 = 10_000;
/// Stored units in 1/100, the grosz or cent.
const HUNDREDTH: i64 = 100;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From stored units of 1/10000.
    pub const fn from_units(units: i64) -> Self {
        Self(units)
    }

    /// Stored units of 1/10000.
    pub const fn units(self) -> i64 {
        self.0
    }

    /// Whole hundredths; none when the amount has a finer part.
    pub fn hundredths(self) -> Option<i64> {
        (self.0.checked_rem(HUNDREDTH)? == 0).then(|| self.0.checked_div(HUNDREDTH)).flatten()
    }

    /// The sum; none on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; none on overflow.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Reads a decimal with at most four places, such as `1234.5`; no exponent, no grouping, no currency sign.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is not an amount; write it like 1234.50");
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || digits.ends_with('.') {
            return Err(expected());
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 4 {
            return Err(format!("`{text}` has more than four decimal places"));
        }
        let too_large = || format!("`{text}` is too large an amount");
        let whole = whole.parse::<i64>().ok().and_then(|n| n.checked_mul(SCALE)).ok_or_else(too_large)?;
        let fraction = format!("{fraction:0<4}").parse::<i64>().map_err(|_| expected())?;
        let units = whole.checked_add(fraction).ok_or_else(too_large)?;
        Ok(Self(if negative { units.saturating_neg() } else { units }))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.0.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        let scale = SCALE.unsigned_abs();
        let whole = units.checked_div(scale).unwrap_or_default();
        let fraction = format!("{:04}", units.checked_rem(scale).unwrap_or_default());
        let shown = fraction.trim_end_matches('0');
        write!(f, "{sign}{whole}.{shown:0<2}")
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Money;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount such as \"1234.50\"")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Money, E> {
                Money::parse(text).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Money, E> {
                Money::parse(&number.to_string()).map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Money, E> {
                Money::parse(&number.to_string()).map_err(E::custom)
            }
            // The shortest decimal that names this float is what the sender wrote.
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Money, E> {
                Money::parse(&number.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Money {
    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,4})?$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_and_print_exactly() {
        for (text, printed) in
            [("0", "0.00"), ("-0.5", "-0.50"), ("1234.5", "1234.50"), ("0.0001", "0.0001"), ("7.10", "7.10")]
        {
            assert_eq!(Money::parse(text).unwrap().to_string(), printed);
        }
        for bad in ["", "1,50", "1e3", ".5", "5.", "--1", "1.23456", "NaN", "99999999999999999999"] {
            assert!(Money::parse(bad).is_err(), "{bad} must be refused");
        }
    }

    #[test]
    fn numbers_are_taken_by_their_decimal_text() {
        assert_eq!(serde_json::from_str::<Money>("0.1").unwrap(), Money::parse("0.1").unwrap());
        assert_eq!(serde_json::from_str::<Money>("1234.57").unwrap(), Money::parse("1234.57").unwrap());
        assert_eq!(serde_json::from_str::<Money>("\"12\"").unwrap().hundredths(), Some(1200));
    }

    #[test]
    fn every_amount_survives_printing() {
        let mut units: i64 = -987_654_321_012;
        for _ in 0..2_000 {
            let amount = Money::from_units(units);
            assert_eq!(Money::parse(&amount.to_string()), Ok(amount));
            units += 987_654_321;
        }
    }
}
