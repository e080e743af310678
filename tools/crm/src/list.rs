//! Lists of people and of companies: what both are filtered and sorted by.

use bureau_identity::User;
use bureau_kit::page::Wanted;
use bureau_kit::prelude::*;

use crate::Party;
use crate::party::{LifecycleStage, PARTIES};

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PartySort {
    #[serde(alias = "display_name")]
    Name,
    #[serde(alias = "createdAt")]
    CreatedAt,
    #[serde(alias = "updatedAt")]
    UpdatedAt,
    Num,
}

/// Direction of a sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Asc,
    Desc,
}

/// What a list shows.
#[derive(Debug, Default)]
pub(crate) struct PartyQuery {
    pub(crate) kind: &'static str,
    pub(crate) words: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) lifecycle_stage: Option<LifecycleStage>,
    pub(crate) status: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) owner: Option<Id<User>>,
    pub(crate) company: Option<Id<Party>>,
    pub(crate) created_from: Option<Instant>,
    pub(crate) created_to: Option<Instant>,
    pub(crate) metadata_key: Option<String>,
    pub(crate) tags: Option<Vec<Id<crate::Tag>>>,
    pub(crate) active: Option<bool>,
    pub(crate) sort: Option<PartySort>,
    pub(crate) order: Option<Order>,
    pub(crate) page: Option<i64>,
    pub(crate) page_size: Option<i64>,
}

impl PartyQuery {
    pub(crate) async fn run(self, ctx: &mut Ctx) -> Result<Page<Record>> {
        let (page, size) = Wanted { page: self.page, page_size: self.page_size }.checked()?;
        let owner = key_of(ctx, User::TABLE, self.owner.map(Id::key)).await?;
        let company = key_of(ctx, &PARTIES, self.company.map(Id::key)).await?;
        let mut counted = ctx.select("1", &PARTIES);
        self.filter(ctx.tenant_id(), owner, company, &mut counted);
        let mut sql = ctx.from(&PARTIES);
        self.filter(ctx.tenant_id(), owner, company, &mut sql);
        let sort = self.sort.unwrap_or(PartySort::Num);
        let column = match sort {
            PartySort::Name => "name_folded",
            PartySort::CreatedAt => "created_at",
            PartySort::UpdatedAt => "updated_at",
            PartySort::Num => "num",
        };
        // Newest first by default; by name, ascending is what people expect.
        let descending = self.order.map_or(sort != PartySort::Name, |order| order == Order::Desc);
        page::order(&mut sql, column, false, descending);
        page::fetch(ctx, &PARTIES, page::Query { rows: sql, counted, page, page_size: size }).await
    }

    fn filter(&self, tenant: Uuid, owner: Option<Uuid>, company: Option<Uuid>, sql: &mut Sql) {
        sql.and_eq("kind", self.kind);
        let texts = [
            ("primary_email_folded", self.email.as_ref().map(|email| email.trim().to_lowercase())),
            ("lifecycle_stage", self.lifecycle_stage.map(|stage| stage.as_str().to_owned())),
            ("status", self.status.clone()),
            ("source", self.source.clone()),
        ];
        for (column, wanted) in texts {
            if let Some(wanted) = wanted {
                sql.and_eq(column, wanted);
            }
        }
        for (column, wanted) in [("owner_id", owner), ("company_id", company)] {
            if let Some(wanted) = wanted {
                sql.and_eq(column, wanted);
            }
        }
        if let Some(active) = self.active {
            sql.and_eq("active", active);
        }
        if let Some(from) = self.created_from {
            sql.push(" AND created_at >= ").bind(from);
        }
        if let Some(to) = self.created_to {
            sql.push(" AND created_at <= ").bind(to);
        }
        if let Some(words) = &self.words {
            sql.and_contains(words);
        }
        if let Some(name) = &self.name {
            sql.push(" AND name_folded LIKE ").bind(bureau_kit::text::contains_pattern(name)).push(" ESCAPE '\\'");
        }
        if let Some(key) = &self.metadata_key {
            sql.push(" AND id IN (SELECT party_id FROM party_metadata_keys WHERE tenant_id = ").bind(tenant);
            sql.and_eq("name", key.as_str()).push(")");
        }
        // An empty list is what callers send for no filter.
        if let Some(tags) = self.tags.as_ref().filter(|tags| !tags.is_empty()) {
            let (mut ids, mut nums) = (Vec::new(), Vec::new());
            for tag in tags {
                match tag.key() {
                    Key::Uuid(id) => ids.push(id),
                    Key::Num(num) => nums.push(num),
                }
            }
            sql.push(
                " AND id IN (SELECT l.subject_id FROM tag_links l JOIN tags t ON t.id = l.tag_id WHERE l.tenant_id = ",
            );
            sql.bind(tenant).push(" AND t.tenant_id = ").bind(tenant);
            sql.and_eq("l.subject_type", "party").push(" AND ((TRUE").and_in("t.id", ids);
            sql.push(") OR (TRUE").and_in("t.num", nums).push(")))");
        }
    }
}

/// The UUID that a filter means. A number nobody has filters everything out, like a UUID nobody has.
async fn key_of(ctx: &mut Ctx, table: &'static Table, key: Option<Key>) -> Result<Option<Uuid>> {
    Ok(match key {
        None => None,
        Some(Key::Uuid(id)) => Some(id),
        Some(number) => Some(ctx.resolve(table, number).await?.unwrap_or(Uuid::nil())),
    })
}
