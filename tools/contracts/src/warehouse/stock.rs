//! Movements of stock: each changes how much there is of one material, and stays on record.

use std::collections::BTreeMap;

use bureau_kit::prelude::*;

use super::materials::{MATERIALS, Material};
use crate::given;

/// The largest number of pieces: sums of movements always fit.
pub(super) const MOST: i64 = 1_000_000_000;
/// Most materials counted in one call.
const MOST_COUNTS: usize = 500;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("stock_move_list", "warehouse.view", &STOCK_MOVES)
            .title("List movements of stock")
            .about(
                "List what changed the stock of materials, newest first: receipts (przyjecie), issues (wydanie), returns \
                 (zwrot), corrections (korekta). Filter by material_id for the history of one; stan is what was left.",
            )
            .synonyms("stock history ledger ruchy magazynowe historia stanu przyjęcia wydania korekty рухи складу історія"),
        Tool::action("material_receive", "warehouse.materials.manage", receive)
            .on(&MATERIALS)
            .title("Receive material into stock")
            .about("Receive pieces of a material into stock (PZ): its ilosc grows. A new material is material_create.")
            .synonyms("goods receipt arrived delivery add stock warehouse przyjmij dostawę przyjęcie towaru PZ na magazyn прийняти прийми товар на склад надходження"),
        Tool::action("stocktake_record", "warehouse.materials.manage", stocktake)
            .title("Record a stocktake")
            .about(
                "Record what was counted of up to 500 materials: each one's ilosc becomes what was counted, and the difference \
                 is kept as a correction. Answers every difference; one undo takes all back.",
            )
            .synonyms("inventory count physical inwentaryzacja remanent spis z natury policz stan інвентаризація перерахунок"),
    ]
}

pub(crate) static STOCK_MOVES: Table = Table::new(
    "stock_moves",
    "stock_move",
    "A change of the stock of a material.",
    &[
        Column::reference("material_id", "materials", OnDelete::Cascade, "Material.").required().filter(),
        Column::choice("rodzaj", &Move::ALL, "Receipt, issue, return or correction.").required().filter(),
        Column::count("ilosc", -MOST, MOST, "By how many pieces the stock changed; below zero when they left.")
            .required(),
        Column::count("stan", 0, MOST, "How many there were afterwards.").required(),
        Column::reference("goods_issue_id", "goods_issues", OnDelete::Clear, "Goods issue that did it.").filter(),
        Column::text("dokument", "Document it rests on, such as the number of the goods issue."),
        Column::text("uwagi", "Notes.").max(10_000),
        Column::reference("autor_id", "users", OnDelete::Clear, "Who did it."),
    ],
);

/// Why stock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Came in.
    Receipt,
    /// Went out to a contract.
    Issue,
    /// Came back from a goods issue that was changed or deleted.
    Return,
    /// Was counted anew.
    Correction,
}

impl Move {
    const ALL: [&'static str; 4] = ["przyjecie", "wydanie", "zwrot", "korekta"];

    fn as_str(self) -> &'static str {
        match self {
            Self::Receipt => "przyjecie",
            Self::Issue => "wydanie",
            Self::Return => "zwrot",
            Self::Correction => "korekta",
        }
    }
}

/// What a movement says beside the number.
#[derive(Debug, Clone)]
pub(super) struct Reason {
    pub(super) goods_issue: Option<Uuid>,
    pub(super) dokument: Val,
    pub(super) uwagi: Val,
}

/// Changes the stock of a material, which the caller has locked, and notes the movement.
pub(super) async fn change(ctx: &mut Ctx, material: &Record, by: i64, why: Move, reason: &Reason) -> Result<Record> {
    let held: i64 = material.get("ilosc")?;
    let stan = held.checked_add(by).filter(|stan| *stan <= MOST).ok_or_else(too_many)?;
    if stan < 0 {
        return Err(short(material, held, by.saturating_neg()));
    }
    let changed = ctx.update(material, Values::new().with("ilosc", stan)).await?;
    note(ctx, &changed, by, stan, why, reason).await?;
    Ok(changed)
}

/// Notes a movement that changes the stock to `stan`.
pub(super) async fn note(
    ctx: &mut Ctx,
    material: &Record,
    by: i64,
    stan: i64,
    why: Move,
    reason: &Reason,
) -> Result<()> {
    let values = Values::new()
        .with("material_id", material.id)
        .with("organization_id", material.organization_id)
        .with("rodzaj", why.as_str())
        .with("ilosc", by)
        .with("stan", stan)
        .with("goods_issue_id", reason.goods_issue)
        .with("dokument", reason.dokument.clone())
        .with("uwagi", reason.uwagi.clone())
        .with("autor_id", ctx.principal().user_id);
    ctx.insert(&STOCK_MOVES, values).await?;
    Ok(())
}

fn too_many() -> Error {
    Error::validation(format!(
        "The stock of a material is at most {MOST} pieces. Nothing was changed; check the numbers."
    ))
}

/// The error for goods that are not there.
fn short(material: &Record, held: i64, wanted: i64) -> Error {
    Error::impossible_state(format!(
        "There are {held} of material {} ({} {} {}) in stock, so {wanted} cannot be taken out: stock cannot fall below zero. \
         Nothing was changed. Receive more with material_receive, or correct the count with stocktake_record.",
        material.num.unwrap_or_default(),
        material.text("typ"),
        material.text("producent"),
        material.text("symbol"),
    ))
    .with("material_id", material.id.to_string())
    .with("ilosc", held)
    .with("potrzeba", wanted)
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ReceiveInput {
    /// Material that came in.
    id: Id<Material>,
    /// How many pieces, more than 0.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    ilosc: i64,
    /// Document it came with, such as the number of the delivery note.
    #[schemars(length(max = 255))]
    dokument: Option<String>,
    /// Notes.
    #[schemars(length(max = 10_000))]
    uwagi: Option<String>,
}

async fn receive(ctx: &mut Ctx, input: ReceiveInput) -> Result<Shown<Material>> {
    if input.ilosc < 1 || input.ilosc > MOST {
        return Err(Error::invalid("/ilosc", format!("expected a whole number from 1 to {MOST}")));
    }
    let reason = Reason {
        goods_issue: None,
        dokument: given::cell(&STOCK_MOVES, "dokument", input.dokument)?,
        uwagi: given::cell(&STOCK_MOVES, "uwagi", input.uwagi)?,
    };
    let material = ctx.fetch(input.id).await?;
    Ok(change(ctx, &material, input.ilosc, Move::Receipt, &reason).await?.into())
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StocktakeInput {
    /// What was counted, each material once.
    pozycje: Vec<CountInput>,
    /// Document of the stocktake, such as its number.
    #[schemars(length(max = 255))]
    dokument: Option<String>,
    /// Notes.
    #[schemars(length(max = 10_000))]
    uwagi: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CountInput {
    /// Material that was counted.
    #[serde(alias = "materialId")]
    material_id: Id<Material>,
    /// How many pieces there are.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    ilosc: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Stocktake {
    /// Materials that were counted.
    policzone: usize,
    /// Where the count differed from the stock.
    roznice: Vec<Difference>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Difference {
    /// UUID of the material.
    material_id: String,
    /// Its symbol.
    symbol: String,
    /// How many there should have been.
    bylo: i64,
    /// How many were counted.
    jest: i64,
    /// Counted less expected: below zero is a shortage.
    roznica: i64,
}

async fn stocktake(ctx: &mut Ctx, input: StocktakeInput) -> Result<Stocktake> {
    if input.pozycje.is_empty() || input.pozycje.len() > MOST_COUNTS {
        return Err(Error::invalid("/pozycje", format!("expected from 1 to {MOST_COUNTS} counts")));
    }
    let mut counts = Vec::with_capacity(input.pozycje.len());
    for (index, count) in input.pozycje.into_iter().enumerate() {
        if count.ilosc < 0 || count.ilosc > MOST {
            let path = format!("/pozycje/{index}/ilosc");
            return Err(Error::invalid(path, format!("expected a whole number from 0 to {MOST}")));
        }
        counts.push((count.material_id, count.ilosc));
    }
    let reason = Reason {
        goods_issue: None,
        dokument: given::cell(&STOCK_MOVES, "dokument", input.dokument)?,
        uwagi: given::cell(&STOCK_MOVES, "uwagi", input.uwagi)?,
    };
    let counts = resolved(ctx, counts).await?;
    let policzone = counts.len();
    let mut roznice = Vec::new();
    for (id, jest) in counts {
        let material = ctx.hold(&MATERIALS, id).await?;
        let bylo: i64 = material.get("ilosc")?;
        let roznica = jest.saturating_sub(bylo);
        if roznica != 0 {
            change(ctx, &material, roznica, Move::Correction, &reason).await?;
            let symbol = material.get("symbol")?;
            roznice.push(Difference { material_id: id.to_string(), symbol, bylo, jest, roznica });
        }
    }
    Ok(Stocktake { policzone, roznice })
}

/// Numbers of pieces by material, each material once, in the one order in which everybody locks materials: so two calls
/// never wait for each other.
pub(super) async fn resolved(ctx: &mut Ctx, given: Vec<(Id<Material>, i64)>) -> Result<BTreeMap<Uuid, i64>> {
    let mut pieces = BTreeMap::new();
    for (index, (material, number)) in given.into_iter().enumerate() {
        let id = ctx.reference(&format!("pozycje/{index}/material_id"), material).await?;
        if pieces.insert(id, number).is_some() {
            let path = format!("/pozycje/{index}/material_id");
            return Err(Error::invalid(path, "is given twice; write each material once, with all its pieces"));
        }
    }
    Ok(pieces)
}
