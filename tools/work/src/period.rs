//! Days from and to.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

/// Inferred: `date_to` is not before `date_from` (intum.md), whichever of the two is about to change.
pub(crate) fn refuse_backwards(before: Option<&Record>, values: &Values) -> Result<()> {
    let day = |name: &str| {
        let cell = values.get(name).or_else(|| before.map(|before| before.cell(name)))?;
        Date::from_val(cell)
    };
    match (day("date_from"), day("date_to")) {
        // ISO dates compare as their text does.
        (Some(from), Some(to)) if to.to_string() < from.to_string() => Err(Error::invalid(
            "/date_to",
            format!("{to} is before date_from {from}; give a later day, or change both"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_not_before_the_beginning() {
        let day = |text| Date::parse(text).unwrap();
        let values = |from, to| Values::new().with("date_from", day(from)).with("date_to", day(to));
        assert!(refuse_backwards(None, &values("2026-01-31", "2026-01-31")).is_ok());
        assert!(refuse_backwards(None, &Values::new().with("date_to", day("2026-01-31"))).is_ok());
        assert_eq!(
            refuse_backwards(None, &values("2026-02-01", "2026-01-31")).unwrap_err().message(),
            "/date_to: 2026-01-31 is before date_from 2026-02-01; give a later day, or change both"
        );
    }
}
