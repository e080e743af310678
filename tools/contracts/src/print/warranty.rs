//! Warranty card: what was delivered under a contract, until when it is under warranty, and on which terms.

use bureau_kit::prelude::*;

use super::sheet::{Fact, Grid, GridColumn, Sheet, Side, Text, day};
use crate::words::plural;

/// What a warranty card is made of.
#[derive(Debug, Clone)]
pub(crate) struct Warranty {
    pub(crate) numer: String,
    pub(crate) issued: Date,
    pub(crate) delivered: Date,
    pub(crate) months: i64,
    pub(crate) contract: String,
    pub(crate) signed: Option<Date>,
    pub(crate) seller: Side,
    pub(crate) buyer: Side,
    /// Where it was installed, when that is told.
    pub(crate) site: Option<String>,
    /// What is under warranty: kind, and its particulars.
    pub(crate) goods: Vec<(String, String)>,
    /// Texts that the contract carries: name and text.
    pub(crate) terms: Vec<(String, String)>,
}

impl Warranty {
    pub(crate) fn sheet(self) -> Result<Sheet> {
        let until = self.delivered.plus_months(self.months);
        let until = until.ok_or_else(|| Error::invalid("/miesiace", "ends after the end of all calendars"))?;
        let mut facts = vec![
            Fact::new("Data wystawienia", day(self.issued)),
            Fact::new("Data wydania", day(self.delivered)),
            Fact::new("Okres gwarancji", format!("{}\u{a0}mies.", self.months)),
            Fact::new("Gwarancja do", day(until)),
        ];
        facts.extend(self.site.map(|site| Fact::new("Miejsce montażu", site)));
        let signed = self.signed.map_or_else(String::new, |signed| format!(" z dnia {}", day(signed)));
        let opening = format!(
            "Gwarant udziela kupującemu gwarancji na meble i sprzęt dostarczone na podstawie umowy nr {}{signed}. Gwarancja \
             obowiązuje od dnia wydania przez {} {}, do {} włącznie.",
            self.contract,
            self.months,
            plural(self.months.unsigned_abs(), ["miesiąc", "miesiące", "miesięcy"]),
            day(until)
        );
        let rows: Vec<Vec<String>> = (1_usize..)
            .zip(self.goods)
            .map(|(place, (kind, particulars))| vec![place.to_string(), kind, particulars])
            .collect();
        let goods = (!rows.is_empty()).then(|| Grid {
            heading: Some("Przedmiot gwarancji".to_owned()),
            columns: vec![GridColumn::right("Lp.", 26), GridColumn::left("Rodzaj", 110), GridColumn::left("Opis", 350)],
            rows,
            total: None,
            passing: false,
        });
        let terms = self.terms.into_iter().map(|(name, body)| Text { heading: Some(name), body });
        Ok(Sheet {
            title: "Karta gwarancyjna".to_owned(),
            numer: self.numer,
            facts,
            parties: vec![
                Side { role: "Gwarant".to_owned(), ..self.seller },
                Side { role: "Kupujący".to_owned(), ..self.buyer },
            ],
            opening: Some(opening),
            grids: goods.into_iter().collect(),
            sums: Vec::new(),
            words: None,
            texts: terms.collect(),
            signatures: ["Gwarant", "Kupujący"].map(str::to_owned).to_vec(),
        })
    }
}
