//! A printed document before it has a form: what it says, and where each part belongs. Kept when a document is issued, so that
//! it says the same for ever; HTML and PDF are made from it.

use bureau_kit::prelude::*;

/// What a document says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sheet {
    /// What it is, such as Faktura.
    pub(crate) title: String,
    pub(crate) numer: String,
    /// Dates and the like, below the title.
    pub(crate) facts: Vec<Fact>,
    /// Who gives it to whom.
    pub(crate) parties: Vec<Side>,
    /// An opening sentence.
    pub(crate) opening: Option<String>,
    pub(crate) grids: Vec<Grid>,
    pub(crate) sums: Vec<Fact>,
    /// The amount in words.
    pub(crate) words: Option<String>,
    pub(crate) texts: Vec<Text>,
    /// Below which lines somebody signs.
    pub(crate) signatures: Vec<String>,
}

/// A name and a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
    /// Stands out.
    #[serde(default)]
    pub(crate) strong: bool,
    /// True on the day only, such as what was paid so far.
    #[serde(default)]
    pub(crate) passing: bool,
}

impl Fact {
    pub(crate) fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: value.into(), strong: false, passing: false }
    }
    pub(crate) fn strong(mut self) -> Self {
        self.strong = true;
        self
    }
    pub(crate) fn passing(mut self) -> Self {
        self.passing = true;
        self
    }
}

/// A person or company of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Side {
    /// Its part, such as Nabywca.
    pub(crate) role: String,
    pub(crate) name: String,
    /// Address and tax number, a line each.
    pub(crate) lines: Vec<String>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grid {
    pub(crate) heading: Option<String>,
    pub(crate) columns: Vec<GridColumn>,
    pub(crate) rows: Vec<Vec<String>>,
    /// Last row, which stands out.
    pub(crate) total: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) passing: bool,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GridColumn {
    pub(crate) title: String,
    /// Part of the width, out of the sum of all.
    pub(crate) share: u16,
    /// Numbers stand at the right.
    pub(crate) right: bool,
}

impl GridColumn {
    pub(crate) fn left(title: &str, share: u16) -> Self {
        Self { title: title.to_owned(), share, right: false }
    }
    pub(crate) fn right(title: &str, share: u16) -> Self {
        Self { title: title.to_owned(), share, right: true }
    }
}

/// Paragraphs under a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Text {
    pub(crate) heading: Option<String>,
    pub(crate) body: String,
}

impl Sheet {
    /// What was agreed, without what holds on the day of printing only.
    pub(crate) fn lasting(&self) -> Self {
        let mut lasting = self.clone();
        lasting.grids.retain(|grid| !grid.passing);
        lasting.sums.retain(|sum| !sum.passing);
        lasting
    }
}

/// A space at which no line breaks.
const NARROW: char = '\u{a0}';

/// An amount as Polish documents write it: `1 234,50`.
pub(crate) fn amount(money: Money) -> String {
    let text = money.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "00"));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && whole.len().saturating_sub(index).is_multiple_of(3) {
            grouped.push(NARROW);
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped},{fraction}")
}

/// The same with its currency.
pub(crate) fn zlote(money: Money) -> String {
    format!("{}{NARROW}zł", amount(money))
}

/// A day as Polish documents write it: `21.11.2026`.
pub(crate) fn day(date: Date) -> String {
    let text = date.to_string();
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [year, month, day] => format!("{day}.{month}.{year}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_days_are_written_as_in_poland() {
        for (given, shown) in [
            ("0", "0,00 zł"),
            ("999.9", "999,90 zł"),
            ("1000", "1 000,00 zł"),
            ("1234567.89", "1 234 567,89 zł"),
            ("-12345", "-12 345,00 zł"),
        ] {
            assert_eq!(zlote(Money::parse(given).unwrap()).replace(NARROW, " "), shown);
        }
        assert_eq!(day(Date::parse("2026-11-01").unwrap()), "01.11.2026");
    }
}
