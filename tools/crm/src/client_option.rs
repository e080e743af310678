//! Single options of clients, of one client or of many.

use bureau_kit::prelude::*;

use crate::Party;
use crate::client::{Client, fetch, shown};
use crate::client_write::{check_right, kind_of};
use crate::form::{Form, Mode};
use crate::party::{self, PARTIES};
use crate::subject::Subject;
use crate::tag::by_names;
use crate::tag_link;

/// An option of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OptionType {
    /// Status.
    Status,
    /// Where it came from.
    Source,
    /// How far the relation has come.
    LifecycleStage,
    /// User in charge.
    #[serde(alias = "responsible", alias = "responsible_id")]
    Owner,
    /// Whether it is in use.
    Active,
    /// Whether it sells.
    IsSupplier,
    /// Discount in per cent.
    Discount,
    /// Days it has for paying.
    PaymentPeriodDays,
    /// A tag to add, by name.
    TagAdd,
    /// A tag to take off, by name.
    TagRemove,
}

/// A value of whatever kind the option is of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum OptionValue {
    /// Text, an id or a number as text.
    Text(String),
    /// A number.
    Number(i64),
    /// True or false.
    Flag(bool),
    /// Nothing: clears it.
    Nothing,
}

impl OptionValue {
    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Flag(flag) => json!(flag),
            Self::Nothing => Value::Null,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionInput {
    /// UUID or number of the client.
    id: Id<Party>,
    /// Which option to set.
    #[serde(rename = "type")]
    kind: OptionType,
    /// Its new value: text, a number, true or false; null clears it.
    #[schemars(with = "Option<String>")]
    value: OptionValue,
}

pub(crate) async fn change_option(ctx: &mut Ctx, input: OptionInput) -> Result<Client> {
    let before = fetch(ctx, input.id).await?;
    check_right(ctx, kind_of(&before))?;
    let subject = Subject { noun: PARTIES.noun, id: before.id };
    let column = match input.kind {
        OptionType::Status => "status",
        OptionType::Source => "source",
        OptionType::LifecycleStage => "lifecycle_stage",
        OptionType::Owner => "owner_id",
        OptionType::Active => "active",
        OptionType::IsSupplier => "is_supplier",
        OptionType::Discount => "discount",
        OptionType::PaymentPeriodDays => "payment_period_days",
        OptionType::TagAdd | OptionType::TagRemove => {
            let OptionValue::Text(name) = &input.value else {
                return Err(Error::invalid("/value", "expected the name of a tag"));
            };
            let tag = by_names(ctx, &[name.trim().to_owned()]).await?;
            let mut tags: Vec<Uuid> = tag_link::ids(ctx, subject).await?;
            tags.retain(|known| !tag.contains(known));
            if input.kind == OptionType::TagAdd {
                tags.extend(tag);
            }
            tag_link::set_given(ctx, subject, Some(tags)).await?;
            return shown(ctx, &before).await;
        }
    };
    let mut form = Form::new(&PARTIES, Mode::Update);
    if input.kind == OptionType::Owner {
        let owner = match input.value.json() {
            Value::Null => Patch::Clear,
            value => {
                Patch::Set(serde_json::from_value(value).map_err(|error| Error::invalid("/value", error.to_string()))?)
            }
        };
        party::put_owner(ctx, &mut form, owner).await?;
    } else {
        let value = match input.value.json() {
            Value::Null => Patch::Clear,
            value => Patch::Set(value),
        };
        form.put("value", column, value)?;
    }
    let client = party::change(ctx, &before, form.finish()?).await?;
    shown(ctx, &client).await
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OptionsInput {
    /// UUIDs or numbers of the clients, at most 100.
    #[schemars(length(min = 1, max = 100))]
    ids: Vec<Id<Party>>,
    /// Which option to set.
    #[serde(rename = "type")]
    kind: OptionType,
    /// Its new value: text, a number, true or false; null clears it.
    #[schemars(with = "Option<String>")]
    value: OptionValue,
}

/// What became of one client.
#[derive(Debug, Serialize, JsonSchema)]
struct OptionResult {
    /// The id as it was given.
    given_id: String,
    /// Whether it was done.
    ok: bool,
    /// UUID of the client that was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The error, as a call for this client alone would answer it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Map<String, Value>>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OptionResults {
    /// How many were done.
    count: usize,
    /// What became of each, in the order given.
    results: Vec<OptionResult>,
}

pub(crate) async fn change_options(ctx: &mut Ctx, input: OptionsInput) -> Result<OptionResults> {
    if input.ids.is_empty() || input.ids.len() > 100 {
        return Err(Error::invalid("/ids", format!("expected 1 to 100 clients, got {}", input.ids.len())));
    }
    let kind = serde_json::to_value(input.kind).map_err(Error::internal)?;
    let mut results = Vec::with_capacity(input.ids.len());
    for id in input.ids {
        let mut arguments = Map::new();
        arguments.insert("id".into(), json!(id.key().to_string()));
        arguments.insert("type".into(), kind.clone());
        arguments.insert("value".into(), input.value.json());
        let given_id = id.key().to_string();
        results.push(match ctx.nested("client_option_change", arguments).await {
            Ok(client) => {
                let client_id = client.get("id").and_then(Value::as_str).map(str::to_owned);
                OptionResult { given_id, ok: true, client_id, error: None }
            }
            // A lost race is not the client's own failure: the whole call runs again.
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => {
                let error = error.reported("client_option_bulk_change", ctx.new_id()).to_json();
                OptionResult { given_id, ok: false, client_id: None, error: Some(error) }
            }
        });
    }
    Ok(OptionResults { count: results.iter().filter(|result| result.ok).count(), results })
}
