//! Who sells and who buys, as documents name them: read in the whole tenant, so that a document says the same whoever prints it.

use bureau_crm::{Address, Party};
use bureau_kit::prelude::*;

use super::sheet::Side;

/// The tenant, as its settings name it (setting_set, account.seller_name and its neighbours). What they leave blank is that of
/// the company of the tenant's name in its own address book, if there is one.
pub(crate) async fn seller(ctx: &mut Ctx) -> Result<Side> {
    let rows = ctx.rows(&Sql::with("SELECT name FROM tenants WHERE id = $1", [ctx.tenant_id().into()])).await?;
    let tenant: String = rows.first().ok_or_else(|| Error::internal("the tenant is gone"))?.get(0)?;
    let [name, address, tax_number] =
        settings(ctx, ["account.seller_name", "account.seller_address", "account.tax_number"]).await?;
    let mut lines: Vec<String> =
        address.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if !tax_number.is_empty() {
        lines.push(format!("NIP: {tax_number}"));
    }
    if lines.is_empty() {
        let mut sql = ctx.from_tenant(Party::TABLE);
        sql.and_eq("display_name", tenant.as_str()).push(" AND kind = 'company' LIMIT 1");
        if let Some(company) = ctx.records(Party::TABLE, &sql).await?.into_iter().next() {
            lines = lines_of(ctx, &company, None).await?;
        }
    }
    Ok(Side { role: "Sprzedawca".to_owned(), name: if name.is_empty() { tenant } else { name }, lines })
}

/// Settings of the tenant that hold text; blank where they are not set.
async fn settings<const N: usize>(ctx: &mut Ctx, keys: [&'static str; N]) -> Result<[String; N]> {
    let mut sql = Sql::new("SELECT key, value FROM settings WHERE user_id IS NULL AND tenant_id = ");
    sql.bind(ctx.tenant_id()).and_in("key", keys);
    let mut found = [const { String::new() }; N];
    for row in ctx.rows(&sql).await? {
        let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
        let text = serde_json::from_str::<String>(&value).unwrap_or_default();
        for (_, place) in keys.iter().zip(&mut found).filter(|(known, _)| **known == key) {
            text.trim().clone_into(place);
        }
    }
    Ok(found)
}

/// The customer of a contract, at the address for invoices, else where the customer lives, else at any address there is.
pub(crate) async fn buyer(ctx: &mut Ctx, contract: &Record) -> Result<Side> {
    let customer = contract.id_of("customer_id").ok_or_else(|| Error::internal("a contract has no customer"))?;
    let party = one(ctx, Party::TABLE, customer).await?.ok_or_else(|| Error::not_found("customer", customer))?;
    let address = contract.id_of("adres_faktury_id").or_else(|| contract.id_of("adres_zamieszkania_id"));
    let lines = lines_of(ctx, &party, address).await?;
    Ok(Side { role: "Nabywca".to_owned(), name: party.text("display_name").to_owned(), lines })
}

/// Where a contract is installed, in one line.
pub(crate) async fn site(ctx: &mut Ctx, contract: &Record) -> Result<Option<String>> {
    let Some(id) = contract.id_of("adres_montazu_id") else { return Ok(None) };
    Ok(one(ctx, Address::TABLE, id).await?.map(|address| of_address(&address).join(", ")))
}

/// A record as it stands, without a lock: documents change nothing of it.
async fn one(ctx: &mut Ctx, table: &'static Table, id: Uuid) -> Result<Option<Record>> {
    let mut sql = ctx.from_tenant(table);
    sql.and_eq("id", id);
    Ok(ctx.records(table, &sql).await?.into_iter().next())
}

/// Address and tax number.
async fn lines_of(ctx: &mut Ctx, party: &Record, address: Option<Uuid>) -> Result<Vec<String>> {
    let found = match address {
        Some(id) => one(ctx, Address::TABLE, id).await?,
        None => {
            let mut sql = ctx.from_tenant(Address::TABLE);
            sql.and_eq("subject_id", party.id).and_eq("subject_type", Party::TABLE.noun);
            sql.push(" ORDER BY is_primary DESC, num LIMIT 1");
            ctx.records(Address::TABLE, &sql).await?.into_iter().next()
        }
    };
    let mut lines = match found {
        Some(address) => of_address(&address),
        None => of_json(&party.cell("address").clone()),
    };
    if lines.is_empty() && !party.text("address_text").is_empty() {
        lines.push(party.text("address_text").to_owned());
    }
    lines.extend(tax_number(party).map(|number| format!("NIP: {number}")));
    Ok(lines)
}

fn of_address(address: &Record) -> Vec<String> {
    let text = |name: &str| address.text(name).trim().to_owned();
    let house = match (text("building_number"), text("flat_number")) {
        (house, flat) if flat.is_empty() => house,
        (house, flat) if house.is_empty() => format!("m. {flat}"),
        (house, flat) => format!("{house}/{flat}"),
    };
    let street = spaced([text("address_line1"), house]);
    let town = spaced([text("postal_code"), text("city")]);
    let country = Some(text("country")).filter(|country| !matches!(country.as_str(), "PL" | "Polska" | "Poland"));
    let lines = [text("company_name"), street, text("address_line2"), town, country.unwrap_or_default()];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

/// An address that a party carries itself: text, or an object with names that systems usually give.
fn of_json(address: &Val) -> Vec<String> {
    let Val::Json(json) = address else { return Vec::new() };
    let value: Value = serde_json::from_str(json).unwrap_or_default();
    if let Some(text) = value.as_str() {
        return text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    }
    let text = |names: [&str; 3]| {
        let found = names.into_iter().find_map(|name| value.get(name).and_then(Value::as_str));
        found.unwrap_or_default().trim().to_owned()
    };
    let street = text(["street", "line1", "address_line1"]);
    let town = spaced([text(["postal_code", "postalCode", "zip"]), text(["city", "town", "miasto"])]);
    [street, town].into_iter().filter(|line| !line.is_empty()).collect()
}

fn spaced(words: [String; 2]) -> String {
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The NIP of a party: its column where there is one, else what its metadata says.
fn tax_number(party: &Record) -> Option<String> {
    let metadata: Value = match party.cell("metadata") {
        Val::Json(json) => serde_json::from_str(json).unwrap_or_default(),
        _ => Value::Null,
    };
    ["nip", "tax_number", "tax_id", "NIP"].into_iter().find_map(|name| {
        let own = Some(party.text(name)).filter(|number| !number.is_empty());
        let number = own.map(str::to_owned).or_else(|| match metadata.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        number.map(|number| number.trim().to_owned()).filter(|number| !number.is_empty())
    })
}
