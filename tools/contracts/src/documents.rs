//! Documents printed for contracts: numbered once, kept as they were issued, and printed again as often as one likes.

use bureau_kit::prelude::*;

use crate::contracts::Contract;
use crate::issue::{Asked, Rodzaj, Wanted, issue, shown};
use crate::payments::PaymentMethod;
use crate::print::vat::Vat;

const STAYS: &str = "an issued document keeps its number, and may be in somebody's hands";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::action("contract_invoice_print", "contracts.drukuj_faktura", print_invoice)
            .idempotent()
            .irreversible(STAYS)
            .title("Print an invoice")
            .about(
                "Print the invoice (faktura) of a contract as HTML and PDF, with VAT taken out of the valuation and the sum in \
                 words. The first print numbers it; later ones give the same document, with outdated: true if the contract \
                 changed since. Needs a valuation. Look at it first with dry_run.",
            )
            .synonyms("bill faktura vat wydrukuj fakturę wystaw fakturę za umowę рахунок-фактура надрукувати виставити рахунок"),
        Tool::action("contract_proforma_print", "contracts.drukuj_proforma", print_proforma)
            .idempotent()
            .irreversible(STAYS)
            .title("Print a proforma invoice")
            .about(
                "Print the proforma invoice of a contract as HTML and PDF, with its schedule of payments. Needs a valuation. \
                 When the answer says outdated, print it with anew: true under a new number.",
            )
            .synonyms("pro forma quote faktura proforma wydrukuj proformę wystaw proformę проформа надрукувати рахунок проформу"),
        Tool::action("contract_kp_print", "contracts.drukuj_kp", print_receipt)
            .idempotent()
            .irreversible(STAYS)
            .title("Print a cash receipt")
            .about(
                "Print the receipt (KP, kasa przyjmie) for a confirmed cash payment of a contract as HTML and PDF. Give \
                 payment_id when the contract has several. The payment is then closed to change.",
            )
            .synonyms("cash receipt kp dowód wpłaty wydrukuj kp kasa przyjmie pokwitowanie gotówki касовий ордер надрукувати квитанція готівка"),
        Tool::action("contract_warranty_print", "contracts.view", print_warranty)
            .idempotent()
            .irreversible(STAYS)
            .title("Print a warranty card")
            .about(
                "Print the warranty card of a contract as HTML and PDF: what was delivered, until when it is under warranty, \
                 and the texts that the contract carries. When the answer says outdated, print it with anew: true.",
            )
            .synonyms("guarantee karta gwarancyjna wydrukuj gwarancję gwarancja na meble гарантійний талон надрукувати гарантія"),
        family::list("contract_document_list", "contracts.view", &CONTRACT_DOCUMENTS)
            .title("List printed documents")
            .about(
                "List the documents printed for contracts: invoices, proformas, cash receipts, warranty cards. Filter by \
                 contract_id, rodzaj or day; q searches the number. contract_document_show gives one as HTML and PDF.",
            )
            .synonyms("issued invoices receipts wystawione faktury dokumenty umowy wydruki lista друковані документи договору рахунки список"),
        Tool::read("contract_document_show", "contracts.view", show)
            .title("Show a printed document")
            .about("Show a printed document of a contract as it was issued, as HTML and PDF.")
            .synonyms("get invoice again pobierz fakturę pdf wydruk dokument umowy показати документ договору рахунок pdf"),
    ]
}

/// Names the table of documents to ids.
#[derive(Debug)]
pub struct ContractDocument;

impl Kind for ContractDocument {
    const TABLE: &'static Table = &CONTRACT_DOCUMENTS;
}

pub(crate) static CONTRACT_DOCUMENTS: Table = Table::new(
    "contract_documents",
    "contract_document",
    "A document printed for a contract.",
    &[
        Column::reference("contract_id", "contracts", OnDelete::Cascade, "Contract it was printed for.")
            .required()
            .computed()
            .filter(),
        Column::reference("payment_id", "contract_payment_methods", OnDelete::Refuse, "Payment that a receipt is for.")
            .computed()
            .filter(),
        Column::choice("rodzaj", Rodzaj::ALL, "What it is: invoice, proforma, cash receipt (kp) or warranty card.")
            .required()
            .computed()
            .filter(),
        Column::text("numer", "Its number, without gaps in a year.").required().computed().search().sort(),
        Column::date("data_wystawienia", "Day it was issued.").required().computed().range().sort(),
        Column::money("kwota", "Amount it is about; a warranty card has none.").computed().sort(),
        // What was asked for, and what the document says.
        Column::json("tresc", "The document.").required().hidden(),
    ],
);

/// Which forms of a document are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// HTML and PDF.
    #[default]
    Both,
    /// HTML only.
    Html,
    /// PDF only.
    Pdf,
    /// Neither: number and amount.
    Neither,
}

/// A document as it is answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Document {
    /// UUID of the document, for contract_document_show.
    pub(crate) id: String,
    /// Contract it was printed for.
    pub(crate) contract_id: String,
    /// Payment that a receipt is for.
    pub(crate) payment_id: Option<String>,
    /// What it is: faktura, proforma, kp or gwarancja.
    pub(crate) rodzaj: String,
    /// Its number.
    pub(crate) numer: String,
    /// Day it was issued.
    pub(crate) data_wystawienia: Date,
    /// Amount it is about.
    pub(crate) kwota: Option<Money>,
    /// Whether this call issued it; false when it was issued before.
    pub(crate) issued_now: bool,
    /// Whether it would say something else if it were issued today.
    pub(crate) outdated: bool,
    /// Its address among the resources.
    pub(crate) uri: String,
    /// A name for the PDF.
    pub(crate) file_name: String,
    /// Pages of the PDF.
    pub(crate) pages: usize,
    /// The document as an HTML page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) html: Option<String>,
    /// The document as PDF, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pdf_base64: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InvoiceInput {
    /// Contract: its UUID or number in the tenant (num, not numer).
    id: Id<Contract>,
    /// Rate of VAT in percent, or zw for an exempt seller; 23 unless given. Prices of the valuation contain it.
    vat: Option<Vat>,
    /// Day of the sale; the day of issue unless given.
    data_sprzedazy: Option<Date>,
    /// Which forms to answer; both unless given.
    #[serde(default)]
    form: Form,
}

async fn print_invoice(ctx: &mut Ctx, input: InvoiceInput) -> Result<Document> {
    let asked = Asked { vat: input.vat, data_sprzedazy: input.data_sprzedazy, ..Asked::default() };
    let wanted = Wanted { rodzaj: Rodzaj::Faktura, payment: None, asked, anew: false };
    let contract = ctx.fetch(input.id).await?;
    issue(ctx, &contract, wanted, input.form).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ProformaInput {
    /// Contract: its UUID or number in the tenant (num, not numer).
    id: Id<Contract>,
    /// Rate of VAT in percent, or zw for an exempt seller; 23 unless given. Prices of the valuation contain it.
    vat: Option<Vat>,
    /// Issue another one under a new number when the last is outdated; nothing new when it is not.
    #[serde(default)]
    anew: bool,
    /// Which forms to answer; both unless given.
    #[serde(default)]
    form: Form,
}

async fn print_proforma(ctx: &mut Ctx, input: ProformaInput) -> Result<Document> {
    let asked = Asked { vat: input.vat, ..Asked::default() };
    let wanted = Wanted { rodzaj: Rodzaj::Proforma, payment: None, asked, anew: input.anew };
    let contract = ctx.fetch(input.id).await?;
    issue(ctx, &contract, wanted, input.form).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReceiptInput {
    /// Contract: its UUID or number in the tenant (num, not numer).
    id: Id<Contract>,
    /// Payment to give a receipt for: confirmed, and in cash. Needed when the contract has several such payments.
    payment_id: Option<Id<PaymentMethod>>,
    /// Which forms to answer; both unless given.
    #[serde(default)]
    form: Form,
}

async fn print_receipt(ctx: &mut Ctx, input: ReceiptInput) -> Result<Document> {
    let contract = ctx.fetch(input.id).await?;
    let payment = match input.payment_id {
        Some(id) => Some(ctx.reference("payment_id", id).await?),
        None => None,
    };
    let payment = crate::issue::cash_payment(ctx, &contract, payment).await?;
    let wanted = Wanted { rodzaj: Rodzaj::Kp, payment: Some(payment), asked: Asked::default(), anew: false };
    issue(ctx, &contract, wanted, input.form).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WarrantyInput {
    /// Contract: its UUID or number in the tenant (num, not numer).
    id: Id<Contract>,
    /// Day from which the warranty runs; the last installation date that is over, else the day of issue.
    data_wydania: Option<Date>,
    /// How many months it runs; 24 unless given.
    #[schemars(range(min = 1, max = 240))]
    miesiace: Option<i64>,
    /// Issue another one under a new number when the last is outdated; nothing new when it is not.
    #[serde(default)]
    anew: bool,
    /// Which forms to answer; both unless given.
    #[serde(default)]
    form: Form,
}

async fn print_warranty(ctx: &mut Ctx, input: WarrantyInput) -> Result<Document> {
    if input.miesiace.is_some_and(|months| !(1..=240).contains(&months)) {
        return Err(Error::invalid("/miesiace", "expected a whole number from 1 to 240"));
    }
    let asked = Asked { data_wydania: input.data_wydania, miesiace: input.miesiace, ..Asked::default() };
    let wanted = Wanted { rodzaj: Rodzaj::Gwarancja, payment: None, asked, anew: input.anew };
    let contract = ctx.fetch(input.id).await?;
    issue(ctx, &contract, wanted, input.form).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {
    /// Document to show.
    id: Id<ContractDocument>,
    /// Which forms to answer; both unless given.
    #[serde(default)]
    form: Form,
}

async fn show(ctx: &mut Ctx, input: ShowInput) -> Result<Document> {
    let row = ctx.fetch(input.id).await?;
    shown(ctx, &row, input.form).await
}
