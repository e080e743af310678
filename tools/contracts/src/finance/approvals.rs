//! The queue of approvals: which transaction waits for whom, and who approved it.

use bureau_kit::prelude::*;

use super::transactions::{self, TRANSACTIONS};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("approval_list", "finance.view", &APPROVALS)
            .title("List approvals")
            .about(
                "List who is to approve which transaction, and who has (zatwierdzona_at). Filter by reviewer_id for \
                 somebody's queue, or by transaction_id.",
            )
            .synonyms("queue waiting reviewer zatwierdzenia akceptacje kolejka do akceptacji затвердження черга"),
        family::create("approval_create", "finance.approve", &APPROVALS)
            .title("Ask for an approval")
            .about(
                "Ask a user to approve a transaction: it waits, and does not count, until somebody approves it with \
                 transaction_approve. The reviewer cannot be who recorded it. Refused once it is approved.",
            )
            .synonyms("request review queue poproś o zatwierdzenie do akceptacji wyślij запросити затвердження"),
        family::update("approval_update", "finance.approve", &APPROVALS)
            .title("Change an approval request")
            .about("Change the comment or the reviewer of a request that is not decided yet. It decides nothing itself.")
            .synonyms("edit review zmień akceptację recenzenta змінити затвердження"),
        family::delete("approval_delete", "finance.approve", &APPROVALS)
            .title("Withdraw an approval request")
            .about(
                "Take a request out of a reviewer's queue. The transaction goes on waiting until somebody approves it. Refused \
                 once it is approved.",
            )
            .synonyms("remove review usuń akceptację wycofaj видалити затвердження"),
    ]
}

pub(crate) static APPROVALS: Table = Table::new(
    "approvals",
    "approval",
    "A request to approve a transaction, or its approval.",
    &[
        Column::reference("transaction_id", "transactions", OnDelete::Cascade, "Transaction to approve.")
            .required()
            .fixed()
            .filter(),
        Column::reference("reviewer_id", "users", OnDelete::Refuse, "Who is to approve it, or has.")
            .required()
            .filter(),
        Column::text("komentarz", "Comment.").max(10_000).search(),
        Column::instant("zatwierdzona_at", "When this reviewer approved it.").computed().sort(),
    ],
)
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let id =
            draft.before.and_then(|row| row.id_of("transaction_id")).or_else(|| draft.values.id_of("transaction_id"));
        let id = id.ok_or_else(|| Error::invalid("/transaction_id", "is required"))?;
        let transaction = ctx.hold(&TRANSACTIONS, id).await?;
        if let Some(before) = draft.before
            && !before.cell("zatwierdzona_at").is_null()
        {
            return Err(Error::impossible_state(
                "This approval is given and stays on record. To take it back, give the undo_token of transaction_approve \
                 (action_log_list shows it) to action_undo.",
            ));
        }
        if draft.event == Event::Delete {
            return Ok(());
        }
        transactions::refuse_approved(ctx, &transaction).await?;
        let organization = Val::from(transaction.organization_id);
        if draft.values.get("organization_id").is_some_and(|given| *given != organization) {
            return Err(Error::invalid("/organization_id", "is always the one of the transaction; leave it out"));
        }
        draft.values.set("organization_id", organization);
        let Some(reviewer) = draft.values.id_of("reviewer_id") else { return Ok(()) };
        transactions::refuse_own(&transaction, reviewer)?;
        if draft.before.and_then(|before| before.id_of("reviewer_id")) != Some(reviewer) {
            refuse_twice(ctx, transaction.id, reviewer).await?;
        }
        if draft.event == Event::Create { transactions::suspend(ctx, &transaction).await } else { Ok(()) }
    })
}

async fn request_of(ctx: &mut Ctx, transaction: Uuid, reviewer: Uuid) -> Result<Option<Record>> {
    let mut sql = ctx.from(&APPROVALS);
    sql.and_eq("transaction_id", transaction).and_eq("reviewer_id", reviewer);
    ctx.first(&APPROVALS, sql).await
}

async fn refuse_twice(ctx: &mut Ctx, transaction: Uuid, reviewer: Uuid) -> Result<()> {
    match request_of(ctx, transaction, reviewer).await? {
        None => Ok(()),
        Some(request) => Err(Error::conflict(
            "This reviewer was asked about this transaction already. Change that request with approval_update.",
        )
        .with("approval_id", request.id.to_string())),
    }
}

/// Records who approved a transaction: in the request that waited for them, or in one of its own.
pub(super) async fn decide(
    ctx: &mut Ctx,
    transaction: &Record,
    reviewer: Uuid,
    komentarz: Option<String>,
) -> Result<()> {
    let now = ctx.now();
    let mut values = Values::new().with("zatwierdzona_at", now);
    if let Some(komentarz) = komentarz.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) {
        values.set("komentarz", komentarz);
    }
    if let Some(request) = request_of(ctx, transaction.id, reviewer).await? {
        ctx.update(&request, values).await?;
        return Ok(());
    }
    values
        .set("transaction_id", transaction.id)
        .set("reviewer_id", reviewer)
        .set("organization_id", transaction.organization_id);
    ctx.insert(&APPROVALS, values).await?;
    Ok(())
}
