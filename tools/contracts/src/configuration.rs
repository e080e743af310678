//! Step 1 of the sales form: the furniture, its fronts, handles and vitrines, in words of the company's own.

use bureau_kit::prelude::*;

use crate::below::{contract_id, guard, rule};

pub(crate) fn tools() -> Vec<Tool> {
    [furniture_tools(), front_tools(), handle_tools(), vitrine_tools()].concat()
}

fn furniture_tools() -> Vec<Tool> {
    vec![
        family::list("contract_furniture_list", "contracts.view", &FURNITURE)
            .title("List contract furniture")
            .about(
                "List the furniture of contracts: furniture group, carcass (korpus), edging (pcv), sides (boki). Filter by \
                 contract_id; q searches all four.",
            )
            .synonyms("cabinets carcasses meble umowy korpusy szafki lista krok 1 меблі договору корпуси список"),
        family::create("contract_furniture_create", "contracts.change_krok1", &FURNITURE)
            .title("Add furniture to a contract")
            .about(
                "Add a set of furniture to a contract: furniture group, carcass, edging, sides, in your own words. A contract \
                 may have several sets. What it costs is told with contract_valuation_create.",
            )
            .synonyms("cabinets carcass dodaj meble do umowy korpus boki pcv grupa meblowa додати меблі корпус"),
        family::update("contract_furniture_update", "contracts.change_krok1", &FURNITURE)
            .title("Change contract furniture")
            .about("Change a set of furniture of a contract. Refused once the contract is settled.")
            .synonyms("edit cabinets carcass zmień meble umowy korpus boki змінити меблі корпус"),
        family::delete("contract_furniture_delete", "contracts.change_krok1", &FURNITURE)
            .title("Delete contract furniture")
            .about("Delete a set of furniture from a contract. Refused once the contract is settled.")
            .synonyms("remove cabinets usuń meble z umowy видалити меблі"),
    ]
}

fn front_tools() -> Vec<Tool> {
    vec![
        family::list("contract_front_list", "contracts.view", &FRONTS)
            .title("List contract fronts")
            .about(
                "List the fronts of contracts: type, material, colour, direction of the grain (uslojenie). Filter by \
                 contract_id; q searches all four.",
            )
            .synonyms("doors fronty umowy drzwiczki kolory frontów lista фасади договору дверцята список"),
        family::create("contract_front_create", "contracts.change_krok1", &FRONTS)
            .title("Add fronts to a contract")
            .about("Add fronts to a contract: type, material, colour and direction of the grain, in your own words.")
            .synonyms("doors dodaj fronty do umowy drzwiczki kolor frontu додати фасади дверцята колір"),
        family::update("contract_front_update", "contracts.change_krok1", &FRONTS)
            .title("Change contract fronts")
            .about("Change fronts of a contract, such as their colour. Refused once the contract is settled.")
            .synonyms("edit doors colour zmień fronty umowy kolor frontów змінити фасади колір"),
        family::delete("contract_front_delete", "contracts.change_krok1", &FRONTS)
            .title("Delete contract fronts")
            .about("Delete fronts from a contract. Refused once the contract is settled.")
            .synonyms("remove doors usuń fronty z umowy видалити фасади"),
    ]
}

fn handle_tools() -> Vec<Tool> {
    vec![
        family::list("contract_handle_list", "contracts.view", &HANDLES)
            .title("List contract handles")
            .about(
                "List the handles of contracts: type, colour, length, how many pieces. Filter by contract_id; q searches \
                 type, colour and notes.",
            )
            .synonyms("knobs grips uchwyty umowy gałki lista uchwytów ручки меблеві договору список"),
        family::create("contract_handle_create", "contracts.change_krok1", &HANDLES)
            .title("Add handles to a contract")
            .about("Add handles to a contract: type and colour, length in millimetres (dlugosc), pieces (sztuk), notes.")
            .synonyms("knobs grips dodaj uchwyty do umowy gałki sztuk додати ручки меблеві"),
        family::update("contract_handle_update", "contracts.change_krok1", &HANDLES)
            .title("Change contract handles")
            .about("Change handles of a contract, such as how many. Refused once the contract is settled.")
            .synonyms("edit knobs grips zmień uchwyty umowy gałki змінити ручки меблеві"),
        family::delete("contract_handle_delete", "contracts.change_krok1", &HANDLES)
            .title("Delete contract handles")
            .about("Delete handles from a contract. Refused once the contract is settled.")
            .synonyms("remove knobs grips usuń uchwyty z umowy gałki видалити ручки меблеві"),
    ]
}

fn vitrine_tools() -> Vec<Tool> {
    vec![
        family::list("contract_vitrine_list", "contracts.view", &VITRINES)
            .title("List contract vitrines")
            .about(
                "List the vitrines (glazed cabinets) of contracts: frame, colour of the frame, glass, colour of the glass. \
                 Filter by contract_id; q searches all four.",
            )
            .synonyms("glass doors frames witryny umowy szyby ramki lista вітрини договору скло рамки список"),
        family::create("contract_vitrine_create", "contracts.change_krok1", &VITRINES)
            .title("Add a vitrine to a contract")
            .about("Add a vitrine to a contract: type and colour of the frame, glass and its colour, in your own words.")
            .synonyms("glass door frame dodaj witrynę do umowy szyba ramka додати вітрину скло рамка"),
        family::update("contract_vitrine_update", "contracts.change_krok1", &VITRINES)
            .title("Change a contract vitrine")
            .about("Change a vitrine of a contract. Refused once the contract is settled.")
            .synonyms("edit glass frame zmień witrynę umowy szybę ramkę змінити вітрину скло рамку"),
        family::delete("contract_vitrine_delete", "contracts.change_krok1", &VITRINES)
            .title("Delete a contract vitrine")
            .about("Delete a vitrine from a contract. Refused once the contract is settled.")
            .synonyms("remove glass frame usuń witrynę z umowy видалити вітрину"),
    ]
}

pub(crate) static FURNITURE: Table = Table::new(
    "contract_furniture",
    "contract_furniture",
    "A set of furniture of a contract.",
    &[
        contract_id("Contract it belongs to."),
        Column::text("grupa_meblowa", "Group of furniture, such as dolne (base) or gorne (wall units).").search(),
        Column::text("korpus", "Carcass: board and colour.").search(),
        Column::text("pcv", "Edging.").search(),
        Column::text("boki", "Sides.").search(),
    ],
)
.rule(rule)
.guard(guard);

pub(crate) static FRONTS: Table = Table::new(
    "contract_fronts",
    "contract_front",
    "Fronts of a contract.",
    &[
        contract_id("Contract they belong to."),
        Column::text("typ", "Type of front.").search(),
        Column::text("material", "Material, such as MDF or lacquered board.").search(),
        Column::text("kolor", "Colour.").search(),
        Column::text("uslojenie", "Direction of the grain.").search(),
    ],
)
.rule(rule)
.guard(guard);

// Inferred: length and pieces are whole numbers (mercato.md says numeric); handles are sold by the millimetre.
pub(crate) static HANDLES: Table = Table::new(
    "contract_handles",
    "contract_handle",
    "Handles of a contract.",
    &[
        contract_id("Contract they belong to."),
        Column::text("typ", "Type of handle.").search(),
        Column::text("kolor", "Colour.").search(),
        Column::count("dlugosc", 1, 100_000, "Length in millimetres."),
        Column::count("sztuk", 1, 100_000, "How many pieces."),
        Column::text("uwagi", "Notes.").max(10_000).search(),
    ],
)
.rule(rule)
.guard(guard);

pub(crate) static VITRINES: Table = Table::new(
    "contract_vitrines",
    "contract_vitrine",
    "A vitrine of a contract.",
    &[
        contract_id("Contract it belongs to."),
        Column::text("typ_ramy", "Type of frame.").search(),
        Column::text("kolor_ramy", "Colour of the frame.").search(),
        Column::text("szyba", "Glass.").search(),
        Column::text("kolor_szyby", "Colour of the glass.").search(),
    ],
)
.rule(rule)
.guard(guard);
