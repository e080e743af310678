//! Invoice and proforma: what a contract costs, with the tax that is in it.

use bureau_kit::prelude::*;

use super::sheet::{Fact, Grid, GridColumn, Sheet, Side, Text, amount, day, zlote};
use super::vat::{Taxed, Vat};
use crate::books::sum;

/// A payment, received or planned.
#[derive(Debug, Clone)]
pub(crate) struct Instalment {
    pub(crate) typ: String,
    pub(crate) rodzaj: String,
    pub(crate) data: Option<Date>,
    pub(crate) cena: Money,
}

/// What an invoice is made of.
#[derive(Debug, Clone)]
pub(crate) struct Invoice {
    pub(crate) proforma: bool,
    pub(crate) numer: String,
    pub(crate) issued: Date,
    /// Day of the sale; a proforma has none.
    pub(crate) sold: Option<Date>,
    pub(crate) vat: Vat,
    pub(crate) contract: String,
    pub(crate) signed: Option<Date>,
    pub(crate) typ: String,
    pub(crate) seller: Side,
    pub(crate) buyer: Side,
    /// Furniture, extras, appliances, tax included. Inferred: contracts name the prices that customers pay.
    pub(crate) parts: [Money; 3],
    /// What was paid, on an invoice; what is to be paid when, on a proforma.
    pub(crate) instalments: Vec<Instalment>,
}

impl Invoice {
    pub(crate) fn sheet(self) -> Result<Sheet> {
        let named = ["Meble", "Dodatki", "Sprzęt AGD"].into_iter().zip(self.parts);
        let mut lines = Vec::new();
        for (name, gross) in named.filter(|(_, gross)| *gross > Money::ZERO) {
            let name = match name {
                "Meble" => format!("Meble ({}) – umowa nr {}", self.typ, self.contract),
                name => format!("{name} – umowa nr {}", self.contract),
            };
            lines.push((name, Taxed::within(gross, self.vat)?));
        }
        let total = Taxed::sum(&lines.iter().map(|(_, taxed)| *taxed).collect::<Vec<_>>())?;
        let mut facts = vec![Fact::new("Data wystawienia", day(self.issued))];
        facts.extend(self.sold.map(|sold| Fact::new("Data sprzedaży", day(sold))));
        facts.push(Fact::new("Umowa", self.contract_with_day()));
        let mut grids = vec![self.goods(&lines, total)];
        if !self.instalments.is_empty() {
            grids.push(self.payments());
        }
        let mut texts = Vec::new();
        if self.proforma {
            texts.push(Text {
                heading: None,
                body: "Faktura pro forma nie jest fakturą w rozumieniu ustawy o podatku od towarów i usług i nie jest podstawą \
                       do odliczenia podatku."
                    .to_owned(),
            });
        }
        if self.vat == Vat::Exempt {
            // Inferred: furniture is taxed whoever buys it, so an exempt seller is one below the limit of turnover.
            texts.push(Text {
                heading: None,
                body: "Zwolnienie z podatku: art. 113 ust. 1 i 9 ustawy o podatku od towarów i usług.".to_owned(),
            });
        }
        Ok(Sheet {
            title: if self.proforma { "Faktura pro forma" } else { "Faktura" }.to_owned(),
            sums: self.sums(total)?,
            words: Some(crate::slownie(total.gross)),
            numer: self.numer,
            facts,
            parties: vec![self.seller, self.buyer],
            opening: None,
            grids,
            texts,
            signatures: ["Osoba upoważniona do wystawienia", "Osoba upoważniona do odbioru"]
                .map(str::to_owned)
                .to_vec(),
        })
    }

    fn contract_with_day(&self) -> String {
        match self.signed {
            Some(signed) => format!("{} z {}", self.contract, day(signed)),
            None => self.contract.clone(),
        }
    }

    fn goods(&self, lines: &[(String, Taxed)], total: Taxed) -> Grid {
        let rows = (1_usize..).zip(lines).map(|(place, (name, taxed))| {
            let [net, tax, gross] = [taxed.net, taxed.tax, taxed.gross].map(amount);
            let rate = self.vat.shown().to_owned();
            vec![place.to_string(), name.clone(), "1".into(), "kpl.".into(), net.clone(), net, rate, tax, gross]
        });
        let [net, tax, gross] = [total.net, total.tax, total.gross].map(amount);
        let blank = String::new;
        let rate = self.vat.shown().to_owned();
        Grid {
            heading: None,
            columns: vec![
                GridColumn::right("Lp.", 26),
                GridColumn::left("Nazwa towaru lub usługi", 146),
                GridColumn::right("Ilość", 34),
                GridColumn::left("J.m.", 32),
                GridColumn::right("Cena netto", 60),
                GridColumn::right("Wartość netto", 60),
                GridColumn::right("VAT", 32),
                GridColumn::right("Kwota VAT", 54),
                GridColumn::right("Wartość brutto", 62),
            ],
            rows: rows.collect(),
            total: Some(vec![blank(), "Razem".into(), blank(), blank(), blank(), net, rate, tax, gross]),
            passing: false,
        }
    }

    fn payments(&self) -> Grid {
        let rows = self.instalments.iter().map(|payment| {
            let data = payment.data.map_or_else(|| "–".to_owned(), day);
            vec![payment.typ.clone(), payment.rodzaj.clone(), data, amount(payment.cena)]
        });
        let (heading, date) = if self.proforma { ("Harmonogram płatności", "Termin") } else { ("Wpłaty", "Data") };
        Grid {
            heading: Some(heading.to_owned()),
            columns: vec![
                GridColumn::left("Rodzaj płatności", 160),
                GridColumn::left("Sposób", 140),
                GridColumn::left(date, 90),
                GridColumn::right("Kwota", 90),
            ],
            rows: rows.collect(),
            total: None,
            passing: !self.proforma,
        }
    }

    fn sums(&self, total: Taxed) -> Result<Vec<Fact>> {
        if self.proforma {
            return Ok(vec![Fact::new("Do zapłaty", zlote(total.gross)).strong()]);
        }
        let paid = sum(self.instalments.iter().map(|payment| payment.cena))?;
        let left = total.gross.checked_sub(paid).unwrap_or_default();
        let left = match left < Money::ZERO {
            true => Fact::new("Nadpłata", zlote(Money::ZERO.checked_sub(left).unwrap_or_default())),
            false => Fact::new("Pozostało do zapłaty", zlote(left)),
        };
        Ok(vec![
            Fact::new("Razem brutto", zlote(total.gross)).strong(),
            Fact::new("Zapłacono", zlote(paid)).passing(),
            left.passing(),
        ])
    }
}
