//! Adding and changing users: the rules that the five systems share (unified-model.md, conflicts 3, 6, 8, 9 and 10).

use bureau_kit::password;
use bureau_kit::prelude::*;

use crate::invitations::{self, Invite};
use crate::membership::{self, WantedGroups, WantedRoles};
use crate::user_fields::{CreateInput, Fields, UpdateInput, check_telephony, complete_name};
use crate::user_rows::UserRow;
use crate::users::{USERS, with_email};
use crate::{acl, grants, organizations, passwords, person_link, user_end};

pub(crate) async fn create(ctx: &mut Ctx, input: CreateInput) -> Result<UserRow> {
    let (email, invited, mut fields) = input.split();
    let mut values = fields.values()?;
    if fields.is_telephony() {
        fields.demand_telephony()?;
        check_telephony(ctx, None, &mut values).await?;
    }
    let user = add(ctx, &email, &fields, values).await?;
    if invited {
        let invite_input = Invite { user_id: Some(user.id), role: user.text("role").to_owned(), ..Invite::to(email) };
        invitations::invite(ctx, invite_input).await?;
    }
    UserRow::of(ctx, &user).await
}

/// Stores a new user with memberships and password, and links customers with the same address.
pub(crate) async fn add(ctx: &mut Ctx, email: &Email, fields: &Fields, mut values: Values) -> Result<Record> {
    refuse_taken(ctx, email, None).await?;
    let roles = membership::wanted_roles(ctx, None, fields).await?;
    let groups = membership::wanted_groups(ctx, None, fields, &mut values).await?;
    set_organization(ctx, fields, &mut values).await?;
    complete_name(None, email, &mut values);
    values.set("email", email.as_str()).set("email_folded", email.folded()).set("role", roles.main);
    values.set("active", fields.active.is_none_or(|active| active.0));
    set_password(ctx, fields, &mut values).await?;
    if let Some(permission) = roles.permission {
        values.set("permission_id", permission);
    }
    let user = ctx.insert(&USERS, values).await?;
    join(ctx, user.id, &roles, &groups).await?;
    person_link::link(ctx, user.id, email).await?;
    Ok(user)
}

async fn join(ctx: &mut Ctx, user: Uuid, roles: &WantedRoles, groups: &WantedGroups) -> Result<()> {
    membership::set_roles(ctx, user, roles).await?;
    membership::set_groups(ctx, user, groups).await
}

pub(crate) async fn update(ctx: &mut Ctx, input: UpdateInput) -> Result<UserRow> {
    let (id, email, mut fields) = input.split();
    let before = ctx.fetch(id).await?;
    let mut values = fields.values()?;
    grants::refuse_above(ctx, &before).await?;
    if let Some(email) = &email {
        refuse_taken(ctx, email, Some(before.id)).await?;
        values.set("email", email.as_str()).set("email_folded", email.folded());
    }
    let address = match email {
        Some(email) => email,
        None => Email::parse(before.text("email")).map_err(Error::internal)?,
    };
    if fields.is_telephony() {
        check_telephony(ctx, Some(&before), &mut values).await?;
    }
    let roles = membership::wanted_roles(ctx, Some(&before), &fields).await?;
    let groups = membership::wanted_groups(ctx, Some(&before), &fields, &mut values).await?;
    set_organization(ctx, &fields, &mut values).await?;
    complete_name(Some(&before), &address, &mut values);
    values.set("role", roles.main);
    if let Some(permission) = roles.permission {
        values.set("permission_id", permission);
    }
    set_password(ctx, &fields, &mut values).await?;
    if fields.password.is_some() {
        user_end::end_other_sessions(ctx, before.id).await?;
    }
    if let Some(active) = fields.active {
        if !active.0 && before.flag("active") {
            user_end::refuse_protected(ctx, &before, "blocked")?;
            user_end::end_sessions(ctx, before.id).await?;
        }
        values.set("active", active.0);
    }
    if roles.main == "owner" && before.text("role") != "owner" {
        // Owners hold everything: what was given to them instead of their roles would take from it.
        acl::remove_grant(ctx, before.id).await?;
    }
    let user = ctx.update(&before, values).await?;
    join(ctx, user.id, &roles, &groups).await?;
    UserRow::of(ctx, &user).await
}

async fn refuse_taken(ctx: &mut Ctx, email: &Email, own: Option<Uuid>) -> Result<()> {
    match with_email(ctx, email).await? {
        Some(user) if Some(user) != own => Err(Error::conflict(format!(
            "A user with the e-mail {email} exists already. Change them with user_update, or use another address."
        ))
        .with("columns", "email")
        .with("user_id", user.to_string())),
        _ => Ok(()),
    }
}

async fn set_organization(ctx: &mut Ctx, fields: &Fields, values: &mut Values) -> Result<()> {
    let organization = match fields.organization_id.clone().change() {
        None => return Ok(()),
        Some(None) => None,
        Some(Some(id)) => Some(ctx.reference("organization_id", id).await?),
    };
    organizations::within_reach(ctx, organization)?;
    values.set("organization_id", organization);
    Ok(())
}

async fn set_password(ctx: &mut Ctx, fields: &Fields, values: &mut Values) -> Result<()> {
    if let Some(password) = &fields.password {
        passwords::store(ctx, password::hash(password)?, values).await?;
    }
    Ok(())
}
