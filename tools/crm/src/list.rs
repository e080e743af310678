//! Lists of people and of companies: what both are filtered and sorted by.

use bureau_identity::User;
use bureau_kit::page::Wanted;
use bureau_kit::prelude::*;
use bureau_kit::text::literal_pattern;

use crate::Party;
use crate::party::{LifecycleStage, PARTIES, PartyKind};

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
    /// Which of the two; both when left out.
    pub(crate) kind: Option<PartyKind>,
    pub(crate) is_client: Option<bool>,
    pub(crate) is_contact: Option<bool>,
    pub(crate) words: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) email_starts_with: Option<String>,
    pub(crate) email_contains: Option<String>,
    pub(crate) has_email: Option<bool>,
    pub(crate) has_phone: Option<bool>,
    pub(crate) has_next_interaction: Option<bool>,
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

/// An input struct of a list: what people and companies are both filtered and sorted by. Filters of its own stand after
/// the words, and after the owner: the published order of the arguments.
macro_rules! party_list {
    (struct $name:ident {
        $($(#[$first_meta:meta])* $first:ident: $first_type:ty,)*
        ;
        $($(#[$then_meta:meta])* $then:ident: $then_type:ty,)*
    }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            /// Words to find in name and e-mail.
            #[serde(alias = "search")]
            #[schemars(length(max = 1024))]
            q: Option<String>,
            $($(#[$first_meta])* $first: $first_type,)*
            /// Only with exactly this main e-mail.
            email: Option<String>,
            /// Only with a main e-mail that begins so.
            #[serde(alias = "emailStartsWith")]
            email_starts_with: Option<String>,
            /// Only with a main e-mail that contains this.
            #[serde(alias = "emailContains")]
            email_contains: Option<String>,
            /// Only with, or only without a main e-mail.
            #[serde(alias = "hasEmail")]
            has_email: Option<bool>,
            /// Only with, or only without a main telephone number.
            #[serde(alias = "hasPhone")]
            has_phone: Option<bool>,
            /// Only with, or only without a next contact.
            #[serde(alias = "hasNextInteraction")]
            has_next_interaction: Option<bool>,
            /// Only at this stage.
            lifecycle_stage: Option<$crate::party::LifecycleStage>,
            /// Only with this status.
            status: Option<String>,
            /// Only from this source.
            source: Option<String>,
            /// Only those of this user in charge.
            #[serde(alias = "owner_id")]
            owner: Option<Id<User>>,
            $($(#[$then_meta])* $then: $then_type,)*
            /// Made at or after this instant.
            #[serde(alias = "created_at__gte", alias = "created_from", alias = "createdFrom")]
            created_at_from: Option<Instant>,
            /// Made at or before this instant.
            #[serde(alias = "created_at__lte", alias = "created_to", alias = "createdTo")]
            created_at_to: Option<Instant>,
            /// Only with this key in metadata.
            #[serde(alias = "metadata__has_key")]
            metadata_has_key: Option<String>,
            /// Only with at least one of these tags.
            #[serde(alias = "tag_ids", alias = "tagIds")]
            tags: Option<Vec<Id<$crate::Tag>>>,
            /// Only active, or only inactive ones.
            #[serde(alias = "is_active", alias = "isActive")]
            active: Option<bool>,
            /// What to sort by; newest first when left out.
            #[serde(alias = "sort_field", alias = "sortField")]
            sort: Option<$crate::list::PartySort>,
            /// Direction of the sort.
            #[serde(alias = "sort_dir", alias = "sortDir")]
            order: Option<$crate::list::Order>,
            /// Page to show, from 1.
            #[schemars(range(min = 1, max = 1_000_000))]
            page: Option<i64>,
            /// Rows on a page, 50 unless given.
            #[schemars(range(min = 1, max = 100))]
            page_size: Option<i64>,
        }

        impl $name {
            /// The query, without what only one of the two kinds is filtered by.
            fn query(self, kind: $crate::party::PartyKind) -> $crate::list::PartyQuery {
                $crate::list::PartyQuery {
                    kind: Some(kind),
                    is_client: None,
                    is_contact: None,
                    words: self.q,
                    name: None,
                    email: self.email,
                    email_starts_with: self.email_starts_with,
                    email_contains: self.email_contains,
                    has_email: self.has_email,
                    has_phone: self.has_phone,
                    has_next_interaction: self.has_next_interaction,
                    lifecycle_stage: self.lifecycle_stage,
                    status: self.status,
                    source: self.source,
                    owner: self.owner,
                    company: None,
                    created_from: self.created_at_from,
                    created_to: self.created_at_to,
                    metadata_key: self.metadata_has_key,
                    tags: self.tags,
                    active: self.active,
                    sort: self.sort,
                    order: self.order,
                    page: self.page,
                    page_size: self.page_size,
                }
            }
        }
    };
}
pub(crate) use party_list;

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
        if let Some(kind) = self.kind {
            sql.and_eq("kind", kind.as_str());
        }
        for (column, wanted) in [("is_client", self.is_client), ("is_contact", self.is_contact)] {
            if let Some(wanted) = wanted {
                sql.and_eq(column, wanted);
            }
        }
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
        let present = [
            (" AND primary_email_folded IS", self.has_email),
            (" AND primary_phone IS", self.has_phone),
            (" AND next_interaction_at IS", self.has_next_interaction),
        ];
        for (column, wanted) in present {
            if let Some(wanted) = wanted {
                sql.push(column).push(if wanted { " NOT NULL" } else { " NULL" });
            }
        }
        for (text, before) in [(&self.email_starts_with, ""), (&self.email_contains, "%")] {
            if let Some(text) = text {
                // Stored in lower case.
                let pattern = format!("{before}{}%", literal_pattern(&text.trim().to_lowercase()));
                sql.push(" AND primary_email_folded LIKE ").bind(pattern).push(" ESCAPE '\\'");
            }
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
        and_tagged(sql, tenant, PARTIES.noun, self.tags.as_deref());
    }
}

/// Appends the condition that a record has at least one of these tags.
pub(crate) fn and_tagged(sql: &mut Sql, tenant: Uuid, noun: &'static str, tags: Option<&[Id<crate::Tag>]>) {
    // An empty list is what callers send for no filter.
    let Some(tags) = tags.filter(|tags| !tags.is_empty()) else { return };
    let (mut ids, mut nums) = (Vec::new(), Vec::new());
    for tag in tags {
        match tag.key() {
            Key::Uuid(id) => ids.push(id),
            Key::Num(num) => nums.push(num),
        }
    }
    sql.push(" AND id IN (SELECT l.subject_id FROM tag_links l JOIN tags t ON t.id = l.tag_id WHERE l.tenant_id = ");
    sql.bind(tenant).push(" AND t.tenant_id = ").bind(tenant);
    sql.and_eq("l.subject_type", noun).push(" AND ((TRUE").and_in("t.id", ids);
    sql.push(") OR (TRUE").and_in("t.num", nums).push(")))");
}

/// The UUID that a filter means. A number nobody has filters everything out, like a UUID nobody has.
pub(crate) async fn key_of(ctx: &mut Ctx, table: &'static Table, key: Option<Key>) -> Result<Option<Uuid>> {
    Ok(match key {
        None => None,
        Some(Key::Uuid(id)) => Some(id),
        Some(number) => Some(ctx.resolve(table, number).await?.unwrap_or(Uuid::nil())),
    })
}
