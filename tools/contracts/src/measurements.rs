//! Measurements at customers: paid for, and approved into a finance transaction exactly once.

use bureau_crm::Address;
use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use crate::finance::{Booking, CASH, INCOME, Source, book};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("measurement_list", "measurements.view", &MEASUREMENTS)
            .title("List measurements")
            .about(
                "List measurements at customers with their price, newest first, and whether they are approved (approved_at). \
                 Filter by customer or by who measured.",
            )
            .synonyms("site survey visits pomiary lista pomiarów kuchni заміри список замірів"),
        family::show("measurement_show", "measurements.view", &MEASUREMENTS)
            .title("Show a measurement")
            .about("Show one measurement with its price and the transaction that its approval made.")
            .synonyms("site survey details pomiar szczegóły pokaż замір показати"),
        family::create("measurement_create", "measurements.create", &MEASUREMENTS)
            .title("Record a measurement")
            .about(
                "Record a measurement at a customer with its price (kwota). It brings money only once somebody approves it \
                 with measurement_approve.",
            )
            .synonyms("new site survey dodaj pomiar umów pomiar zapisz додати замір записати"),
        family::update("measurement_update", "measurements.edit", &MEASUREMENTS)
            .title("Change a measurement")
            .about(
                "Change who measured, the address, the price or the notes. An approved measurement keeps its price and who \
                 measured.",
            )
            .synonyms("edit site survey zmień pomiar popraw pomiar змінити замір"),
        family::delete("measurement_delete", "measurements.delete", &MEASUREMENTS)
            .title("Delete a measurement")
            .about("Delete a measurement. Refused once it is approved, since its transaction is on record.")
            .synonyms("remove site survey usuń pomiar видалити замір"),
        Tool::action("measurement_approve", "measurements.approve", approve)
            .on(&MEASUREMENTS)
            .title("Approve a measurement")
            .about(
                "Approve a measurement: its price becomes income in finance, as one transaction on the name of who measured. \
                 Works once; action_undo takes approval and transaction back together.",
            )
            .synonyms("accept site survey book income zatwierdź pomiar rozlicz pomiar затвердити замір"),
    ]
}

/// Names the table of measurements to ids.
#[derive(Debug)]
pub(crate) struct Measurement;

impl Kind for Measurement {
    const TABLE: &'static Table = &MEASUREMENTS;
}

pub(crate) static MEASUREMENTS: Table = Table::new(
    "measurements",
    "measurement",
    "A measurement at a customer.",
    &[
        Column::reference("customer_id", "parties", OnDelete::Refuse, "Customer: a person or company.")
            .required()
            .fixed()
            .filter(),
        Column::reference("uzytkownik_id", "users", OnDelete::Refuse, "Who measured, and takes the money.").filter(),
        Column::reference("adres_id", "addresses", OnDelete::Clear, "Address of the customer to measure at."),
        Column::money("kwota", "Price, more than 0.").required().sort(),
        Column::text("uwagi", "Notes; they can change even when it is approved.").max(10_000).search(),
        Column::instant("approved_at", "When it was approved.").computed().range().sort(),
        Column::reference("approved_by_id", "users", OnDelete::Clear, "Who approved it.").computed(),
        Column::reference("transaction_id", "transactions", OnDelete::Refuse, "The transaction its approval made.")
            .computed(),
    ],
)
.rule(rule);

fn is_approved(measurement: &Record) -> bool {
    !measurement.cell("approved_at").is_null()
}

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if let Some(before) = draft.before.filter(|before| is_approved(before)) {
            refuse_approved(before, draft.event, draft.values)?;
        }
        if draft.event == Event::Delete {
            return Ok(());
        }
        if draft.values.get("kwota").and_then(Money::from_val).is_some_and(|kwota| kwota <= Money::ZERO) {
            return Err(Error::invalid("/kwota", "must be more than 0"));
        }
        let customer = draft.before.and_then(|before| before.id_of("customer_id"));
        check_address(ctx, draft.values, customer.or_else(|| draft.values.id_of("customer_id"))).await
    })
}

/// Inferred: what became a transaction stays on record, and says what that transaction says.
fn refuse_approved(measurement: &Record, event: Event, values: &Values) -> Result<()> {
    let num = measurement.num.unwrap_or_default();
    if event == Event::Delete {
        return Err(Error::conflict(format!(
            "Measurement {num} is approved and cannot be deleted, since its transaction is on record. Take the approval back \
             first: give the undo_token of measurement_approve (action_log_list shows it) to action_undo."
        )));
    }
    let changed = values.iter().find(|(name, value)| match *name {
        "uwagi" | "adres_id" => false,
        "organization_id" => **value != Val::from(measurement.organization_id),
        name => *value != measurement.cell(name),
    });
    let Some((name, _)) = changed else { return Ok(()) };
    Err(Error::impossible_state(format!(
        "Measurement {num} is approved: only its adres_id and uwagi can change. To change more, take the approval back: give \
         the undo_token of measurement_approve (action_log_list shows it) to action_undo."
    ))
    .with("field", name))
}

/// Inferred: one measures at an address of the customer, as for contracts.
async fn check_address(ctx: &mut Ctx, values: &Values, customer: Option<Uuid>) -> Result<()> {
    let Some(id) = values.id_of("adres_id") else { return Ok(()) };
    let mut sql = ctx.select("subject_id", Address::TABLE);
    sql.and_eq("id", id);
    let owner: Option<Uuid> = ctx.rows(&sql).await?.first().map(|row| row.get(0)).transpose()?;
    if owner == customer {
        return Ok(());
    }
    Err(Error::invalid(
        "/adres_id",
        "is not an address of the customer; customer_address_list shows those, customer_address_create adds one",
    ))
}

/// How the customer paid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Paid {
    /// In cash.
    #[default]
    Gotowka,
    /// Into the bank account.
    Przelew,
    /// By card.
    Karta,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ApproveInput {
    /// Measurement to approve.
    id: Id<Measurement>,
    /// Register the money is in: gotowka (cash) when left out.
    #[serde(default)]
    rodzaj: Paid,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Approved {
    /// UUID of the transaction that was made.
    #[serde(rename = "transactionId")]
    transaction_id: String,
    /// UUID of the measurement.
    id: String,
    /// When it was approved.
    approved_at: Instant,
}

/// Two approvals at once: the second waits for the lock that `fetch` takes, and finds the measurement approved.
async fn approve(ctx: &mut Ctx, input: ApproveInput) -> Result<Approved> {
    let caller = ctx.user_id()?;
    let measurement = ctx.fetch(input.id).await?;
    let num = measurement.num.unwrap_or_default();
    if let Some(at) = measurement.get::<Option<Instant>>("approved_at")? {
        let made = measurement.id_of("transaction_id").map(|id| id.to_string());
        return Err(Error::conflict(format!(
            "Measurement {num} was approved already, on {at}, and has its transaction. Nothing was changed."
        ))
        .with("transactionId", made));
    }
    let user = measurement.id_of("uzytkownik_id");
    let booking = Booking {
        source: Source::Measurement,
        typ: INCOME,
        rodzaj: match input.rodzaj {
            Paid::Gotowka => CASH,
            Paid::Przelew => "przelew",
            Paid::Karta => "karta",
        }
        .to_owned(),
        kwota: measurement.get("kwota")?,
        nazwa: format!("Pomiar {num}"),
        komentarz: Val::Null,
        organization: measurement.organization_id,
        user,
        transfer: None,
        linked: Some((MEASUREMENTS.noun, measurement.id)),
        author: user,
    };
    let booked = book(ctx, vec![booking]).await?;
    let transaction = booked.first().ok_or_else(|| Error::internal("a booking made no transaction"))?.id;
    let now = ctx.now();
    let values =
        Values::new().with("approved_at", now).with("approved_by_id", caller).with("transaction_id", transaction);
    ctx.update(&measurement, values).await?;
    Ok(Approved { transaction_id: transaction.to_string(), id: measurement.id.to_string(), approved_at: now })
}
