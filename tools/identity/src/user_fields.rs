//! What callers may say of a user, and the rules of single fields and of telephony (CCRM).

use std::borrow::Cow;

use bureau_kit::error::FieldError;
use bureau_kit::password;
use bureau_kit::prelude::*;
use bureau_kit::table::Input;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::flag::{Flag, Label, Numbers};
use crate::groups::Group;
use crate::organizations::Organization;
use crate::roles::Role;
use crate::teams::Team;
use crate::users::{USERS, User};

/// The fields that create and update share are written once; each input has its own beside them.
macro_rules! inputs {
    ($($(#[$meta:meta])* $field:ident: $kind:ty,)*) => {
        /// What both inputs say of a user.
        #[derive(Debug, Default)]
        pub(crate) struct Fields {
            $(pub(crate) $field: $kind,)*
        }

        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct CreateInput {
            /// E-mail address, unique among the users whatever its case.
            email: Email,
            /// Send an invitation by e-mail; it cannot be taken back by undo.
            invite: Option<Flag>,
            $($(#[$meta])* #[serde(default)] $field: $kind,)*
        }

        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct UpdateInput {
            /// UUID or number of the user.
            #[serde(alias = "uuid")]
            id: Id<User>,
            /// New e-mail address.
            email: Option<Email>,
            $($(#[$meta])* #[serde(default)] $field: $kind,)*
        }

        impl CreateInput {
            /// The address, whether to invite, and the rest.
            pub(crate) fn split(self) -> (Email, bool, Fields) {
                (self.email, self.invite.is_some_and(|flag| flag.0), Fields { $($field: self.$field,)* })
            }
        }

        impl UpdateInput {
            /// The user, the new address, and the rest.
            pub(crate) fn split(self) -> (Id<User>, Option<Email>, Fields) {
                (self.id, self.email, Fields { $($field: self.$field,)* })
            }
        }
    };
}

inputs! {
    /// First name.
    first_name: Patch<String>,
    /// Last name.
    last_name: Patch<String>,
    /// Name as it is shown; first and last name when left out.
    name: Patch<String>,
    /// Job title.
    title: Patch<String>,
    /// File name or address of a picture.
    avatar: Patch<String>,
    /// Telephone number.
    phone: Patch<Label>,
    /// Second telephone number.
    phone2: Patch<Label>,
    /// Third telephone number.
    phone3: Patch<Label>,
    /// Fourth telephone number.
    phone4: Patch<Label>,
    /// Address.
    address: Patch<String>,
    /// Second address.
    address2: Patch<String>,
    /// Language of the interface, such as pl or uk.
    locale: Patch<String>,
    /// Identifier in another system, unique.
    external_id: Patch<String>,
    /// Price of an hour of work.
    rate: Patch<Money>,
    /// Main role: admin, account_admin, team_admin, department_admin, user, guest, reader, or owner. A new user is a user.
    role: Option<String>,
    /// All roles by name, code or id; replaces the ones there are. Without role, the first built-in one is the main one.
    roles: Option<Vec<String>>,
    /// Main team.
    team_id: Patch<Id<Team>>,
    /// All teams; replaces the ones there are.
    team_ids: Option<Vec<Id<Team>>>,
    /// Department.
    department_id: Patch<Id<Group>>,
    /// Groups: a list of ids (all of them, at most one of a kind), or a map from kind to id, where "" means none.
    groups: Option<Groups>,
    /// Permission group (CCRM): one of the roles, given beside the main one.
    permission: Patch<Id<Role>>,
    /// Organization the user belongs to.
    organization_id: Patch<Id<Organization>>,
    /// Whether the user may act; false does what user_block does.
    active: Option<Flag>,
    /// New password: at least 6 characters, a digit, a capital letter and a special character.
    password: Option<String>,
    /// The same password again, checked when given.
    password_confirmation: Option<String>,
    /// Whether the SIP account is picked at log-in (then dynamic_extension_ids) or fixed (then extension_id).
    dynamic_extension: Option<Flag>,
    /// SIP account, not assigned to another user.
    extension_id: Patch<i64>,
    /// SIP accounts to pick from.
    dynamic_extension_ids: Patch<Numbers>,
    /// Telephone number at work.
    work_number: Patch<Label>,
    /// Sender names or numbers for text messages.
    sms_presentation: Patch<Vec<Label>>,
    /// Numbers that may be shown to the called party.
    call_presentation: Patch<Vec<CallPresentation>>,
}

/// A number that may be shown to the called party.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallPresentation {
    /// The number, or a special value such as anonymous.
    presentation: Label,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Label>,
    /// Prefix put before it.
    #[serde(alias = "clipPrefix", skip_serializing_if = "Option::is_none")]
    clip_prefix: Option<Label>,
    /// Whether it is shown in international form.
    #[serde(alias = "intlFormat", skip_serializing_if = "Option::is_none")]
    intl_format: Option<Flag>,
}

impl Serialize for Flag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(self.0)
    }
}

/// Groups as CCRM sends them: the list of its create sample or the map of its edit sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Groups {
    /// All groups.
    List(Vec<Key>),
    /// Kinds with their group; none takes the user out.
    Map(Vec<(String, Option<Key>)>),
}

impl<'de> Deserialize<'de> for Groups {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let key = |value: &Value| match value {
            Value::Null => Ok(None),
            Value::String(text) if text.trim().is_empty() => Ok(None),
            other => serde_json::from_value(other.clone()).map(Some).map_err(D::Error::custom),
        };
        match Value::deserialize(deserializer)? {
            Value::Array(items) => {
                let keys = items.iter().map(key).collect::<Result<Vec<_>, _>>()?;
                Ok(Self::List(keys.into_iter().flatten().collect()))
            }
            Value::Object(members) => {
                let pair = |(kind, value): (String, Value)| Ok((kind, key(&value)?));
                members.into_iter().map(pair).collect::<Result<_, _>>().map(Self::Map)
            }
            other => {
                Err(D::Error::custom(format_args!("expected a list of ids or a map from kind to id, got {other}")))
            }
        }
    }
}

impl JsonSchema for Groups {
    fn schema_name() -> Cow<'static, str> {
        "Groups".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["array", "object"],
            "items": {"type": "string", "x-record": "groups"},
            "additionalProperties": {"type": "string", "x-record": "groups"},
        })
    }
}

impl Fields {
    /// The plain columns among the fields, checked, with everything wrong told at once.
    pub(crate) fn values(&mut self) -> Result<Values> {
        let mut values = Values::new();
        let mut wrong = Vec::new();
        let labels = |label: Patch<Label>| match label {
            Patch::Set(label) => Patch::Set(label.0),
            Patch::Clear => Patch::Clear,
            Patch::Absent => Patch::Absent,
        };
        for (column, patch) in [
            ("first_name", std::mem::take(&mut self.first_name)),
            ("last_name", std::mem::take(&mut self.last_name)),
            ("name", std::mem::take(&mut self.name)),
            ("title", std::mem::take(&mut self.title)),
            ("avatar", std::mem::take(&mut self.avatar)),
            ("phone", labels(std::mem::take(&mut self.phone))),
            ("phone2", labels(std::mem::take(&mut self.phone2))),
            ("phone3", labels(std::mem::take(&mut self.phone3))),
            ("phone4", labels(std::mem::take(&mut self.phone4))),
            ("address", std::mem::take(&mut self.address)),
            ("address2", std::mem::take(&mut self.address2)),
            ("locale", std::mem::take(&mut self.locale)),
            ("external_id", std::mem::take(&mut self.external_id)),
            ("work_number", labels(self.work_number.clone())),
        ] {
            set_text(&mut values, &mut wrong, column, patch);
        }
        if let Some(rate) = std::mem::take(&mut self.rate).change() {
            if rate.is_some_and(|rate| rate < Money::ZERO) {
                wrong.push(FieldError::of("rate", "must not be below 0"));
            }
            values.set("rate", rate);
        }
        self.telephony(&mut values, &mut wrong);
        if let Err(error) = self.check_password() {
            wrong.extend(error.fields().iter().cloned());
        }
        if wrong.is_empty() { Ok(values) } else { Err(Error::invalid_fields(wrong)) }
    }

    fn telephony(&self, values: &mut Values, wrong: &mut Vec<FieldError>) {
        if let Some(flag) = self.dynamic_extension {
            values.set("dynamic_extension", flag.0);
        }
        if let Some(extension) = self.extension_id.clone().change() {
            if extension.is_some_and(|number| !(1..=1_000_000_000).contains(&number)) {
                wrong.push(FieldError::of("extension_id", "expected a whole number from 1 to 1000000000"));
            }
            values.set("extension_id", extension);
        }
        if let Some(numbers) = self.dynamic_extension_ids.clone().change() {
            values.set("dynamic_extension_ids", numbers.map(|numbers| json!(numbers.0)));
        }
        if let Some(names) = self.sms_presentation.clone().change() {
            values.set("sms_presentation", names.map(|names| json!(names)));
        }
        if let Some(numbers) = self.call_presentation.clone().change() {
            values.set("call_presentation", numbers.map(|numbers| json!(numbers)));
        }
    }

    /// Whether the caller speaks of telephony at all: then CCRM's rules apply.
    pub(crate) fn is_telephony(&self) -> bool {
        self.dynamic_extension.is_some()
            || self.extension_id != Patch::Absent
            || self.dynamic_extension_ids != Patch::Absent
            || self.work_number != Patch::Absent
            || self.sms_presentation != Patch::Absent
            || !matches!(self.call_presentation, Patch::Absent)
    }

    /// What CCRM demands of a new user with a telephone, beside the e-mail.
    pub(crate) fn demand_telephony(&self) -> Result<()> {
        let mut wrong = Vec::new();
        let why = "is required with telephony fields";
        if !matches!(self.permission, Patch::Set(_)) {
            wrong.push(FieldError::of("permission", why));
        }
        if self.groups.is_none() {
            wrong.push(FieldError::of("groups", why));
        }
        if self.dynamic_extension.is_none() {
            wrong.push(FieldError::of("dynamic_extension", why));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::invalid_fields(wrong)) }
    }

    fn check_password(&self) -> Result<()> {
        match (&self.password, &self.password_confirmation) {
            (None, Some(_)) => Err(Error::invalid("/password", "is required with password_confirmation")),
            (Some(one), Some(two)) if one != two => {
                Err(Error::invalid("/password_confirmation", "is not the same as password"))
            }
            (Some(password), _) => password::check(password).map_err(|message| Error::invalid("/password", message)),
            (None, None) => Ok(()),
        }
    }
}

fn set_text(values: &mut Values, wrong: &mut Vec<FieldError>, name: &'static str, patch: Patch<String>) {
    let (Some(change), Some(column)) = (patch.change(), USERS.column(name)) else { return };
    let given = change.unwrap_or_default();
    // A name is derived again when it is cleared.
    if name == "name" && given.trim().is_empty() {
        values.set(name, Val::Null);
        return;
    }
    match column.parse(&Value::String(given)) {
        Ok(Input::Val(Val::Text(text))) if text.is_empty() => {
            values.set(name, Val::Null);
        }
        Ok(Input::Val(value)) => {
            values.set(name, value);
        }
        Ok(Input::Key(_)) => {}
        Err(message) => wrong.push(FieldError::of(name, message)),
    }
}

/// CCRM's rule over the state as it would be: a picked account has a list, a fixed one is named and no one else's.
pub(crate) async fn check_telephony(ctx: &mut Ctx, before: Option<&Record>, values: &mut Values) -> Result<()> {
    let merged = |column: &str| {
        values.get(column).cloned().or_else(|| before.map(|user| user.cell(column).clone())).unwrap_or(Val::Null)
    };
    let (dynamic, extension, list) =
        (merged("dynamic_extension"), merged("extension_id"), merged("dynamic_extension_ids"));
    if dynamic == Val::Bool(true) {
        if values.has("extension_id") {
            return Err(Error::invalid("/extension_id", "must be left out when dynamic_extension is 1"));
        }
        if list.is_null() {
            return Err(Error::invalid("/dynamic_extension_ids", "is required when dynamic_extension is 1"));
        }
        values.set("extension_id", Val::Null);
        return Ok(());
    }
    let Val::Int(number) = extension else {
        return Err(Error::invalid("/extension_id", "is required when dynamic_extension is 0"));
    };
    let mut sql = Sql::new("SELECT name FROM users WHERE extension_id = ");
    sql.bind(number).and_eq("tenant_id", ctx.tenant_id());
    if let Some(user) = before {
        sql.push(" AND id <> ").bind(user.id);
    }
    match ctx.rows(&sql).await?.first() {
        None => Ok(()),
        Some(row) => {
            let name: String = row.get(0)?;
            Err(Error::invalid(
                "/extension_id",
                format!(
                    "SIP account {number} is assigned to another user ({name}); choose another, or take it from them first"
                ),
            ))
        }
    }
}

/// The name to show: as given, or first and last name, or what stands before the @. A whole name given alone is taken
/// apart at its last space.
pub(crate) fn complete_name(before: Option<&Record>, email: &Email, values: &mut Values) {
    let merged = |values: &Values, column: &str| match values.get(column) {
        Some(Val::Text(text)) => text.clone(),
        Some(_) => String::new(),
        None => before.map(|user| user.text(column).to_owned()).unwrap_or_default(),
    };
    if before.is_none()
        && let Some(name) = values.text("name").map(str::to_owned)
        && !values.has("first_name")
        && !values.has("last_name")
    {
        let (first, last) = name.rsplit_once(' ').unwrap_or((&name, ""));
        values.set("first_name", first.trim());
        if !last.is_empty() {
            values.set("last_name", last);
        }
        return;
    }
    let parts = [merged(values, "first_name"), merged(values, "last_name")];
    let joined = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let derived = if joined.is_empty() { email.local_part().to_owned() } else { joined };
    let renamed = values.get("first_name").is_some() || values.get("last_name").is_some();
    match values.get("name") {
        Some(Val::Text(_)) => {}
        None if before.is_some() && !renamed => {}
        _ => {
            values.set("name", derived);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(values: Values) -> (String, String, String) {
        let mut values = values;
        complete_name(None, &Email::parse("anna.nowak@example.com").unwrap(), &mut values);
        let text = |column: &str| values.text(column).unwrap_or_default().to_owned();
        (text("name"), text("first_name"), text("last_name"))
    }

    #[test]
    fn names_complete_each_other() {
        let of = |name: &str, first: &str, last: &str| (name.to_owned(), first.to_owned(), last.to_owned());
        assert_eq!(named(Values::new()), of("anna.nowak", "", ""));
        assert_eq!(
            named(Values::new().with("name", "Anna Maria Nowak")),
            of("Anna Maria Nowak", "Anna Maria", "Nowak")
        );
        assert_eq!(
            named(Values::new().with("first_name", "Anna").with("last_name", "Nowak")),
            of("Anna Nowak", "Anna", "Nowak")
        );
        assert_eq!(named(Values::new().with("name", "Ania").with("first_name", "Anna")), of("Ania", "Anna", ""));
    }

    #[test]
    fn groups_come_as_list_or_map() {
        let read = |text: &str| serde_json::from_str::<Groups>(text);
        assert_eq!(read("[3, \"\"]").unwrap(), Groups::List(vec![Key::Num(3)]));
        assert_eq!(
            read(r#"{"position": 4, "department": ""}"#).unwrap(),
            Groups::Map(vec![("position".into(), Some(Key::Num(4))), ("department".into(), None)])
        );
        assert!(read("3").is_err() && read("[\"x\"]").is_err());
    }

    #[test]
    fn telephony_needs_its_companions() {
        let fields = Fields { extension_id: Patch::Set(12), ..Fields::default() };
        assert!(fields.is_telephony() && !Fields::default().is_telephony());
        let error = fields.demand_telephony().unwrap_err();
        assert_eq!(
            error.message(),
            "/permission: is required with telephony fields; /groups: is required with telephony fields; \
             /dynamic_extension: is required with telephony fields"
        );
    }

    #[test]
    fn passwords_are_checked_and_repeated() {
        let refused = |password: Option<&str>, again: Option<&str>| {
            let fields = Fields {
                password: password.map(str::to_owned),
                password_confirmation: again.map(str::to_owned),
                ..Fields::default()
            };
            fields.check_password().err().map(|error| error.message().to_owned())
        };
        assert_eq!(refused(Some("Kuchnia1!"), Some("Kuchnia1!")), None);
        assert_eq!(
            refused(Some("Kuchnia1!"), Some("Kuchnia2!")).unwrap(),
            "/password_confirmation: is not the same as password"
        );
        assert_eq!(refused(None, Some("Kuchnia1!")).unwrap(), "/password: is required with password_confirmation");
        assert!(refused(Some("kuchnia"), None).unwrap().starts_with("/password: needs at least 6 characters"));
    }
}
