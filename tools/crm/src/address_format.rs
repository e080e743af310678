//! How interfaces ask for addresses of customers.

use bureau_identity::{company_setting, set_company_setting};
use bureau_kit::prelude::*;

const RIGHT: &str = "customers.settings.manage";
const KEY: &str = "crm.address_format";

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("address_format_show", RIGHT, show)
            .title("Show the address format")
            .about("Show how interfaces ask for addresses of customers: line_first (free lines) or street_first (street and number apart).")
            .synonyms("address settings format adresu ustawienia формат адреси налаштування"),
        Tool::update("address_format_update", RIGHT, update)
            .idempotent()
            .title("Set the address format")
            .about("Set how interfaces ask for addresses of customers. Addresses that are stored stay as they are.")
            .synonyms("address settings ustaw format adresu встановити формат адреси"),
    ]
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Free lines.
    LineFirst,
    /// Street and number apart.
    StreetFirst,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ShowInput {}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UpdateInput {
    /// line_first or street_first.
    #[serde(alias = "addressFormat")]
    address_format: Format,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Shown {
    /// line_first or street_first.
    address_format: Format,
}

async fn show(ctx: &mut Ctx, _: ShowInput) -> Result<Shown> {
    let stored = company_setting(ctx, KEY).await?;
    Ok(Shown { address_format: serde_json::from_value(stored).map_err(Error::internal)? })
}

async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<Shown> {
    let value = serde_json::to_value(input.address_format).map_err(Error::internal)?;
    set_company_setting(ctx, KEY, value).await?;
    Ok(Shown { address_format: input.address_format })
}
