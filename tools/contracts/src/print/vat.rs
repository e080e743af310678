//! Value added tax, taken out of a price that contains it.

use bureau_kit::prelude::*;

/// Rate of tax. The reference gives none: these are the ones that furniture is sold with in Poland.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) enum Vat {
    /// 23 %, the usual rate.
    #[default]
    #[serde(rename = "23")]
    Usual,
    /// 8 %, furniture built into homes.
    #[serde(rename = "8")]
    Reduced,
    /// Exempt seller.
    #[serde(rename = "zw")]
    Exempt,
}

impl Vat {
    /// As it stands on the document.
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Usual => "23%",
            Self::Reduced => "8%",
            Self::Exempt => "zw.",
        }
    }

    fn percent(self) -> i128 {
        match self {
            Self::Usual => 23,
            Self::Reduced => 8,
            Self::Exempt => 0,
        }
    }

    /// The tax contained in a price, to the nearest grosz, half of one upwards.
    fn of(self, gross: Money) -> Option<Money> {
        // In grosze: gross × rate ÷ (100 + rate), rounded by adding half of the divisor.
        let grosze = i128::from(gross.hundredths()?);
        let divisor = self.percent().checked_add(100)?;
        let half = divisor.checked_div(2)?;
        let tax = grosze.checked_mul(self.percent())?.checked_add(half)?.checked_div_euclid(divisor)?;
        Some(Money::from_units(i64::try_from(tax.checked_mul(100)?).ok()?))
    }
}

/// A price taken apart. The parts always add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taxed {
    pub(crate) net: Money,
    pub(crate) tax: Money,
    pub(crate) gross: Money,
}

impl Taxed {
    /// Takes the tax out of a price that contains it.
    pub(crate) fn within(gross: Money, vat: Vat) -> Result<Self> {
        let parts = || {
            let tax = vat.of(gross)?;
            Some(Self { net: gross.checked_sub(tax)?, tax, gross })
        };
        parts().ok_or_else(|| Error::internal(format!("no tax can be taken out of {gross}")))
    }

    /// Adds up line by line, so that every column of the document adds up by itself (art. 106e ust. 10 of the VAT act).
    pub(crate) fn sum(lines: &[Self]) -> Result<Self> {
        let column = |part: fn(&Self) -> Money| crate::books::sum(lines.iter().map(part));
        Ok(Self { net: column(|line| line.net)?, tax: column(|line| line.tax)?, gross: column(|line| line.gross)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        Money::parse(text).unwrap()
    }

    #[test]
    fn tax_is_taken_out_of_the_price() {
        for (gross, vat, net, tax) in [
            ("123", Vat::Usual, "100", "23"),
            ("108", Vat::Reduced, "100", "8"),
            ("0.01", Vat::Usual, "0.01", "0"),
            ("0.03", Vat::Usual, "0.02", "0.01"),
            ("100", Vat::Usual, "81.30", "18.70"),
            ("100", Vat::Reduced, "92.59", "7.41"),
            ("100", Vat::Exempt, "100", "0"),
            ("24999.99", Vat::Usual, "20325.20", "4674.79"),
        ] {
            let taxed = Taxed::within(money(gross), vat).unwrap();
            assert_eq!(taxed, Taxed { net: money(net), tax: money(tax), gross: money(gross) }, "{gross} {vat:?}");
        }
    }

    #[test]
    fn parts_add_up_and_the_tax_is_the_nearest() {
        for grosze in (0..200_000_i64).chain((0..1000).map(|n| n * 99_999_999)) {
            let gross = Money::from_units(grosze * 100);
            for vat in [Vat::Usual, Vat::Reduced] {
                let taxed = Taxed::within(gross, vat).unwrap();
                assert_eq!(taxed.net.checked_add(taxed.tax), Some(gross));
                let exact = grosze as f64 * vat.percent() as f64 / (100.0 + vat.percent() as f64);
                let found = taxed.tax.hundredths().unwrap() as f64;
                assert!((exact - found).abs() <= 0.5 + 1e-6, "{gross} {vat:?}: {found} for {exact}");
            }
        }
    }
}
