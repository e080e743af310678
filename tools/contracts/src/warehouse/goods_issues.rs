//! Goods issues (WZ): what leaves the warehouse for a contract.

use std::collections::BTreeMap;

use bureau_identity::Organization;
use bureau_kit::prelude::*;

use super::lines::GOODS_ISSUE_LINES;
use super::locations::Location;
use super::materials::{MATERIALS, Material};
use super::stock::{self, MOST, Move, Reason};
use crate::{Contract, given};

/// Most lines of a goods issue.
const MOST_LINES: usize = 200;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("goods_issue_list", "warehouse.view", &GOODS_ISSUES)
            .title("List goods issues")
            .about(
                "List what was issued from the warehouse (WZ), newest first. Filter by contract, location or date; q searches \
                 number and notes. goods_issue_line_list shows the materials.",
            )
            .synonyms("WZ issued goods stock out wydania zewnętrzne wydania magazynowe видаткові накладні видача зі складу"),
        family::show("goods_issue_show", "warehouse.view", &GOODS_ISSUES)
            .title("Show a goods issue")
            .about("Show one goods issue (WZ). goods_issue_line_list shows its materials.")
            .synonyms("WZ details wydanie pokaż видаткова накладна показати"),
        Tool::create("goods_issue_create", "warehouse.create", create)
            .on(&GOODS_ISSUES)
            .title("Issue goods to a contract")
            .about(
                "Issue goods from the warehouse to a contract (WZ). Needs contract, nr (unique), data, kwota and location; \
                 pozycje are the materials and pieces, which leave the stock at once. Refused when one is short.",
            )
            .synonyms("WZ take from stock hand out materials wydaj materiał z magazynu wystaw WZ wydanie видати зі складу матеріал"),
        Tool::update("goods_issue_update", "warehouse.edit", update)
            .on(&GOODS_ISSUES)
            .title("Change a goods issue")
            .about(
                "Change a goods issue: number, date, amount, location, notes. Given pozycje replace all lines: what is no longer \
                 issued comes back to stock, what is added leaves it.",
            )
            .synonyms("edit WZ correct popraw wydanie zmień WZ змінити накладну"),
        Tool::delete("goods_issue_delete", "warehouse.delete", delete)
            .on(&GOODS_ISSUES)
            .title("Delete a goods issue")
            .about("Delete a goods issue: all its materials come back to stock.")
            .synonyms("remove cancel WZ usuń wydanie anuluj WZ zwrot видалити накладну"),
    ]
}

/// Names the table of goods issues to ids.
#[derive(Debug)]
pub(crate) struct GoodsIssue;

impl Kind for GoodsIssue {
    const TABLE: &'static Table = &GOODS_ISSUES;
}

pub(crate) static GOODS_ISSUES: Table = Table::new(
    "goods_issues",
    "goods_issue",
    "Goods issued from the warehouse to a contract (WZ).",
    &[
        Column::reference("contract_id", "contracts", OnDelete::Refuse, "Contract they are for.")
            .required()
            .fixed()
            .filter(),
        Column::text("nr", "Number of the document, unique in its organization.").required().search().sort(),
        Column::instant("data", "When they were issued.").required().range_as("date").sort(),
        Column::money("kwota", "What they are worth.").required().sort(),
        Column::reference("location_id", "warehouse_locations", OnDelete::Refuse, "Where they were issued.")
            .required()
            .filter(),
        Column::text("uwagi", "Notes.").max(10_000).search(),
    ],
)
.rule(rule);

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        let organization = match draft.values.get("organization_id") {
            Some(Val::Id(id)) => Some(*id),
            Some(_) => None,
            None => draft.before.map_or(ctx.principal().organization_id, |before| before.organization_id),
        };
        let Some(nr) = draft.values.text("nr").map(str::to_owned) else { return Ok(()) };
        if draft.before.is_some_and(|before| before.text("nr") == nr) {
            return Ok(());
        }
        // Inferred: numbers are unique in an organization (mercato.md). The unique index decides between two at once.
        let mut sql = ctx.select("1", &GOODS_ISSUES);
        sql.and_eq("nr", nr.as_str());
        match organization {
            Some(id) => sql.and_eq("organization_id", id),
            None => sql.push(" AND organization_id IS NULL"),
        };
        if ctx.exists(sql).await? {
            return Err(Error::conflict(format!(
                "The organization has a goods issue {nr} already. Choose another nr, or find that one with \
                 goods_issue_list (q: \"{nr}\") and change it."
            ))
            .with("nr", nr));
        }
        Ok(())
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LineInput {
    /// Material to issue.
    #[serde(alias = "materialId")]
    material_id: Id<Material>,
    /// How many pieces, more than 0.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    ilosc: i64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// Contract they are for.
    #[serde(alias = "contractId")]
    contract_id: Id<Contract>,
    /// Number of the document, unique in its organization.
    #[schemars(length(max = 255))]
    nr: String,
    /// When they were issued.
    data: Instant,
    /// What they are worth.
    kwota: Money,
    /// Where they were issued.
    #[serde(alias = "locationId")]
    location_id: Id<Location>,
    /// Notes.
    #[schemars(length(max = 10_000))]
    uwagi: Option<String>,
    /// Materials that leave the stock, each once, at most 200.
    #[serde(default)]
    pozycje: Vec<LineInput>,
    /// Its organization; yours when left out.
    #[serde(alias = "organizationId")]
    organization_id: Option<Id<Organization>>,
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Shown<GoodsIssue>> {
    let mut values = given::cells(
        &GOODS_ISSUES,
        [
            ("nr", Some(json!(input.nr))),
            ("data", Some(json!(input.data))),
            ("kwota", Some(json!(input.kwota))),
            ("uwagi", input.uwagi.map(Value::from)),
        ],
    )?;
    let pieces = wanted(ctx, input.pozycje).await?;
    values.set("contract_id", ctx.reference("contract_id", input.contract_id).await?);
    values.set("location_id", ctx.reference("location_id", input.location_id).await?);
    if let Some(organization) = input.organization_id {
        values.set("organization_id", ctx.reference("organization_id", organization).await?);
    }
    let issue = family::save_new(ctx, &GOODS_ISSUES, values).await?;
    issue_pieces(ctx, &issue, pieces).await?;
    Ok(issue.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// Goods issue to change.
    id: Id<GoodsIssue>,
    /// Number of the document, unique in its organization.
    #[schemars(length(max = 255))]
    nr: Option<String>,
    /// When they were issued.
    data: Option<Instant>,
    /// What they are worth.
    kwota: Option<Money>,
    /// Where they were issued.
    #[serde(alias = "locationId")]
    location_id: Option<Id<Location>>,
    /// Notes. Null clears them.
    #[serde(default)]
    uwagi: Patch<String>,
    /// All materials that it issues from now on, each once, at most 200; the lines stay as they are when left out.
    pozycje: Option<Vec<LineInput>>,
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Shown<GoodsIssue>> {
    let issue = ctx.fetch(input.id).await?;
    let mut values = given::cells(
        &GOODS_ISSUES,
        [
            ("nr", input.nr.map(Value::from)),
            ("data", input.data.map(|data| json!(data))),
            ("kwota", input.kwota.map(|kwota| json!(kwota))),
        ],
    )?;
    if let Some(uwagi) = input.uwagi.change() {
        values.set("uwagi", given::cell(&GOODS_ISSUES, "uwagi", uwagi)?);
    }
    if let Some(location) = input.location_id {
        values.set("location_id", ctx.reference("location_id", location).await?);
    }
    let pieces = match input.pozycje {
        Some(lines) => Some(wanted(ctx, lines).await?),
        None => None,
    };
    let issue = family::save(ctx, &issue, values).await?;
    if let Some(pieces) = pieces {
        issue_pieces(ctx, &issue, pieces).await?;
    }
    Ok(issue.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// Goods issue to delete.
    id: Id<GoodsIssue>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Deleted {
    /// Always true.
    ok: bool,
    /// UUID of what was deleted.
    id: String,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<Deleted> {
    let issue = ctx.fetch(input.id).await?;
    issue_pieces(ctx, &issue, BTreeMap::new()).await?;
    family::remove(ctx, &issue).await?;
    Ok(Deleted { ok: true, id: issue.id.to_string() })
}

/// The pieces of lines, by material.
async fn wanted(ctx: &mut Ctx, lines: Vec<LineInput>) -> Result<BTreeMap<Uuid, i64>> {
    if lines.len() > MOST_LINES {
        return Err(Error::invalid("/pozycje", format!("expected at most {MOST_LINES} lines")));
    }
    let mut pieces = Vec::with_capacity(lines.len());
    for (index, line) in lines.into_iter().enumerate() {
        if line.ilosc < 1 || line.ilosc > MOST {
            let path = format!("/pozycje/{index}/ilosc");
            return Err(Error::invalid(path, format!("expected a whole number from 1 to {MOST}")));
        }
        pieces.push((line.material_id, line.ilosc));
    }
    stock::resolved(ctx, pieces).await
}

/// Makes the lines of a goods issue be `wanted`, and moves the stock by what that changes.
async fn issue_pieces(ctx: &mut Ctx, issue: &Record, wanted: BTreeMap<Uuid, i64>) -> Result<()> {
    let mut sql = ctx.from(&GOODS_ISSUE_LINES);
    sql.and_eq("goods_issue_id", issue.id).push(" ORDER BY num");
    let mut lines = BTreeMap::new();
    for line in ctx.records(&GOODS_ISSUE_LINES, &sql).await? {
        if let Some(material) = line.id_of("material_id") {
            lines.insert(material, line);
        }
    }
    let reason = Reason { goods_issue: Some(issue.id), dokument: issue.cell("nr").clone(), uwagi: Val::Null };
    let materials: std::collections::BTreeSet<Uuid> = lines.keys().chain(wanted.keys()).copied().collect();
    for id in materials {
        let line = lines.get(&id);
        let before = line.map_or(Ok(0), |line| line.get::<i64>("ilosc"))?;
        let after = wanted.get(&id).copied().unwrap_or_default();
        // Both are at most MOST.
        let by = before.saturating_sub(after);
        if by != 0 {
            let material = ctx.hold(&MATERIALS, id).await?;
            let why = if by < 0 { Move::Issue } else { Move::Return };
            stock::change(ctx, &material, by, why, &reason).await?;
        }
        match (line, after) {
            (Some(line), 0) => ctx.delete(line).await?,
            (Some(line), _) => {
                ctx.update(line, Values::new().with("ilosc", after)).await?;
            }
            (None, _) => {
                let values = Values::new()
                    .with("goods_issue_id", issue.id)
                    .with("organization_id", issue.organization_id)
                    .with("material_id", id)
                    .with("ilosc", after);
                ctx.insert(&GOODS_ISSUE_LINES, values).await?;
            }
        }
    }
    Ok(())
}
