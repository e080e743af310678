//! Documents made from made-up particulars. With `BUREAU_PRINTS=directory` they are written there, to be looked at.

use super::invoice::{Instalment, Invoice};
use super::receipt::Receipt;
use super::sheet::{Sheet, Side};
use super::vat::Vat;
use super::warranty::Warranty;
use super::*;
use bureau_kit::prelude::*;

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

fn date(text: &str) -> Date {
    Date::parse(text).unwrap()
}

fn seller() -> Side {
    Side {
        role: "Sprzedawca".into(),
        name: "Meble Żółć sp. z o.o.".into(),
        lines: ["ul. Świętokrzyska 12/4", "30-015 Kraków", "NIP: 677-245-88-11"].map(str::to_owned).to_vec(),
    }
}

fn buyer() -> Side {
    Side {
        role: "Nabywca".into(),
        name: "Świętosława Brzęczyszczykiewicz-Źdźbłowska".into(),
        lines: ["ul. Gęsia 7", "31-535 Kraków"].map(str::to_owned).to_vec(),
    }
}

fn instalment(typ: &str, rodzaj: &str, data: &str, cena: &str) -> Instalment {
    Instalment { typ: typ.into(), rodzaj: rodzaj.into(), data: Some(date(data)), cena: money(cena) }
}

fn invoice() -> Invoice {
    Invoice {
        proforma: false,
        numer: "FV/12/2026".into(),
        issued: date("2026-11-21"),
        sold: Some(date("2026-11-20")),
        vat: Vat::Reduced,
        contract: "K/12/2026".into(),
        signed: Some(date("2026-09-03")),
        typ: "kuchnia".into(),
        seller: seller(),
        buyer: buyer(),
        parts: [money("24999.99"), money("1250.50"), money("8740")],
        instalments: vec![
            instalment("Zadatek", "gotówka", "2026-09-03", "10000"),
            instalment("Rata", "przelew", "2026-10-05", "15000.49"),
        ],
    }
}

fn proforma() -> Invoice {
    Invoice {
        proforma: true,
        numer: "PRO/3/2026".into(),
        sold: None,
        vat: Vat::Usual,
        instalments: vec![
            instalment("Zadatek", "przelew", "2026-12-01", "10000"),
            instalment("Rata", "przelew", "2027-01-10", "15000.49"),
            instalment("Dopłata", "gotówka", "2027-02-20", "9990"),
        ],
        ..invoice()
    }
}

fn receipt() -> Receipt {
    Receipt {
        numer: "KP/7/2026".into(),
        issued: date("2026-09-03"),
        contract: "K/12/2026".into(),
        seller: seller(),
        buyer: buyer(),
        payment: instalment("Zadatek", "gotowka", "2026-09-03", "10000"),
    }
}

fn warranty(terms: usize) -> Warranty {
    let term = "Gwarant usunie wady w ciągu 14 dni od zgłoszenia. Gwarancja nie obejmuje uszkodzeń mechanicznych, zalania \
                ani śladów zwykłego używania.\nZgłoszenia przyjmuje biuro obsługi: serwis@example.com.";
    Warranty {
        numer: "GW/5/2026".into(),
        issued: date("2026-11-21"),
        delivered: date("2026-11-20"),
        months: 24,
        contract: "K/12/2026".into(),
        signed: Some(date("2026-09-03")),
        seller: seller(),
        buyer: buyer(),
        site: Some("ul. Gęsia 7/12, 31-535 Kraków".into()),
        goods: [
            ("Meble", "grupa: dolne; korpus: dąb artisan; obrzeże: PCV 2 mm; boki: dąb"),
            ("Fronty", "frezowane; MDF lakierowany; kolor: zieleń butelkowa; usłojenie: pionowe"),
            ("Uchwyty", "relingowe; kolor: mosiądz; 128 mm; 24 szt."),
            ("Witryna", "rama: aluminium, czarna; szyba: ryflowana, szara"),
            ("Sprzęt", "piekarnik; Żar; PX-200"),
        ]
        .map(|(kind, text)| (kind.to_owned(), text.to_owned()))
        .to_vec(),
        terms: (1..=terms).map(|place| (format!("Warunki gwarancji, część {place}"), term.to_owned())).collect(),
    }
}

fn all() -> Vec<(&'static str, Sheet)> {
    vec![
        ("faktura", invoice().sheet().unwrap()),
        ("proforma", proforma().sheet().unwrap()),
        ("kp", receipt().sheet()),
        ("gwarancja", warranty(2).sheet().unwrap()),
        ("gwarancja-dluga", warranty(30).sheet().unwrap()),
    ]
}

#[test]
fn documents_become_files_the_same_each_time() {
    for (name, sheet) in all() {
        let printed = pdf::file(&sheet).unwrap();
        let html = html::page(&sheet);
        if let Some(directory) = std::env::var_os("BUREAU_PRINTS") {
            let path = std::path::Path::new(&directory);
            std::fs::write(path.join(format!("{name}.pdf")), &printed.bytes).unwrap();
            std::fs::write(path.join(format!("{name}.html")), &html).unwrap();
        }
        assert!(printed.bytes.starts_with(b"%PDF-1.7") && printed.bytes.trim_ascii_end().ends_with(b"%%EOF"), "{name}");
        assert_eq!(printed.bytes, pdf::file(&sheet).unwrap().bytes, "{name}");
        assert!(printed.bytes.len() < 64 * 1024, "{name} has {} bytes", printed.bytes.len());
        assert_eq!(printed.pages > 1, name == "gwarancja-dluga", "{name} has {} pages", printed.pages);
        let kept = serde_json::to_string(&sheet).unwrap();
        assert_eq!(serde_json::from_str::<Sheet>(&kept).unwrap(), sheet, "{name}");
    }
}

#[test]
fn an_invoice_adds_up() {
    let sheet = invoice().sheet().unwrap();
    let plain = |text: &String| text.replace('\u{a0}', " ");
    let rows: Vec<Vec<String>> = sheet.grids[0].rows.iter().map(|row| row.iter().map(plain).collect()).collect();
    assert_eq!(
        rows,
        [
            [
                "1",
                "Meble (kuchnia) – umowa nr K/12/2026",
                "1",
                "kpl.",
                "23 148,14",
                "23 148,14",
                "8%",
                "1 851,85",
                "24 999,99"
            ],
            ["2", "Dodatki – umowa nr K/12/2026", "1", "kpl.", "1 157,87", "1 157,87", "8%", "92,63", "1 250,50"],
            ["3", "Sprzęt AGD – umowa nr K/12/2026", "1", "kpl.", "8 092,59", "8 092,59", "8%", "647,41", "8 740,00"],
        ]
    );
    let total: Vec<String> = sheet.grids[0].total.iter().flatten().map(plain).collect();
    assert_eq!(total, ["", "Razem", "", "", "", "32 398,60", "8%", "2 591,89", "34 990,49"]);
    let sums: Vec<(&str, String)> = sheet.sums.iter().map(|sum| (sum.name.as_str(), plain(&sum.value))).collect();
    assert_eq!(
        sums,
        [
            ("Razem brutto", "34 990,49 zł".to_owned()),
            ("Zapłacono", "25 000,49 zł".to_owned()),
            ("Pozostało do zapłaty", "9 990,00 zł".to_owned()),
        ]
    );
    assert_eq!(
        sheet.words.as_deref(),
        Some("trzydzieści cztery tysiące dziewięćset dziewięćdziesiąt złotych czterdzieści dziewięć groszy")
    );
    // What is paid later changes the day's figures, and nothing of what was agreed.
    let mut later = invoice();
    later.instalments.push(instalment("Dopłata", "karta", "2026-11-30", "9990"));
    let later = later.sheet().unwrap();
    assert_ne!(later, sheet);
    assert_eq!(later.lasting(), sheet.lasting());
}

#[test]
fn a_warranty_ends_when_its_months_are_over() {
    let mut card = warranty(0);
    card.delivered = date("2026-08-31");
    card.months = 6;
    let sheet = card.sheet().unwrap();
    assert_eq!(sheet.facts[3], super::sheet::Fact::new("Gwarancja do", "28.02.2027"));
}
