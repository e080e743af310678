//! KP, "kasa przyjmie": the receipt for cash that was paid on a contract.

use bureau_kit::prelude::*;

use super::invoice::Instalment;
use super::sheet::{Fact, Grid, GridColumn, Sheet, Side, amount, day, zlote};

/// What a receipt is made of.
#[derive(Debug, Clone)]
pub(crate) struct Receipt {
    pub(crate) numer: String,
    pub(crate) issued: Date,
    pub(crate) contract: String,
    pub(crate) seller: Side,
    pub(crate) buyer: Side,
    pub(crate) payment: Instalment,
}

impl Receipt {
    pub(crate) fn sheet(self) -> Sheet {
        let Self { numer, issued, contract, seller, buyer, payment } = self;
        let mut facts = vec![Fact::new("Data wystawienia", day(issued))];
        facts.extend(payment.data.map(|paid| Fact::new("Data wpłaty", day(paid))));
        facts.push(Fact::new("Umowa", &contract));
        Sheet {
            title: "KP – dowód wpłaty".to_owned(),
            numer,
            facts,
            parties: vec![
                Side { role: "Kasa przyjęła".to_owned(), ..seller },
                Side { role: "Od kogo".to_owned(), ..buyer },
            ],
            opening: None,
            grids: vec![Grid {
                heading: None,
                columns: vec![
                    GridColumn::right("Lp.", 26),
                    GridColumn::left("Za co", 360),
                    GridColumn::right("Kwota", 100),
                ],
                rows: vec![vec![
                    "1".to_owned(),
                    format!("{} – umowa nr {contract}", payment.typ),
                    amount(payment.cena),
                ]],
                total: None,
                passing: false,
            }],
            sums: vec![Fact::new("Przyjęto gotówką", zlote(payment.cena)).strong()],
            words: Some(crate::slownie(payment.cena)),
            texts: Vec::new(),
            signatures: ["Kasjer", "Wpłacający"].map(str::to_owned).to_vec(),
        }
    }
}
