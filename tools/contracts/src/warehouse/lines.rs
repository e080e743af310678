//! Lines of goods issues: which material, how many pieces.

use bureau_kit::prelude::*;

use super::stock::MOST;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("goods_issue_line_list", "warehouse.view", &GOODS_ISSUE_LINES)
            .title("List lines of goods issues")
            .about("List which materials goods issues took from stock. Filter by goods_issue_id, or by material_id.")
            .synonyms("items positions WZ pozycje wydania co wydano позиції накладної"),
    ]
}

pub(crate) static GOODS_ISSUE_LINES: Table = Table::new(
    "goods_issue_lines",
    "goods_issue_line",
    "A material that a goods issue took from stock.",
    &[
        Column::reference("goods_issue_id", "goods_issues", OnDelete::Cascade, "Goods issue.").required().filter(),
        Column::reference("material_id", "materials", OnDelete::Refuse, "Material.").required().filter(),
        Column::count("ilosc", 1, MOST, "How many pieces.").required(),
    ],
);
