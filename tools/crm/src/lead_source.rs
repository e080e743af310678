//! Where deals come from.

use bureau_kit::prelude::*;

use crate::LeadSource;
use crate::form::{Form, Mode, slug_of};
use crate::pipeline::{MANAGE, VIEW, taken};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("lead_source_list", VIEW, &LEAD_SOURCES)
            .title("List lead sources")
            .about("List where deals can come from, such as web or referral. Give one to a deal as source_id.")
            .synonyms("where leads come from origin źródła leadów skąd lead lista звідки ліди джерела лідів список"),
        family::show("lead_source_show", VIEW, &LEAD_SOURCES)
            .title("Show a lead source")
            .about("Show one source of deals.")
            .synonyms("origin of leads źródło leadów pokaż джерело лідів показати"),
        family::create("lead_source_create", MANAGE, &LEAD_SOURCES)
            .title("Add a lead source")
            .about("Add a source of deals. Its code is made of the name unless given.")
            .synonyms("new origin place where leads come from dodaj źródło leadów додати джерело лідів"),
        family::update("lead_source_update", MANAGE, &LEAD_SOURCES)
            .title("Change a lead source")
            .about("Rename a source of deals, or change its code.")
            .synonyms("rename origin of leads zmień źródło leadów змінити джерело лідів"),
        Tool::update("lead_source_replace", MANAGE, replace)
            .on(&LEAD_SOURCES)
            .destructive()
            .title("Replace a lead source's data")
            .about("Replace the data of a source of deals as a whole. A code that is left out stays.")
            .synonyms("overwrite put origin zastąp źródło leadów замінити джерело лідів"),
        family::delete("lead_source_delete", MANAGE, &LEAD_SOURCES)
            .title("Delete a lead source")
            .about("Delete a source of deals. The deals that came from it stay, without a source.")
            .synonyms("remove origin of leads usuń źródło leadów видалити джерело лідів"),
    ]
}

pub(crate) static LEAD_SOURCES: Table = Table::new(
    "lead_sources",
    "lead_source",
    "Where deals come from.",
    &[
        Column::text("name", "Name.").required().search(),
        Column::text("code", "Short name, unique; made of the name unless given.").max(64).default("\"\"").search(),
    ],
)
.tenant_wide()
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if draft.event == Event::Delete {
            return Ok(());
        }
        let given = draft.values.text("code").map(str::to_owned);
        let code = match (given, draft.before) {
            (Some(code), _) if !code.is_empty() => code,
            (None, Some(_)) => return Ok(()),
            _ => slug_of(
                draft.values.text("name").or(draft.before.map(|row| row.text("name"))).unwrap_or_default(),
                "source",
            ),
        };
        let own = draft.before.map(|before| before.id);
        if taken(ctx, &LEAD_SOURCES, &code, own, |_| ()).await? {
            return Err(Error::invalid(
                "/code",
                format!(
                    "there is a lead source {code} already; choose another code, or use that one (lead_source_list)"
                ),
            ));
        }
        draft.values.set("code", code);
        Ok(())
    })
}

/// The usual sources (iblai).
const SEEDED: &[(&str, &str)] =
    &[("web", "Web"), ("referral", "Referral"), ("cold_call", "Cold call"), ("advertisement", "Advertisement")];

/// Gives a tenant without lead sources its first ones.
pub(crate) async fn seed(ctx: &mut Ctx) -> Result<()> {
    let sql = ctx.select("1", &LEAD_SOURCES);
    if ctx.exists(sql).await? {
        return Ok(());
    }
    for (code, name) in SEEDED {
        family::save_new(ctx, &LEAD_SOURCES, Values::new().with("code", *code).with("name", *name)).await?;
    }
    Ok(())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReplaceInput {
    /// Lead source to replace.
    id: Id<LeadSource>,
    /// Name.
    #[schemars(length(max = 255))]
    name: String,
    /// Short name, unique.
    #[serde(default)]
    #[schemars(length(max = 64))]
    code: Patch<String>,
}

async fn replace(ctx: &mut Ctx, input: ReplaceInput) -> Result<Shown<LeadSource>> {
    let before = ctx.fetch(input.id).await?;
    let mut form = Form::new(&LEAD_SOURCES, Mode::Update);
    form.put("name", "name", Patch::Set(input.name))?;
    form.put("code", "code", input.code)?;
    Ok(family::save(ctx, &before, form.finish()?).await?.into())
}
