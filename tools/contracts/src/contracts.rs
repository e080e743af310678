//! Contracts: created once under a number of their own, closed to change when settled.

use bureau_crm::Address;
use bureau_kit::prelude::*;

use crate::below::{BELOW, below};
use crate::documents::CONTRACT_DOCUMENTS;
use crate::payments::PAYMENT_METHODS;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("contract_list", "contracts.view", &CONTRACTS)
            .title("List contracts")
            .about(
                "List contracts with customers, newest first, each with what it costs (suma) and what was paid \
                 (zaplacono). Filter by customer, kind, settled (rozliczona) or completed (zakonczona); q searches \
                 number and description.",
            )
            .synonyms("agreements deals signed umowy lista umów zlecenia kontrakty kuchnie договори список договорів контракти"),
        family::show("contract_show", "contracts.view", &CONTRACTS)
            .title("Show a contract")
            .about(
                "Show one contract with its customer, addresses, notes and state. For the balance call \
                 contract_balance_show, for the amount in words contract_valuation_summary.",
            )
            .synonyms("agreement details umowa szczegóły pokaż umowę договір показати деталі"),
        family::create("contract_create", "contracts.create", &CONTRACTS)
            .title("Create a contract")
            .about(
                "Create a contract with a customer. Needs numer, typ and customer_id, which cannot be changed later; \
                 numer is unique in the organization. Then call contract_valuation_create and \
                 contract_payment_method_create.",
            )
            .synonyms("new agreement sign nowa umowa dodaj umowę podpisz zamówienie kuchni новий договір створити укласти"),
        family::update("contract_update", "contracts.edit", &CONTRACTS)
            .title("Change a contract")
            .about(
                "Change a contract: addresses, dates, notes, or mark it completed (zakonczona). Number, kind and \
                 customer stay. Once settled only uwagi can change.",
            )
            .synonyms("edit agreement complete finish zmień umowę edytuj zakończ umowę змінити договір завершити редагувати"),
        family::delete("contract_delete", "contracts.delete", &CONTRACTS)
            .title("Delete a contract")
            .about(
                "Delete a contract with its valuation and unconfirmed payments. Refused when it is settled or has \
                 confirmed payments.",
            )
            .synonyms("remove agreement usuń umowę skasuj видалити договір"),
    ]
}

/// Names the table of contracts to ids.
#[derive(Debug)]
pub struct Contract;

impl Kind for Contract {
    const TABLE: &'static Table = &CONTRACTS;
}

pub(crate) static CONTRACTS: Table = Table::new(
    "contracts",
    "contract",
    "A contract with a customer.",
    &[
        Column::text("numer", "Number of the contract, unique in its organization, such as K/12/2026.")
            .required()
            .fixed()
            .search()
            .sort(),
        // The source shows only the first of its values: the list stays open.
        Column::text("typ", "What it is about: kuchnia (kitchen), szafa (wardrobe), lazienka (bathroom), … Any word.")
            .required()
            .fixed()
            .filter(),
        Column::reference("customer_id", "parties", OnDelete::Refuse, "Customer: a person or company.")
            .required()
            .fixed()
            .filter(),
        Column::reference("uzytkownik_id", "users", OnDelete::Clear, "User who is in charge of it.").filter(),
        Column::date("data_podpisania", "Day it was signed.").range().sort(),
        Column::reference("adres_zamieszkania_id", "addresses", OnDelete::Clear, "Address where the customer lives."),
        Column::reference("adres_montazu_id", "addresses", OnDelete::Clear, "Customer's address to install at."),
        Column::reference("adres_faktury_id", "addresses", OnDelete::Clear, "Customer's address for the invoice."),
        Column::text("opis", "Description.").max(10_000).search(),
        Column::text("uwagi", "Notes; they can change even when the contract is settled.").max(10_000),
        Column::flag("zakonczona", "Whether the work is completed.").filter(),
        Column::flag("rozliczona", "Whether it is settled; contract_settle sets it.").computed().filter(),
        Column::instant("rozliczona_at", "When it was settled.").computed().sort(),
        // Copies of what books.rs adds up. Because every change of money passes this row, undo or redo of a payment
        // is refused as a conflict once the contract was settled on it.
        Column::money("suma", "What it costs: the sum of its valuation.").default("\"0\"").computed(),
        Column::money("zaplacono", "What was paid: the sum of its confirmed payments.").default("\"0\"").computed(),
    ],
)
.rule(rule)
.guard(guard);

const ADDRESSES: [&str; 3] = ["adres_zamieszkania_id", "adres_montazu_id", "adres_faktury_id"];

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        match (draft.event, draft.before) {
            (Event::Create, _) => {
                let organization = match draft.values.get("organization_id") {
                    Some(Val::Id(id)) => Some(*id),
                    Some(_) => None,
                    None => ctx.principal().organization_id,
                };
                let numer = draft.values.text("numer").unwrap_or_default().to_owned();
                refuse_taken(ctx, &numer, organization).await?;
                let customer = draft.values.id_of("customer_id");
                check_addresses(ctx, draft.values, customer).await
            }
            (Event::Update, Some(before)) => {
                if before.flag("rozliczona") {
                    // Only notes may change, and the guard sees to it, in words that fit better than those below.
                    return Ok(());
                }
                check_addresses(ctx, draft.values, before.id_of("customer_id")).await?;
                move_below(ctx, before, draft.values).await
            }
            (Event::Delete, Some(contract)) => refuse_deletion(ctx, contract).await,
            (Event::Update | Event::Delete, None) => Ok(()),
        }
    })
}

/// Inferred: numbers are unique in an organization (mercato.md). The unique index decides between two at once.
async fn refuse_taken(ctx: &mut Ctx, numer: &str, organization: Option<Uuid>) -> Result<()> {
    let mut sql = ctx.select("1", &CONTRACTS);
    sql.and_eq("numer", numer);
    match organization {
        Some(id) => sql.and_eq("organization_id", id),
        None => sql.push(" AND organization_id IS NULL"),
    };
    if ctx.exists(sql).await? {
        return Err(Error::conflict(format!(
            "The organization has a contract {numer} already. Choose another numer, or find that contract with \
             contract_list (q: \"{numer}\") and change it."
        ))
        .with("numer", numer));
    }
    Ok(())
}

/// Inferred: an address given for a contract is one of its customer's (mercato.md).
async fn check_addresses(ctx: &mut Ctx, values: &Values, customer: Option<Uuid>) -> Result<()> {
    for name in ADDRESSES {
        let Some(id) = values.id_of(name) else { continue };
        let mut sql = ctx.select("subject_id", Address::TABLE);
        sql.and_eq("id", id);
        let owner: Option<Uuid> = ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()?;
        if owner != customer {
            return Err(Error::invalid(
                format!("/{name}"),
                "is not an address of the contract's customer; customer_address_list shows those, \
                 customer_address_create adds one",
            ));
        }
    }
    Ok(())
}

/// Inferred: a settled contract is closed but for its notes (mercato.md), whichever way a change comes: also by the deletion
/// of an address or a user that it names. When its customer is merged into another record of the same person it follows,
/// since otherwise nobody would find it; nothing that was agreed changes by that.
fn guard<'a>(_: &'a mut Ctx, change: RowWrite<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let Some(before) = change.before.filter(|contract| contract.flag("rozliczona")) else { return Ok(()) };
        let after = change.after.ok_or_else(|| closed(before))?;
        // Taken back: its own undo is the only way to that.
        if !after.flag("rozliczona") {
            return Ok(());
        }
        let open = |name: &str| matches!(name, "uwagi" | "customer_id");
        let mut changed =
            before.cells().filter(|(column, cell)| !open(column.name) && *cell != after.cell(column.name));
        match changed.next() {
            Some((column, _)) => Err(closed(before).with("field", column.name)),
            None if before.organization_id != after.organization_id => {
                Err(closed(before).with("field", "organization_id"))
            }
            None => Ok(()),
        }
    })
}

/// The error for a change of a settled contract, or of anything below it.
pub(crate) fn closed(contract: &Record) -> Error {
    Error::impossible_state(format!(
        "Contract {} is settled and closed to change, except its uwagi. To reopen it take the settlement back: give the \
         undo_token of contract_settle (action_log_list shows it) to action_undo.",
        contract.text("numer")
    ))
}

/// A contract moved to another organization keeps its number unique there, and takes along what lies below it.
async fn move_below(ctx: &mut Ctx, contract: &Record, values: &Values) -> Result<()> {
    let organization = match values.get("organization_id") {
        Some(Val::Id(id)) => Some(*id),
        Some(_) => None,
        None => return Ok(()),
    };
    if organization == contract.organization_id {
        return Ok(());
    }
    refuse_taken(ctx, contract.text("numer"), organization).await?;
    for table in BELOW.iter().copied().chain([&CONTRACT_DOCUMENTS]) {
        for row in below(ctx, table, contract.id).await? {
            ctx.update(&row, Values::new().with("organization_id", organization)).await?;
        }
    }
    Ok(())
}

/// Inferred: what money was settled on or paid for stays on record (peers.md §1.24: 409).
async fn refuse_deletion(ctx: &mut Ctx, contract: &Record) -> Result<()> {
    let numer = contract.text("numer");
    if contract.flag("rozliczona") {
        return Err(Error::conflict(format!(
            "Contract {numer} is settled and cannot be deleted. Take the settlement back with action_undo first."
        )));
    }
    let payments = below(ctx, &PAYMENT_METHODS, contract.id).await?;
    let confirmed = payments.iter().filter(|payment| payment.flag("potwierdzona")).count();
    if confirmed > 0 {
        return Err(Error::conflict(format!(
            "Contract {numer} has {confirmed} confirmed payment(s) and cannot be deleted. Delete those first with \
             contract_payment_method_delete, or withdraw them with contract_payment_method_update (potwierdzona: false)."
        ))
        .with("confirmed_payments", confirmed));
    }
    let documents = below(ctx, &CONTRACT_DOCUMENTS, contract.id).await?;
    let booked = documents.iter().find(|document| matches!(document.text("rodzaj"), "faktura" | "kp"));
    booked.map_or(Ok(()), |document| {
        Err(Error::conflict(format!(
            "Contract {numer} cannot be deleted: {} was issued for it, and stays on record.",
            document.text("numer")
        ))
        .with("document_id", document.id.to_string()))
    })
}
