//! Who is connected: the sessions and keys that were used lately, from where and how often.

use std::collections::HashMap;

use bureau_kit::prelude::*;
use bureau_kit::rights::Credential;
use bureau_kit::uses::UsesOf;

use crate::api_keys::API_KEYS;
use crate::sessions::{self, SESSIONS, ancestry_of};

pub(crate) fn tools() -> Vec<Tool> {
    vec![
        Tool::read("connection_list", "", list)
            .title("List who is connected")
            .about(
                "List the sessions and keys that were used in the last minutes: whose, from which address, by which client, and \
                 how many calls they made. Your own; with auth.sessions.manage everyone's. End one with session_revoke.",
            )
            .synonyms("online active who last seen clients połączenia kto zalogowany aktywni з'єднання хто онлайн активні"),
    ]
}

/// Rows that are answered; the latest ones.
const MOST: usize = 500;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListInput {
    /// Used in the last so many minutes; 15 when left out.
    #[schemars(range(min = 1, max = 1440))]
    minutes: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Connections {
    /// The connections, the latest first.
    items: Vec<Connection>,
    /// How many there are.
    total: usize,
    /// Since when.
    since: Instant,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Connection {
    /// What was shown: session, api_key, oauth (a token of the OAuth issuer), or local (the person at the machine).
    kind: &'static str,
    /// UUID of the session or key.
    id: String,
    /// What the session or key is for.
    label: Option<String>,
    /// First letters of the token.
    prefix: Option<String>,
    /// Who it was.
    who: String,
    /// UUID of the user; null for a key that stands for itself.
    user_id: Option<String>,
    /// How the last call came: http, rpc, stdio or cli.
    transport: String,
    /// What the client called itself.
    client: Option<String>,
    /// Network address of the last call.
    address: Option<String>,
    /// First use that is known.
    first_used_at: Instant,
    /// Last use.
    last_used_at: Instant,
    /// Calls in all.
    calls: i64,
    /// Whether it is what this call came with.
    is_current: bool,
}

async fn list(ctx: &mut Ctx, input: ListInput) -> Result<Connections> {
    let minutes = input.minutes.unwrap_or(15);
    if !(1..=1440).contains(&minutes) {
        return Err(Error::invalid("/minutes", "expected a whole number from 1 to 1440"));
    }
    let since = ctx.now().plus_minutes(minutes.saturating_neg());
    let used = ctx.uses(UsesOf::Since(since)).await?;
    let ids: Vec<Uuid> = used.iter().map(|used| used.credential_id).collect();
    let mut records: HashMap<Uuid, Record> = HashMap::new();
    for table in [&SESSIONS, &API_KEYS] {
        let mut sql = ctx.from(table);
        sql.and_in("id", ids.iter().copied());
        records.extend(ctx.records(table, &sql).await?.into_iter().map(|record| (record.id, record)));
    }
    let principal = ctx.principal().clone();
    let all = principal.may(&[sessions::MANAGE]);
    let own_id = match &principal.credential {
        Credential::Session(id) | Credential::ApiKey(id) | Credential::OAuth(id) => Some(*id),
        Credential::LocalOwner => principal.user_id,
        Credential::Nobody => None,
    };
    let whole_user = sessions::reaches_all_of_user(&principal);
    let mut items = Vec::new();
    for used in used {
        let record = records.get(&used.credential_id);
        let own = Some(used.credential_id) == own_id;
        let made_from_own = match (record, own_id) {
            (Some(record), Some(own)) => ancestry_of(record)?.contains(&own),
            _ => false,
        };
        let same_user = whole_user && principal.user_id.is_some() && used.user_id == principal.user_id;
        // What is not among the records that the caller sees may be somebody's elsewhere.
        let others = all && (record.is_some() || principal.organizations.is_none());
        if !(others || own || made_from_own || same_user) {
            continue;
        }
        let text = |column: &str| record.map(|record| record.text(column).to_owned()).filter(|text| !text.is_empty());
        items.push(Connection {
            kind: used.kind,
            id: used.credential_id.to_string(),
            label: text(if used.kind == "api_key" { "name" } else { "label" }),
            prefix: text("prefix"),
            who: used.label,
            user_id: used.user_id.map(|id| id.to_string()),
            transport: used.transport,
            client: used.client,
            address: used.address,
            first_used_at: used.first_used_at,
            last_used_at: used.last_used_at,
            calls: used.count,
            is_current: own,
        });
    }
    let total = items.len();
    items.truncate(MOST);
    Ok(Connections { items, total, since })
}
