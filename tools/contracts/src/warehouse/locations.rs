//! Places of the warehouse.

use bureau_kit::prelude::*;

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        family::list("warehouse_location_list", "warehouse.view", &LOCATIONS)
            .title("List warehouse locations")
            .about("List the places of the warehouse from which goods are issued; q searches their names.")
            .synonyms("stores depots magazyny lokalizacje miejsca regały склади місця"),
        family::create("warehouse_location_create", "warehouse.create", &LOCATIONS)
            .title("Add a warehouse location")
            .about("Add a place of the warehouse. Needs only nazwa.")
            .synonyms("new store depot dodaj magazyn lokalizację regał додати склад місце"),
        family::update("warehouse_location_update", "warehouse.edit", &LOCATIONS)
            .title("Rename a warehouse location")
            .about("Rename a place of the warehouse. Goods issues that name it stay with it.")
            .synonyms("edit store zmień nazwę magazynu lokalizacji перейменувати склад"),
        family::delete("warehouse_location_delete", "warehouse.delete", &LOCATIONS)
            .title("Delete a warehouse location")
            .about("Delete a place of the warehouse. Refused while goods issues name it.")
            .synonyms("remove store usuń magazyn lokalizację видалити склад"),
    ]
}

/// Names the table of locations to ids.
#[derive(Debug)]
pub(crate) struct Location;

impl Kind for Location {
    const TABLE: &'static Table = &LOCATIONS;
}

pub(crate) static LOCATIONS: Table = Table::new(
    "warehouse_locations",
    "warehouse_location",
    "A place of the warehouse.",
    &[Column::text("nazwa", "Name.").required().search().sort()],
);
