//! Materials: boards and other goods, and how many pieces there are.

use bureau_identity::Organization;
use bureau_kit::prelude::*;
use bureau_kit::value::FromVal as _;

use super::stock::{self, MOST, Move, Reason};
use crate::{Contract, given};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("material_list", "warehouse.view", &MATERIALS)
            .title("List materials")
            .about(
                "List materials with how many pieces are in stock (ilosc). Filter by typ, producent, contract, whole sheets \
                 (cala) or ilosc_to for what runs out; q searches kind, maker, symbol and notes.",
            )
            .synonyms("stock boards sheets inventory materiały płyty stan magazynu magazyn ile mamy матеріали склад залишки плити"),
        family::show("material_show", "warehouse.view", &MATERIALS)
            .title("Show a material")
            .about("Show one material with its size and how many pieces are in stock. stock_move_list shows its history.")
            .synonyms("stock board details materiał płyta stan pokaż матеріал показати"),
        Tool::create("material_create", "warehouse.materials.manage", create)
            .on(&MATERIALS)
            .title("Add a material")
            .about(
                "Add a material to the warehouse with the pieces there are. Needs typ, producent, symbol, dlugosc and szerokosc \
                 in millimetres, cala (a whole sheet, or a remnant with pozostalo) and ilosc.",
            )
            .synonyms("new board sheet stock dodaj materiał płytę nowy materiał додати матеріал плиту"),
        family::update("material_update", "warehouse.materials.manage", &MATERIALS)
            .title("Change a material")
            .about(
                "Change a material. Another ilosc is kept as a correction of stock. For a delivery call material_receive, for a \
                 count of many stocktake_record, for what goes to a contract goods_issue_create.",
            )
            .synonyms("edit stock correct zmień materiał popraw stan korekta змінити матеріал"),
        family::delete("material_delete", "warehouse.delete", &MATERIALS)
            .title("Delete a material")
            .about("Delete a material with its movements. Refused while a goods issue names it.")
            .synonyms("remove stock usuń materiał видалити матеріал"),
    ]
}

/// Names the table of materials to ids.
#[derive(Debug)]
pub(crate) struct Material;

impl Kind for Material {
    const TABLE: &'static Table = &MATERIALS;
}

/// A hundred metres, in millimetres.
const LONGEST: i64 = 100_000;

pub(crate) static MATERIALS: Table = Table::new(
    "materials",
    "material",
    "A material in the warehouse.",
    &[
        Column::text("typ", "What it is, such as plyta (board), blat (worktop), obrzeze (edging). Any word.")
            .required()
            .filter()
            .search(),
        Column::text("producent", "Who makes it.").required().filter().search().sort(),
        Column::text("symbol", "Maker's symbol, such as a decor.").required().search().sort(),
        Column::count("dlugosc", 1, LONGEST, "Length in millimetres.").required(),
        Column::count("szerokosc", 1, LONGEST, "Width in millimetres.").required(),
        // Decimal text: edgings are tenths of a millimetre thick, and nothing is computed from it.
        Column::text("grubosc", "Thickness in millimetres, such as 18 or 0.8.").max(20),
        Column::text("uwagi", "Notes.").max(10_000).search(),
        Column::reference("contract_id", "contracts", OnDelete::Clear, "Contract it is meant for.").filter(),
        Column::flag("cala", "Whether it is whole sheets; a remnant says in pozostalo what is left.")
            .default("true")
            .filter(),
        Column::text("pozostalo", "What is left of a remnant, such as 1200 x 600."),
        Column::count("ilosc", 0, MOST, "How many pieces are in stock.").required().range().sort(),
        Column::text("legacy_id", "Its id in an older system.").filter(),
    ],
)
.rule(rule);

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CreateInput {
    /// What it is, such as plyta (board), blat (worktop), obrzeze (edging). Any word.
    #[schemars(length(max = 255))]
    typ: String,
    /// Who makes it.
    #[schemars(length(max = 255))]
    producent: String,
    /// Maker's symbol, such as a decor.
    #[schemars(length(max = 255))]
    symbol: String,
    /// Length in millimetres.
    #[schemars(range(min = 1, max = 100_000))]
    dlugosc: i64,
    /// Width in millimetres.
    #[schemars(range(min = 1, max = 100_000))]
    szerokosc: i64,
    /// Thickness in millimetres, such as 18 or 0.8.
    #[schemars(length(max = 20))]
    grubosc: Option<String>,
    /// Notes.
    #[schemars(length(max = 10_000))]
    uwagi: Option<String>,
    /// Contract it is meant for.
    #[serde(alias = "contractId")]
    contract_id: Option<Id<Contract>>,
    /// Whether it is whole sheets; a remnant says in pozostalo what is left.
    cala: bool,
    /// What is left of a remnant, such as 1200 x 600.
    #[schemars(length(max = 255))]
    pozostalo: Option<String>,
    /// How many pieces there are.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    ilosc: i64,
    /// Its id in an older system.
    #[serde(alias = "legacyId")]
    #[schemars(length(max = 255))]
    legacy_id: Option<String>,
    /// Its organization; yours when left out.
    #[serde(alias = "organizationId")]
    organization_id: Option<Id<Organization>>,
}

/// A new material begins without stock, and receives what there is: so its movements always add up to its stock.
async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<Shown<Material>> {
    let mut values = given::cells(
        &MATERIALS,
        [
            ("typ", Some(json!(input.typ))),
            ("producent", Some(json!(input.producent))),
            ("symbol", Some(json!(input.symbol))),
            ("dlugosc", Some(json!(input.dlugosc))),
            ("szerokosc", Some(json!(input.szerokosc))),
            ("grubosc", input.grubosc.map(Value::from)),
            ("uwagi", input.uwagi.map(Value::from)),
            ("cala", Some(json!(input.cala))),
            ("pozostalo", input.pozostalo.map(Value::from)),
            ("ilosc", Some(json!(input.ilosc))),
            ("legacy_id", input.legacy_id.map(Value::from)),
        ],
    )?;
    values.set("ilosc", 0);
    if let Some(contract) = input.contract_id {
        values.set("contract_id", ctx.reference("contract_id", contract).await?);
    }
    if let Some(organization) = input.organization_id {
        values.set("organization_id", ctx.reference("organization_id", organization).await?);
    }
    let material = family::save_new(ctx, &MATERIALS, values).await?;
    if input.ilosc == 0 {
        return Ok(material.into());
    }
    let reason = Reason { goods_issue: None, dokument: Val::Null, uwagi: Val::Null };
    Ok(stock::change(ctx, &material, input.ilosc, Move::Receipt, &reason).await?.into())
}

fn rule<'a>(ctx: &'a mut Ctx, draft: Draft<'a>) -> BoxFuture<'a, Result<()>> {
    Box::pin(async move {
        if draft.event == Event::Delete {
            return Ok(());
        }
        let cell = |name: &str| draft.values.get(name).or_else(|| draft.before.map(|before| before.cell(name)));
        if let Some(grubosc) = cell("grubosc").and_then(String::from_val)
            && !Money::parse(&grubosc).is_ok_and(|thickness| thickness > Money::ZERO)
        {
            return Err(Error::invalid("/grubosc", "must be a number of millimetres above 0, such as 18 or 0.8"));
        }
        let whole = cell("cala").and_then(bool::from_val).unwrap_or(true);
        let remnant = cell("pozostalo").is_some_and(|pozostalo| !pozostalo.is_null());
        // Inferred: a whole sheet has nothing left over, a remnant says what it is (mercato.md).
        if whole && remnant {
            return Err(Error::invalid("/pozostalo", "is for remnants; clear it (null), or set cala to false"));
        }
        if !whole && !remnant {
            return Err(Error::invalid("/pozostalo", "is required of a remnant (cala: false): say what is left of it"));
        }
        let (Some(before), Some(Val::Int(stan))) = (draft.before, draft.values.get("ilosc")) else { return Ok(()) };
        let by = stan.saturating_sub(before.get::<i64>("ilosc")?);
        if by == 0 {
            return Ok(());
        }
        let reason = Reason { goods_issue: None, dokument: Val::Null, uwagi: Val::Null };
        stock::note(ctx, before, by, *stan, Move::Correction, &reason).await
    })
}
