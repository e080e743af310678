//! Issuing a document: once under a number, then the same again and again.

use base64::Engine as _;
use bureau_kit::prelude::*;

use crate::appliances::APPLIANCES;
use crate::below::below;
use crate::books::Books;
use crate::configuration::{FRONTS, FURNITURE, HANDLES, VITRINES};
use crate::contracts::CONTRACTS;
use crate::documents::{CONTRACT_DOCUMENTS, Document, Form};
use crate::installation::INSTALLATION_DATES;
use crate::payments::PAYMENT_METHODS;
use crate::planned_payments::PLANNED_PAYMENTS;
use crate::print::invoice::{Instalment, Invoice};
use crate::print::receipt::Receipt;
use crate::print::sheet::Sheet;
use crate::print::vat::Vat;
use crate::print::warranty::Warranty;
use crate::print::{html, parties, pdf};
use crate::texts::TEXT_ATTACHMENTS;

/// Most bytes of either form: an answer has to be carried by a client and read by a model.
const LARGEST: usize = 512 * 1024;
/// Inferred: the two years of art. 577 § 4 of the civil code, when nothing else is said.
const WARRANTY_MONTHS: i64 = 24;

/// What a document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rodzaj {
    Faktura,
    Proforma,
    Kp,
    Gwarancja,
}

impl Rodzaj {
    pub(crate) const ALL: &'static [&'static str] = &["faktura", "proforma", "kp", "gwarancja"];

    fn as_str(self) -> &'static str {
        match self {
            Self::Faktura => "faktura",
            Self::Proforma => "proforma",
            Self::Kp => "kp",
            Self::Gwarancja => "gwarancja",
        }
    }

    fn of(row: &Record) -> Result<Self> {
        let all = [Self::Faktura, Self::Proforma, Self::Kp, Self::Gwarancja];
        let found = all.into_iter().find(|rodzaj| rodzaj.as_str() == row.text("rodzaj"));
        found.ok_or_else(|| Error::internal(format!("{} is no kind of document", row.text("rodzaj"))))
    }

    /// How its numbers begin.
    fn prefix(self) -> &'static str {
        match self {
            Self::Faktura => "FV",
            Self::Proforma => "PRO",
            Self::Kp => "KP",
            Self::Gwarancja => "GW",
        }
    }

    /// Whether another one may be issued in place of it. An invoice is corrected in the books, and a receipt stands for
    /// money that was handed over.
    fn can_be_replaced(self) -> bool {
        matches!(self, Self::Proforma | Self::Gwarancja)
    }
}

/// Particulars of a document that its caller may choose; kept with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) vat: Option<Vat>,
    pub(crate) data_sprzedazy: Option<Date>,
    pub(crate) data_wydania: Option<Date>,
    pub(crate) miesiace: Option<i64>,
}

impl Asked {
    /// With everything that is not said taken from elsewhere.
    fn or(self, other: &Self) -> Self {
        Self {
            vat: self.vat.or(other.vat),
            data_sprzedazy: self.data_sprzedazy.or(other.data_sprzedazy),
            data_wydania: self.data_wydania.or(other.data_wydania),
            miesiace: self.miesiace.or(other.miesiace),
        }
    }
}

/// What is kept of an issued document.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    asked: Asked,
    sheet: Sheet,
}

impl Kept {
    fn of(row: &Record) -> Result<Self> {
        let json: String = row.get("tresc")?;
        serde_json::from_str(&json).map_err(Error::internal)
    }
}

/// A document to be issued, or printed again.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) rodzaj: Rodzaj,
    pub(crate) payment: Option<Record>,
    pub(crate) asked: Asked,
    pub(crate) anew: bool,
}

/// Issues a document, or gives the one that was issued. The caller holds the contract's lock, so that two calls at once issue
/// one document.
pub(crate) async fn issue(ctx: &mut Ctx, contract: &Record, wanted: Wanted, form: Form) -> Result<Document> {
    let Wanted { rodzaj, payment, asked, anew } = wanted;
    let last = last_issued(ctx, contract, rodzaj, payment.as_ref()).await?;
    if let Some(row) = last {
        let kept = Kept::of(&row)?;
        let asked = asked.clone().or(&kept.asked);
        let other = asked != kept.asked;
        let outdated = is_outdated(ctx, contract, &row, &kept).await?;
        if !anew && other {
            let how = match rodzaj.can_be_replaced() {
                true => "pass anew: true to issue another one with these",
                false => "correct it with a correcting document of your accounting",
            };
            return Err(Error::conflict(format!(
                "{} was issued with other particulars. Leave them out to get it as it is, or {how}.",
                row.text("numer")
            ))
            .with("numer", row.text("numer"))
            .with("issued_with", serde_json::to_value(&kept.asked).map_err(Error::internal)?));
        }
        if !(anew && (other || outdated)) {
            return answer(&row, &kept.sheet, form, false, outdated);
        }
    }
    let today = ctx.now().date();
    let asked = asked.or(&usual(ctx, contract, rodzaj, today).await?);
    let year = today.year();
    let place = ctx.count_on(&format!("contract_documents/{}/{year}", rodzaj.as_str())).await?;
    let numer = format!("{}/{place}/{year}", rodzaj.prefix());
    let sheet = compose(ctx, contract, rodzaj, payment.as_ref(), &asked, &numer, today).await?;
    let kwota = match (rodzaj, &payment) {
        (Rodzaj::Gwarancja, _) => Val::Null,
        (_, Some(payment)) => payment.cell("cena").clone(),
        (_, None) => contract.cell("suma").clone(),
    };
    let kept = serde_json::to_string(&Kept { asked, sheet: sheet.clone() }).map_err(Error::internal)?;
    let values = Values::new()
        .with("organization_id", contract.organization_id)
        .with("contract_id", contract.id)
        .with("payment_id", payment.map(|payment| payment.id))
        .with("rodzaj", rodzaj.as_str())
        .with("numer", numer)
        .with("data_wystawienia", today)
        .with("kwota", kwota)
        .with("tresc", Val::Json(kept));
    let row = ctx.insert(&CONTRACT_DOCUMENTS, values).await?;
    answer(&row, &sheet, form, true, false)
}

/// A document that was issued, and whether it still says what its contract says.
pub(crate) async fn shown(ctx: &mut Ctx, row: &Record, form: Form) -> Result<Document> {
    let kept = Kept::of(row)?;
    let contract = row.id_of("contract_id").ok_or_else(|| Error::internal("a document has no contract"))?;
    let contract = ctx.fetch_from(&CONTRACTS, contract).await?;
    let outdated = is_outdated(ctx, &contract, row, &kept).await?;
    answer(row, &kept.sheet, form, false, outdated)
}

async fn last_issued(
    ctx: &mut Ctx,
    contract: &Record,
    rodzaj: Rodzaj,
    payment: Option<&Record>,
) -> Result<Option<Record>> {
    let mut sql = ctx.from(&CONTRACT_DOCUMENTS);
    sql.and_eq("contract_id", contract.id).and_eq("rodzaj", rodzaj.as_str());
    if let Some(payment) = payment {
        sql.and_eq("payment_id", payment.id);
    }
    sql.push(" ORDER BY num DESC LIMIT 1");
    Ok(ctx.records(&CONTRACT_DOCUMENTS, &sql).await?.into_iter().next())
}

/// Whether a document would say something else today, under its own number and day.
async fn is_outdated(ctx: &mut Ctx, contract: &Record, row: &Record, kept: &Kept) -> Result<bool> {
    let payment = match row.id_of("payment_id") {
        Some(id) => below(ctx, &PAYMENT_METHODS, contract.id).await?.into_iter().find(|payment| payment.id == id),
        None => None,
    };
    let (numer, issued) = (row.text("numer"), row.get("data_wystawienia")?);
    let today = compose(ctx, contract, Rodzaj::of(row)?, payment.as_ref(), &kept.asked, numer, issued).await;
    match today {
        Ok(today) => Ok(today.lasting() != kept.sheet.lasting()),
        // It could not be issued any more, such as an invoice without a valuation.
        Err(refusal) if matches!(refusal.code(), Code::ImpossibleState | Code::Validation | Code::NotFound) => Ok(true),
        Err(fault) => Err(fault),
    }
}

/// The particulars of a document for which nothing was asked.
async fn usual(ctx: &mut Ctx, contract: &Record, rodzaj: Rodzaj, today: Date) -> Result<Asked> {
    Ok(match rodzaj {
        Rodzaj::Faktura => Asked { vat: Some(Vat::default()), data_sprzedazy: Some(today), ..Asked::default() },
        Rodzaj::Proforma => Asked { vat: Some(Vat::default()), ..Asked::default() },
        Rodzaj::Kp => Asked::default(),
        Rodzaj::Gwarancja => {
            let now = ctx.now();
            let dates = below(ctx, &INSTALLATION_DATES, contract.id).await?;
            let over = dates.iter().map(|row| row.get::<Instant>("data")).collect::<Result<Vec<_>>>()?;
            let last = over.into_iter().filter(|date| *date <= now).max();
            let delivered = last.map_or(today, Instant::date);
            Asked { data_wydania: Some(delivered), miesiace: Some(WARRANTY_MONTHS), ..Asked::default() }
        }
    })
}

/// The confirmed cash payment that a receipt is for.
pub(crate) async fn cash_payment(ctx: &mut Ctx, contract: &Record, wanted: Option<Uuid>) -> Result<Record> {
    let numer = contract.text("numer");
    let payments = below(ctx, &PAYMENT_METHODS, contract.id).await?;
    let is_cash = |payment: &Record| payment.flag("potwierdzona") && fold(payment.text("rodzaj")) == "gotowka";
    if let Some(id) = wanted {
        let payment = payments.into_iter().find(|payment| payment.id == id);
        let payment = payment.ok_or_else(|| {
            Error::invalid(
                "/payment_id",
                format!("is no payment of contract {numer}; see contract_payment_method_list"),
            )
        })?;
        return if is_cash(&payment) {
            Ok(payment)
        } else {
            Err(Error::impossible_state(
                "A receipt is given for cash that was received: this payment is not confirmed (potwierdzona), or not in \
                 cash (rodzaj gotowka).",
            ))
        };
    }
    let mut cash: Vec<Record> = payments.into_iter().filter(is_cash).collect();
    match (cash.pop(), cash.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(Error::impossible_state(format!(
            "Contract {numer} has no confirmed cash payment to give a receipt for. Record one with \
             contract_payment_method_create (rodzaj: gotowka, potwierdzona: true)."
        ))),
        (Some(last), false) => {
            let ids: Vec<String> = cash.iter().chain([&last]).map(|payment| payment.id.to_string()).collect();
            Err(Error::conflict(format!(
                "Contract {numer} has {} confirmed cash payments. Say with payment_id which one the receipt is for.",
                ids.len()
            ))
            .with("payment_ids", ids))
        }
    }
}

/// What a document says.
async fn compose(
    ctx: &mut Ctx,
    contract: &Record,
    rodzaj: Rodzaj,
    payment: Option<&Record>,
    asked: &Asked,
    numer: &str,
    issued: Date,
) -> Result<Sheet> {
    let (seller, buyer) = (parties::seller(ctx).await?, parties::buyer(ctx, contract).await?);
    let (numer, contract_numer) = (numer.to_owned(), contract.text("numer").to_owned());
    let signed = contract.get("data_podpisania")?;
    match rodzaj {
        Rodzaj::Faktura | Rodzaj::Proforma => {
            let proforma = rodzaj == Rodzaj::Proforma;
            let instalments = match proforma {
                true => below(ctx, &PLANNED_PAYMENTS, contract.id).await?,
                false => {
                    let payments = below(ctx, &PAYMENT_METHODS, contract.id).await?;
                    payments.into_iter().filter(|payment| payment.flag("potwierdzona")).collect()
                }
            };
            let invoice = Invoice {
                proforma,
                numer,
                issued,
                sold: asked.data_sprzedazy.filter(|_| !proforma),
                vat: asked.vat.unwrap_or_default(),
                contract: contract_numer,
                signed,
                typ: contract.text("typ").to_owned(),
                seller,
                buyer,
                parts: valued(ctx, contract).await?,
                instalments: instalments.iter().map(instalment).collect::<Result<_>>()?,
            };
            invoice.sheet()
        }
        Rodzaj::Kp => {
            let payment = payment.ok_or_else(|| Error::validation("The payment of this receipt is gone."))?;
            let payment = instalment(payment)?;
            Ok(Receipt { numer, issued, contract: contract_numer, seller, buyer, payment }.sheet())
        }
        Rodzaj::Gwarancja => {
            let texts = below(ctx, &TEXT_ATTACHMENTS, contract.id).await?;
            let card = Warranty {
                numer,
                issued,
                delivered: asked.data_wydania.unwrap_or(issued),
                months: asked.miesiace.unwrap_or(WARRANTY_MONTHS),
                contract: contract_numer,
                signed,
                seller,
                buyer,
                site: parties::site(ctx, contract).await?,
                goods: goods(ctx, contract.id).await?,
                terms: texts.iter().map(|row| (row.text("nazwa").to_owned(), row.text("tresc").to_owned())).collect(),
            };
            card.sheet()
        }
    }
}

/// What a contract costs, part by part; there is no invoice over nothing.
async fn valued(ctx: &mut Ctx, contract: &Record) -> Result<[Money; 3]> {
    let books = Books::of(ctx, contract).await?;
    match books.parts {
        Some(parts) if books.suma > Money::ZERO => Ok(parts),
        _ => Err(Error::impossible_state(format!(
            "Contract {} costs nothing, so there is nothing to invoice. Value it with contract_valuation_create or \
             contract_valuation_update, then print again.",
            contract.text("numer")
        ))),
    }
}

fn instalment(row: &Record) -> Result<Instalment> {
    Ok(Instalment {
        typ: row.text("typ").to_owned(),
        rodzaj: row.text("rodzaj").to_owned(),
        data: row.get("data")?,
        cena: row.get("cena")?,
    })
}

/// What is under warranty: everything of steps 1 and 5.
async fn goods(ctx: &mut Ctx, contract: Uuid) -> Result<Vec<(String, String)>> {
    type Part = (&'static str, &'static str);
    let kinds: [(&str, &'static Table, &[Part]); 5] = [
        (
            "Meble",
            &FURNITURE,
            &[("grupa", "grupa_meblowa"), ("korpus", "korpus"), ("obrzeże", "pcv"), ("boki", "boki")],
        ),
        (
            "Fronty",
            &FRONTS,
            &[("typ", "typ"), ("materiał", "material"), ("kolor", "kolor"), ("usłojenie", "uslojenie")],
        ),
        ("Uchwyty", &HANDLES, &[("typ", "typ"), ("kolor", "kolor"), ("długość w mm", "dlugosc"), ("sztuk", "sztuk")]),
        (
            "Witryna",
            &VITRINES,
            &[("rama", "typ_ramy"), ("kolor ramy", "kolor_ramy"), ("szyba", "szyba"), ("kolor szyby", "kolor_szyby")],
        ),
        ("Sprzęt", &APPLIANCES, &[("rodzaj", "rodzaj"), ("firma", "firma"), ("model", "model")]),
    ];
    let mut goods = Vec::new();
    for (kind, table, parts) in kinds {
        for row in below(ctx, table, contract).await? {
            let told = parts.iter().filter_map(|(name, column)| match row.cell(column) {
                Val::Text(text) if !text.is_empty() => Some(format!("{name}: {text}")),
                Val::Int(number) => Some(format!("{name}: {number}")),
                _ => None,
            });
            goods.push((kind.to_owned(), told.collect::<Vec<_>>().join("; ")));
        }
    }
    Ok(goods)
}

/// A document in the forms that are wanted.
fn answer(row: &Record, sheet: &Sheet, form: Form, issued_now: bool, outdated: bool) -> Result<Document> {
    let printed = pdf::file(sheet)?;
    let page = html::page(sheet);
    if printed.bytes.len() > LARGEST || page.len() > LARGEST {
        return Err(Error::validation(format!(
            "This document would be larger than {} KiB. Shorten the texts that the contract carries \
             (contract_text_attachment_list), then print again.",
            LARGEST / 1024
        )));
    }
    let numer = row.text("numer");
    Ok(Document {
        id: row.id.to_string(),
        contract_id: row.id_of("contract_id").map(|id| id.to_string()).unwrap_or_default(),
        payment_id: row.id_of("payment_id").map(|id| id.to_string()),
        rodzaj: row.text("rodzaj").to_owned(),
        numer: numer.to_owned(),
        data_wystawienia: row.get("data_wystawienia")?,
        kwota: row.get("kwota")?,
        issued_now,
        outdated,
        uri: format!("bureau://{}/{}", CONTRACT_DOCUMENTS.noun, row.id),
        file_name: format!("{}.pdf", numer.replace('/', "-")),
        pages: printed.pages,
        html: matches!(form, Form::Both | Form::Html).then_some(page),
        pdf_base64: matches!(form, Form::Both | Form::Pdf)
            .then(|| base64::engine::general_purpose::STANDARD.encode(&printed.bytes)),
    })
}
