//! Addresses of people and companies, of which one at most is the main one.

use bureau_kit::prelude::*;

use crate::customer;
use crate::form::{Form, Mode};
use crate::party::PARTIES;
use crate::{Address, Party};

const VIEW: &str = "customers.activities.view";
const MANAGE: &str = "customers.activities.manage";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("customer_address_list", VIEW, list)
            .title("List customer addresses")
            .about("List the addresses of a person or company (entity_id), or of all that you see: the main one first, then the newest.")
            .synonyms("where lives street delivery billing adresy klienta lista adres dostawy адреси клієнта список"),
        Tool::create("customer_address_create", MANAGE, create)
            .title("Add a customer address")
            .about(
                "Add an address to a person or company (entity_id). With is_primary it becomes the main one, and the former main                  one becomes an ordinary one.",
            )
            .synonyms("street delivery billing new dodaj adres klienta dostawy firmy додати адресу клієнта доставки"),
        Tool::update("customer_address_update", MANAGE, update)
            .on(&ADDRESSES)
            .title("Change a customer address")
            .about("Change the given fields of an address and leave the rest. is_primary: true makes it the main one.")
            .synonyms("moved street correct zmień adres klienta popraw główny змінити адресу клієнта"),
        Tool::delete("customer_address_delete", MANAGE, delete)
            .on(&ADDRESSES)
            .title("Delete a customer address")
            .about("Delete an address of a person or company. No other becomes the main one by itself.")
            .synonyms("remove usuń adres klienta видалити адресу клієнта"),
    ]
}

pub(crate) static ADDRESSES: Table = Table::new(
    "addresses",
    "address",
    "An address of a person, a company or another record.",
    &[
        Column::subject_type("subject_type", "Kind of the record whose address it is.").fixed(),
        Column::subject_id("subject_id", OnDelete::Cascade, "The record whose address it is.").fixed().filter(),
        Column::text("name", "What it is called, such as Office."),
        Column::text("purpose", "What it is for, such as billing or delivery."),
        Column::text("company_name", "Company at the address."),
        Column::text("address_line1", "First line: usually street and number.").max(300).required(),
        Column::text("address_line2", "Second line.").max(300),
        Column::text("building_number", "Number of the building.").max(50),
        Column::text("flat_number", "Number of the flat.").max(50),
        Column::text("postal_code", "Post code.").max(30),
        Column::text("city", "Town."),
        Column::text("region", "Region."),
        Column::text("country", "Country."),
        // Decimal text: Bureau has no inexact numbers, and nothing is computed from coordinates.
        Column::text("latitude", "Latitude in decimal degrees, as text.").max(32),
        Column::text("longitude", "Longitude in decimal degrees, as text.").max(32),
        Column::flag("is_primary", "Whether it is the main address of the record."),
    ],
);

#[derive(Debug, Serialize, JsonSchema)]
struct CustomerAddress {
    /// UUID.
    #[schemars(with = "String")]
    id: Uuid,
    /// Number in the tenant.
    num: Option<i64>,
    /// UUID of the person or company.
    #[schemars(with = "String")]
    entity_id: Uuid,
    /// What it is called.
    name: Option<String>,
    /// What it is for, such as billing.
    purpose: Option<String>,
    /// Company at the address.
    company_name: Option<String>,
    /// First line: usually street and number.
    address_line1: String,
    /// Second line.
    address_line2: Option<String>,
    /// Number of the building.
    building_number: Option<String>,
    /// Number of the flat.
    flat_number: Option<String>,
    /// Post code.
    postal_code: Option<String>,
    /// Town.
    city: Option<String>,
    /// Region.
    region: Option<String>,
    /// Country.
    country: Option<String>,
    /// Latitude in decimal degrees, as text.
    latitude: Option<String>,
    /// Longitude in decimal degrees, as text.
    longitude: Option<String>,
    /// Whether it is the main address.
    is_primary: bool,
    /// Organization of your own tenant; null is the whole tenant.
    #[schemars(with = "Option<String>")]
    organization_id: Option<Uuid>,
    /// Grows with every change; see expected_version.
    version: i64,
    /// When it was made.
    created_at: Instant,
    /// When it last changed.
    updated_at: Instant,
}

fn shown(address: &Record) -> Result<CustomerAddress> {
    Ok(CustomerAddress {
        id: address.id,
        num: address.num,
        entity_id: address.get("subject_id")?,
        name: address.get("name")?,
        purpose: address.get("purpose")?,
        company_name: address.get("company_name")?,
        address_line1: address.get("address_line1")?,
        address_line2: address.get("address_line2")?,
        building_number: address.get("building_number")?,
        flat_number: address.get("flat_number")?,
        postal_code: address.get("postal_code")?,
        city: address.get("city")?,
        region: address.get("region")?,
        country: address.get("country")?,
        latitude: address.get("latitude")?,
        longitude: address.get("longitude")?,
        is_primary: address.flag("is_primary"),
        organization_id: address.organization_id,
        version: address.version,
        created_at: address.created_at,
        updated_at: address.updated_at,
    })
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Person or company whose addresses to list.
    #[serde(alias = "entityId")]
    entity_id: Option<Id<Party>>,
    /// Page to show, from 1.
    #[schemars(range(min = 1, max = 1_000_000))]
    page: Option<i64>,
    /// Rows on a page, 50 unless given.
    #[schemars(range(min = 1, max = 100))]
    page_size: Option<i64>,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Page<CustomerAddress>> {
    let (page, page_size) = page::Wanted { page: input.page, page_size: input.page_size }.checked()?;
    let party = match input.entity_id {
        Some(id) => Some(ctx.fetch(id).await?.id),
        None => None,
    };
    let principal = ctx.principal().clone();
    let filter = |sql: &mut Sql| {
        sql.push(" AND subject_type = 'party'");
        if let Some(party) = party {
            sql.and_eq("subject_id", party);
        }
        customer::and_seen(&principal, sql);
    };
    // Said by hand: whoever sees the customer sees the address, whatever organization it was written in.
    let mut counted = Sql::new("SELECT 1 FROM addresses WHERE tenant_id = ");
    counted.bind(ctx.tenant_id());
    filter(&mut counted);
    let mut rows = ctx.from_tenant(&ADDRESSES);
    filter(&mut rows);
    // Few for one customer; the newest of all come by their number.
    rows.push(if party.is_some() { " ORDER BY is_primary DESC, num DESC" } else { " ORDER BY num DESC" });
    page::fetch(ctx, &ADDRESSES, page::Query { rows, counted, page, page_size }).await?.try_map(|row| shown(&row))
}

/// A point in decimal degrees, as a number or as text.
type Degrees = Patch<Value>;

/// An input of an address: its own fields and those of every address.
macro_rules! address_input {
    (struct $name:ident { $(#[$meta:meta])* $own:ident: $type:ty, $(#[$line_meta:meta])* address_line1, }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        struct $name {
            $(#[$meta])*
            $own: $type,
            $(#[$line_meta])*
            #[serde(alias = "addressLine1")]
            address_line1: Patch<String>,
            /// What it is called, such as Office.
            #[serde(default)]
            name: Patch<String>,
            /// What it is for, such as billing or delivery.
            #[serde(default)]
            purpose: Patch<String>,
            /// Company at the address.
            #[serde(default, alias = "companyName")]
            company_name: Patch<String>,
            /// Second line.
            #[serde(default, alias = "addressLine2")]
            #[schemars(length(max = 300))]
            address_line2: Patch<String>,
            /// Number of the building.
            #[serde(default, alias = "buildingNumber")]
            #[schemars(length(max = 50))]
            building_number: Patch<String>,
            /// Number of the flat.
            #[serde(default, alias = "flatNumber")]
            #[schemars(length(max = 50))]
            flat_number: Patch<String>,
            /// Post code.
            #[serde(default, alias = "postalCode")]
            #[schemars(length(max = 30))]
            postal_code: Patch<String>,
            /// Town.
            #[serde(default)]
            city: Patch<String>,
            /// Region.
            #[serde(default)]
            region: Patch<String>,
            /// Country.
            #[serde(default)]
            country: Patch<String>,
            /// Latitude in decimal degrees.
            #[serde(default)]
            #[schemars(with = "Patch<String>")]
            latitude: Degrees,
            /// Longitude in decimal degrees.
            #[serde(default)]
            #[schemars(with = "Patch<String>")]
            longitude: Degrees,
            /// Whether it is the main address.
            #[serde(default, alias = "isPrimary")]
            is_primary: Patch<bool>,
        }

        impl $name {
            fn values(self, mode: Mode) -> Result<Values> {
                let mut form = Form::new(&ADDRESSES, mode);
                form.put("address_line1", "address_line1", self.address_line1)?;
                form.put("name", "name", self.name)?;
                form.put("purpose", "purpose", self.purpose)?;
                form.put("company_name", "company_name", self.company_name)?;
                form.put("address_line2", "address_line2", self.address_line2)?;
                form.put("building_number", "building_number", self.building_number)?;
                form.put("flat_number", "flat_number", self.flat_number)?;
                form.put("postal_code", "postal_code", self.postal_code)?;
                form.put("city", "city", self.city)?;
                form.put("region", "region", self.region)?;
                form.put("country", "country", self.country)?;
                for (name, given, most) in [("latitude", self.latitude, 90), ("longitude", self.longitude, 180)] {
                    if let Patch::Set(degrees) = &given
                        && !within(degrees, most)
                    {
                        form.refuse(name, format!("expected decimal degrees from -{most} to {most}"));
                        continue;
                    }
                    form.put(name, name, given)?;
                }
                form.put("is_primary", "is_primary", self.is_primary)?;
                form.finish()
            }
        }
    };
}

/// Whether something is a number of degrees of at most `most` in either direction.
fn within(degrees: &Value, most: u8) -> bool {
    let number = match degrees {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.is_some_and(|number: f64| number.abs() <= f64::from(most))
}

address_input! {
    struct CreateInput {
        /// Person or company whose address it is.
        #[serde(alias = "entityId")]
        entity_id: Id<Party>,
        /// First line: usually street and number.
        #[schemars(with = "String", length(max = 300))]
        address_line1,
    }
}

address_input! {
    struct UpdateInput {
        /// Address to change.
        id: Id<Address>,
        /// First line: usually street and number.
        #[serde(default)]
        #[schemars(length(max = 300))]
        address_line1,
    }
}

async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<CustomerAddress> {
    let party = ctx.fetch(input.entity_id).await?;
    let mut values = input.values(Mode::Create)?;
    values
        .set("subject_type", PARTIES.noun)
        .set("subject_id", party.id)
        // Seen by whoever sees the customer.
        .set("organization_id", party.organization_id);
    if values.get("is_primary") == Some(&Val::Bool(true)) {
        demote(ctx, party.id, None).await?;
    }
    shown(&family::save_new(ctx, &ADDRESSES, values).await?)
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<CustomerAddress> {
    let address = fetch(ctx, input.id).await?;
    let values = input.values(Mode::Update)?;
    if values.get("is_primary") == Some(&Val::Bool(true)) {
        let party = address.get("subject_id")?;
        ctx.hold(&PARTIES, party).await?;
        demote(ctx, party, Some(address.id)).await?;
    }
    shown(&family::save(ctx, &address, values).await?)
}

/// Makes the main address of a customer, unless it is `but`, an ordinary one. The caller holds the customer, so that of two
/// new main addresses at once the second finds the first.
pub(crate) async fn demote(ctx: &mut Ctx, party: Uuid, but: Option<Uuid>) -> Result<()> {
    let mut sql = ctx.from_tenant(&ADDRESSES);
    sql.push(" AND subject_type = 'party'").and_eq("subject_id", party).push(" AND is_primary ORDER BY num");
    for address in ctx.records(&ADDRESSES, &sql).await? {
        if Some(address.id) != but {
            family::save(ctx, &address, Values::new().with("is_primary", false)).await?;
        }
    }
    Ok(())
}

/// Whether a customer has a main address.
pub(crate) async fn has_main(ctx: &mut Ctx, party: Uuid) -> Result<bool> {
    let mut sql = Sql::new("SELECT 1 FROM addresses WHERE tenant_id = ");
    sql.bind(ctx.tenant_id()).and_eq("subject_id", party).push(" AND subject_type = 'party' AND is_primary");
    ctx.exists(sql).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeleteInput {
    /// Address to delete.
    id: Id<Address>,
}

async fn delete(ctx: &mut Ctx, input: DeleteInput) -> Result<family::Deleted> {
    let address = fetch(ctx, input.id).await?;
    family::remove(ctx, &address).await?;
    Ok(family::Deleted::of(&address))
}

/// An address of a customer that the caller sees.
async fn fetch(ctx: &mut Ctx, id: Id<Address>) -> Result<Record> {
    let missing = || Error::not_found("customer_address", id.key());
    let address = customer::fetch(ctx, &ADDRESSES, id.key()).await?;
    address.filter(|address| address.text("subject_type") == PARTIES.noun).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn degrees_are_numbers_on_the_globe() {
        for degrees in [json!(52.2297), json!("-52.2297"), json!(90), json!("90.0")] {
            assert!(within(&degrees, 90), "{degrees}");
        }
        for degrees in [json!(90.1), json!("north"), json!(true), json!("NaN"), json!("inf")] {
            assert!(!within(&degrees, 90), "{degrees}");
        }
    }
}
