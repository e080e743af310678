//! Transactions: what came in and what went out, in which register, on whose name.

use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use super::approvals;
use super::cash::{Holder, Movements};
use super::{REGISTERS, TYPES, check_amount};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("transaction_list", "finance.view", &TRANSACTIONS)
            .title("List transactions")
            .about(
                "List financial transactions, newest first. Filter by typ (przychod or rozchod), rodzaj, kategoria, contract, \
                 person, date_from and date_to, or oczekuje for those that wait for approval; q searches name and comment.",
            )
            .synonyms("income expenses payments money ledger transakcje przychody rozchody wydatki wpływy finanse lista транзакції доходи витрати фінанси"),
        family::show("transaction_show", "finance.view", &TRANSACTIONS)
            .title("Show a transaction")
            .about("Show one financial transaction with its approval and where it came from.")
            .synonyms("income expense details transakcja szczegóły pokaż транзакція показати"),
        family::create("transaction_create", "finance.create", &TRANSACTIONS)
            .title("Record a transaction")
            .about(
                "Record income (typ przychod) or an expense (rozchod): kwota, nazwa, rodzaj (gotowka, przelew, karta) and data. \
                 With oczekuje: true it counts only once somebody else approves it. Money between people is transfer_create.",
            )
            .synonyms("add income expense cost pay receive invoice dodaj przychód rozchód wydatek koszt wpłata wypłata zaksięguj додати дохід витрату записати"),
        family::update("transaction_update", "finance.edit", &TRANSACTIONS)
            .title("Change a transaction")
            .about(
                "Change a transaction that is not approved yet. Of transactions that came from a transfer or a measurement only \
                 nazwa, komentarz and kategoria can change. oczekuje: true makes it wait for approval.",
            )
            .synonyms("edit correct income expense zmień popraw transakcję kwotę змінити виправити транзакцію"),
        family::delete("transaction_delete", "finance.delete", &TRANSACTIONS)
            .title("Delete a transaction")
            .about(
                "Delete a transaction that is not approved yet, and did not come from a transfer or a measurement. Refused \
                 when cash would fall below zero without it.",
            )
            .synonyms("remove income expense usuń transakcję skasuj wpłatę видалити транзакцію"),
        Tool::action("transaction_approve", "finance.approve", approve)
            .on(&TRANSACTIONS)
            .title("Approve a transaction")
            .about(
                "Approve a transaction: it counts from now on if it waited, and is closed to change. Nobody approves what they \
                 recorded or changed themselves, or what is on their own name. transaction_list with oczekuje: true shows what waits.",
            )
            .synonyms("accept confirm payment came in four eyes zatwierdź transakcję wpłatę akceptuj wydatek zaakceptuj затвердити транзакцію підтвердити підтверди платіж"),
    ]
}

/// Names the table of transactions to ids.
#[derive(Debug)]
pub(crate) struct Transaction;

impl Kind for Transaction {
    const TABLE: &'static Table = &TRANSACTIONS;
}

pub(crate) static TRANSACTIONS: Table = Table::new(
    "transactions",
    "transaction",
    "Money that came in or went out.",
    &[
        Column::text("nazwa", "What it is for.").required().search().sort(),
        Column::money("kwota", "Amount, more than 0; typ says which way it goes.").required().sort(),
        Column::choice("typ", &TYPES, "przychod is income, rozchod an expense.").required().filter(),
        Column::choice("rodzaj", &REGISTERS, "Register: gotowka (cash), przelew (bank account), karta (card).")
            .required()
            .filter(),
        Column::instant("data", "When the money moved.").required().range_as("date").sort(),
        // The day as a number, 20261121, so that both databases add up months and years alike.
        Column::count("dzien", 0, 99_991_231, "Day in UTC.").hidden(),
        Column::text("kategoria", "Category, any word.").filter(),
        Column::text("komentarz", "Comment.").max(10_000).search(),
        Column::reference("contract_id", "contracts", OnDelete::Refuse, "Contract it belongs to.").filter(),
        Column::reference(
            "uzytkownik_id",
            "users",
            OnDelete::Refuse,
            "Whose register it is; the company's when empty.",
        )
        .filter(),
        Column::subject_type("linked_entity_type", "Kind of the record it came from, such as task.").optional(),
        Column::subject_id("linked_entity_id", OnDelete::Clear, "The record it came from.").optional(),
        Column::flag("oczekuje", "Whether it waits for approval, and does not count yet.").filter(),
        Column::instant("zatwierdzona_at", "When it was approved; from then on it is closed.").computed(),
        Column::reference("zatwierdzil_id", "users", OnDelete::Clear, "Who approved it.").computed(),
        Column::choice("zrodlo", &Source::ALL, "Where it came from: by hand, transfer, registers, measurement.")
            .computed()
            .filter(),
        Column::reference("transfer_id", "transfers", OnDelete::Refuse, "Transfer it is one side of.").computed(),
        Column::reference("autor_id", "users", OnDelete::Clear, "Who recorded it.").computed(),
        Column::reference("zmienil_id", "users", OnDelete::Clear, "Who changed it last.").computed(),
    ],
)
.rule(rule);

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// Somebody recorded it.
    Hand,
    /// A transfer between people.
    Transfer,
    /// A transfer between registers.
    Registers,
    /// An approved measurement.
    Measurement,
}

impl Source {
    const ALL: [&'static str; 4] = ["reczna", "transfer", "kasa", "pomiar"];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hand => "reczna",
            Self::Transfer => "transfer",
            Self::Registers => "kasa",
            Self::Measurement => "pomiar",
        }
    }
}

/// A transaction that a step of the business makes.
#[derive(Debug)]
pub(crate) struct Booking {
    pub(crate) source: Source,
    pub(crate) typ: &'static str,
    pub(crate) rodzaj: String,
    pub(crate) kwota: Money,
    pub(crate) nazwa: String,
    pub(crate) komentarz: Val,
    pub(crate) organization: Option<Uuid>,
    pub(crate) user: Option<Uuid>,
    pub(crate) transfer: Option<Uuid>,
    /// Kind and id of the record it comes from.
    pub(crate) linked: Option<(&'static str, Uuid)>,
    /// Who decided it beside the caller: neither of the two approves it.
    pub(crate) author: Option<Uuid>,
}

/// Stores transactions that count at once: all sides, or none.
pub(crate) async fn book(ctx: &mut Ctx, bookings: Vec<Booking>) -> Result<Vec<Record>> {
    let caller = ctx.user_id()?;
    let mut movements = Movements::default();
    for booking in &bookings {
        check_amount("/kwota", booking.kwota)?;
        let holder = Holder { organization: booking.organization, user: booking.user };
        movements.add(holder, booking.typ, &booking.rodzaj, booking.kwota)?;
    }
    movements.carry_out(ctx).await?;
    let now = ctx.now();
    let mut booked = Vec::with_capacity(bookings.len());
    for booking in bookings {
        let values = Values::new()
            .with("nazwa", booking.nazwa)
            .with("kwota", booking.kwota)
            .with("typ", booking.typ)
            .with("rodzaj", booking.rodzaj)
            .with("data", now)
            .with("dzien", day_number(now.date()))
            .with("komentarz", booking.komentarz)
            .with("organization_id", booking.organization)
            .with("uzytkownik_id", booking.user)
            .with("linked_entity_type", booking.linked.map(|(noun, _)| noun))
            .with("linked_entity_id", booking.linked.map(|(_, id)| id))
            .with("zrodlo", booking.source.as_str())
            .with("transfer_id", booking.transfer)
            .with("autor_id", booking.author)
            .with("zmienil_id", caller);
        booked.push(ctx.insert(&TRANSACTIONS, values).await?);
    }
    Ok(booked)
}

/// A day as a number: 20261121.
pub(super) fn day_number(day: Date) -> i64 {
    day.to_string().split('-').filter_map(|part| part.parse::<i64>().ok()).fold(0, |number, part| {
        // A year has four digits, month and day have two.
        number.saturating_mul(100).saturating_add(part)
    })
}

/// What decides how a transaction counts: of a record, or of a record as a draft leaves it.
struct Weight {
    holder: Holder,
    typ: String,
    rodzaj: String,
    kwota: Money,
    counts: bool,
}

impl Weight {
    fn of(record: &Record) -> Result<Self> {
        Ok(Self {
            holder: Holder { organization: record.organization_id, user: record.id_of("uzytkownik_id") },
            typ: record.get("typ")?,
            rodzaj: record.get("rodzaj")?,
            kwota: record.get("kwota")?,
            counts: !record.flag("oczekuje"),
        })
    }

    fn of_draft(before: Option<&Record>, values: &Values, organization: Option<Uuid>) -> Self {
        let cell = |name: &str| values.get(name).or_else(|| before.map(|before| before.cell(name)));
        let text = |name: &str| cell(name).and_then(String::from_val).unwrap_or_default();
        Self {
            holder: Holder { organization, user: cell("uzytkownik_id").and_then(Uuid::from_val) },
            typ: text("typ"),
            rodzaj: text("rodzaj"),
            kwota: cell("kwota").and_then(Money::from_val).unwrap_or_default(),
            counts: !cell("oczekuje").and_then(bool::from_val).unwrap_or_default(),
        }
    }

    fn enter(&self, movements: &mut Movements) -> Result<()> {
        if self.counts { movements.add(self.holder, &self.typ, &self.rodzaj, self.kwota) } else { Ok(()) }
    }

    fn leave(&self, movements: &mut Movements) -> Result<()> {
        if self.counts { movements.take_back(self.holder, &self.typ, &self.rodzaj, self.kwota) } else { Ok(()) }
    }
}

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let mut movements = Movements::default();
        if let Some(before) = draft.before {
            refuse_approved(ctx, before).await?;
            Weight::of(before)?.leave(&mut movements)?;
        }
        match (draft.event, draft.before) {
            (Event::Delete, Some(before)) => refuse_derived_deletion(before)?,
            (Event::Delete, None) => {}
            (_, before) => {
                if let Some(before) = before {
                    refuse_derived_change(before, draft.values)?;
                    refuse_own_release(before, draft.values)?;
                }
                complete(ctx, before, draft.values)?;
                let organization = match draft.values.get("organization_id") {
                    Some(Val::Id(id)) => Some(*id),
                    Some(_) => None,
                    None => before.map_or(ctx.principal().organization_id, |before| before.organization_id),
                };
                let weight = Weight::of_draft(before, draft.values, organization);
                check_amount("/kwota", weight.kwota)?;
                weight.enter(&mut movements)?;
            }
        }
        movements.carry_out(ctx).await
    })
}

/// Sets what follows from the rest, and who did it.
fn complete(ctx: &Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    let caller = ctx.user_id()?;
    if let Some(Val::Instant(data)) = values.get("data") {
        let day = day_number(data.date());
        values.set("dzien", day);
    }
    let linked = |name: &str| match values.get(name) {
        Some(value) => !value.is_null(),
        None => before.is_some_and(|before| !before.cell(name).is_null()),
    };
    if linked("linked_entity_type") != linked("linked_entity_id") {
        return Err(Error::invalid(
            "/linked_entity_id",
            "goes together with linked_entity_type; give both, or neither",
        ));
    }
    match before {
        None => {
            values.set("zrodlo", Source::Hand.as_str()).set("autor_id", caller);
        }
        Some(_) => {
            values.set("zmienil_id", caller);
        }
    }
    Ok(())
}

/// Inferred: an approved transaction is closed (peers.md §1.24).
pub(super) async fn refuse_approved(ctx: &mut Ctx, transaction: &Record) -> Result<()> {
    let Some(at) = transaction.get::<Option<Instant>>("zatwierdzona_at")? else { return Ok(()) };
    let by = match transaction.id_of("zatwierdzil_id") {
        Some(user) => format!(" by {}", super::cash::name_of(ctx, user).await?),
        None => String::new(),
    };
    Err(Error::impossible_state(format!(
        "Transaction {} was approved on {at}{by} and is closed. Nothing was changed. Record a correction with \
         transaction_create, or take the approval back: give the undo_token of transaction_approve (action_log_list shows \
         it) to action_undo.",
        number(transaction)
    ))
    .with("zatwierdzona_at", at.to_string()))
}

fn number(transaction: &Record) -> i64 {
    transaction.num.unwrap_or_default()
}

/// What a derived transaction stands for, and how to take it back.
fn origin(transaction: &Record) -> Option<(&'static str, &'static str)> {
    match transaction.text("zrodlo") {
        "transfer" => Some(("a transfer between people", "make a transfer the other way with transfer_create")),
        "kasa" => {
            Some(("a transfer between registers", "make a transfer the other way with inter_cash_transfer_create"))
        }
        "pomiar" => Some((
            "a measurement",
            "take the approval of the measurement back with action_undo, or record a correction",
        )),
        _ => None,
    }
}

/// Both sides of a transfer stay alike, and a measurement keeps its transaction.
fn refuse_derived_change(transaction: &Record, values: &Values) -> Result<()> {
    let Some((what, instead)) = origin(transaction) else { return Ok(()) };
    let changed = values.iter().find(|(name, value)| match *name {
        "nazwa" | "komentarz" | "kategoria" => false,
        "organization_id" => **value != Val::from(transaction.organization_id),
        name => *value != transaction.cell(name),
    });
    let Some((name, _)) = changed else { return Ok(()) };
    Err(Error::impossible_state(format!(
        "Transaction {} came from {what}: only its nazwa, komentarz and kategoria can change. To move the money back, {instead}.",
        number(transaction)
    ))
    .with("field", name))
}

fn refuse_derived_deletion(transaction: &Record) -> Result<()> {
    let Some((what, instead)) = origin(transaction) else { return Ok(()) };
    Err(Error::impossible_state(format!(
        "Transaction {} came from {what} and cannot be deleted alone. To move the money back, {instead}.",
        number(transaction)
    )))
}

/// What waits for approval is let go by an approval only.
fn refuse_own_release(transaction: &Record, values: &Values) -> Result<()> {
    let released = values.get("oczekuje").and_then(bool::from_val) == Some(false);
    if transaction.flag("oczekuje") && released {
        return Err(Error::impossible_state(format!(
            "Transaction {} waits for approval. It counts once somebody else approves it with transaction_approve; to give \
             it up, delete it with transaction_delete.",
            number(transaction)
        )));
    }
    Ok(())
}

/// Nobody approves what they recorded or changed, or what is on their own name.
pub(super) fn refuse_own(transaction: &Record, reviewer: Uuid) -> Result<()> {
    let own = [
        ("autor_id", "was recorded by this person"),
        ("zmienil_id", "was last changed by this person"),
        ("uzytkownik_id", "is on this person's own name"),
    ];
    let found = own.iter().find(|(column, _)| transaction.id_of(column) == Some(reviewer));
    found.map_or(Ok(()), |(_, why)| {
        Err(Error::forbidden(format!(
            "Nobody approves their own transaction: transaction {} {why}. Ask someone else with \
             finance.approve; approval_create puts it into their queue.",
            number(transaction)
        )))
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ApproveInput {
    /// Transaction to approve.
    id: Id<Transaction>,
    /// Comment to keep with the approval.
    #[schemars(length(max = 10_000))]
    komentarz: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Approved {
    /// Always true.
    ok: bool,
    /// UUID of the transaction.
    #[schemars(with = "String")]
    id: Uuid,
    /// When it was approved.
    zatwierdzona_at: Instant,
    /// UUID of the user who approved it.
    #[schemars(with = "String")]
    zatwierdzil_id: Uuid,
}

/// Two approvals at once: the second waits for the lock that `fetch` takes, and finds the transaction approved.
async fn approve(ctx: &mut Ctx, input: ApproveInput) -> Result<Approved> {
    let reviewer = ctx.user_id()?;
    if input.komentarz.as_deref().is_some_and(|text| text.chars().count() > 10_000) {
        return Err(Error::invalid("/komentarz", "is longer than 10000 characters"));
    }
    let transaction = ctx.fetch(input.id).await?;
    refuse_approved(ctx, &transaction).await?;
    refuse_own(&transaction, reviewer)?;
    let mut movements = Movements::default();
    let mut weight = Weight::of(&transaction)?;
    weight.leave(&mut movements)?;
    weight.counts = true;
    weight.enter(&mut movements)?;
    movements.carry_out(ctx).await?;
    let now = ctx.now();
    let values = Values::new().with("oczekuje", false).with("zatwierdzona_at", now).with("zatwierdzil_id", reviewer);
    ctx.update(&transaction, values).await?;
    approvals::decide(ctx, &transaction, reviewer, input.komentarz).await?;
    Ok(Approved { ok: true, id: transaction.id, zatwierdzona_at: now, zatwierdzil_id: reviewer })
}

/// Makes a transaction that is not approved wait for approval, so that it does not count until then.
pub(super) async fn suspend(ctx: &mut Ctx, transaction: &Record) -> Result<()> {
    let mut movements = Movements::default();
    Weight::of(transaction)?.leave(&mut movements)?;
    movements.carry_out(ctx).await?;
    ctx.update(transaction, Values::new().with("oczekuje", true)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_numbers_in_order() {
        for (day, number) in [("2026-11-21", 20_261_121), ("2026-01-02", 20_260_102), ("1999-12-31", 19_991_231)] {
            assert_eq!(day_number(Date::parse(day).unwrap()), number);
        }
    }
}
