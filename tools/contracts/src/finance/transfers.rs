//! Transfers: money from one person to another, which the other accepts or rejects, and money between registers.

use bureau_identity::User;
use bureau_kit::page::Wanted;
use bureau_kit::prelude::*;

use super::cash::{self, Holder};
use super::{Booking, CASH, EXPENSE, INCOME, REGISTERS, Source, book, check_amount};

const VIEW: &str = "finance.view";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read_body("transfer_list", "finance.transfer", list)
            .or_right(VIEW)
            .on(&TRANSFERS)
            .title("List transfers")
            .about(
                "List transfers of money between people and between registers, newest first. Without finance.view only those \
                 from or to you. status: pending with recipient_id shows what waits for somebody's transfer_accept.",
            )
            .synonyms("money handed over pending przekazania transfery przelewy między pracownikami oczekujące перекази передача грошей"),
        Tool::create("transfer_create", "finance.transfer", create)
            .on(&TRANSFERS)
            .title("Hand money over to a person")
            .about(
                "Hand money of yours over to another user. It waits until that user accepts it with transfer_accept; only then \
                 it leaves you and arrives there, as one transaction on each side. To take a waiting one back, use action_undo.",
            )
            .synonyms("transfer cash to colleague give money przekaż gotówkę pieniądze pracownikowi transfer oddaj передати гроші готівку колезі"),
        Tool::action("transfer_accept", "finance.transfer", accept)
            .on(&TRANSFERS)
            .title("Accept a transfer")
            .about(
                "Accept money that somebody hands over to you: it leaves them and arrives with you. Only the recipient can, \
                 once. Refused when the sender's cash has become too little.",
            )
            .synonyms("confirm receive money przyjmij gotówkę potwierdź odbiór pieniędzy акцептувати прийняти гроші підтвердити отримання"),
        Tool::action("transfer_reject", "finance.transfer", reject)
            .on(&TRANSFERS)
            .title("Reject a transfer")
            .about("Reject money that somebody hands over to you: nothing moves. Only the recipient can, once.")
            .synonyms("refuse decline money odrzuć transfer nie przyjmuję gotówki відхилити переказ грошей"),
        Tool::create("inter_cash_transfer_create", "finance.inter_cash_transfer", between_registers)
            .on(&TRANSFERS)
            .title("Move money between cash and bank")
            .about(
                "Move money between two registers of the company, such as cash into the bank, at once: from_rodzaj, to_rodzaj \
                 (gotowka, przelew, karta) and kwota. With own: true the registers are yours.",
            )
            .synonyms("deposit withdraw cash bank wpłata do banku wypłata z banku kasa bank między kasami внести в банк зняти готівку"),
    ]
}

/// Names the table of transfers to ids.
#[derive(Debug)]
pub(crate) struct Transfer;

impl Kind for Transfer {
    const TABLE: &'static Table = &TRANSFERS;
}

pub(crate) static TRANSFERS: Table = Table::new(
    "transfers",
    "transfer",
    "Money on its way between people or registers.",
    &[
        Column::choice("kind", &["people", "registers"], "Between people, or between registers of one owner.")
            .required(),
        Column::reference("sender_id", "users", OnDelete::Refuse, "Whose money it is; null is the company."),
        Column::reference("recipient_id", "users", OnDelete::Refuse, "Who gets it; null is the company."),
        Column::money("kwota", "Amount.").required(),
        Column::choice("rodzaj", &REGISTERS, "Register it leaves.").required(),
        Column::choice("na_rodzaj", &REGISTERS, "Register it arrives in.").required(),
        Column::text("komentarz", "Comment.").max(10_000),
        Column::choice("status", &["pending", "accepted", "rejected"], "pending until the recipient decides.")
            .required(),
        Column::instant("decided_at", "When it was accepted or rejected."),
        Column::reference("autor_id", "users", OnDelete::Clear, "Who made it."),
    ],
);

/// Registers as arguments name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Register {
    Gotowka,
    Przelew,
    Karta,
}

impl Register {
    fn as_str(self) -> &'static str {
        match self {
            Self::Gotowka => CASH,
            Self::Przelew => "przelew",
            Self::Karta => "karta",
        }
    }
}

/// What became of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    Accepted,
    Rejected,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Only with this status.
    status: Option<Status>,
    /// Only from this user.
    sender_id: Option<Id<User>>,
    /// Only to this user.
    recipient_id: Option<Id<User>>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Body<Page<Shown<Transfer>>>> {
    let (page, page_size) = Wanted { page: input.page, page_size: input.page_size }.checked()?;
    // A number nobody has finds nothing, like a UUID nobody has.
    let mut people = Vec::new();
    for (column, wanted) in [("sender_id", input.sender_id), ("recipient_id", input.recipient_id)] {
        if let Some(wanted) = wanted {
            people.push((column, ctx.resolve(User::TABLE, wanted.key()).await?.unwrap_or(Uuid::nil())));
        }
    }
    let own = if ctx.principal().may(&[VIEW]) { None } else { Some(ctx.user_id()?) };
    let filter = |sql: &mut Sql| {
        if let Some(user) = own {
            sql.push(" AND (sender_id = ").bind(user).push(" OR recipient_id = ").bind(user).push(")");
        }
        if let Some(status) = input.status {
            sql.and_eq("status", status.as_str());
        }
        for (column, user) in &people {
            sql.and_eq(column, *user);
        }
    };
    let mut counted = ctx.select("1", &TRANSFERS);
    filter(&mut counted);
    let mut rows = ctx.from(&TRANSFERS);
    filter(&mut rows);
    page::order(&mut rows, "num", false, true);
    page::fetch_body::<Transfer>(ctx, page::Query { rows, counted, page, page_size }).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// User who gets the money.
    #[serde(
        alias = "to_user_id",
        alias = "toUserId",
        alias = "recipientUserId",
        alias = "recipient_id",
        alias = "recipientId"
    )]
    recipient_user_id: Id<User>,
    /// Amount, more than 0.
    kwota: Money,
    /// Register it leaves and arrives in: gotowka (cash) when left out.
    rodzaj: Option<Register>,
    /// Comment.
    #[schemars(length(max = 10_000))]
    komentarz: Option<String>,
}

fn comment(text: Option<String>) -> Result<Val> {
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    if text.as_deref().is_some_and(|text| text.chars().count() > 10_000) {
        return Err(Error::invalid("/komentarz", "is longer than 10000 characters"));
    }
    Ok(text.into())
}

/// The sender is always the caller.
async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Shown<Transfer>> {
    let sender = ctx.user_id()?;
    check_amount("/kwota", input.kwota)?;
    let komentarz = comment(input.komentarz)?;
    let recipient = ctx.reference("recipient_user_id", input.recipient_user_id).await?;
    if recipient == sender {
        return Err(Error::invalid(
            "/recipient_user_id",
            "is yourself; to move money between your registers call inter_cash_transfer_create with own: true",
        ));
    }
    let active = ctx.hold(User::TABLE, recipient).await?.flag("active");
    if !active {
        return Err(Error::invalid("/recipient_user_id", "is a blocked user, who could not accept it"));
    }
    let rodzaj = input.rodzaj.map_or(CASH, Register::as_str);
    let organization = ctx.principal().organization_id;
    if rodzaj == CASH {
        // Asked again when it is accepted; here it only spares the recipient a transfer that cannot be.
        let held = cash::held(ctx, Holder { organization, user: Some(sender) }).await?;
        if held < input.kwota {
            return Err(Error::impossible_state(format!(
                "You hold {held} in cash, so you cannot hand {} over. Record the money you received with transaction_create \
                 (uzytkownik_id: you) first.",
                input.kwota
            ))
            .with("saldo", held.to_string()));
        }
    }
    let values = Values::new()
        .with("kind", "people")
        .with("sender_id", sender)
        .with("recipient_id", recipient)
        .with("kwota", input.kwota)
        .with("rodzaj", rodzaj)
        .with("na_rodzaj", rodzaj)
        .with("komentarz", komentarz)
        .with("status", "pending")
        .with("autor_id", sender)
        .with("organization_id", organization);
    Ok(ctx.insert(&TRANSFERS, values).await?.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DecideInput {
    /// Transfer to decide about.
    id: Id<Transfer>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Decided {
    /// Always true.
    ok: bool,
    /// UUID of the transfer.
    #[schemars(with = "String")]
    id: Uuid,
    /// accepted or rejected.
    status: &'static str,
    /// When it was decided.
    decided_at: Instant,
    /// UUIDs of the transactions that were made: the sender's, then the recipient's. None when nothing moved.
    transaction_ids: Vec<String>,
}

/// The transfer, if the caller is who may decide about it and it is still open. Two decisions at once: the second waits
/// for the lock that `fetch` takes, and finds the transfer decided.
async fn open(ctx: &mut Ctx, id: Id<Transfer>, what: &str) -> Result<Record> {
    let caller = ctx.user_id()?;
    // Somebody else's transfer is not told from none, as the list does not show it either.
    let key = id.key();
    let transfer = ctx.fetch(id).await?;
    let part = [transfer.id_of("sender_id"), transfer.id_of("recipient_id")].contains(&Some(caller));
    if !part && !ctx.principal().may(&[VIEW]) {
        return Err(Error::not_found("transfer", key));
    }
    if transfer.id_of("recipient_id") != Some(caller) {
        return Err(Error::forbidden(format!(
            "Only the person whom the money is handed to can {what} transfer {}. Nothing was changed.",
            transfer.num.unwrap_or_default()
        )));
    }
    if let Some(at) = transfer.get::<Option<Instant>>("decided_at")? {
        return Err(Error::impossible_state(format!(
            "Transfer {} was {} already, on {at}. Nothing was changed.",
            transfer.num.unwrap_or_default(),
            transfer.text("status")
        ))
        .with("status", transfer.text("status")));
    }
    Ok(transfer)
}

async fn accept(ctx: &mut Ctx, input: DecideInput) -> Result<Decided> {
    let transfer = open(ctx, input.id, "accept").await?;
    let booked = book_both_sides(ctx, &transfer, Source::Transfer).await?;
    decided(ctx, &transfer, "accepted", booked).await
}

async fn reject(ctx: &mut Ctx, input: DecideInput) -> Result<Decided> {
    let transfer = open(ctx, input.id, "reject").await?;
    decided(ctx, &transfer, "rejected", Vec::new()).await
}

async fn decided(ctx: &mut Ctx, transfer: &Record, status: &'static str, booked: Vec<Record>) -> Result<Decided> {
    let now = ctx.now();
    ctx.update(transfer, Values::new().with("status", status).with("decided_at", now)).await?;
    let transaction_ids = booked.iter().map(|transaction| transaction.id.to_string()).collect();
    Ok(Decided { ok: true, id: transfer.id, status, decided_at: now, transaction_ids })
}

/// One transaction on each side, in one step with the cash that moves.
async fn book_both_sides(ctx: &mut Ctx, transfer: &Record, source: Source) -> Result<Vec<Record>> {
    let num = transfer.num.unwrap_or_default();
    let kwota = transfer.get("kwota")?;
    let side = |typ, rodzaj: &str, user| Booking {
        source,
        typ,
        rodzaj: rodzaj.to_owned(),
        kwota,
        nazwa: format!("Transfer {num}"),
        komentarz: transfer.cell("komentarz").clone(),
        organization: transfer.organization_id,
        user,
        transfer: Some(transfer.id),
        linked: None,
        author: transfer.id_of("autor_id"),
    };
    let sides = vec![
        side(EXPENSE, transfer.text("rodzaj"), transfer.id_of("sender_id")),
        side(INCOME, transfer.text("na_rodzaj"), transfer.id_of("recipient_id")),
    ];
    book(ctx, sides).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BetweenInput {
    /// Register the money leaves: gotowka (cash), przelew (bank account), karta (card).
    #[serde(alias = "from_cash", alias = "fromCash", alias = "fromRodzaj")]
    from_rodzaj: Register,
    /// Register it arrives in, another one.
    #[serde(alias = "to_cash", alias = "toCash", alias = "toRodzaj")]
    to_rodzaj: Register,
    /// Amount, more than 0.
    kwota: Money,
    /// True when the registers are the caller's own; the company's when left out.
    #[serde(default)]
    own: bool,
    /// Comment.
    #[schemars(length(max = 10_000))]
    komentarz: Option<String>,
}

/// Nobody decides about another's money: the registers are the company's or the caller's.
async fn between_registers(ctx: &mut Ctx, input: BetweenInput) -> Result<Decided> {
    let caller = ctx.user_id()?;
    check_amount("/kwota", input.kwota)?;
    if input.from_rodzaj == input.to_rodzaj {
        return Err(Error::invalid("/to_rodzaj", "is the register it leaves; choose another one"));
    }
    let owner = input.own.then_some(caller);
    let now = ctx.now();
    let values = Values::new()
        .with("kind", "registers")
        .with("sender_id", owner)
        .with("recipient_id", owner)
        .with("kwota", input.kwota)
        .with("rodzaj", input.from_rodzaj.as_str())
        .with("na_rodzaj", input.to_rodzaj.as_str())
        .with("komentarz", comment(input.komentarz)?)
        .with("status", "accepted")
        .with("decided_at", now)
        .with("autor_id", caller);
    let transfer = ctx.insert(&TRANSFERS, values).await?;
    let booked = book_both_sides(ctx, &transfer, Source::Registers).await?;
    let transaction_ids = booked.iter().map(|transaction| transaction.id.to_string()).collect();
    Ok(Decided { ok: true, id: transfer.id, status: "accepted", decided_at: now, transaction_ids })
}
