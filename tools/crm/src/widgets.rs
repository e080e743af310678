//! What dashboards show of customers and deals: short lists, newest or nearest first.

use bureau_kit::prelude::*;

use crate::deal::DEALS;
use crate::next_interaction::{self, NextInteraction};
use crate::party::{PARTIES, PartyKind};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("widget_new_customer_list", "customers.widgets.new-customers", new_customers)
            .title("New customers")
            .about("Show the newest customers for a dashboard, five unless limit says otherwise; kind chooses people or companies.")
            .synonyms("dashboard latest recent nowi klienci pulpit najnowsi нові клієнти панель"),
        Tool::read("widget_new_deal_list", "customers.widgets.new-deals", new_deals)
            .title("New deals")
            .about("Show the newest deals for a dashboard, five unless limit says otherwise.")
            .synonyms("dashboard latest recent opportunities nowe szanse transakcje pulpit нові угоди панель"),
        Tool::read("widget_next_interaction_list", "customers.widgets.next-interactions", next_interactions)
            .title("Next contacts with customers")
            .about(
                "Show whom to contact next and what for, soonest first, for a dashboard. include_past adds what should have been \
                 done already. person_update and company_update set next_interaction.",
            )
            .synonyms("whom to call follow up dashboard kogo zadzwonić następny kontakt z klientem pulpit кому дзвонити наступний контакт"),
    ]
}

/// Dashboards need a right of their own beside that of the widget (documented).
pub fn require_dashboards(ctx: &Ctx) -> Result<()> {
    if ctx.principal().may(&["dashboards.view"]) {
        return Ok(());
    }
    Err(Error::forbidden("Dashboards need the right dashboards.view as well. Ask an administrator for it.")
        .with("missing", "dashboards.view"))
}

/// How many rows a widget shows: 5 unless given, at most 20.
pub fn widget_limit(given: Option<i64>) -> Result<i64> {
    match given {
        None => Ok(5),
        Some(limit @ 1..=20) => Ok(limit),
        Some(limit) => Err(Error::invalid("/limit", format!("expected a whole number from 1 to 20, got {limit}"))),
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CustomersInput {
    /// How many, 5 unless given.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<i64>,
    /// Only people, or only companies.
    kind: Option<PartyKind>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Customer {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// person or company.
    kind: String,
    /// Full name.
    display_name: String,
    /// UUID of the user in charge.
    #[schemars(with = "Option<String>")]
    owner_id: Option<Uuid>,
    /// When it was made.
    created_at: Instant,
}

fn customer(party: &Record) -> Result<Customer> {
    Ok(Customer {
        id: party.id,
        num: party.num,
        kind: party.get("kind")?,
        display_name: party.get("display_name")?,
        owner_id: party.id_of("owner_id"),
        created_at: party.created_at,
    })
}

#[derive(Debug, Serialize, JsonSchema)]
struct Customers {
    /// The customers, newest first.
    items: Vec<Customer>,
}

async fn new_customers(ctx: &mut Ctx, input: CustomersInput) -> Result<Customers> {
    require_dashboards(ctx)?;
    let limit = widget_limit(input.limit)?;
    let mut sql = ctx.from(&PARTIES);
    if let Some(kind) = input.kind {
        sql.and_eq("kind", kind.as_str());
    }
    sql.push(" AND active ORDER BY num DESC LIMIT ").bind(limit);
    let items = ctx.records(&PARTIES, &sql).await?.iter().map(customer).collect::<Result<_>>()?;
    Ok(Customers { items })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DealsInput {
    /// How many, 5 unless given.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NewDeal {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// What it is about.
    title: String,
    /// Status.
    status: String,
    /// Net value.
    value_net: Option<Money>,
    /// Currency of the value.
    currency: String,
    /// UUID of the user in charge.
    #[schemars(with = "Option<String>")]
    owner_id: Option<Uuid>,
    /// When it was made.
    created_at: Instant,
}

#[derive(Debug, Serialize, JsonSchema)]
struct NewDeals {
    /// The deals, newest first.
    items: Vec<NewDeal>,
}

async fn new_deals(ctx: &mut Ctx, input: DealsInput) -> Result<NewDeals> {
    require_dashboards(ctx)?;
    let limit = widget_limit(input.limit)?;
    let mut sql = ctx.from(&DEALS);
    sql.push(" ORDER BY num DESC LIMIT ").bind(limit);
    let shown = |deal: &Record| {
        Ok(NewDeal {
            id: deal.id,
            num: deal.num,
            title: deal.get("title")?,
            status: deal.get("status")?,
            value_net: deal.get("value_net")?,
            currency: deal.get("currency")?,
            owner_id: deal.id_of("owner_id"),
            created_at: deal.created_at,
        })
    };
    let items = ctx.records(&DEALS, &sql).await?.iter().map(shown).collect::<Result<_>>()?;
    Ok(NewDeals { items })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InteractionsInput {
    /// How many, 5 unless given.
    #[schemars(range(min = 1, max = 20))]
    limit: Option<i64>,
    /// Also those whose time has passed.
    #[serde(default, alias = "includePast")]
    include_past: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Interaction {
    /// The customer.
    customer: Customer,
    /// When to contact it, and why.
    next_interaction: Option<NextInteraction>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Interactions {
    /// The contacts, soonest first.
    items: Vec<Interaction>,
    /// The time it is.
    now: Instant,
}

async fn next_interactions(ctx: &mut Ctx, input: InteractionsInput) -> Result<Interactions> {
    require_dashboards(ctx)?;
    let limit = widget_limit(input.limit)?;
    let now = ctx.now();
    let mut sql = ctx.from(&PARTIES);
    if input.include_past {
        sql.push(" AND next_interaction_at IS NOT NULL");
    } else {
        sql.push(" AND next_interaction_at >= ").bind(now);
    }
    sql.push(" AND active ORDER BY next_interaction_at, id LIMIT ").bind(limit);
    let shown =
        |party: &Record| Ok(Interaction { customer: customer(party)?, next_interaction: next_interaction::of(party)? });
    let items = ctx.records(&PARTIES, &sql).await?.iter().map(shown).collect::<Result<_>>()?;
    Ok(Interactions { items, now })
}
