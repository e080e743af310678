//! Making and changing clients.

use bureau_identity::User;
use bureau_kit::prelude::*;

use crate::Party;
use crate::client::{Client, ClientInput, by_external_id, fetch, shown};
use crate::duplicates;
use crate::form::{Form, Mode};
use crate::names::Names;
use crate::party::{self, PARTIES, PartyKind, add_party};
use crate::subject::Subject;
use crate::tag::by_names;
use crate::tag_link;

/// Tags of a client: their names, or one text with commas between, as Intum writes them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
enum TagNames {
    /// Names.
    List(Vec<String>),
    /// Names with commas between.
    Text(String),
}

impl TagNames {
    fn names(self) -> Vec<String> {
        let names = match self {
            Self::List(names) => names,
            Self::Text(text) => text.split(',').map(str::to_owned).collect(),
        };
        names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    }
}

/// An input of a client: its own fields and those of every client.
macro_rules! client_input {
    (struct $name:ident { $($(#[$meta:meta])* $own:ident: $type:ty,)* }) => {
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($(#[$meta])* $own: $type,)*
            /// Full name; the e-mail or telephone when there is none.
            #[serde(default)]
            #[schemars(length(max = 255))]
            name: Patch<String>,
            /// Main e-mail address.
            #[serde(default)]
            email: Patch<Email>,
            /// Main telephone number.
            #[serde(default)]
            #[schemars(length(max = 50))]
            phone: Patch<String>,
            /// Description.
            #[serde(default)]
            #[schemars(length(max = 4000))]
            description: Patch<String>,
            /// Tags by name: a list, or names with commas between. All of them; others are taken off. New names become tags.
            #[serde(default)]
            #[schemars(with = "Option<String>")]
            tags: Option<TagNames>,
            /// Whether it sells.
            #[serde(default)]
            is_supplier: Patch<bool>,
            /// Tax number (NIP).
            #[serde(default, alias = "tax_no")]
            nip: Patch<String>,
            /// REGON.
            #[serde(default)]
            regon: Patch<String>,
            /// PESEL of a person.
            #[serde(default)]
            pesel: Patch<String>,
            /// Bank account (IBAN).
            #[serde(default)]
            bank_account: Patch<String>,
            /// Address in one line.
            #[serde(default)]
            #[schemars(length(max = 500))]
            address: Patch<String>,
            /// Post code.
            #[serde(default, alias = "post_code")]
            #[schemars(length(max = 30))]
            postal_code: Patch<String>,
            /// Address for deliveries.
            #[serde(default)]
            #[schemars(length(max = 500))]
            delivery_address: Patch<String>,
            /// Discount in per cent.
            #[serde(default)]
            discount: Patch<i64>,
            /// Days it has for paying.
            #[serde(default, alias = "payment_period")]
            payment_period_days: Patch<i64>,
            /// Status, in your own words.
            #[serde(default)]
            #[schemars(length(max = 100))]
            status: Patch<String>,
            /// User in charge; see user_list.
            #[serde(default, alias = "owner")]
            responsible_id: Patch<Id<User>>,
            /// Own organization it belongs to; yours unless given.
            #[serde(default)]
            #[schemars(with = "Patch<String>", extend("x-record" = "organizations"))]
            organization_id: Patch<Key>,
        }

        impl $name {
            /// Puts everything but the fields of its own into a form; answers the tags to set, where they were given.
            async fn fill(self, ctx: &mut Ctx, form: &mut Form) -> Result<Option<Vec<Uuid>>> {
                form.put("name", "display_name", self.name)?;
                form.put("email", "primary_email", self.email)?;
                form.put("is_supplier", "is_supplier", self.is_supplier)?;
                form.put("discount", "discount", self.discount)?;
                form.put("payment_period_days", "payment_period_days", self.payment_period_days)?;
                for (name, column, given) in [
                    ("phone", "primary_phone", self.phone),
                    ("description", "description", self.description),
                    ("nip", "nip", self.nip),
                    ("regon", "regon", self.regon),
                    ("pesel", "pesel", self.pesel),
                    ("bank_account", "bank_account", self.bank_account),
                    ("address", "address_text", self.address),
                    ("postal_code", "postal_code", self.postal_code),
                    ("delivery_address", "delivery_address", self.delivery_address),
                    ("status", "status", self.status),
                ] {
                    form.put(name, column, given)?;
                }
                party::put_owner(ctx, form, self.responsible_id).await?;
                party::set_organization(ctx, form, self.organization_id).await?;
                match self.tags {
                    Some(tags) => by_names(ctx, &tags.names()).await.map(Some),
                    None => Ok(None),
                }
            }
        }
    };
}

client_input! {
    struct CreateInput {
        /// person or company; company unless given.
        kind: Option<PartyKind>,
        /// Id in another system.
        #[serde(default)]
        #[schemars(length(max = 128))]
        external_id: Patch<String>,
        /// System that external_id is of.
        #[serde(default)]
        #[schemars(length(max = 64))]
        app_code: Patch<String>,
    }
}

client_input! {
    struct UpdateInput {
        /// UUID or number of the client.
        id: Id<Party>,
        /// Id in another system.
        #[serde(default)]
        #[schemars(length(max = 128))]
        external_id: Patch<String>,
        /// System that external_id is of.
        #[serde(default)]
        #[schemars(length(max = 64))]
        app_code: Patch<String>,
    }
}

client_input! {
    struct UpsertFields {
        /// person or company, for a new one; company unless given.
        kind: Option<PartyKind>,
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpsertInput {
    /// Id in the other system.
    #[schemars(length(min = 1, max = 128))]
    external_id: String,
    /// Code of the other system; blank unless given.
    #[serde(default)]
    #[schemars(length(max = 64))]
    app_code: String,
    /// What the client is to be; what is left out stays.
    client: UpsertFields,
}

/// Calls a client by its name, a person by the parts of it too.
fn call(form: &mut Form, kind: PartyKind, before: Option<&Record>, name: String) -> Result<()> {
    match kind {
        PartyKind::Person => {
            let absent = || Patch::Absent;
            Names { whole: Patch::Set(name), first: absent(), middle: absent(), last: absent() }.fill(form, before)
        }
        PartyKind::Company => {
            form.set("display_name", name);
            Ok(())
        }
    }
}

/// Calls a new client by its name, or else by what is known of it (Intum).
fn call_new(
    form: &mut Form,
    kind: PartyKind,
    name: &Patch<String>,
    email: &Patch<Email>,
    phone: &Patch<String>,
) -> Result<()> {
    let email = if let Patch::Set(email) = email { Some(email.as_str().to_owned()) } else { None };
    match given(name).or(email).or_else(|| given(phone)) {
        Some(name) => call(form, kind, None, name),
        None => {
            form.refuse("name", "is required, or an e-mail or phone to call the client by");
            Ok(())
        }
    }
}

/// Text that was given, and is more than blank.
fn given(text: &Patch<String>) -> Option<String> {
    match text {
        Patch::Set(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    }
}

/// Who may handle companies need not be let to people, and the other way round.
pub(crate) fn check_right(ctx: &Ctx, kind: PartyKind) -> Result<()> {
    let right = kind.right();
    if ctx.principal().may(&[right]) {
        return Ok(());
    }
    let what = if kind == PartyKind::Person { "people" } else { "companies" };
    Err(Error::forbidden(format!("Clients that are {what} need the right {right}. Ask an administrator for it."))
        .with("missing", right))
}

pub(crate) fn kind_of(client: &Record) -> PartyKind {
    if client.text("kind") == "person" { PartyKind::Person } else { PartyKind::Company }
}

pub(crate) async fn create(ctx: &mut Ctx, mut input: CreateInput) -> Result<Client> {
    let kind = input.kind.unwrap_or(PartyKind::Company);
    check_right(ctx, kind)?;
    let mut form = Form::new(&PARTIES, Mode::Create);
    form.set("kind", kind.as_str());
    form.set("is_client", true);
    form.put("external_id", "external_id", std::mem::take(&mut input.external_id))?;
    form.put("app_code", "app_code", std::mem::take(&mut input.app_code))?;
    call_new(&mut form, kind, &std::mem::take(&mut input.name), &input.email, &input.phone)?;
    let tags = input.fill(ctx, &mut form).await?;
    let client = add_party(ctx, form.finish()?).await.map_err(Error::lost_race)?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
    let possible_duplicates = duplicates::hint(ctx, &client).await?;
    let mut answer = shown(ctx, &client).await?;
    answer.possible_duplicates = possible_duplicates;
    Ok(answer)
}

pub(crate) async fn update(ctx: &mut Ctx, mut input: UpdateInput) -> Result<Client> {
    let before = fetch(ctx, input.id).await?;
    check_right(ctx, kind_of(&before))?;
    let mut form = Form::new(&PARTIES, Mode::Update);
    form.put("external_id", "external_id", std::mem::take(&mut input.external_id))?;
    form.put("app_code", "app_code", std::mem::take(&mut input.app_code))?;
    if let Some(name) = given(&input.name) {
        call(&mut form, kind_of(&before), Some(&before), name)?;
    }
    let tags = input.fill(ctx, &mut form).await?;
    let client = party::change(ctx, &before, form.finish()?).await.map_err(Error::lost_race)?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
    shown(ctx, &client).await
}

pub(crate) async fn delete(ctx: &mut Ctx, input: ClientInput) -> Result<family::Deleted> {
    let client = fetch(ctx, input.id).await?;
    check_right(ctx, kind_of(&client))?;
    family::remove(ctx, &client).await?;
    Ok(family::Deleted::of(&client))
}

pub(crate) async fn upsert(ctx: &mut Ctx, input: UpsertInput) -> Result<Client> {
    let (app, id) = (input.app_code.trim().to_owned(), input.external_id.trim().to_owned());
    if id.is_empty() {
        return Err(Error::invalid("/external_id", "must not be blank"));
    }
    let mut fields = input.client;
    let Some(known) = by_external_id(ctx, &app, &id).await? else {
        let kind = fields.kind.unwrap_or(PartyKind::Company);
        check_right(ctx, kind)?;
        let mut form = Form::new(&PARTIES, Mode::Create);
        form.set("kind", kind.as_str());
        form.set("is_client", true);
        form.put("app_code", "app_code", Patch::Set(&app))?;
        form.put("external_id", "external_id", Patch::Set(&id))?;
        call_new(&mut form, kind, &std::mem::take(&mut fields.name), &fields.email, &fields.phone)?;
        let tags = fields.fill(ctx, &mut form).await?;
        let client = match add_party(ctx, form.finish()?).await.map_err(Error::lost_race) {
            // Another call has made it in between: the next attempt finds it.
            Err(error) if error.code() == Code::Validation && by_external_id(ctx, &app, &id).await?.is_some() => {
                return Err(Error::retryable(error));
            }
            made => made?,
        };
        tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
        let mut answer = shown(ctx, &client).await?;
        answer.created = Some(true);
        return Ok(answer);
    };
    let before = ctx.fetch_from(&PARTIES, known).await?;
    check_right(ctx, kind_of(&before))?;
    let mut form = Form::new(&PARTIES, Mode::Update);
    form.set("is_client", true);
    if let Some(name) = given(&fields.name) {
        call(&mut form, kind_of(&before), Some(&before), name)?;
    }
    let tags = fields.fill(ctx, &mut form).await?;
    let client = party::change(ctx, &before, form.finish()?).await?;
    tag_link::set_given(ctx, Subject { noun: PARTIES.noun, id: client.id }, tags).await?;
    let mut answer = shown(ctx, &client).await?;
    answer.created = Some(false);
    Ok(answer)
}
