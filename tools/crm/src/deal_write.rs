//! Making and changing deals, by the words of all three systems.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::deal::DEALS;
use crate::deal_move::note_move;
use crate::deal_party;
use crate::deal_view::{self, DealView};
use crate::form::{Form, Mode};
use crate::json::AnyJson;
use crate::party::{self, PARTIES, PartyKind};
use crate::pipeline::PIPELINES;
use crate::pipeline_stage::PIPELINE_STAGES;
use crate::subject::Subject;
use crate::tag_link;
use crate::{Deal, LeadSource, Party, Pipeline, PipelineStage};

/// How Intum says that a deal is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Closed {
    /// It was won.
    #[serde(alias = "won")]
    Win,
    /// It was lost.
    Lost,
    /// It is open.
    #[serde(rename = "")]
    Open,
}

/// An input of a deal: its own fields and those of every deal.
macro_rules! deal_input {
    (struct $name:ident { $(#[$title_meta:meta])* title, $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$meta])* $own: $type,)*
            $(#[$title_meta])*
            #[serde(alias = "name")]
            title: Patch<String>,
            /// Description.
            #[serde(default)]
            #[schemars(length(max = 4000))]
            description: Patch<String>,
            /// Its pipeline; the default one unless given. See pipeline_list.
            #[serde(default, alias = "pipeline_id")]
            pipeline: Patch<Id<Pipeline>>,
            /// Its stage; the first one unless given. See pipeline_stage_list.
            #[serde(default, alias = "stage_id", alias = "status_id")]
            stage: Patch<Id<PipelineStage>>,
            /// Or the code of its stage.
            #[serde(default, alias = "stage_code", alias = "pipelineStage")]
            #[schemars(length(max = 100))]
            pipeline_stage: Patch<String>,
            /// open, won or lost; follows from the stage, so leave it out where that is given.
            #[serde(default)]
            #[schemars(length(max = 50))]
            status: Patch<String>,
            /// win, lost, or blank for open: Intum's word for status.
            #[serde(default)]
            closed: Option<Closed>,
            /// Net value.
            #[serde(default, alias = "value_amount", alias = "valueAmount", alias = "lead_value", alias = "total_amount_net")]
            value_net: Patch<Money>,
            /// Gross value, at least the net value.
            #[serde(default, alias = "total_amount_gross")]
            value_gross: Patch<Money>,
            /// Tax.
            #[serde(default)]
            tax: Patch<Money>,
            /// Currency of the value, three letters; USD unless given.
            #[serde(default, alias = "value_currency", alias = "valueCurrency")]
            currency: Patch<String>,
            /// Probability of winning it, in per cent; that of its stage unless given.
            #[serde(default)]
            probability: Patch<i64>,
            /// When it is expected to be closed.
            #[serde(default, alias = "expected_close_date", alias = "expected_close_at", alias = "expectedCloseAt")]
            #[schemars(with = "Patch<Date>")]
            expected_close: Patch<Instant>,
            /// User in charge; you unless given.
            #[serde(default, alias = "owner_id", alias = "owner_user_id", alias = "ownerUserId", alias = "responsible_id")]
            owner: Patch<Id<User>>,
            /// Where it came from, in words.
            #[serde(default)]
            #[schemars(length(max = 150))]
            source: Patch<String>,
            /// Lead source it came from; see lead_source_list.
            #[serde(default)]
            source_id: Patch<Id<LeadSource>>,
            /// Its person. With organization, that must be the person's company.
            #[serde(default, alias = "contact_id")]
            person: Patch<Id<Party>>,
            /// Its company.
            #[serde(default)]
            organization: Patch<Id<Party>>,
            /// Its client: a person or company.
            #[serde(default)]
            client_id: Patch<Id<Party>>,
            /// All its people, the first of them foremost.
            #[serde(default, alias = "personIds", alias = "person_ids")]
            #[schemars(length(max = 100))]
            people: Option<Vec<Id<Party>>>,
            /// All its companies, the first of them foremost.
            #[serde(default, alias = "companyIds", alias = "company_ids")]
            #[schemars(length(max = 100))]
            companies: Option<Vec<Id<Party>>>,
            /// Reason of the loss.
            #[serde(default)]
            #[schemars(length(max = 255))]
            lost_reason: Patch<String>,
            /// Number of the business papers.
            #[serde(default)]
            number: Patch<String>,
            /// Number of its invoice.
            #[serde(default, alias = "invoice_no")]
            invoice_number: Patch<String>,
            /// Address of a page about it.
            #[serde(default)]
            #[schemars(length(max = 2000))]
            url: Patch<String>,
            /// System that external_id is of.
            #[serde(default, alias = "origin")]
            #[schemars(length(max = 64))]
            app_code: Patch<String>,
            /// Id in another system, unique there.
            #[serde(default)]
            #[schemars(length(max = 128))]
            external_id: Patch<String>,
            /// Its date.
            #[serde(default, alias = "date")]
            main_date: Patch<Date>,
            /// When the work begins.
            #[serde(default)]
            date_from: Patch<Date>,
            /// When the work ends.
            #[serde(default)]
            date_to: Patch<Date>,
            /// Department; see department_list.
            #[serde(default)]
            #[schemars(with = "Patch<String>", extend("x-record" = "groups"))]
            department_id: Patch<Key>,
            /// Project; see project_list.
            #[serde(default)]
            #[schemars(with = "Patch<String>", extend("x-record" = "projects"))]
            project_id: Patch<Key>,
            /// Task; see task_list.
            #[serde(default)]
            #[schemars(with = "Patch<String>", extend("x-record" = "tasks"))]
            task_id: Patch<Key>,
            /// Anything else.
            #[serde(default)]
            metadata: Patch<AnyJson>,
            /// All its tags: others are taken off.
            #[serde(default)]
            tags: Option<Vec<Id<crate::Tag>>>,
            /// Own organization it belongs to; yours unless given.
            #[serde(default, alias = "organizationId")]
            #[schemars(with = "Patch<String>", extend("x-record" = "organizations"))]
            organization_id: Patch<Key>,
        }

        impl $name {
            /// Puts everything into a form, but for the people, companies and tags, which it answers.
            async fn fill(self, ctx: &mut Ctx, form: &mut Form) -> Result<Around> {
                form.put("title", "title", self.title)?;
                form.put("description", "description", self.description)?;
                // Where a deal stands is no data of its own: a replacement leaves it, unless it names another place.
                let mode = form.mode;
                form.mode = if mode == Mode::Create { Mode::Create } else { Mode::Update };
                refer(ctx, form, "pipeline", "pipeline_id", &PIPELINES, self.pipeline.key()).await?;
                refer(ctx, form, "stage", "stage_id", &PIPELINE_STAGES, self.stage.key()).await?;
                form.put("pipeline_stage", "pipeline_stage", self.pipeline_stage)?;
                form.put("status", "status", self.status)?;
                if let Some(closed) = self.closed {
                    form.set("status", match closed {
                        Closed::Win => "won",
                        Closed::Lost => "lost",
                        Closed::Open => "open",
                    });
                }
                form.put("lost_reason", "lost_reason", self.lost_reason)?;
                form.put("probability", "probability", self.probability)?;
                party::set_organization(ctx, form, self.organization_id).await?;
                form.mode = mode;
                form.put("value_net", "value_net", self.value_net)?;
                form.put("value_gross", "value_gross", self.value_gross)?;
                form.put("tax", "tax", self.tax)?;
                form.put("currency", "currency", self.currency)?;
                let day = match self.expected_close {
                    Patch::Set(instant) => Patch::Set(instant.date()),
                    Patch::Clear => Patch::Clear,
                    Patch::Absent => Patch::Absent,
                };
                form.put("expected_close", "expected_close", day)?;
                form.put("source", "source", self.source)?;
                form.put("number", "number", self.number)?;
                form.put("invoice_number", "invoice_number", self.invoice_number)?;
                form.put("url", "url", self.url)?;
                form.put("app_code", "app_code", self.app_code)?;
                form.put("external_id", "external_id", self.external_id)?;
                form.put("main_date", "main_date", self.main_date)?;
                form.put("date_from", "date_from", self.date_from)?;
                form.put("date_to", "date_to", self.date_to)?;
                form.put("metadata", "metadata", self.metadata)?;
                party::put_owner(ctx, form, self.owner).await?;
                let registry = &ctx.bureau().clone().registry;
                let table = |name| registry.table(name).ok_or_else(|| Error::internal(format!("no table {name}")));
                refer(ctx, form, "source_id", "source_id", LeadSource::TABLE, self.source_id.key()).await?;
                refer(ctx, form, "department_id", "department_id", table("groups")?, self.department_id).await?;
                refer(ctx, form, "project_id", "project_id", table("projects")?, self.project_id).await?;
                refer(ctx, form, "task_id", "task_id", table("tasks")?, self.task_id).await?;
                let tags = party::resolve_tags(ctx, form, self.tags).await?;
                let whom = Whom {
                    person: self.person,
                    organization: self.organization,
                    client: self.client_id,
                    people: self.people,
                    companies: self.companies,
                };
                let (people, companies) = whom.resolve(ctx, form).await?;
                Ok(Around { people, companies, tags })
            }
        }
    };
}

deal_input! {
    struct CreateInput {
        /// What it is about.
        #[schemars(with = "String", length(max = 200))]
        title,
    }
}

deal_input! {
    struct ChangeInput {
        /// What it is about.
        #[serde(default)]
        #[schemars(length(max = 200))]
        title,
        /// UUID or number of the deal.
        id: Id<Deal>,
    }
}

/// What stands around a deal's row, as far as it was given.
struct Around {
    people: Named,
    companies: Named,
    tags: Option<Vec<Uuid>>,
}

/// The people, or the companies, that a deal is given.
#[derive(Debug, Default)]
struct Named {
    /// All of them.
    all: Option<Vec<Uuid>>,
    /// The foremost; the others stay behind it.
    first: Option<Uuid>,
}

impl Named {
    /// The list to store, where it changes; `stored` are those that the deal has.
    fn list(self, stored: Vec<Uuid>) -> Option<Vec<Uuid>> {
        let Some(first) = self.first else { return self.all };
        let mut list = self.all.unwrap_or(stored);
        list.retain(|other| *other != first);
        list.insert(0, first);
        Some(list)
    }
}

/// The key inside an id that may be given.
trait KeyOf {
    fn key(self) -> Patch<Key>;
}

impl<K> KeyOf for Patch<Id<K>> {
    fn key(self) -> Patch<Key> {
        match self {
            Patch::Set(id) => Patch::Set(id.key()),
            Patch::Clear => Patch::Clear,
            Patch::Absent => Patch::Absent,
        }
    }
}

/// Takes a reference into a form.
async fn refer(
    ctx: &mut Ctx,
    form: &mut Form,
    argument: &str,
    column: &'static str,
    table: &'static Table,
    given: Patch<Key>,
) -> Result<()> {
    let Patch::Set(key) = given else {
        party::put_reference(form, column, &given);
        return Ok(());
    };
    let found = ctx.resolve(table, key).await?;
    form.refer(argument, column, found.ok_or_else(|| table.missing(key)));
    Ok(())
}

/// The people and companies that the words of three systems name.
struct Whom {
    person: Patch<Id<Party>>,
    organization: Patch<Id<Party>>,
    client: Patch<Id<Party>>,
    people: Option<Vec<Id<Party>>>,
    companies: Option<Vec<Id<Party>>>,
}

impl Whom {
    async fn resolve(self, ctx: &mut Ctx, form: &mut Form) -> Result<(Named, Named)> {
        let both = matches!((&self.person, &self.organization), (Patch::Set(_), Patch::Set(_)));
        let mut people = named(ctx, form, ("people", "person"), PartyKind::Person, self.people, self.person).await?;
        let mut companies =
            named(ctx, form, ("companies", "organization"), PartyKind::Company, self.companies, self.organization)
                .await?;
        if let (true, Some(person), Some(company)) = (both, people.first, companies.first) {
            // iblai: the company of a deal is the company of its person.
            let mut sql = ctx.select("1", &PARTIES);
            sql.and_eq("id", person).and_eq("company_id", company);
            if !ctx.exists(sql).await? {
                form.refuse(
                    "organization",
                    "is not the company of the person; leave it out, or name it among companies",
                );
            }
        }
        match self.client {
            Patch::Absent => {}
            Patch::Clear => companies = Named { all: Some(Vec::new()), first: None },
            Patch::Set(client) => match party::resolve(ctx, client.key(), None).await? {
                Some((id, PartyKind::Person)) => people.first = Some(id),
                Some((id, PartyKind::Company)) => companies.first = Some(id),
                None => form
                    .refuse("client_id", format!("there is no client {}; use customer_list to find it", client.key())),
            },
        }
        Ok((people, companies))
    }
}

/// The people, or the companies, that two arguments name: all of them, and the foremost.
async fn named(
    ctx: &mut Ctx,
    form: &mut Form,
    (all_argument, first_argument): (&str, &str),
    kind: PartyKind,
    all: Option<Vec<Id<Party>>>,
    first: Patch<Id<Party>>,
) -> Result<Named> {
    let mut named = Named::default();
    let noun = kind.as_str();
    let missing = |key: Key| format!("there is no {noun} {key}; use {noun}_list to find it");
    if let Some(all) = all {
        if all.len() > deal_party::MOST {
            form.refuse(all_argument, format!("expected at most {}, got {}", deal_party::MOST, all.len()));
            return Ok(named);
        }
        let mut ids = Vec::with_capacity(all.len());
        for (index, id) in all.into_iter().enumerate() {
            match party::resolve(ctx, id.key(), Some(kind)).await? {
                Some((id, _)) if ids.contains(&id) => {}
                Some((id, _)) => ids.push(id),
                None => form.refuse(&format!("{all_argument}/{index}"), missing(id.key())),
            }
        }
        named.all = Some(ids);
    }
    match first {
        Patch::Absent => {}
        Patch::Clear => _ = named.all.get_or_insert_default(),
        Patch::Set(id) => match party::resolve(ctx, id.key(), Some(kind)).await? {
            Some((id, _)) => named.first = Some(id),
            None => form.refuse(first_argument, missing(id.key())),
        },
    }
    Ok(named)
}

pub(crate) async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<DealView> {
    let mut form = Form::new(&DEALS, Mode::Create);
    if matches!(input.owner, Patch::Absent) {
        // iblai: whoever makes a deal is in charge of it.
        form.set("owner_id", ctx.principal().user_id);
    }
    let around = input.fill(ctx, &mut form).await?;
    // Another call may have used the external id in between: the next attempt says so.
    let deal = family::save_new(ctx, &DEALS, form.finish()?).await.map_err(Error::lost_race)?;
    set_around(ctx, &deal, around).await?;
    deal_view::one(ctx, deal).await
}

pub(crate) async fn update(ctx: &mut Ctx, input: ChangeInput) -> Result<DealView> {
    change(ctx, Mode::Update, input).await
}

pub(crate) async fn replace(ctx: &mut Ctx, input: ChangeInput) -> Result<DealView> {
    change(ctx, Mode::Replace, input).await
}

async fn change(ctx: &mut Ctx, mode: Mode, input: ChangeInput) -> Result<DealView> {
    let before = ctx.fetch(input.id).await?;
    let mut form = Form::new(&DEALS, mode);
    let around = input.fill(ctx, &mut form).await?;
    let deal = save(ctx, &before, form.finish()?).await?;
    set_around(ctx, &deal, around).await?;
    deal_view::one(ctx, deal).await
}

/// Changes a deal by all rules, and notes where it moved.
pub(crate) async fn save(ctx: &mut Ctx, before: &Record, values: Values) -> Result<Record> {
    let deal = family::save(ctx, before, values).await.map_err(Error::lost_race)?;
    note_move(ctx, before, &deal).await?;
    Ok(deal)
}

async fn set_around(ctx: &mut Ctx, deal: &Record, around: Around) -> Result<()> {
    for (role, named) in [("person", around.people), ("company", around.companies)] {
        let stored = if named.first.is_some() { deal_party::stored(ctx, deal.id, role).await? } else { Vec::new() };
        if let Some(wanted) = named.list(stored) {
            deal_party::set(ctx, deal.id, role, &wanted).await?;
        }
    }
    tag_link::set_given(ctx, Subject { noun: DEALS.noun, id: deal.id }, around.tags).await
}
